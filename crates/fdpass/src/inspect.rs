//! What is this descriptor.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use crate::address::Address;
use crate::error::{Error, Result, Syscall};
use crate::socket::SocketType;
use crate::sys::{self, RawAddress};

/// How a descriptor was opened.
#[doc(alias = "O_ACCMODE")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `O_RDONLY`
    Read,
    /// `O_WRONLY`
    Write,
    /// `O_RDWR`
    ReadWrite,
}

/// What kind of file is behind a descriptor, with what only that kind has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory. Whoever receives it can open what is below it, and above it.
    Directory,
    /// A pipe or FIFO.
    Pipe,
    /// A terminal.
    Tty,
    /// A TCP socket.
    Tcp {
        /// Whether it accepts connections.
        listening: bool,
        /// Its own address.
        local: Option<SocketAddr>,
        /// The peer's address, when connected.
        peer: Option<SocketAddr>,
    },
    /// A UDP socket.
    Udp {
        /// Its own address.
        local: Option<SocketAddr>,
        /// Where it is connected to.
        peer: Option<SocketAddr>,
    },
    /// A Unix domain socket.
    Unix {
        /// Stream, datagram or seqpacket.
        socket_type: SocketType,
        /// Whether it accepts connections.
        listening: bool,
        /// Its own address.
        address: Address,
    },
    /// An anonymous file in memory (`memfd_create(2)`).
    Memfd,
    /// A process.
    Pidfd,
    /// A counter (`eventfd(2)`).
    Eventfd,
    /// An epoll instance.
    Epoll,
    /// A device other than a terminal.
    Device,
    /// Something else: another socket family, or a file the system has no name for.
    Unknown,
}

impl Kind {
    /// A word for it, as in `FdInfo.kind` of the JavaScript side.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Pipe => "pipe",
            Self::Tty => "tty",
            Self::Tcp { .. } => "tcp",
            Self::Udp { .. } => "udp",
            Self::Unix { .. } => "unix",
            Self::Memfd => "memfd",
            Self::Pidfd => "pidfd",
            Self::Eventfd => "eventfd",
            Self::Epoll => "epoll",
            Self::Device => "device",
            Self::Unknown => "unknown",
        }
    }
}

/// What is known of a descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The kind.
    pub kind: Kind,
    /// How it was opened.
    pub access: Access,
    /// Whether calls on it return at once. Shared with every holder of a copy.
    pub nonblocking: bool,
    /// `st_dev`: with [`Description::inode`] the identity of the file.
    pub device: u64,
    /// `st_ino`
    pub inode: u64,
}

/// Looks at `fd`. Borrows it, reads nothing from it and changes nothing.
///
/// # Errors
/// EBADF: not open.
///
/// # Platform
/// Linux tells `memfd`, `pidfd`, `eventfd` and `epoll` by procfs; without procfs, and on macOS, they are
/// [`Kind::Unknown`] or [`Kind::File`].
///
/// `fstat(2)`, `socket(7)`, `proc(5)`.
pub fn describe(fd: BorrowedFd<'_>) -> Result<Description> {
    let status = sys::fstat(fd).map_err(|source| Error::system(Syscall::Fstat, source))?;
    let access =
        match sys::access_mode(fd).map_err(|source| Error::system(Syscall::Fcntl, source))? {
            libc::O_RDONLY => Access::Read,
            libc::O_WRONLY => Access::Write,
            _ => Access::ReadWrite,
        };
    let nonblocking =
        sys::is_nonblocking(fd).map_err(|source| Error::system(Syscall::Fcntl, source))?;
    Ok(Description {
        kind: kind_of(fd, status.st_mode),
        access,
        nonblocking,
        // st_dev is signed and 32 bits wide on macOS.
        #[cfg_attr(
            target_os = "linux",
            expect(clippy::useless_conversion, reason = "not a no-op on macOS")
        )]
        device: u64::try_from(status.st_dev).unwrap_or(0),
        inode: status.st_ino,
    })
}

