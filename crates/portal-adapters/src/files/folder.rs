//! An opened folder, from which names are reached one at a time. All of it blocks.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use cap_std::fs::{Dir, Metadata, MetadataExt};
use chrono::{DateTime, SubsecRound, Utc};
use portal_workspace::Entry;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

/// How often a file is read again that somebody changes while it is read.
const READINGS: usize = 3;
/// Never follow a symbolic link, never wait for the other end of a pipe.
const PLAIN: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);
/// The same for folders.
const FOLDER: OFlags = PLAIN.union(OFlags::DIRECTORY).union(OFlags::RDONLY);

/// An opened folder.
pub(super) struct Folder {
    dir: Dir,
}

/// Where a walk led.
pub(super) enum Way {
    /// To this folder.
    There(Folder),
    /// One of the folders is missing.
    Missing,
    /// Something that is not a folder stands in its place; symbolic links are not folders.
    Blocked,
}

impl Folder {
    /// Opens the folder that the operator named, which may be reached through links of theirs.
    pub(super) fn open_root(root: &Path) -> io::Result<Self> {
        // Not by cap-std, whose own handle is for walking only and cannot be synced.
        let opened = rustix::fs::open(root, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { dir: Dir::from_std_file(opened.into()) })
    }

    /// The folder itself, for calls that take a descriptor.
    pub(super) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Trouble if the folder has nothing in it: an unmounted volume leaves an empty folder behind, and an agent's
    /// workspace is never empty.
    pub(super) fn expect_mounted(&self) -> io::Result<()> {
        match self.dir.entries()?.next() {
            Some(entry) => entry.map(drop),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "the folder is empty, as that of an unmounted volume")),
        }
    }

    /// Goes down by these names.
    pub(super) fn walk(&self, names: &[&str]) -> io::Result<Way> {
        let reached = match self.enter_at_once(names) {
            // The kernel is older than 5.6, or a sandbox does not know the call.
            Err(Errno::NOSYS | Errno::PERM) => self.enter_one_by_one(names),
            reached => reached,
        };
        match reached {
            Ok(folder) => Ok(Way::There(folder)),
            Err(Errno::NOENT) => Ok(Way::Missing),
            Err(Errno::NOTDIR | Errno::LOOP) => Ok(Way::Blocked),
            Err(trouble) => Err(trouble.into()),
        }
    }

    fn enter_at_once(&self, names: &[&str]) -> Result<Self, Errno> {
        let path = if names.is_empty() { ".".to_owned() } else { names.join("/") };
        let stay = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let opened = rustix::fs::openat2(&self.dir, path, FOLDER, Mode::empty(), stay)?;
        Ok(Self { dir: Dir::from_std_file(opened.into()) })
    }

    fn enter_one_by_one(&self, names: &[&str]) -> Result<Self, Errno> {
        names.iter().try_fold(self.enter(".")?, |folder, name| folder.enter(name))
    }

    /// Goes down by these names, making the folders that are missing as their parents' owner would.
    pub(super) fn make(&self, names: &[&str]) -> io::Result<Self> {
        let mut folder = self.enter(".")?;
        for name in names {
            folder = match folder.enter(name) {
                Err(Errno::NOENT) => folder.make_one(name)?,
                entered => entered?,
            };
        }
        Ok(folder)
    }

    fn enter(&self, name: &str) -> Result<Self, Errno> {
        let opened = rustix::fs::openat(&self.dir, name, FOLDER, Mode::empty())?;
        Ok(Self { dir: Dir::from_std_file(opened.into()) })
    }

    fn make_one(&self, name: &str) -> io::Result<Self> {
        let parent = self.dir.dir_metadata()?;
        match rustix::fs::mkdirat(&self.dir, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(trouble) => return Err(trouble.into()),
        }
        let made = self.enter(name)?;
        give_to(&made.dir, parent.uid(), parent.gid())?;
        self.sync()?;
        Ok(made)
    }

    /// What stands under `name`, read whole if it has at most `limit` bytes.
    pub(super) fn read(&self, name: &str, limit: usize) -> io::Result<Entry> {
        // Looked at before it is opened: opening alone can have effects on a device.
        let found = match rustix::fs::statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) if is_file(&found) => found,
            Ok(_) => return Ok(Entry::NotAFile),
            Err(Errno::NOENT) => return Ok(Entry::Absent),
            Err(trouble) => return Err(trouble.into()),
        };
        match rustix::fs::openat(&self.dir, name, PLAIN | OFlags::RDONLY, Mode::empty()) {
            Ok(opened) => read_opened(opened, found, limit),
            Err(Errno::NOENT) => Ok(Entry::Absent),
            Err(Errno::LOOP | Errno::NXIO) => Ok(Entry::NotAFile),
            Err(trouble) => Err(trouble.into()),
        }
    }

    /// What stands under `name`, a symbolic link being what it is.
    pub(super) fn metadata(&self, name: &str) -> io::Result<Option<Metadata>> {
        match self.dir.symlink_metadata(name) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(trouble) if trouble.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// Makes a new file that only its owner may read so far.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        let flags = PLAIN | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        Ok(rustix::fs::openat(&self.dir, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// The names in this folder that are text.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let names = self.dir.entries()?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    }

    /// How many regular files have a name that `counts`.
    pub(super) fn count_files(self, counts: impl Fn(&str) -> bool) -> io::Result<u64> {
        let mut count = 0;
        let mut unsure = Vec::new();
        let mut entries = rustix::fs::Dir::new(self.dir)?;
        while let Some(entry) = entries.read() {
            let entry = entry?;
            match (entry.file_name().to_str(), entry.file_type()) {
                (Ok(name), FileType::RegularFile) if counts(name) => count += 1,
                // Not every file system tells kinds in its lists.
                (Ok(name), FileType::Unknown) if counts(name) => unsure.push(name.to_owned()),
                _ => {}
            }
        }
        for name in unsure {
            match rustix::fs::statat(entries.fd()?, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => count += u64::from(is_file(&stat)),
                Err(Errno::NOENT) => {}
                Err(trouble) => return Err(trouble.into()),
            }
        }
        Ok(count)
    }

    /// Makes renames in this folder survive a power failure.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.dir)?)
    }
}

