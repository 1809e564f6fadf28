//! From YAML and JSON files to objects, as `kubectl` reads them.
//!
//! 1. A text is cut into documents: at lines `---`, or object by object where it is a stream of JSON.
//! 2. Each document is padded with as many empty lines as stand before it, so that errors name lines of the file.
//! 3. It is read twice: for its kind, and then as an object of that kind, straight from the text.
//! 4. The items of a list are written as JSON and read as documents of their own, at the item's line.

use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use serde_saphyr::{DuplicateKeyPolicy, Error, Options, Spanned};

use super::object::Object;

/// Mark at the beginning of a text that some editors write.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Outcome of loading manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Objects that are in the cluster because of it.
    pub objects: usize,
    /// A line for each object that was left out: nothing is shown of its kind, or it could not be read.
    pub skipped: Vec<String>,
}

/// A manifest that could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A document is not YAML or not the object that it says it is.
    #[error("{place}: {problem}")]
    Document {
        /// File and line, with the kind and name of the object as far as they are known.
        place: String,
        /// The field, and what is wrong with it.
        problem: String,
    },
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The folder holds no manifest.
    #[error("{} holds no .yaml, .yml or .json file", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
}

/// Objects with their namespaces, and notes on everything that was left out.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    pub(super) objects: Vec<(String, Object)>,
    /// Notes on objects of which nothing is shown.
    pub(super) skipped: Vec<String>,
    /// Documents that cannot be read.
    pub(super) errors: Vec<ManifestError>,
}

/// Members that every object has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: Option<String>,
    kind: Option<String>,
    metadata: Option<HeadMetadata>,
}

#[derive(Deserialize)]
struct HeadMetadata {
    name: Option<String>,
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    items: Option<Vec<Spanned<Value>>>,
}

/// One object's text.
struct Document<'a> {
    /// The number of its first line.
    line: usize,
    text: &'a str,
}

/// Reads a text. A document that holds nothing, or comments only, is passed over.
pub(super) fn read(source: &str, text: &str, default_namespace: &str) -> Manifest {
    let mut reader = Reader { source, default_namespace, manifest: Manifest::default() };
    let text = text.trim_start_matches(BYTE_ORDER_MARK);
    match json_objects(text) {
        Some((objects, end)) => {
            for object in objects {
                reader.json(&object);
            }
            if let Err((line, problem)) = end {
                reader.error(line, "", &problem);
            }
        }
        None => {
            for document in yaml_documents(text) {
                reader.document(&document);
            }
        }
    }
    reader.manifest
}

/// Reads a file, or the manifests of a folder in the order of their names. In a folder, a file that cannot be read is
/// left out like an object that cannot.
pub(super) fn read_path(path: &Path, default_namespace: &str) -> Result<Manifest, ManifestError> {
    let is_folder = fs::metadata(path).map_err(unreadable(path))?.is_dir();
    let files = if is_folder { files(path)? } else { vec![path.to_owned()] };
    let mut all = Manifest::default();
    for file in files {
        match fs::read_to_string(&file) {
            Ok(text) => {
                let Manifest { objects, skipped, errors } = read(&file.display().to_string(), &text, default_namespace);
                all.objects.extend(objects);
                all.skipped.extend(skipped.into_iter().chain(errors.iter().map(left_out)));
            }
            // One bad file among many is left out, as one bad object is; a file that was named must be readable.
            Err(source) if is_folder => all.skipped.push(format!("{}: {source}, left out", file.display())),
            Err(source) => return Err(unreadable(&file)(source)),
        }
    }
    Ok(all)
}