/// The status of the file behind `fd`, as `fstat(2)` has it. Times are milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields of `struct stat`, `inode(7)`")]
pub struct Status {
    pub device: u64,
    pub inode: u64,
    pub mode: u32,
    pub links: u64,
    pub uid: u32,
    pub gid: u32,
    pub special_device: u64,
    pub size: i64,
    pub block_size: i64,
    pub blocks: i64,
    pub accessed: f64,
    pub modified: f64,
    pub changed: f64,
}

/// `fstat(2)`: for runtimes whose own file functions refuse a number they did not open.
///
/// # Errors
/// EBADF: not open.
#[doc(alias = "fstat")]
pub fn status(fd: BorrowedFd<'_>) -> Result<Status> {
    let found = sys::fstat(fd).map_err(|source| Error::system(Syscall::Fstat, source))?;
    Ok(sys::to_status(&found))
}

fn kind_of(fd: BorrowedFd<'_>, mode: libc::mode_t) -> Kind {
    match mode & libc::S_IFMT {
        libc::S_IFSOCK => socket_kind(fd),
        libc::S_IFREG => regular_kind(fd),
        libc::S_IFDIR => Kind::Directory,
        libc::S_IFIFO => Kind::Pipe,
        libc::S_IFCHR if sys::is_tty(fd) => Kind::Tty,
        libc::S_IFCHR | libc::S_IFBLK => Kind::Device,
        _ => anonymous_kind(fd).unwrap_or(Kind::Unknown),
    }
}

/// A memfd is a regular file without a name; newer kernels show a pidfd as a regular file of pidfs.
fn regular_kind(fd: BorrowedFd<'_>) -> Kind {
    match sys::inode_name(fd) {
        // Any file may be called so; only files in memory have seals.
        Some(name) if name.starts_with("/memfd:") && sys::has_seals(fd) => Kind::Memfd,
        Some(name) if !name.starts_with('/') => anonymous(&name).unwrap_or(Kind::File),
        _ => Kind::File,
    }
}

fn anonymous_kind(fd: BorrowedFd<'_>) -> Option<Kind> {
    anonymous(&sys::inode_name(fd)?)
}

fn anonymous(name: &str) -> Option<Kind> {
    if name.starts_with("pidfd:") {
        return Some(Kind::Pidfd);
    }
    match name.strip_prefix("anon_inode:")?.trim_matches(['[', ']']) {
        "eventfd" => Some(Kind::Eventfd),
        "eventpoll" => Some(Kind::Epoll),
        "pidfd" => Some(Kind::Pidfd),
        _ => None,
    }
}

fn socket_kind(fd: BorrowedFd<'_>) -> Kind {
    let (Ok(family), Ok(raw_type)) = (sys::socket_family(fd), sys::socket_type(fd)) else {
        return Kind::Unknown;
    };
    let listening = sys::is_listening(fd).unwrap_or(false);
    match (family, raw_type) {
        (sys::AF_UNIX, _) => {
            SocketType::from_raw(raw_type).map_or(Kind::Unknown, |socket_type| Kind::Unix {
                socket_type,
                listening,
                address: unix_address(fd),
            })
        }
        (sys::AF_INET | sys::AF_INET6, sys::SOCK_STREAM) => Kind::Tcp {
            listening,
            local: inet(sys::local_address(fd).ok()),
            peer: inet(sys::peer_address(fd).ok()),
        },
        (sys::AF_INET | sys::AF_INET6, sys::SOCK_DGRAM) => Kind::Udp {
            local: inet(sys::local_address(fd).ok()),
            peer: inet(sys::peer_address(fd).ok()),
        },
        _ => Kind::Unknown,
    }
}

fn unix_address(fd: BorrowedFd<'_>) -> Address {
    match sys::local_address(fd) {
        Ok(RawAddress::Unix(name)) => Address::from_name(&name),
        _ => Address::Unnamed,
    }
}

fn inet(address: Option<RawAddress>) -> Option<SocketAddr> {
    let RawAddress::Inet(address) = address? else {
        return None;
    };
    Some(address)
}
