//! House rules that can be checked by reading the repository. Each test names its rule and every place that breaks it.

use std::fs;

use sha2::Digest as _;
use toml::Table;
use xtask::sources::{File, files, from_root, rust_files};
use xtask::{tiers, workspace};

/// Longest source file, in lines. Tests are exempt: tables grow.
const MAX_LINES: usize = 500;
/// Words that say nothing about what is inside.
const EMPTY_NAMES: [&str; 8] = ["utils", "util", "common", "helpers", "helper", "manager", "managers", "misc"];
/// A program of Kubernetes, which is called so.
const NAMED_BY_OTHERS: &str = "kube-controller-manager";
/// The two databases, each with migrations of the same names.
const DATABASES: [&str; 2] = ["sqlite", "postgres"];

#[track_caller]
fn none(wrong: &[String], rule: &str) {
    assert!(wrong.is_empty(), "{rule}:\n  {}", wrong.join("\n  "));
}

#[test]
fn a_source_file_fits_in_the_head() -> anyhow::Result<()> {
    let long = rust_files()?.into_iter().filter(|file| !file.is_test() && file.text.lines().count() > MAX_LINES);
    let wrong: Vec<String> = long.map(|file| format!("{}: {} lines", file.path, file.text.lines().count())).collect();
    none(&wrong, &format!("no source file is longer than {MAX_LINES} lines; split it by subject"));
    Ok(())
}

#[test]
fn a_module_lies_beside_its_folder() -> anyhow::Result<()> {
    let wrong: Vec<String> =
        files()?.into_iter().map(|file| file.path).filter(|path| path.ends_with("/mod.rs")).collect();
    none(&wrong, "`foo.rs` stands beside `foo/`; there is no `mod.rs`");
    Ok(())
}

#[test]
fn documents_name_files_that_are_there() -> anyhow::Result<()> {
    let root = workspace::root();
    let mut wrong = Vec::new();
    for file in files()?.iter().filter(|file| file.has_extension("md")) {
        for (place, line) in file.lines() {
            let quoted = line
                .split('`')
                .skip(1)
                .step_by(2)
                .chain(line.split("](").skip(1).filter_map(|rest| rest.split(')').next()));
            let is_path =
                |text: &&str| text.starts_with("crates/") || text.starts_with("docs/") || text.starts_with("xtask/");
            let named = quoted.filter(is_path).filter(|text| !text.contains([' ', '*', '{', '<']));
            let missing = named.filter(|text| !root.join(text.split('#').next().unwrap_or_default()).exists());
            wrong.extend(missing.map(|text| format!("{place}: {text}")));
        }
    }
    none(&wrong, "a document names a file that is not there");
    Ok(())
}

#[test]
fn nothing_has_a_name_that_says_nothing() -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    for file in files()? {
        let path = file.path.replace(NAMED_BY_OTHERS, "");
        let pieces = path.split('/').map(|piece| piece.split('.').next().unwrap_or_default());
        let words = pieces.flat_map(|piece| piece.split(['-', '_']));
        let named = words.map(str::to_lowercase).any(|word| EMPTY_NAMES.contains(&&*word));
        wrong.extend(named.then(|| file.path.clone()));
        if file.is_rust() {
            wrong.extend(file.places(declares_an_empty_name));
        }
    }
    none(&wrong, &format!("no crate, module or type is called {}; say what it holds", EMPTY_NAMES.join(", ")));
    Ok(())
}

/// Returns true if the line declares a module or type whose name is, or ends in, one of [`EMPTY_NAMES`].
fn declares_an_empty_name(line: &str) -> bool {
    let declaration = line.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
    let mut words =
        declaration.trim_start_matches("pub ").split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    let declares = words.next().is_some_and(|word| ["mod", "struct", "enum", "trait", "type"].contains(&word));
    let name = words.next().unwrap_or_default().to_lowercase();
    declares && EMPTY_NAMES.iter().any(|empty| name.ends_with(empty))
}

