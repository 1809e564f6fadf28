//! Modules of a crate form no circle: of two siblings, at most one knows the other.
//!
//! An arrow goes from the module that has a `use` line, or a path that begins with `crate` or `super`, to the module
//! that declares the thing; re-exports are followed to it. Between a module and what lies inside it nothing is said:
//! the two are read together. Tests are free.

#![expect(clippy::indexing_slicing, reason = "lengths of paths are counted right before")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use syn::visit::Visit;
use syn::{Item, UseTree};
use xtask::{sources, workspace};

/// Longest chain of re-exports that is followed.
const DEPTH_MAX: usize = 20;

/// The path of a module from the root of its crate; empty for the root itself.
type Module = Vec<String>;

/// The modules of one crate.
#[derive(Default)]
struct Crate {
    modules: BTreeMap<Module, Contents>,
}

/// A module: its items, and its re-exports and uses as paths from the root of the crate.
#[derive(Default)]
struct Contents {
    /// Name under which something can be reached here, and its path.
    imports: BTreeMap<String, Module>,
    /// Modules whose names are all reachable here.
    globs: Vec<Module>,
    /// Paths that the module's code names.
    named: BTreeSet<Module>,
}

/// Finds the paths that begin with `crate`, `super` or `self`.
struct Named<'a> {
    module: &'a Module,
    contents: &'a mut Contents,
}

impl<'a> Visit<'a> for Named<'_> {
    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        if !is_test_only(&item.attrs) {
            self.take_use(&mut Vec::new(), &item.tree);
        }
    }

    fn visit_item_mod(&mut self, _: &'a syn::ItemMod) {}

    fn visit_path(&mut self, path: &'a syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if let Some(absolute) = absolute(self.module, &segments) {
            self.contents.named.insert(absolute);
        }
        syn::visit::visit_path(self, path);
    }
}

impl Named<'_> {
    fn take_use(&mut self, before: &mut Vec<String>, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.take_use(before, &path.tree);
                before.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.take_use(before, tree)),
            UseTree::Name(name) => self.import(before, &name.ident, &name.ident),
            UseTree::Rename(rename) => self.import(before, &rename.ident, &rename.rename),
            UseTree::Glob(_) => {
                if let Some(absolute) = absolute_or_child(self.module, before) {
                    self.contents.named.insert(absolute.clone());
                    self.contents.globs.push(absolute);
                }
            }
        }
    }

    fn import(&mut self, before: &[String], name: &syn::Ident, called: &syn::Ident) {
        let mut path = before.to_vec();
        if name != "self" {
            path.push(name.to_string());
        }
        let Some(absolute) = absolute_or_child(self.module, &path) else { return };
        let called = if called == "self" { path.last().cloned() } else { Some(called.to_string()) };
        self.contents.imports.insert(called.unwrap_or_default(), absolute.clone());
        self.contents.named.insert(absolute);
    }
}

fn is_test_only(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
    })
}

/// Returns the path from the crate's root of one that begins with `crate`, `self` or `super`.
fn absolute(module: &Module, path: &[String]) -> Option<Module> {
    let (first, mut rest) = path.split_first()?;
    let mut start = match first.as_str() {
        "crate" => return Some(rest.to_vec()),
        "self" => module.clone(),
        "super" => module[..module.len().checked_sub(1)?].to_vec(),
        _ => return None,
    };
    while let Some((first, after)) = rest.split_first()
        && first == "super"
    {
        start.pop()?;
        rest = after;
    }
    start.extend(rest.iter().cloned());
    Some(start)
}

/// Returns the same; a path of a `use` line that begins with none of these is a module inside, or another crate.
fn absolute_or_child(module: &Module, path: &[String]) -> Option<Module> {
    absolute(module, path).or_else(|| Some(module.iter().chain(path).cloned().collect()))
}

impl Crate {
    fn read(folder: &Path) -> anyhow::Result<Self> {
        let root = ["src/lib.rs", "src/main.rs"].map(|file| folder.join(file)).into_iter().find(|file| file.exists());
        let mut read = Self::default();
        read.add_file(&Vec::new(), &root.context("a crate without lib.rs and main.rs")?)?;
        Ok(read)
    }