fn left_out(error: &ManifestError) -> String {
    format!("{error}, left out")
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, ManifestError> {
    let entries: io::Result<Vec<_>> = fs::read_dir(folder).map_err(unreadable(folder))?.collect();
    let mut files: Vec<_> = entries.map_err(unreadable(folder))?.iter().map(fs::DirEntry::path).collect();
    files.retain(|file| file.extension().is_some_and(|it| ["yaml", "yml", "json"].iter().any(|known| it == *known)));
    // The entries of a folder have no order of their own.
    files.sort();
    if files.is_empty() {
        return Err(ManifestError::Empty { path: folder.to_owned() });
    }
    Ok(files)
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> ManifestError {
    move |source| ManifestError::Unreadable { path: path.to_owned(), source }
}

/// Cuts a text at the lines that begin a document. No scalar can contain such a line, so the text need not be
/// understood for that, and what is wrong with one document leaves the others alone.
fn yaml_documents(text: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let (mut start, mut first_line, mut at) = (0_usize, 1_usize, 0_usize);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let begins =
            line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if begins {
            documents.extend(text.get(start..at).map(|text| Document { line: first_line, text }));
            (start, first_line) = (at, index.saturating_add(1));
        }
        at = at.saturating_add(line.len());
    }
    documents.extend(text.get(start..).map(|text| Document { line: first_line, text }));
    documents
}

/// Objects that stand one after the other, and the line and problem of what follows the last one.
type JsonStream<'a> = (Vec<Document<'a>>, Result<(), (usize, String)>);

/// Cuts a stream of JSON objects; `None` if the text does not begin with one, as YAML with braces does not.
fn json_objects(text: &str) -> Option<JsonStream<'_>> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let (mut objects, mut start) = (Vec::new(), 0);
    while let Some(object) = stream.next() {
        if let Err(error) = object {
            // Where nothing was read yet, it may be YAML in flow style.
            let problem = (error.line(), error.to_string());
            return (!objects.is_empty()).then_some((objects, Err(problem)));
        }
        let end = stream.byte_offset();
        let before = text.get(..start)?;
        objects.push(Document { line: before.matches('\n').count().saturating_add(1), text: text.get(start..end)? });
        start = end;
    }
    Some((objects, Ok(())))
}

struct Reader<'a> {
    source: &'a str,
    default_namespace: &'a str,
    manifest: Manifest,
}

impl Reader<'_> {
    /// JSON is YAML but for tabs, which stand outside of strings only.
    fn json(&mut self, document: &Document<'_>) {
        let text = document.text.replace('\t', " ");
        self.document(&Document { line: document.line, text: &text });
    }

    fn document(&mut self, document: &Document<'_>) {
        if is_blank(document.text) {
            return;
        }
        let text = padded(document.line, document.text);
        match parse::<Head>(&text) {
            Ok(head) => self.object(first_line(document), &head, &text),
            Err(problem) => self.error(problem.line.unwrap_or_else(|| first_line(document)), "", &problem.message),
        }
    }

    fn object(&mut self, line: usize, head: &Head, text: &str) {
        let present = |member: &Option<String>| member.clone().filter(|text| !text.is_empty());
        let name = head.metadata.as_ref().and_then(|metadata| present(&metadata.name));
        let Some(kind) = present(&head.kind) else { return self.error(line, "", &"kind is missing") };
        let Some(api_version) = present(&head.api_version) else {
            return self.error(line, "", &"apiVersion is missing");
        };
        if let Some(kind_of_items) = kind.strip_suffix("List") {
            return self.list(line, &api_version, kind_of_items, text);
        }
        let object = format!(" ({kind} {})", name.as_deref().unwrap_or("without a name"));
        match parse_as(text, &api_version, &kind) {
            None => {
                let place = format!("{}:{line}{object}", self.source);
                self.manifest.skipped.push(format!("{place}: nothing is shown of {api_version} {kind}, left out"));
            }
            Some(Ok(_)) if name.is_none() => self.error(line, &object, &"metadata.name is missing"),
            Some(Ok(read)) => {
                let namespace = read.namespace().unwrap_or(self.default_namespace).to_owned();
                self.manifest.objects.push((namespace, read));
            }
            Some(Err(problem)) => self.error(problem.line.unwrap_or(line), &object, &problem.message),
        }
    }

    /// The items of a list of one kind, as the API server gives it, say neither their kind nor their version.
    fn list(&mut self, line: usize, api_version: &str, kind: &str, text: &str) {
        let list: List = match parse(text) {
            Ok(list) => list,
            Err(problem) => {
                return self.error(problem.line.unwrap_or(line), &format!(" ({kind}List)"), &problem.message);
            }
        };
        for item in list.items.into_iter().flatten() {
            let line = usize::try_from(item.referenced.line()).unwrap_or(line);
            let mut object = item.value;
            if let (Value::Object(members), false) = (&mut object, kind.is_empty()) {
                for (member, value) in [("kind", kind), ("apiVersion", api_version)] {
                    // The items of a plain `List` name theirs.
                    members.entry(member).or_insert_with(|| value.into());
                }
            }
            let text = object.to_string();
            self.document(&Document { line, text: &text });
        }
    }

    fn error(&mut self, line: usize, object: &str, problem: &dyn Display) {
        let place = format!("{}:{line}{object}", self.source);
        self.manifest.errors.push(ManifestError::Document { place, problem: problem.to_string() });
    }
}