#[test]
fn lints_are_expected_with_a_reason_and_never_allowed() -> anyhow::Result<()> {
    let allow = ["#[", "#!["].map(|opening| format!("{opening}allow("));
    let breaks = |line: &str| allow.iter().any(|allow| line.contains(allow));
    let wrong: Vec<String> = rust_files()?.iter().flat_map(|file| file.places(breaks)).collect();
    none(&wrong, "use `#[expect(lint, reason = \"..\")]`, which complains once it is no longer needed");
    Ok(())
}

#[test]
fn nothing_is_left_to_do_in_the_code() -> anyhow::Result<()> {
    let marks = [("TO", "DO"), ("FIX", "ME"), ("XX", "X")].map(|(start, end)| format!("{start}{end}"));
    let breaks = |line: &str| marks.iter().any(|mark| line.contains(mark));
    let wrong: Vec<String> = rust_files()?.iter().flat_map(|file| file.places(breaks)).collect();
    none(&wrong, "what is to be done stands in an issue");
    Ok(())
}

#[test]
fn manifests_take_versions_and_lints_from_the_workspace() -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    for file in files()?.iter().filter(|file| file.is_manifest()) {
        let manifest: Table = file.text.parse()?;
        let from_workspace = |value: &toml::Value| value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
        if !manifest.get("lints").is_some_and(from_workspace) {
            wrong.push(format!("{}: [lints] workspace = true", file.path));
        }
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = manifest.get(section).and_then(toml::Value::as_table) else { continue };
            // A crate that tests itself with other features names itself by path.
            let is_itself = |value: &toml::Value| value.get("path").and_then(toml::Value::as_str) == Some(".");
            let foreign = dependencies.iter().filter(|(_, value)| !from_workspace(value) && !is_itself(value));
            wrong.extend(foreign.map(|(name, _)| format!("{}: {section}: {name}", file.path)));
        }
    }
    none(
        &wrong,
        "a manifest holds `[lints] workspace = true` and `x.workspace = true`; versions stand in the root manifest",
    );
    Ok(())
}

/// Dependencies that no line of code names, each with the reason why it is there.
const NOT_NAMED: [(&str, &str); 2] = [
    ("k8s-openapi", "its feature is the version of Kubernetes, which binaries choose for the libraries below them"),
    ("libsqlite3-sys", "its feature builds SQLite into the program"),
];

#[test]
fn every_dependency_is_used() -> anyhow::Result<()> {
    let files = files()?;
    let mut wrong = Vec::new();
    for file in files.iter().filter(|file| file.is_manifest()) {
        let folder = file.path.trim_end_matches("Cargo.toml");
        let manifest: Table = file.text.parse()?;
        for (section, places) in [
            ("dependencies", &["src/"][..]),
            ("dev-dependencies", &["src/", "tests/", "examples/", "benches/"]),
            ("build-dependencies", &["build.rs"]),
        ] {
            let named = manifest.get(section).and_then(toml::Value::as_table).into_iter().flat_map(Table::keys);
            for name in named.filter(|name| !NOT_NAMED.iter().any(|(exempt, _)| exempt == name)) {
                let is_in_place = |file: &&File| {
                    file.is_rust()
                        && file
                            .path
                            .strip_prefix(folder)
                            .is_some_and(|rest| places.iter().any(|at| rest.starts_with(at)))
                };
                if !files.iter().filter(is_in_place).any(|file| names_crate(&file.text, &name.replace('-', "_"))) {
                    wrong.push(format!("{}: {section}: {name}", file.path));
                }
            }
        }
    }
    let manifests: Vec<&File> = files.iter().filter(|file| file.is_manifest()).collect();
    let root: Table = fs::read_to_string(workspace::root().join("Cargo.toml"))?.parse()?;
    let versions = root["workspace"]["dependencies"].as_table().into_iter().flat_map(Table::keys);
    let is_taken = |name: &str| {
        let forms = [format!("\n{name}.workspace"), format!("\n{name} = {{")];
        manifests.iter().any(|file| forms.iter().any(|form| file.text.contains(form)))
    };
    wrong.extend(versions.filter(|name| !is_taken(name)).map(|name| format!("Cargo.toml: {name}")));
    none(&wrong, "these dependencies are named by no line of code: remove them, or give the reason in NOT_NAMED");
    Ok(())
}

