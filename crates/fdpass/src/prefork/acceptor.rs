//! Listening sockets: made, and emptied without spinning or losing anybody.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use super::peer::Peer;
use crate::error::{Error, Result, Syscall};
use crate::limits::DEFAULT_BACKLOG;
use crate::sys;

/// How long a listener rests after the process was at its descriptor limit. It wakes earlier when a connection closes.
pub const LIMIT_PAUSE: Duration = Duration::from_millis(50);

/// How [`listen_tcp`] makes a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// Connections that may wait in the kernel.
    pub backlog: u32,
    /// Several sockets listen at the same address and the kernel spreads connections over them.
    pub reuse_port: bool,
    /// An IPv6 socket takes no IPv4 clients.
    pub only_v6: bool,
    /// Connections do not wait to fill packets. They inherit it from the listening socket.
    pub nodelay: bool,
    /// A connection is accepted when its first bytes are there, or after so many seconds (Linux). Not for protocols in
    /// which the server speaks first.
    pub defer_accept: Option<u32>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            backlog: DEFAULT_BACKLOG,
            reuse_port: false,
            only_v6: false,
            nodelay: true,
            defer_accept: None,
        }
    }
}

/// A listening TCP socket, close-on-exec, non-blocking, yours.
///
/// # Errors
/// EADDRINUSE: somebody listens there. EACCES: a port below 1024 without the right to it. EADDRNOTAVAIL: not an address
/// of this machine. ENOPROTOOPT: `defer_accept` on macOS.
///
/// `socket(2)`, `bind(2)`, `listen(2)`, `tcp(7)`.
#[doc(alias = "SO_REUSEPORT")]
#[doc(alias = "TCP_DEFER_ACCEPT")]
pub fn listen_tcp(address: SocketAddr, options: &ListenOptions) -> Result<OwnedFd> {
    let fd = sys::bind_tcp(address, options.reuse_port, options.only_v6)
        .map_err(|source| Error::system(Syscall::Bind, source))?;
    let set = |result: io::Result<()>| {
        result.map_err(|source| Error::system(Syscall::Setsockopt, source))
    };
    if options.nodelay {
        set(sys::set_nodelay(fd.as_fd()))?;
    }
    if let Some(seconds) = options.defer_accept {
        set(sys::set_defer_accept(fd.as_fd(), seconds))?;
    }
    sys::listen(fd.as_fd(), options.backlog)
        .map_err(|source| Error::system(Syscall::Listen, source))?;
    Ok(fd)
}

/// What [`Acceptor::accept`] found.
#[derive(Debug)]
pub enum Accepted {
    /// A connection: close-on-exec, non-blocking, yours.
    Connection(OwnedFd, Peer),
    /// Nobody waits.
    Empty,
    /// This process or the system has no room for another descriptor, or no memory: rest. The connection stays in the
    /// kernel's queue. The number is the errno.
    Rest(i32),
    /// The listening socket itself has failed.
    Failed(i32),
}

/// A listening socket that is being emptied.
#[derive(Debug)]
pub struct Acceptor {
    fd: OwnedFd,
    resting_until: Option<Instant>,
}

impl Acceptor {
    /// Takes a listening socket and makes it non-blocking.
    ///
    /// # Errors
    /// [`Error::Kind`]: it does not listen.
    pub fn new(fd: OwnedFd) -> Result<Self> {
        let listening = sys::is_listening(fd.as_fd())
            .map_err(|source| Error::system(Syscall::Getsockopt, source))?;
        if !listening {
            return Err(Error::Kind {
                expected: "a listening socket",
                found: "a socket that does not listen",
            });
        }
        sys::set_nonblocking(fd.as_fd(), true)
            .map_err(|source| Error::system(Syscall::Fcntl, source))?;
        Ok(Self {
            fd,
            resting_until: None,
        })
    }

    /// Takes the next connection. Clients that gave up while they waited are passed over.
    pub fn accept(&mut self, now: Instant) -> Accepted {
        loop {
            let error = match sys::accept_peer(self.fd.as_fd()) {
                Ok((fd, address)) => return Accepted::Connection(fd, Peer::from_raw(&address)),
                Err(error) => error,
            };
            match error.raw_os_error().unwrap_or(0) {
                libc::EAGAIN => return Accepted::Empty,
                errno @ (libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                    self.resting_until = Some(now + LIMIT_PAUSE);
                    return Accepted::Rest(errno);
                }
                errno if is_of_one_client(errno) => {}
                errno => return Accepted::Failed(errno),
            }
        }
    }

