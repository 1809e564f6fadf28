//! An opened folder, from which names are reached one at a time. All of it blocks.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, MetadataExt};
use chrono::{DateTime, SubsecRound, Utc};
use portal_workspace::Entry;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// How often a file is read again that somebody changes while it is read.
const READINGS: usize = 3;
/// Never follow a symbolic link, never wait for the other end of a pipe.
const PLAIN: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

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
        let named = Self { dir: Dir::open_ambient_dir(root, ambient_authority())? };
        // Opened once more, because cap-std's own handle is for walking only and cannot be synced.
        Ok(named.enter(".")?)
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
        let mut folder = Self { dir: self.dir.try_clone()? };
        for name in names {
            match folder.enter(name) {
                Ok(inner) => folder = inner,
                Err(Errno::NOENT) => return Ok(Way::Missing),
                Err(Errno::NOTDIR | Errno::LOOP) => return Ok(Way::Blocked),
                Err(trouble) => return Err(trouble.into()),
            }
        }
        Ok(Way::There(folder))
    }

    /// Goes down by these names, making the folders that are missing as their parents' owner would.
    pub(super) fn make(&self, names: &[&str]) -> io::Result<Self> {
        let mut folder = Self { dir: self.dir.try_clone()? };
        for name in names {
            folder = match folder.enter(name) {
                Err(Errno::NOENT) => folder.make_one(name)?,
                entered => entered?,
            };
        }
        Ok(folder)
    }

    fn enter(&self, name: &str) -> Result<Self, Errno> {
        let opened = rustix::fs::openat(&self.dir, name, PLAIN | OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty())?;
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
        match self.metadata(name)? {
            None => return Ok(Entry::Absent),
            Some(metadata) if !metadata.is_file() => return Ok(Entry::NotAFile),
            Some(_) => {}
        }
        match rustix::fs::openat(&self.dir, name, PLAIN | OFlags::RDONLY, Mode::empty()) {
            Ok(opened) => read_opened(opened, limit),
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
    pub(super) fn count_files(&self, counts: impl Fn(&str) -> bool) -> io::Result<u64> {
        let mut count = 0;
        for entry in self.dir.entries()? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(&counts) && entry.file_type()?.is_file() {
                count += 1;
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

fn read_opened(opened: OwnedFd, limit: usize) -> io::Result<Entry> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut file = File::from(opened);
    let mut entry = Entry::NotAFile;
    for _ in 0..READINGS {
        let before = file.metadata()?;
        if !before.is_file() {
            return Ok(Entry::NotAFile);
        }
        let mut bytes = Vec::new();
        io::Seek::rewind(&mut file)?;
        (&mut file).take(most).read_to_end(&mut bytes)?;
        let after = file.metadata()?;
        let updated_at: DateTime<Utc> = after.modified()?.into();
        let updated_at = updated_at.trunc_subsecs(3);
        entry = if bytes.len() > limit {
            Entry::Large { size: after.len(), updated_at }
        } else {
            Entry::File { bytes, updated_at }
        };
        if before.modified()? == after.modified()? && before.len() == after.len() {
            break;
        }
    }
    Ok(entry)
}