#[test]
fn every_development_dependency_adds_something() -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    for file in files()?.iter().filter(|file| file.is_manifest()) {
        let manifest: Table = file.text.parse()?;
        let section = |name: &str| manifest.get(name).and_then(toml::Value::as_table).cloned().unwrap_or_default();
        let built = section("dependencies");
        // Of an optional one, tests say by themselves that they need it.
        let is_there = |name: &str| built.get(name).is_some_and(|value| value.get("optional").is_none());
        let again = section("dev-dependencies")
            .into_iter()
            .filter(|(name, value)| is_there(name) && value.get("features").is_none());
        wrong.extend(again.map(|(name, _)| format!("{}: {name}", file.path)));
    }
    none(&wrong, "tests have the crate's own dependencies: name one again only to add features");
    Ok(())
}

/// Returns true if a line of code has `name` as a whole word.
fn names_crate(text: &str, name: &str) -> bool {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.lines().filter(|line| !line.trim_start().starts_with("//")).any(|line| {
        line.match_indices(name).any(|(at, _)| {
            let (before, after) = (line[..at].chars().next_back(), line[at + name.len()..].chars().next());
            !before.is_some_and(is_word) && !after.is_some_and(is_word)
        })
    })
}

#[test]
fn the_toolchain_is_the_one_the_manifest_promises() -> anyhow::Result<()> {
    let read = |name: &str| -> anyhow::Result<Table> { Ok(fs::read_to_string(workspace::root().join(name))?.parse()?) };
    let (manifest, toolchain) = (read("Cargo.toml")?, read("rust-toolchain.toml")?);
    let promised = manifest["workspace"]["package"]["rust-version"].as_str().unwrap();
    let used = toolchain["toolchain"]["channel"].as_str().unwrap();
    let is_it = used.strip_prefix(promised).is_some_and(|patch| patch.is_empty() || patch.starts_with('.'));
    assert!(is_it, "rust-version is {promised}, rust-toolchain.toml says {used}");
    Ok(())
}

#[test]
fn every_migration_can_be_undone_and_exists_for_both_databases() -> anyhow::Result<()> {
    let root = workspace::root();
    let mut wrong = Vec::new();
    for database in DATABASES {
        for entry in fs::read_dir(root.join("migrations").join(database)).into_iter().flatten() {
            let name = entry?.file_name();
            let folders = DATABASES.map(|twin| root.join("migrations").join(twin).join(&name));
            let files = folders.iter().flat_map(|folder| ["up.sql", "down.sql"].map(|file| folder.join(file)));
            let missing = files.filter(|path| fs::read_to_string(path).unwrap_or_default().trim().is_empty());
            wrong.extend(missing.map(|path| from_root(&root, &path)));
        }
    }
    wrong.sort();
    wrong.dedup();
    none(&wrong, "a migration has up.sql and down.sql, for SQLite and for PostgreSQL");
    Ok(())
}

#[test]
fn a_migration_that_ran_somewhere_is_never_edited() -> anyhow::Result<()> {
    let root = workspace::root().join("migrations");
    // A line for each file, as `sha256sum` writes it: a release adds lines, and changes none.
    let listed = fs::read_to_string(root.join("checksums.txt"))?;
    let listed: Vec<&str> = listed.lines().collect();
    let mut found = Vec::new();
    for database in DATABASES {
        for entry in fs::read_dir(root.join(database))? {
            let folder = entry?.path();
            for path in ["up.sql", "down.sql"].map(|file| folder.join(file)) {
                let sum = hex::encode(sha2::Sha256::digest(fs::read(&path)?));
                found.push(format!("{sum}  {}", from_root(&root, &path)));
            }
        }
    }
    let unlisted = found.iter().filter(|line| !listed.contains(&line.as_str())).cloned();
    let edited = listed.iter().filter(|line| !found.iter().any(|other| other == *line)).map(|line| (*line).to_owned());
    let wrong: Vec<String> = unlisted.chain(edited).collect();
    none(
        &wrong,
        "migrations/checksums.txt has the lines of every migration; add those of a new one, and never edit an old one",
    );
    Ok(())
}

