//! Opened folder, from which names are reached one at a time. All of it blocks.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use cap_std::fs::{Dir, Metadata, MetadataExt};
use chrono::{DateTime, SubsecRound, Utc};
use portal_workspace::Entry;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, StatxAttributes, StatxFlags};
use rustix::io::Errno;

/// Number of times that a file is read that somebody changes while it is read.
const READ_ATTEMPTS: usize = 3;
/// Flags with which no symbolic link is followed and no open waits for the other end of a pipe.
const PLAIN: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);
/// Same flags for folders.
const FOLDER: OFlags = PLAIN.union(OFlags::DIRECTORY).union(OFlags::RDONLY);

/// Opened folder.
pub(super) struct Folder {
    dir: Dir,
}

impl FileState {
    /// Returns the time of the last change of content or metadata, in seconds of Unix time.
    pub(super) fn last_change(&self) -> i64 {
        self.modified.0.max(self.changed.0)
    }
}

/// Result of walking down to a folder.
pub(super) enum Walk {
    /// The folder.
    Found(Folder),
    /// One of the folders is missing.
    Missing,
    /// One of the names is no folder; a symbolic link is none.
    NotAFolder,
}

/// Owner and mode that new files and folders get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
}

impl Owner {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { uid: metadata.uid(), gid: metadata.gid(), mode: metadata.mode() }
    }

    /// Gives what is opened to this owner. A portal that may not do that gives it to the group at least, and keeps what
    /// it may not even give to the group.
    pub(super) fn assign(&self, opened: impl AsFd) -> io::Result<()> {
        let (uid, gid) = (rustix::fs::Uid::from_raw(self.uid), rustix::fs::Gid::from_raw(self.gid));
        let given = match rustix::fs::fchown(&opened, Some(uid), Some(gid)) {
            Err(Errno::PERM) => rustix::fs::fchown(&opened, None, Some(gid)),
            given => given,
        };
        match given {
            Ok(()) | Err(Errno::PERM) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// State of a file by which a change of its content is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileState {
    device: u64,
    inode: u64,
    pub(super) size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Folder {
    /// Opens the folder that the operator named, which may be reached through links of theirs.
    pub(super) fn open_root(root: &Path) -> io::Result<Self> {
        // Not by cap-std, whose own handle is for walking only and cannot be synced.
        let opened = rustix::fs::open(root, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { dir: Dir::from_std_file(opened.into()) })
    }

    /// Returns the folder itself, for calls that take a descriptor.
    pub(super) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Fails if the folder is empty: an unmounted volume leaves an empty folder behind, and an agent's workspace is
    /// never empty.
    pub(super) fn expect_mounted(&self) -> io::Result<()> {
        match self.dir.entries()?.next() {
            Some(entry) => entry.map(drop),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "the folder is empty, as that of an unmounted volume")),
        }
    }

    /// Walks down by these names.
    pub(super) fn walk(&self, names: &[&str]) -> io::Result<Walk> {
        let reached = match self.enter_at_once(names) {
            // The kernel is older than 5.6, or a sandbox does not know the call.
            Err(Errno::NOSYS | Errno::PERM) => self.enter_one_by_one(names),
            reached => reached,
        };
        match reached {
            Ok(folder) => Ok(Walk::Found(folder)),
            Err(Errno::NOENT) => Ok(Walk::Missing),
            Err(Errno::NOTDIR | Errno::LOOP) => Ok(Walk::NotAFolder),
            Err(error) => Err(error.into()),
        }
    }

    fn enter_at_once(&self, names: &[&str]) -> Result<Self, Errno> {
        let path = if names.is_empty() { ".".to_owned() } else { names.join("/") };
        let stay = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        // One system call for the whole way: the kernel refuses links and `..` on it.
        let opened = rustix::fs::openat2(&self.dir, path, FOLDER, Mode::empty(), stay)?;
        Ok(Self { dir: Dir::from_std_file(opened.into()) })
    }

    fn enter_one_by_one(&self, names: &[&str]) -> Result<Self, Errno> {
        names.iter().try_fold(self.enter(".")?, |folder, name| folder.enter(name))
    }

    /// Walks down by these names and creates missing folders with this owner and mode.
    pub(super) fn make(&self, names: &[&str], owner: &Owner) -> io::Result<Self> {
        let mut folder = self.enter(".")?;
        for name in names {
            folder = match folder.enter(name) {
                Err(Errno::NOENT) => folder.make_one(name, owner)?,
                entered => entered?,
            };
        }
        Ok(folder)
    }

    fn enter(&self, name: &str) -> Result<Self, Errno> {
        let opened = rustix::fs::openat(&self.dir, name, FOLDER, Mode::empty())?;
        Ok(Self { dir: Dir::from_std_file(opened.into()) })
    }

    fn make_one(&self, name: &str, owner: &Owner) -> io::Result<Self> {
        let is_new = match rustix::fs::mkdirat(&self.dir, name, Mode::RWXU) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        let made = self.enter(name)?;
        if is_new {
            // The process's umask applies to `mkdir` and not to this. The set-group-id bit goes along: below such a root
            // everything has the root's group.
            rustix::fs::fchmod(&made.dir, Mode::from_raw_mode(owner.mode & 0o2777))?;
            owner.assign(&made.dir)?;
        }
        self.sync()?;
        Ok(made)
    }

    /// Returns the folder's own owner and mode.
    pub(super) fn owner(&self) -> io::Result<Owner> {
        Ok(Owner::of(&self.dir.dir_metadata()?))
    }

    /// Reads the file `name` if it has at most `limit` bytes.
    pub(super) fn read(&self, name: &str, limit: usize) -> io::Result<Entry> {
        // Asked before it is opened: opening alone can have effects on a device.
        let found = match rustix::fs::statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) if is_file(&found) => found,
            Ok(_) => return Ok(Entry::NotAFile),
            Err(Errno::NOENT) => return Ok(Entry::Absent),
            Err(error) => return Err(error.into()),
        };
        match rustix::fs::openat(&self.dir, name, PLAIN | OFlags::RDONLY, Mode::empty()) {
            Ok(opened) => read_opened(opened, found, limit),
            Err(Errno::NOENT) => Ok(Entry::Absent),
            // Became a link, or a socket or pipe without a reader, since it was asked.
            Err(Errno::LOOP | Errno::NXIO) => Ok(Entry::NotAFile),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the metadata of `name`, which is not followed if it is a symbolic link.
    pub(super) fn metadata(&self, name: &str) -> io::Result<Option<Metadata>> {
        match self.dir.symlink_metadata(name) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens the file `name`, which must exist.
    pub(super) fn open(&self, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        rustix::fs::openat(&self.dir, name, PLAIN | flags, Mode::empty())
    }

    /// Returns state and modification time of a regular file; `Ok(None)` if there is none, an error of kind
    /// `InvalidInput` if it is something else.
    pub(super) fn state(&self, name: &str) -> io::Result<Option<(FileState, DateTime<Utc>)>> {
        match rustix::fs::statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if is_file(&stat) => Ok(Some((file_state(&stat), modified_at(&stat)?))),
            Ok(_) => Err(io::ErrorKind::InvalidInput.into()),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns a name in this folder that differs from `name` in case only.
    pub(super) fn other_case(&self, name: &str) -> io::Result<Option<String>> {
        Ok(self.names()?.into_iter().find(|other| other.eq_ignore_ascii_case(name) && other != name))
    }

    /// Returns `true` if something is mounted on the file `name`.
    pub(super) fn is_mount_point(&self, name: &str) -> io::Result<bool> {
        match rustix::fs::statx(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS) {
            Ok(found) => Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)),
            // A kernel or sandbox without the call cannot tell.
            Err(Errno::NOENT | Errno::NOSYS | Errno::PERM) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Creates a file that only its owner may read so far.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        let flags = PLAIN | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        Ok(rustix::fs::openat(&self.dir, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Lists the names in this folder that are UTF-8.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let names = self.dir.entries()?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    }

    /// Counts the regular files with a name that `counts`.
    pub(super) fn count_files(self, counts: impl Fn(&str) -> bool) -> io::Result<u64> {
        let mut count = 0;
        let mut unsure = Vec::new();
        let mut entries = rustix::fs::Dir::new(self.dir)?;
        while let Some(entry) = entries.read() {
            let entry = entry?;
            match (entry.file_name().to_str(), entry.file_type()) {
                (Ok(name), FileType::RegularFile) if counts(name) => count += 1,
                // Not every file system says in its lists which entries are regular files.
                (Ok(name), FileType::Unknown) if counts(name) => unsure.push(name.to_owned()),
                _ => {}
            }
        }
        for name in unsure {
            match rustix::fs::statat(entries.fd()?, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => count += u64::from(is_file(&stat)),
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(count)
    }

    /// Syncs the folder, so that renames in it survive a power failure.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.dir)?)
    }
}

/// Reads an opened file until nobody changes it meanwhile, at most [`READ_ATTEMPTS`] times; `found` is
/// its state before it was opened.
fn read_opened(opened: OwnedFd, found: Stat, limit: usize) -> io::Result<Entry> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut file = File::from(opened);
    let (mut before, mut entry) = (found, Entry::NotAFile);
    for attempt in 0..READ_ATTEMPTS {
        if attempt > 0 {
            io::Seek::rewind(&mut file)?;
        }
        // A file that keeps growing: the last attempt takes everything that there is.
        let expected = if attempt + 1 < READ_ATTEMPTS { size(&before).min(most) } else { most };
        let mut bytes = Vec::with_capacity(usize::try_from(size(&before).min(most)).unwrap_or_default());
        (&mut file).take(expected).read_to_end(&mut bytes)?;
        let after = rustix::fs::fstat(&file)?;
        if !is_file(&after) {
            return Ok(Entry::NotAFile);
        }
        let updated_at = modified_at(&after)?;
        entry = if bytes.len() > limit {
            Entry::TooLarge { size: size(&after), updated_at }
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

fn file_state(stat: &Stat) -> FileState {
    FileState {
        device: stat.st_dev,
        inode: stat.st_ino,
        size: size(stat),
        modified: (stat.st_mtime, stat.st_mtime_nsec.try_into().unwrap_or_default()),
        changed: (stat.st_ctime, stat.st_ctime_nsec.try_into().unwrap_or_default()),
    }
}

/// Returns `true` if both are the same file with the same content.
fn is_unchanged(before: &Stat, after: &Stat) -> bool {
    let state = |stat: &Stat| (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
    state(before) == state(after)
}

#[cfg(test)]
mod tests;