/// Gives what is opened to its owner; a portal that may not do that keeps it.
pub(super) fn give_to(opened: impl std::os::fd::AsFd, uid: u32, gid: u32) -> io::Result<()> {
    let (owner, group) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
    match rustix::fs::fchown(opened, Some(owner), Some(group)) {
        Ok(()) | Err(Errno::PERM) => Ok(()),
        Err(trouble) => Err(trouble.into()),
    }
}

/// Reads what was opened until nobody changes it while it is read, but not more often than [`READINGS`]; `found` is
/// what stood there before it was opened.
fn read_opened(opened: OwnedFd, found: Stat, limit: usize) -> io::Result<Entry> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut file = File::from(opened);
    let (mut before, mut entry) = (found, Entry::NotAFile);
    for reading in 0..READINGS {
        if reading > 0 {
            io::Seek::rewind(&mut file)?;
        }
        // Where it never stands still, at least not less than is there.
        let expected = if reading + 1 < READINGS { size(&before).min(most) } else { most };
        let mut bytes = Vec::with_capacity(usize::try_from(size(&before).min(most)).unwrap_or_default());
        (&mut file).take(expected).read_to_end(&mut bytes)?;
        let after = rustix::fs::fstat(&file)?;
        if !is_file(&after) {
            return Ok(Entry::NotAFile);
        }
        let updated_at = modified_at(&after)?;
        entry = if bytes.len() > limit {
            Entry::Large { size: size(&after), updated_at }
        } else {
            Entry::File { bytes, updated_at }
        };
        if is_unchanged(&before, &after) {
            break;
        }
        before = after;
    }
    Ok(entry)
}

fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
}

fn modified_at(stat: &Stat) -> io::Result<DateTime<Utc>> {
    let nanoseconds = u32::try_from(stat.st_mtime_nsec).map_err(io::Error::other)?;
    let time = DateTime::from_timestamp(stat.st_mtime, nanoseconds);
    time.map(|time| time.trunc_subsecs(3)).ok_or_else(|| io::Error::other("a file has no time that there is"))
}

/// Whether it is the same file and was not written to in between.
fn is_unchanged(before: &Stat, after: &Stat) -> bool {
    let state = |stat: &Stat| (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
    state(before) == state(after)
}

#[cfg(test)]
mod tests;
