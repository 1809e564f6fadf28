//! The words of the code: names that the field uses, prose without riddles.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::Visit;
use xtask::sources::{File, files, rust_files};

/// This file, which has to name the words that it refuses.
const ITSELF: &str = "xtask/tests/words.rs";

/// Names of types, functions, constants and modules for which the field has a word.
const NAMES: &[&str] = &[
    "Acted",
    "Answer",
    "At",
    "Belief",
    "Believed",
    "Blind",
    "Broken",
    "Bury",
    "Caller",
    "CarryOut",
    "Deed",
    "Desk",
    "Done",
    "Door",
    "Doubt",
    "Dress",
    "Edge",
    "Erase",
    "ExposureBody",
    "Furnished",
    "GivenUp",
    "Give",
    "Ground",
    "Hammer",
    "Hurry",
    "IngressRouteItem",
    "Instants",
    "JobItem",
    "Keep",
    "Kept",
    "Late",
    "Lent",
    "Loops",
    "Mark",
    "Measures",
    "Newcomer",
    "OldPayload",
    "Parted",
    "Patience",
    "Place",
    "Plant",
    "Poke",
    "Question",
    "Remembered",
    "RunItem",
    "Seen",
    "Settle",
    "Settled",
    "Settlement",
    "Site",
    "Situation",
    "Slow",
    "Space",
    "Stamp",
    "Standing",
    "Stone",
    "Stretch",
    "Surprised",
    "Survey",
    "TakeDown",
    "Timely",
    "Told",
    "Trouble",
    "Troubled",
    "Undone",
    "Verdict",
    "Wire",
    "WorkOff",
    "World",
];

/// Words that no line says, in code or prose.
const WORDS: &[&str] = &[
    "trouble",
    "troubles",
    "troubled",
    "Trouble",
    "Troubles",
    "Troubled",
    "Desk",
    "Belief",
    "PATIENCE",
    "hurry",
    "hurries",
    "poke",
    "pokes",
    "poked",
    "bury",
    "buries",
    "buried",
    "Stone",
    "take_down",
    "Undone",
    "GivenUp",
    "dress",
    "dressed",
    "dresses",
    "hurried",
];

/// Words with which no doc line begins: they make a riddle of what a noun phrase or a verb would say.
const OPENERS: &[&str] =
    &["What", "Who", "Whose", "Whom", "Whether", "How", "When", "Why", "Where", "Whoever", "Whatever", "Whenever"];
/// Highest share of doc lines that begin with one of [`OPENERS`], in percent.
const OPENERS_MAX: usize = 3;

fn is_clean(path: &str) -> bool {
    path != ITSELF
}

/// `CamelCase` as `snake_case`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for (index, letter) in name.chars().enumerate() {
        if letter.is_uppercase() && index > 0 {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// Collects the names that a file declares.
#[derive(Default)]
struct Declared(Vec<String>);

impl Declared {
    fn add(&mut self, name: &syn::Ident) {
        self.0.push(name.to_string());
    }
}

impl<'a> Visit<'a> for Declared {
    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        self.add(&item.sig.ident);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        self.add(&item.sig.ident);
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'a syn::TraitItemFn) {
        self.add(&item.sig.ident);
        syn::visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_struct(&mut self, item: &'a syn::ItemStruct) {
        self.add(&item.ident);
        syn::visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'a syn::ItemEnum) {
        self.add(&item.ident);
        syn::visit::visit_item_enum(self, item);
    }

    fn visit_item_trait(&mut self, item: &'a syn::ItemTrait) {
        self.add(&item.ident);
        syn::visit::visit_item_trait(self, item);
    }

    fn visit_item_type(&mut self, item: &'a syn::ItemType) {
        self.add(&item.ident);
        syn::visit::visit_item_type(self, item);
    }

    fn visit_item_const(&mut self, item: &'a syn::ItemConst) {
        self.add(&item.ident);
        syn::visit::visit_item_const(self, item);
    }

    fn visit_impl_item_const(&mut self, item: &'a syn::ImplItemConst) {
        self.add(&item.ident);
        syn::visit::visit_impl_item_const(self, item);
    }

    fn visit_item_static(&mut self, item: &'a syn::ItemStatic) {
        self.add(&item.ident);
        syn::visit::visit_item_static(self, item);
    }

    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        self.add(&item.ident);
        syn::visit::visit_item_mod(self, item);
    }
}

fn refused_names() -> BTreeSet<String> {
    NAMES.iter().flat_map(|name| [(*name).to_owned(), snake(name), snake(name).to_uppercase()]).collect()
}

#[track_caller]
fn none(wrong: &[String], rule: &str) {
    assert!(wrong.is_empty(), "{rule}:\n  {}", wrong.join("\n  "));
}

#[test]
fn names_are_the_fields_words() -> anyhow::Result<()> {
    let refused = refused_names();
    let mut wrong = Vec::new();
    for file in rust_files()?.iter().filter(|file| is_clean(&file.path)) {
        let mut declared = Declared::default();
        declared.visit_file(&syn::parse_file(&file.text)?);
        wrong.extend(
            declared.0.iter().filter(|name| refused.contains(*name)).map(|name| format!("{}: {name}", file.path)),
        );
    }
    none(&wrong, "a name is the word that kubectl, SQL, HTTP or tokio use for the thing; these are not");
    Ok(())
}

/// Returns true for files that people read.
fn is_prose(file: &File) -> bool {
    // Migrations on main are never edited.
    !file.path.starts_with("migrations/")
        && ["rs", "md", "toml", "yaml", "sh", "json"].iter().any(|extension| file.has_extension(extension))
}

#[test]
fn no_line_says_what_the_field_has_a_word_for() -> anyhow::Result<()> {
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    let breaks = |line: &str| line.split(|letter| !is_letter(letter)).any(|word| WORDS.contains(&word));
    let clean: Vec<File> = files()?.into_iter().filter(|file| is_prose(file) && is_clean(&file.path)).collect();
    let wrong: Vec<String> = clean.iter().flat_map(|file| file.places(breaks)).collect();
    none(&wrong, "say it in the field's words: error, failure, unavailable, record, requeue, remove, timeout");
    Ok(())
}

/// Doc lines of a crate, and those that open with one of [`OPENERS`].
#[derive(Default)]
struct DocLines {
    all: usize,
    riddles: Vec<String>,
}

#[test]
fn doc_lines_begin_with_a_noun_or_a_verb() -> anyhow::Result<()> {
    let mut crates: BTreeMap<String, DocLines> = BTreeMap::new();
    for file in rust_files()?.iter().filter(|file| is_clean(&file.path)) {
        let name = file.path.split('/').take(2).collect::<Vec<_>>().join("/");
        let found = crates.entry(name).or_default();
        for (place, line) in file.lines() {
            let line = line.trim_start();
            let Some(text) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else { continue };
            found.all += 1;
            let first = text.trim_start().split(|letter: char| !letter.is_alphabetic()).next().unwrap_or_default();
            if OPENERS.contains(&first) {
                found.riddles.push(format!("{place}: {line}"));
            }
        }
    }
    let over = crates.values().filter(|lines| lines.riddles.len() * 100 > lines.all * OPENERS_MAX);
    let wrong: Vec<String> = over.flat_map(|lines| lines.riddles.clone()).collect();
    none(&wrong, &format!("at most {OPENERS_MAX}% of a crate's doc lines may open with {}", OPENERS.join(", ")));
    Ok(())
}