/// The problem of a document that cannot be read.
struct Problem {
    line: Option<usize>,
    message: String,
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let mut path = None;
    let read = serde_saphyr::with_deserializer_from_str_with_options(text, options(), |deserializer| {
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            path = Some(error.path().to_string());
            error.into_inner()
        })
    });
    read.map_err(|error| problem(path, &error))
}

fn parse_as(text: &str, api_version: &str, kind: &str) -> Option<Result<Object, Problem>> {
    let (mut path, mut is_known) = (None, true);
    let read = serde_saphyr::with_deserializer_from_str_with_options(text, options(), |deserializer| {
        let mut track = serde_path_to_error::Track::new();
        let tracked = serde_path_to_error::Deserializer::new(deserializer, &mut track);
        let read = Object::read(api_version, kind, tracked);
        is_known = read.is_some();
        match read {
            None => Ok(None),
            Some(Ok(object)) => Ok(Some(object)),
            Some(Err(error)) => {
                path = Some(track.path().to_string());
                Err(error)
            }
        }
    });
    // Before the result: an object of a kind that is not shown need not be readable.
    if !is_known {
        return None;
    }
    read.map_err(|error| problem(path, &error)).transpose()
}

fn problem(path: Option<String>, error: &Error) -> Problem {
    let line = error.location().and_then(|location| usize::try_from(location.line()).ok()).filter(|line| *line > 0);
    let path = path.filter(|path| path != "." && path != "?").map(|path| format!("{path}: "));
    Problem { line, message: format!("{}{error}", path.unwrap_or_default()) }
}

/// `kubectl` reads YAML 1.1: `0400` is octal, `yes` is true, `<<` merges, and of two equal keys the last one counts.
fn options() -> Options {
    serde_saphyr::options! {
        legacy_octal_numbers: true,
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        with_snippet: false,
    }
}

fn padded(line: usize, text: &str) -> String {
    // Files that were joined have the mark in the middle.
    let text = text.trim_start_matches(BYTE_ORDER_MARK);
    format!("{}{text}", "\n".repeat(line.saturating_sub(1)))
}

/// The line of the first member, where an editor would look for the object.
fn first_line(document: &Document<'_>) -> usize {
    let before = document.text.lines().take_while(|line| is_blank(line)).count();
    document.line.saturating_add(before)
}

/// Nothing but comments and the marks around documents.
fn is_blank(text: &str) -> bool {
    let is_mark = |line: &str| line.is_empty() || line.starts_with('#') || line == "---" || line == "...";
    text.lines().all(|line| {
        is_mark(line.trim()) || line.trim().strip_prefix("---").is_some_and(|it| it.trim().starts_with('#'))
    })
}
