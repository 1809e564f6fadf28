//! Texts beside a document: how they come there, into its place, and away. All of it blocks.

use std::io::{self, Write};

use cap_std::fs::MetadataExt;
use portal_core::Ids;
use portal_workspace::{Entry, KEPT_MAX_BYTES, Place, Placed, Staged};
use rustix::fs::{AtFlags, Mode, RenameFlags};
use rustix::io::Errno;

use super::folder::{Folder, give_to};
use crate::RandomIds;

/// Puts `bytes` beside `name`, with the mode and the owner of what stands there, or else as its folder suggests.
pub(super) fn stage(folder: &Folder, name: &str, write: &str, bytes: &[u8]) -> io::Result<()> {
    let staged = staged_name(name, write);
    let mut file = folder.create(&staged)?;
    let filled = fill(folder, name, &mut file, bytes);
    if filled.is_err() {
        // Best effort: what stays is found and removed by whoever settles this write.
        let _ = folder.dir().remove_file(&staged);
    }
    filled
}

fn fill(folder: &Folder, name: &str, file: &mut std::fs::File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    let (mode, like) = match folder.metadata(name)? {
        Some(document) if document.is_file() => (document.mode() & 0o777, document),
        _ => {
            let parent = folder.dir().dir_metadata()?;
            (parent.mode() & 0o666, parent)
        }
    };
    give_to(&*file, like.uid(), like.gid())?;
    rustix::fs::fchmod(&*file, Mode::from_raw_mode(mode))?;
    file.sync_all()?;
    folder.sync()
}

/// Puts what is staged into its place.
pub(super) fn place(folder: &Folder, name: &str, write: &str, how: Place) -> io::Result<Placed> {
    let staged = staged_name(name, write);
    let placed = match how {
        Place::New => place_new(folder, name, &staged)?,
        Place::Exchange => exchange(folder, name, &staged)?,
    };
    if placed == Placed::Done {
        folder.sync()?;
    }
    Ok(placed)
}

fn place_new(folder: &Folder, name: &str, staged: &str) -> io::Result<Placed> {
    let mut moved = rename(folder, staged, name, RenameFlags::NOREPLACE);
    if moved.is_err_and(is_unsupported) {
        // A link refuses to replace as well, where the file system cannot rename so.
        moved = rustix::fs::linkat(folder.dir(), staged, folder.dir(), name, AtFlags::empty());
        if moved.is_ok() {
            folder.dir().remove_file(staged)?;
        }
    }
    match moved {
        Ok(()) => Ok(Placed::Done),
        Err(Errno::EXIST) => Ok(Placed::Otherwise),
        Err(Errno::NOENT) => Ok(Placed::Discarded),
        Err(trouble) => Err(trouble.into()),
    }
}

fn exchange(folder: &Folder, name: &str, staged: &str) -> io::Result<Placed> {
    let mut moved = rename(folder, staged, name, RenameFlags::EXCHANGE);
    if moved.is_err_and(is_unsupported) {
        if folder.metadata(name)?.is_none() {
            return Ok(Placed::Otherwise);
        }
        moved = rename(folder, staged, name, RenameFlags::empty());
    }
    match moved {
        Ok(()) => Ok(Placed::Done),
        Err(Errno::NOENT) if folder.metadata(staged)?.is_some() => Ok(Placed::Otherwise),
        Err(Errno::NOENT) => Ok(Placed::Discarded),
        Err(trouble) => Err(trouble.into()),
    }
}

/// The texts beside `name`.
pub(super) fn staged(folder: &Folder, name: &str) -> io::Result<Vec<Staged>> {
    let prefix = staged_name(name, "");
    let mut found = Vec::new();
    for beside in folder.names()? {
        let Some(write) = beside.strip_prefix(&prefix) else { continue };
        let bytes = match folder.read(&beside, KEPT_MAX_BYTES)? {
            Entry::Absent => continue,
            Entry::File { bytes, .. } => Some(bytes),
            Entry::Large { .. } | Entry::NotAFile => None,
        };
        found.push(Staged { write: write.to_owned(), bytes });
    }
    found.sort_by(|one, other| one.write.cmp(&other.write));
    Ok(found)
}

/// Removes what is staged if it is `bytes`; without, gives it a name that people see.
pub(super) fn discard(folder: &Folder, name: &str, write: &str, bytes: Option<&[u8]>) -> io::Result<bool> {
    let staged = staged_name(name, write);
    let removed = match (bytes, folder.read(&staged, KEPT_MAX_BYTES)?) {
        (_, Entry::Absent) => return Ok(true),
        (Some(expected), Entry::File { bytes, .. }) if bytes == expected => folder.dir().remove_file(&staged),
        (Some(_), _) => return Ok(false),
        (None, _) => folder.dir().rename(&staged, folder.dir(), format!("{name}.kept-{write}")),
    };
    match removed {
        Err(trouble) if trouble.kind() != io::ErrorKind::NotFound => Err(trouble),
        _ => folder.sync().map(|()| true),
    }
}

/// Makes two files, exchanges and removes them; `false` if only the exchange failed.
pub(super) fn try_exchange(folder: &Folder) -> io::Result<bool> {
    folder.expect_mounted()?;
    let write = RandomIds.id();
    let [one, other] = ["check-a", "check-b"].map(|name| staged_name(name, &write));
    let tried = (|| {
        folder.create(&one)?;
        folder.create(&other)?;
        match rename(folder, &one, &other, RenameFlags::EXCHANGE) {
            Err(unsupported) if is_unsupported(unsupported) => Ok(false),
            moved => moved.map(|()| true).map_err(io::Error::from),
        }
    })();
    for name in [&one, &other] {
        if folder.metadata(name)?.is_some() {
            folder.dir().remove_file(name)?;
        }
    }
    tried
}

fn rename(folder: &Folder, from: &str, to: &str, flags: RenameFlags) -> Result<(), Errno> {
    rustix::fs::renameat_with(folder.dir(), from, folder.dir(), to, flags)
}

fn is_unsupported(trouble: Errno) -> bool {
    matches!(trouble, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
}

fn staged_name(name: &str, write: &str) -> String {
    format!(".{name}.portal-{write}")
}