    /// When to ask again, if the descriptor limit was met. Until then it must not be polled: it would stay readable and
    /// the loop would spin.
    #[must_use]
    pub const fn resting_until(&self) -> Option<Instant> {
        self.resting_until
    }

    /// Ends the rest: its time has come, or a descriptor was closed.
    pub fn wake(&mut self) {
        self.resting_until = None;
    }
}

impl AsFd for Acceptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Errors that `accept(2)` reports of the connection, not of the listener ("treat them like EAGAIN by retrying").
fn is_of_one_client(errno: i32) -> bool {
    matches!(
        errno,
        libc::ECONNABORTED
            | libc::EPROTO
            | libc::ENETDOWN
            | libc::ENOPROTOOPT
            | libc::EHOSTDOWN
            | libc::EHOSTUNREACH
            | libc::ENETUNREACH
            | libc::EOPNOTSUPP
            | libc::EPERM
    ) || is_linux_only(errno)
}

#[cfg(target_os = "linux")]
const fn is_linux_only(errno: i32) -> bool {
    errno == libc::ENONET
}

#[cfg(not(target_os = "linux"))]
const fn is_linux_only(_errno: i32) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor;
    use std::io::Write;
    use std::net::TcpStream;

    fn listener() -> (Acceptor, SocketAddr) {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let fd = listen_tcp(any, &ListenOptions::default()).expect("listen");
        let sys::RawAddress::Inet(address) = sys::local_address(fd.as_fd()).expect("address")
        else {
            panic!("a TCP socket has an inet address");
        };
        (Acceptor::new(fd).expect("it listens"), address)
    }

    #[test]
    fn connections_come_with_their_address_until_nobody_waits() {
        let (mut acceptor, address) = listener();
        let now = Instant::now();
        assert!(matches!(acceptor.accept(now), Accepted::Empty));
        let client = TcpStream::connect(address).expect("connect");
        let Accepted::Connection(fd, peer) = acceptor.accept(now) else {
            panic!("a client waits");
        };
        assert_eq!(peer, Peer::Inet(client.local_addr().expect("address")));
        assert!(descriptor::is_close_on_exec(fd.as_fd()).expect("flags"));
        assert!(descriptor::is_nonblocking(fd.as_fd()).expect("flags"));
        assert!(matches!(acceptor.accept(now), Accepted::Empty));
    }

    #[test]
    fn a_connection_inherits_nodelay() {
        let (mut acceptor, address) = listener();
        let _client = TcpStream::connect(address).expect("connect");
        let Accepted::Connection(fd, _) = acceptor.accept(Instant::now()) else {
            panic!("a client waits");
        };
        assert!(std::net::TcpStream::from(fd).nodelay().expect("option"));
    }

    #[test]
    fn first_bytes_are_seen_and_stay() {
        let (mut acceptor, address) = listener();
        let mut client = TcpStream::connect(address).expect("connect");
        let Accepted::Connection(fd, _) = acceptor.accept(Instant::now()) else {
            panic!("a client waits");
        };
        let mut buffer = [0; 16];
        assert!(sys::peek(fd.as_fd(), &mut buffer).is_err(), "nothing yet");
        client.write_all(b"hello").expect("write");
        assert!(descriptor::wait(fd.as_fd(), false, Duration::from_secs(5)).expect("poll"));
        for _ in 0..2 {
            assert_eq!(sys::peek(fd.as_fd(), &mut buffer).expect("peek"), 5);
        }
    }

    #[test]
    fn a_socket_that_does_not_listen_is_refused() {
        let (a, _b) = crate::socket::pair(crate::socket::SocketType::Stream).expect("pair");
        assert!(matches!(Acceptor::new(a), Err(Error::Kind { .. })));
    }

    #[test]
    fn two_sockets_share_a_port_only_when_both_want_it() {
        let (_acceptor, address) = listener();
        let reuse = ListenOptions {
            reuse_port: true,
            ..ListenOptions::default()
        };
        let refused = listen_tcp(address, &reuse).expect_err("the first did not agree");
        assert_eq!(refused.code(), "EADDRINUSE");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let first = listen_tcp(any, &reuse).expect("listen");
        let sys::RawAddress::Inet(address) = sys::local_address(first.as_fd()).expect("address")
        else {
            panic!("a TCP socket has an inet address");
        };
        listen_tcp(address, &reuse).expect("both agree");
    }
}
