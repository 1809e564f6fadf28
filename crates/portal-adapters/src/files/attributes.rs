//! Access control lists and extended attributes of a file that is replaced.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::XattrFlags;
use rustix::io::Errno;

/// Attribute in which Linux stores a file's POSIX ACL.
const ACL: &str = "system.posix_acl_access";
/// Prefix of the attributes that belong to users. Others belong to the kernel, which sets them itself.
const USER: &str = "user.";

/// Copies the ACL and the `user.*` attributes of one file to another.
pub(super) fn copy(from: impl AsFd, to: impl AsFd) -> io::Result<()> {
    let names = list(&from)?;
    for name in names.iter().filter(|name| name.starts_with(USER) || *name == ACL) {
        match get(&from, name) {
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
fn list(of: impl AsFd) -> io::Result<Vec<String>> {
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

fn get(of: impl AsFd, name: &str) -> Result<Vec<u8>, Errno> {
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
