//! Files beside a document: staged texts and displaced files. All of it blocks.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};

use cap_std::fs::MetadataExt;
use chrono::{DateTime, Utc};
use portal_core::Ids;
use portal_workspace::{
    DOCUMENT_MAX_BYTES, DisplacedFile, Entry, InstallMode, Installed, StagedFile, Tag, VERSION_MAX_BYTES,
};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RenameFlags, XattrFlags};
use rustix::io::Errno;

use super::folder::{Folder, Owner};
use crate::RandomIds;

/// Attribute in which Linux stores a file's POSIX ACL.
const ACL: &str = "system.posix_acl_access";
/// Prefix of the attributes that belong to users. Others belong to the kernel, which sets them itself.
const USER: &str = "user.";

/// Stages `bytes` beside `name` with the mode, owner, ACL and attributes of that file, or as `root` has them.
pub(super) fn stage(folder: &Folder, name: &str, write: &str, bytes: &[u8], root: &Owner) -> io::Result<()> {
    let staged = staged_name(name, write);
    let mut file = folder.create(&staged)?;
    let filled = fill(folder, name, &mut file, bytes, root);
    if filled.is_err() {
        // Best effort: recovery finds and removes what stays.
        let _ = folder.dir().remove_file(&staged);
    }
    filled
}

fn fill(folder: &Folder, name: &str, file: &mut File, bytes: &[u8], root: &Owner) -> io::Result<()> {
    file.write_all(bytes)?;
    if let Some(document) = folder.metadata(name)?.filter(cap_std::fs::Metadata::is_file) {
        // Before the owner changes: afterwards only a privileged process may change mode and attributes.
        rustix::fs::fchmod(&*file, Mode::from_raw_mode(document.mode() & 0o777))?;
        match folder.open(name, OFlags::RDONLY) {
            Ok(document) => copy_attributes(document, &*file)?,
            // Replaced or removed meanwhile, which installing will notice.
            Err(Errno::NOENT | Errno::LOOP) => {}
            Err(error) => return Err(error.into()),
        }
        Owner::of(&document).assign(&*file)?;
    } else {
        rustix::fs::fchmod(&*file, Mode::from_raw_mode(root.mode & 0o666))?;
        root.assign(&*file)?;
    }
    // Content first, then its name: after a power failure a staged name never has half a text.
    file.sync_all()?;
    folder.sync()
}

/// Makes the staged text the document.
pub(super) fn install(folder: &Folder, name: &str, write: &str, mode: &InstallMode) -> io::Result<Installed> {
    let staged = staged_name(name, write);
    let installed = match mode {
        InstallMode::Create => create(folder, name, &staged)?,
        InstallMode::Exchange => exchange(folder, name, &staged)?,
        InstallMode::Overwrite { expected } => overwrite(folder, name, &staged, expected)?,
    };
    if installed == Installed::Done {
        folder.sync()?;
    }
    Ok(installed)
}

fn create(folder: &Folder, name: &str, staged: &str) -> io::Result<Installed> {
    let mut moved = rename(folder, staged, name, RenameFlags::NOREPLACE);
    if moved.is_err_and(is_unsupported) {
        // A hard link refuses to replace as well, where the file system has no such rename.
        moved = rustix::fs::linkat(folder.dir(), staged, folder.dir(), name, AtFlags::empty());
        if moved.is_ok() {
            folder.dir().remove_file(staged)?;
        }
    }
    match moved {
        Ok(()) => Ok(Installed::Done),
        Err(Errno::EXIST) => Ok(Installed::Conflict),
        Err(Errno::NOENT) => Ok(Installed::Discarded),
        Err(error) => Err(error.into()),
    }
}

fn exchange(folder: &Folder, name: &str, staged: &str) -> io::Result<Installed> {
    let mut moved = rename(folder, staged, name, RenameFlags::EXCHANGE);
    if moved.is_err_and(is_unsupported) {
        if folder.metadata(name)?.is_none() {
            return Ok(Installed::Conflict);
        }
        moved = rename(folder, staged, name, RenameFlags::empty());
    }
    match moved {
        Ok(()) => Ok(Installed::Done),
        Err(Errno::NOENT) if folder.metadata(staged)?.is_some() => Ok(Installed::Conflict),
        Err(Errno::NOENT) => Ok(Installed::Discarded),
        Err(Errno::BUSY | Errno::XDEV) => Ok(Installed::MountPoint),
        Err(error) => Err(error.into()),
    }
}

