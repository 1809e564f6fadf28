//! From YAML files to objects.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_yaml_ng::{Deserializer, Value};

use super::object::Object;

/// What became of loading manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// How many objects are in the cluster now because of it.
    pub objects: usize,
    /// A line for each object that was left out, because nothing is shown of its kind.
    pub skipped: Vec<String>,
}

/// A manifest that could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A document is not YAML or not the object that it says it is.
    #[error("{place}: {problem}")]
    Document {
        /// File, document and object.
        place: String,
        /// Which field, and what is wrong with it.
        problem: String,
    },
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder holds no manifest.
    #[error("{} holds no .yaml, .yml or .json file", path.display())]
    Empty {
        /// Which.
        path: PathBuf,
    },
}

/// Objects with their namespaces, and notes on what was left out.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    pub(super) objects: Vec<(String, Object)>,
    pub(super) skipped: Vec<String>,
}

/// What every object begins with.
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
    items: Option<Vec<Value>>,
}

/// Reads a multi-document text. A document that holds nothing, or comments only, is passed over.
pub(super) fn read(source: &str, text: &str, default_namespace: &str) -> Result<Manifest, ManifestError> {
    let mut reader = Reader { default_namespace, manifest: Manifest::default() };
    reader.text(&|index| format!("{source}, document {index}"), text)?;
    Ok(reader.manifest)
}

/// Reads a file, or the manifests of a folder in the order of their names.
pub(super) fn read_path(path: &Path, default_namespace: &str) -> Result<Manifest, ManifestError> {
    let mut all = Manifest::default();
    for file in files(path)? {
        let text = fs::read_to_string(&file).map_err(unreadable(&file))?;
        let Manifest { objects, skipped } = read(&file.display().to_string(), &text, default_namespace)?;
        all.objects.extend(objects);
        all.skipped.extend(skipped);
    }
    Ok(all)
}

fn files(path: &Path) -> Result<Vec<PathBuf>, ManifestError> {
    if !fs::metadata(path).map_err(unreadable(path))?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries: io::Result<Vec<_>> = fs::read_dir(path).map_err(unreadable(path))?.collect();
    let mut files: Vec<_> = entries.map_err(unreadable(path))?.iter().map(fs::DirEntry::path).collect();
    files.retain(|file| file.extension().is_some_and(|it| ["yaml", "yml", "json"].iter().any(|known| it == *known)));
    files.sort();
    if files.is_empty() {
        return Err(ManifestError::Empty { path: path.to_owned() });
    }
    Ok(files)
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> ManifestError {
    move |source| ManifestError::Unreadable { path: path.to_owned(), source }
}

struct Reader<'a> {
    default_namespace: &'a str,
    manifest: Manifest,
}

impl Reader<'_> {
    /// Reads every document of a text; `place` names one by its number, which begins at 1.
    fn text(&mut self, place: &dyn Fn(usize) -> String, text: &str) -> Result<(), ManifestError> {
        // Each document is read twice: what it is, and then as that, straight from the text, so that errors name the
        // field and the line.
        let documents = Deserializer::from_str(text).zip(Deserializer::from_str(text));
        for (index, (head, body)) in documents.enumerate() {
            let place = place(index.saturating_add(1));
            let head = Option::<Head>::deserialize(head).map_err(|error| wrong(&place, &error))?;
            if let Some(head) = head {
                self.document(&place, &head, body)?;
            }
        }
        Ok(())
    }

    fn document(&mut self, place: &str, head: &Head, body: Deserializer<'_>) -> Result<(), ManifestError> {
        let kind = required(place, "kind", head.kind.as_deref())?;
        let api_version = required(place, "apiVersion", head.api_version.as_deref())?;
        if (api_version, kind) == ("v1", "List") {
            return self.list(place, body);
        }
        let name = head.metadata.as_ref().and_then(|metadata| metadata.name.as_deref());
        let place = format!("{place} ({kind} {})", name.unwrap_or("without a name"));
        match Object::read(api_version, kind, body) {
            Some(Ok(object)) => {
                required(&place, "metadata.name", name)?;
                let namespace = object.namespace().unwrap_or(self.default_namespace).to_owned();
                self.manifest.objects.push((namespace, object));
                Ok(())
            }
            Some(Err(error)) => Err(wrong(&place, &error)),
            None => {
                self.manifest.skipped.push(format!("{place}: nothing is shown of {api_version} {kind}, left out"));
                Ok(())
            }
        }
    }

    fn list(&mut self, place: &str, body: Deserializer<'_>) -> Result<(), ManifestError> {
        let list = List::deserialize(body).map_err(|error| wrong(place, &error))?;
        for (index, item) in list.items.into_iter().flatten().enumerate() {
            let place = format!("{place}, item {}", index.saturating_add(1));
            // As text again, so that the item is read, and its errors are told, like any other document.
            let text = serde_yaml_ng::to_string(&item).map_err(|error| wrong(&place, &error))?;
            self.text(&|_| place.clone(), &text)?;
        }
        Ok(())
    }
}

fn required<'a>(place: &str, field: &str, value: Option<&'a str>) -> Result<&'a str, ManifestError> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| wrong(place, &format!("{field} is missing")))
}

fn wrong(place: &str, problem: &dyn std::fmt::Display) -> ManifestError {
    ManifestError::Document { place: place.to_owned(), problem: problem.to_string() }
}
