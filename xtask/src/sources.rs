//! The files of the repository, and the modules of its crates.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::workspace;

/// Folders that builds and tools leave behind.
const NOT_OURS: [&str; 5] = [".git", "target", "node_modules", "portal-demo", "vendor"];

/// A text file of the repository.
#[derive(Debug)]
pub struct File {
    /// Its path from the root, with `/` between folders.
    pub path: String,
    /// Its content.
    pub text: String,
}

impl File {
    /// Returns true for Rust source.
    #[must_use]
    pub fn is_rust(&self) -> bool {
        self.has_extension("rs")
    }

    /// Returns true if the name ends in a dot and `extension`.
    #[must_use]
    pub fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }

    /// Returns true for source that only tests use.
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs")
            || self.path.contains("/tests/")
            || self.path.contains("/portal-testkit/src/contract/")
    }

    /// Returns true for the manifest of a crate.
    #[must_use]
    pub fn is_manifest(&self) -> bool {
        self.path.ends_with("/Cargo.toml")
    }

    /// Iterates over the lines, each with its place, `path:number`.
    pub fn lines(&self) -> impl Iterator<Item = (String, &str)> {
        self.text.lines().zip(1..).map(|(line, number)| (format!("{}:{number}", self.path), line))
    }

    /// Returns the lines for which `breaks` is true, with their places.
    pub fn places(&self, breaks: impl Fn(&str) -> bool) -> Vec<String> {
        let broken = self.lines().filter(|(_, line)| breaks(line));
        broken.map(|(place, line)| format!("{place}: {}", line.trim())).collect()
    }
}

/// Reads every text file of the repository, sorted by path.
///
/// # Errors
/// A folder that cannot be read.
pub fn files() -> anyhow::Result<Vec<File>> {
    let root = workspace::root();
    let mut open = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            if NOT_OURS.iter().any(|ignored| name == *ignored) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                open.push(path);
            // A file that is no UTF-8, such as an image, has no lines to judge.
            } else if let Ok(text) = fs::read_to_string(&path) {
                files.push(File { path: from_root(&root, &path), text });
            }
        }
    }
    // Folders are read in any order; the same tree is to be told of in the same words.
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

/// Reads every Rust source file of the repository, sorted by path.
///
/// # Errors
/// A folder that cannot be read.
pub fn rust_files() -> anyhow::Result<Vec<File>> {
    Ok(files()?.into_iter().filter(File::is_rust).collect())
}

/// Returns `path` as seen from `root`, with `/` between folders.
#[must_use]
pub fn from_root(root: &Path, path: &Path) -> String {
    let names = path.strip_prefix(root).unwrap_or(path).iter().map(|name| name.to_string_lossy());
    names.collect::<Vec<_>>().join("/")
}

/// Returns the folders of the workspace's crates.
///
/// # Errors
/// A folder that cannot be read.
pub fn crates() -> anyhow::Result<Vec<PathBuf>> {
    let root = workspace::root();
    let mut crates = vec![root.join("xtask")];
    for group in ["bins", "crates"] {
        let folder = root.join(group);
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            crates.push(entry?.path());
        }
    }
    crates.retain(|folder| folder.join("Cargo.toml").exists());
    crates.sort();
    Ok(crates)
}