/// Writes the staged text over the file's bytes, if the file has the expected content.
fn overwrite(folder: &Folder, name: &str, staged: &str, expected: &Tag) -> io::Result<Installed> {
    // Nothing else fences an overwrite: the lock keeps recovery from discarding the text while this process, stopped
    // and resumed long after its claim, is about to write it.
    let Some(staged) = lock(folder, staged)? else { return Ok(Installed::Discarded) };
    let mut text = Vec::new();
    let limit = u64::try_from(DOCUMENT_MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    File::from(staged.try_clone()?).read_to_end(&mut text)?;
    let mut file = match folder.open(name, OFlags::RDWR) {
        Ok(opened) => File::from(opened),
        Err(Errno::NOENT | Errno::LOOP | Errno::ISDIR | Errno::NXIO) => return Ok(Installed::Conflict),
        Err(error) => return Err(error.into()),
    };
    let mut current = Vec::new();
    (&mut file).take(limit).read_to_end(&mut current)?;
    if !file.metadata()?.is_file() || Tag::of(&current) != *expected {
        return Ok(Installed::Conflict);
    }
    // Over the old bytes, and truncated last: recovery knows a torn text by that order.
    file.rewind()?;
    file.write_all(&text)?;
    file.set_len(u64::try_from(text.len()).map_err(io::Error::other)?)?;
    file.sync_all()?;
    Ok(Installed::Done)
}

/// Opens and locks a staged text; `None` if it is gone or no regular file.
fn lock(folder: &Folder, staged: &str) -> io::Result<Option<OwnedFd>> {
    if folder.metadata(staged)?.is_none_or(|metadata| !metadata.is_file()) {
        return Ok(None);
    }
    let opened = match folder.open(staged, OFlags::RDONLY) {
        Ok(opened) => opened,
        Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match rustix::fs::flock(&opened, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Err(io::Error::new(io::ErrorKind::WouldBlock, "another process writes it")),
        // Without locks nothing is worse than without this one.
        Err(error) if is_unsupported(error) => {}
        Err(error) => return Err(error.into()),
    }
    // Whoever had the lock before may have removed the file.
    Ok((rustix::fs::fstat(&opened)?.st_nlink > 0).then_some(opened))
}

/// Lists the texts staged beside `name`.
pub(super) fn staged(folder: &Folder, name: &str) -> io::Result<Vec<StagedFile>> {
    let prefix = staged_name(name, "");
    let mut files = Vec::new();
    for beside in folder.names()? {
        // Displaced files have another prefix, so nothing installs or discards them.
        let Some(write) = beside.strip_prefix(&prefix) else { continue };
        let bytes = match folder.read(&beside, VERSION_MAX_BYTES)? {
            Entry::Absent => continue,
            Entry::File { bytes, .. } => Some(bytes),
            Entry::TooLarge { .. } | Entry::OtherCase { .. } | Entry::NotAFile => None,
        };
        files.push(StagedFile { write: write.to_owned(), bytes });
    }
    files.sort_by(|one, other| one.write.cmp(&other.write));
    Ok(files)
}

/// Removes what is staged if it is `bytes`; without, renames it to a name that people see.
pub(super) fn discard(folder: &Folder, name: &str, write: &str, bytes: Option<&[u8]>) -> io::Result<bool> {
    let staged = staged_name(name, write);
    let lock = lock(folder, &staged)?;
    let removed = match (bytes, folder.read(&staged, VERSION_MAX_BYTES)?) {
        (_, Entry::Absent) => return Ok(true),
        (Some(expected), Entry::File { bytes, .. }) if bytes == expected => folder.dir().remove_file(&staged),
        (Some(_), _) => return Ok(false),
        (None, _) => folder.dir().rename(&staged, folder.dir(), visible_name(name, write)),
    };
    drop(lock);
    synced(folder, removed).map(|()| true)
}

/// Gives a staged file the label of a displaced one.
pub(super) fn retain(folder: &Folder, name: &str, file: &DisplacedFile) -> io::Result<()> {
    let renamed = folder.dir().rename(staged_name(name, &file.write), folder.dir(), label(name, file));
    synced(folder, renamed)
}

/// Lists the displaced files of `name`, the oldest first.
pub(super) fn displaced(folder: &Folder, name: &str) -> io::Result<Vec<DisplacedFile>> {
    let prefix = label_prefix(name);
    let names = folder.names()?;
    let labels = names.iter().filter_map(|beside| beside.strip_prefix(&prefix));
    let mut files: Vec<_> = labels.filter_map(parse_label).collect();
    files.sort_by(|one, other| (one.displaced_at, &one.write).cmp(&(other.displaced_at, &other.write)));
    Ok(files)
}

/// Reads a displaced file.
pub(super) fn read_displaced(folder: &Folder, name: &str, file: &DisplacedFile) -> io::Result<Option<Vec<u8>>> {
    match folder.read(&label(name, file), VERSION_MAX_BYTES)? {
        Entry::File { bytes, .. } => Ok(Some(bytes)),
        Entry::Absent | Entry::TooLarge { .. } | Entry::OtherCase { .. } | Entry::NotAFile => Ok(None),
    }
}

/// Changes the known tag of a displaced file.
pub(super) fn relabel(folder: &Folder, name: &str, file: &DisplacedFile, known: &Tag) -> io::Result<()> {
    let relabelled = DisplacedFile { known: known.clone(), ..file.clone() };
    synced(folder, folder.dir().rename(label(name, file), folder.dir(), label(name, &relabelled)))
}

/// Removes a displaced file with the known content; what cannot be read gets a name that people see.
pub(super) fn release(folder: &Folder, name: &str, file: &DisplacedFile) -> io::Result<bool> {
    let label = label(name, file);
    let removed = match folder.read(&label, VERSION_MAX_BYTES)? {
        Entry::Absent => return Ok(true),
        Entry::File { bytes, .. } if Tag::of(&bytes) == file.known => folder.dir().remove_file(&label),
        Entry::File { .. } => return Ok(false),
        Entry::TooLarge { .. } | Entry::OtherCase { .. } | Entry::NotAFile => {
            folder.dir().rename(&label, folder.dir(), visible_name(name, &file.write))
        }
    };
    synced(folder, removed).map(|()| true)
}

/// Creates two files, exchanges and removes them; returns `false` if only the exchange failed, and the user id that the
/// files got.
pub(super) fn try_exchange(folder: &Folder) -> io::Result<(bool, u32)> {
    let write = RandomIds.id();
    let [one, other] = ["check-a", "check-b"].map(|name| staged_name(name, &write));
    let tried = (|| {
        let uid = rustix::fs::fstat(folder.create(&one)?.as_fd())?.st_uid;
        folder.create(&other)?;
        match rename(folder, &one, &other, RenameFlags::EXCHANGE) {
            Err(error) if is_unsupported(error) => Ok((false, uid)),
            moved => moved.map(|()| (true, uid)).map_err(io::Error::from),
        }
    })();
    for name in [&one, &other] {
        if folder.metadata(name)?.is_some() {
            folder.dir().remove_file(name)?;
        }
    }
    tried
}

/// Syncs the folder after a name was changed; a name that was gone already is no error.
fn synced(folder: &Folder, changed: io::Result<()>) -> io::Result<()> {
    match changed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => folder.sync(),
    }
}

fn rename(folder: &Folder, from: &str, to: &str, flags: RenameFlags) -> Result<(), Errno> {
    rustix::fs::renameat_with(folder.dir(), from, folder.dir(), to, flags)
}

fn is_unsupported(error: Errno) -> bool {
    matches!(error, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
}

fn staged_name(name: &str, write: &str) -> String {
    format!(".{name}.portal-{write}")
}

fn visible_name(name: &str, write: &str) -> String {
    format!("{name}.kept-{write}")
}

fn label_prefix(name: &str) -> String {
    format!(".{name}.displaced-")
}

fn label(name: &str, file: &DisplacedFile) -> String {
    let DisplacedFile { write, displaced_at, known } = file;
    format!("{}{}-{known}-{write}", label_prefix(name), displaced_at.timestamp_millis())
}

fn parse_label(label: &str) -> Option<DisplacedFile> {
    let mut parts = label.splitn(3, '-');
    let displaced_at: DateTime<Utc> = DateTime::from_timestamp_millis(parts.next()?.parse().ok()?)?;
    let known = Tag::parse(parts.next()?)?;
    Some(DisplacedFile { write: parts.next()?.to_owned(), displaced_at, known })
}

/// Copies the ACL and the `user.*` attributes of one file to another.
fn copy_attributes(from: impl AsFd, to: impl AsFd) -> io::Result<()> {
    let names = attribute_names(&from)?;
    for name in names.iter().filter(|name| name.starts_with(USER) || *name == ACL) {
        match attribute(&from, name) {
            Ok(value) => rustix::fs::fsetxattr(&to, name.as_str(), &value, XattrFlags::empty())?,
            // Removed since it was listed.
            Err(Errno::NODATA) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if names.iter().all(|name| name != ACL) {
        // The folder's default ACL gave the new file one that the document has not.
        match rustix::fs::fremovexattr(&to, ACL) {
            Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Lists the names of a file's attributes; a file system without any has none.
fn attribute_names(of: impl AsFd) -> io::Result<Vec<String>> {
    loop {
        let size = match rustix::fs::flistxattr_query(&of) {
            Ok(size) => size,
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut names = vec![0; size];
        match rustix::fs::flistxattr(&of, names.as_mut_slice()) {
            Ok(length) => {
                names.truncate(length);
                let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
                return Ok(names.filter_map(|name| String::from_utf8(name.to_vec()).ok()).collect());
            }
            // One was added between the two calls.
            Err(Errno::RANGE) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn attribute(of: impl AsFd, name: &str) -> Result<Vec<u8>, Errno> {
    loop {
        let mut value = vec![0; rustix::fs::fgetxattr_query(&of, name)?];
        match rustix::fs::fgetxattr(&of, name, value.as_mut_slice()) {
            Ok(length) => {
                value.truncate(length);
                return Ok(value);
            }
            Err(Errno::RANGE) => {}
            Err(error) => return Err(error),
        }
    }
}