    fn add_file(&mut self, module: &Module, file: &Path) -> anyhow::Result<()> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        self.add(module, file, &syn::parse_file(&text)?.items)
    }

    fn add(&mut self, module: &Module, file: &Path, items: &[Item]) -> anyhow::Result<()> {
        let mut contents = self.modules.remove(module).unwrap_or_default();
        let mut named = Named { module, contents: &mut contents };
        items.iter().filter(|item| !is_test_only(attributes(item))).for_each(|item| named.visit_item(item));
        self.modules.insert(module.clone(), contents);
        for item in items {
            if let Item::Mod(inner) = item
                && !is_test_only(&inner.attrs)
            {
                let mut path = module.clone();
                path.push(inner.ident.to_string());
                if let Some((_, items)) = &inner.content {
                    self.add(&path, file, items)?;
                } else {
                    self.add_file(&path, &file_of(module, file, inner))?;
                }
            }
        }
        Ok(())
    }

    /// Returns the module that declares what lies at a path, if that is one of this crate.
    fn home(&self, path: &[String], depth: usize) -> Option<Module> {
        let module = (0..=path.len()).rev().map(|end| &path[..end]).find(|path| self.modules.contains_key(*path))?;
        let (contents, rest) = (&self.modules[module], &path[module.len()..]);
        let Some((name, after)) = rest.split_first() else { return Some(module.to_vec()) };
        if depth == 0 {
            return Some(module.to_vec());
        }
        if let Some(target) = contents.imports.get(name).filter(|target| target[..] != *path) {
            let whole: Module = target.iter().chain(after).cloned().collect();
            return self.home(&whole, depth - 1);
        }
        let reached = contents.globs.iter().filter(|glob| self.modules.contains_key(*glob) && glob[..] != *module);
        let through = reached.map(|glob| glob.iter().chain(rest).cloned().collect::<Module>());
        let found = through.filter_map(|whole| self.home(&whole, depth - 1)).find(|home| home[..] != *module);
        found.or_else(|| Some(module.to_vec()))
    }

    /// Returns the arrows between siblings, by the module that both lie in, with the modules that cause each.
    fn arrows(&self) -> BTreeMap<Module, BTreeMap<(String, String), BTreeSet<String>>> {
        let mut arrows: BTreeMap<Module, BTreeMap<(String, String), BTreeSet<String>>> = BTreeMap::new();
        for (from, contents) in &self.modules {
            for to in contents.named.iter().filter_map(|path| self.home(path, DEPTH_MAX)) {
                let common = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
                if let (Some(one), Some(other)) = (from.get(common), to.get(common)) {
                    let between = arrows.entry(from[..common].to_vec()).or_default();
                    let cause = format!("{} uses {}", from.join("::"), to.join("::"));
                    between.entry((one.clone(), other.clone())).or_default().insert(cause);
                }
            }
        }
        arrows
    }
}

/// Returns the file of a module that is declared in `file`.
fn file_of(parent: &Module, file: &Path, inner: &syn::ItemMod) -> PathBuf {
    let folder = file.parent().unwrap_or(file);
    let written = inner.attrs.iter().find(|attribute| attribute.path().is_ident("path"));
    if let Some(syn::Meta::NameValue(syn::MetaNameValue { value, .. })) = written.map(|attribute| &attribute.meta)
        && let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(path), .. }) = value
    {
        return folder.join(path.value());
    }
    let own = if parent.is_empty() { folder.to_path_buf() } else { file.with_extension("") };
    own.join(format!("{}.rs", inner.ident))
}

fn attributes(item: &Item) -> &[syn::Attribute] {
    match item {
        Item::Use(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        _ => &[],
    }
}

/// Returns the names that a name leads back to, itself included, if there are others among them.
fn circle<'a>(start: &'a str, arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Option<BTreeSet<&'a str>> {
    let reaches = |start: &'a str| {
        let mut seen = BTreeSet::new();
        let mut open = vec![start];
        while let Some(name) = open.pop() {
            open.extend(arrows.get(name).into_iter().flatten().filter(|next| seen.insert(**next)));
        }
        seen
    };
    let members: BTreeSet<&str> = reaches(start).into_iter().filter(|name| reaches(name).contains(start)).collect();
    (members.len() > 1).then_some(members)
}

#[test]
fn modules_form_no_circle() -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    for folder in sources::crates()? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for (parent, between) in Crate::read(&folder)?.arrows() {
            let parent = parent.join("::");
            let mut arrows: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            for (from, to) in between.keys() {
                arrows.entry(from).or_default().insert(to);
            }
            let circles: BTreeSet<_> = arrows.keys().filter_map(|start| circle(start, &arrows)).collect();
            for circle in circles {
                let inside = |name: &String| circle.contains(name.as_str());
                let causes = between.iter().filter(|((from, to), _)| inside(from) && inside(to));
                let causes: Vec<String> = causes.flat_map(|(_, causes)| causes.iter().cloned()).collect();
                let members = circle.iter().copied().collect::<Vec<_>>().join(", ");
                wrong.push(format!("{name} {parent:?}: {members}:\n    {}", causes.join("\n    ")));
            }
        }
    }
    assert!(wrong.is_empty(), "of two modules at most one may know the other:\n  {}", wrong.join("\n  "));
    Ok(())
}

#[test]
fn a_circle_is_found_through_a_re_export() -> anyhow::Result<()> {
    let folder = workspace::root().join("target").join("circles");
    let source = folder.join("src");
    fs::create_dir_all(&source)?;
    fs::write(source.join("lib.rs"), "mod one;\nmod other;\nmod third;\npub use other::Other;\n")?;
    fs::write(source.join("one.rs"), "use crate::Other;\npub struct One(Other);\n")?;
    fs::write(source.join("other.rs"), "pub struct Other;\nimpl Other { fn one() -> super::one::One { todo() } }\n")?;
    fs::write(source.join("third.rs"), "use crate::one::One;\n")?;
    let arrows = Crate::read(&folder)?.arrows();
    let found: Vec<_> = arrows[&Vec::new()].keys().map(|(from, to)| format!("{from} > {to}")).collect();
    assert_eq!(found, ["one > other", "other > one", "third > one"]);
    Ok(())
}
