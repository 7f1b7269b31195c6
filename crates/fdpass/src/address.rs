//! Addresses of Unix domain sockets: a path, an abstract name, or none.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::sys::socket::UnixAddr;

use crate::error::{Error, Result, Syscall};
use crate::limits::{MAX_ABSTRACT_BYTES, MAX_PATH_BYTES};

/// The address of a Unix domain socket (`unix(7)`).
#[doc(alias = "sockaddr_un")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// A socket file. At most [`MAX_PATH_BYTES`] bytes.
    Path(PathBuf),
    /// A name outside the file system (Linux), without its leading zero byte. At most [`MAX_ABSTRACT_BYTES`] bytes.
    Abstract(Vec<u8>),
    /// No address: one end of a socket pair, or a client that did not bind.
    Unnamed,
}

impl Address {
    /// The address of a socket file.
    ///
    /// # Errors
    /// [`Error::AddressTooLong`] above [`MAX_PATH_BYTES`]; [`Error::AddressInvalid`] when empty or with a zero byte.
    pub fn path(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        check_path(path)?;
        Ok(Self::Path(path.to_owned()))
    }

    /// An abstract name, given without its leading zero byte.
    ///
    /// # Errors
    /// [`Error::AddressTooLong`] above [`MAX_ABSTRACT_BYTES`]; [`Error::AddressInvalid`] when empty.
    ///
    /// # Platform
    /// Linux. [`Error::Unsupported`] elsewhere.
    pub fn abstract_name(name: &[u8]) -> Result<Self> {
        check_abstract(name)?;
        Ok(Self::Abstract(name.to_vec()))
    }

    /// The path, if it is one.
    #[must_use]
    pub fn as_path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) => Some(path),
            _ => None,
        }
    }

    /// Checked again: the variants can be written without the constructors.
    pub(crate) fn to_unix_addr(&self, syscall: Syscall) -> Result<UnixAddr> {
        let address = match self {
            Self::Path(path) => {
                check_path(path)?;
                UnixAddr::new(path.as_path())
            }
            Self::Abstract(name) => {
                check_abstract(name)?;
                new_abstract(name)
            }
            Self::Unnamed => {
                return Err(Error::AddressInvalid {
                    reason: "there is no address to use",
                });
            }
        };
        address.map_err(|errno| Error::system(syscall, errno.into()))
    }

    /// The address with these bytes of `sun_path`. Linux counts a closing zero, macOS the whole field.
    pub(crate) fn from_name(name: &[u8]) -> Self {
        match name.split_first() {
            Some((0, rest)) if cfg!(target_os = "linux") => Self::Abstract(rest.to_vec()),
            _ => match name.split(|byte| *byte == 0).next() {
                Some(path) if !path.is_empty() => Self::Path(OsStr::from_bytes(path).into()),
                _ => Self::Unnamed,
            },
        }
    }
}

fn check_path(path: &Path) -> Result<()> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.is_empty() {
        return Err(Error::AddressInvalid {
            reason: "the path is empty",
        });
    }
    if bytes.contains(&0) {
        return Err(Error::AddressInvalid {
            reason: "the path has a zero byte",
        });
    }
    check_length(bytes.len(), MAX_PATH_BYTES)
}

fn check_abstract(name: &[u8]) -> Result<()> {
    if !cfg!(target_os = "linux") {
        return Err(Error::Unsupported {
            what: "abstract socket names",
        });
    }
    if name.is_empty() {
        return Err(Error::AddressInvalid {
            reason: "the abstract name is empty",
        });
    }
    check_length(name.len(), MAX_ABSTRACT_BYTES)
}

fn check_length(length: usize, limit: usize) -> Result<()> {
    if length > limit {
        Err(Error::AddressTooLong { length, limit })
    } else {
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn new_abstract(name: &[u8]) -> nix::Result<UnixAddr> {
    UnixAddr::new_abstract(name)
}

#[cfg(not(target_os = "linux"))]
fn new_abstract(_name: &[u8]) -> nix::Result<UnixAddr> {
    Err(nix::errno::Errno::EINVAL)
}

impl From<&Address> for String {
    /// As humans write it: a path, `@name` for an abstract name, nothing for none.
    fn from(address: &Address) -> Self {
        match address {
            Address::Path(path) => path.to_string_lossy().into_owned(),
            Address::Abstract(name) => format!("@{}", OsStr::from_bytes(name).to_string_lossy()),
            Address::Unnamed => Self::new(),
        }
    }
}