#[test]
fn no_file_names_a_folder_of_somebody_s_machine() -> anyhow::Result<()> {
    let homes = ["home", "root", "Users", "work"].map(|folder| format!("/{folder}/"));
    let starts_a_path = |line: &str, home: &str| {
        line.match_indices(home).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            !before.is_some_and(|letter| letter.is_alphanumeric() || "._-}>)/*".contains(letter))
        })
    };
    let breaks = |line: &str| homes.iter().any(|home| starts_a_path(line, home));
    let wrong: Vec<String> = files()?.iter().flat_map(|file| file.places(breaks)).collect();
    none(&wrong, "paths are relative to the repository, or of a service's own folders such as /var/lib");
    Ok(())
}

#[test]
fn an_ignored_test_names_the_tier_that_runs_it() -> anyhow::Result<()> {
    let opening = format!("#[{}", "ignore");
    let tiers: Vec<String> = tiers::names()
        .into_iter()
        .filter(|name| *name != tiers::UNIT)
        .map(|name| format!("{opening} = \"tier {name}\"]"))
        .collect();
    let breaks = |line: &str| {
        let line = line.trim();
        line.starts_with(&opening) && !tiers.iter().any(|tier| line == tier)
    };
    let mut wrong = Vec::new();
    for file in rust_files()? {
        wrong.extend(file.places(breaks));
        wrong.extend(outside_of_their_tier(&file, &opening));
    }
    none(
        &wrong,
        "an ignored test says `#[ignore = \"tier <name>\"]` and lies in a module called like the tier, which runs it",
    );
    Ok(())
}

/// Ignored tests of a file that neither lies in, nor has above them, a module named like their tier.
fn outside_of_their_tier(file: &File, opening: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (index, line) in file.text.lines().enumerate().filter(|(_, line)| line.trim().starts_with(opening)) {
        let Some(tier) = line.split_once("tier ").and_then(|(_, rest)| rest.split('"').next()) else { continue };
        let opens = |line: &str| {
            line.split_whitespace().any(|word| word == "mod") && line.split([' ', ';', '{']).any(|word| word == tier)
        };
        let path_has_it = file.path.split(['/', '.']).any(|piece| piece == tier);
        if !path_has_it && !file.text.lines().take(index).any(opens) {
            wrong.push(format!("{}:{}: in no module `{tier}`", file.path, index + 1));
        }
    }
    wrong
}

#[test]
fn only_the_composition_names_adapters() -> anyhow::Result<()> {
    let crate_name = format!("portal_{}", "adapters");
    let composes = |path: &str| {
        ["admin", "compose", "demo", "signing"].iter().any(|name| {
            path.starts_with(&format!("crates/portal-runtime/src/{name}.rs"))
                || path.starts_with(&format!("crates/portal-runtime/src/{name}/"))
        })
    };
    let is_code = |line: &str| !line.trim_start().starts_with("//");
    let mut wrong = Vec::new();
    for file in rust_files()? {
        let is_of_runtime = file.path.starts_with("crates/portal-runtime/src/") || file.path.starts_with("bins/");
        if is_of_runtime && !file.is_test() && !composes(&file.path) {
            wrong.extend(file.places(|line| is_code(line) && line.contains(&crate_name)));
        }
    }
    none(
        &wrong,
        "adapters are chosen in portal-runtime's compose.rs, admin.rs, demo.rs and signing.rs; everything else sees ports",
    );
    Ok(())
}
