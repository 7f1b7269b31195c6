//! What a descriptor is said to be, for every kind.

use std::fs::{self, File, OpenOptions};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;

use fdpass::address::Address;
use fdpass::inspect::{self, Access, Kind};
use fdpass::socket::{self, SocketType};

use crate::util::{TempSocket, alone, for_each_type, pair, temp_path};

fn kind(fd: &impl AsFd) -> Kind {
    inspect::describe(fd.as_fd()).unwrap().kind
}

#[test]
fn a_file_is_described_by_access_device_and_inode() {
    alone(|| {
        let path = temp_path();
        fs::write(&path, "x").unwrap();
        let read = File::open(&path).unwrap();
        let write = OpenOptions::new().write(true).open(&path).unwrap();
        let both = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        fs::remove_file(&path).unwrap();
        for (file, access) in [
            (&read, Access::Read),
            (&write, Access::Write),
            (&both, Access::ReadWrite),
        ] {
            let description = inspect::describe(file.as_fd()).unwrap();
            let metadata = file.metadata().unwrap();
            assert_eq!((description.kind, description.access), (Kind::File, access));
            assert_eq!(
                (description.device, description.inode),
                (metadata.dev(), metadata.ino())
            );
            assert!(!description.nonblocking);
        }
    });
}

#[test]
fn a_directory_is_a_directory() {
    alone(|| assert_eq!(kind(&File::open("/").unwrap()), Kind::Directory));
}

#[test]
fn both_ends_of_a_pipe_are_a_pipe() {
    alone(|| {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let reader = inspect::describe(reader.as_fd()).unwrap();
        assert_eq!((reader.kind, reader.access), (Kind::Pipe, Access::Read));
        let writer = inspect::describe(writer.as_fd()).unwrap();
        assert_eq!((writer.kind, writer.access), (Kind::Pipe, Access::Write));
    });
}

#[test]
fn a_terminal_is_a_tty_and_other_devices_are_devices() {
    alone(|| {
        assert_eq!(kind(&File::open("/dev/null").unwrap()), Kind::Device);
        // A pseudo terminal's own end is a terminal on both systems.
        let open = OpenOptions::new().read(true).write(true).open("/dev/ptmx");
        match open {
            Ok(terminal) => assert_eq!(kind(&terminal), Kind::Tty),
            Err(error) => crate::util::skip(&format!("no pseudo terminal: {error}")),
        }
    });
}

#[test]
fn a_tcp_socket_is_described_by_its_addresses() {
    alone(|| {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(host) else {
                crate::util::skip("no IPv6 here");
                continue;
            };
            let address = listener.local_addr().unwrap();
            let expected = Kind::Tcp {
                listening: true,
                local: Some(address),
                peer: None,
            };
            assert_eq!(kind(&listener), expected);
            let client = TcpStream::connect(address).unwrap();
            let expected = Kind::Tcp {
                listening: false,
                local: Some(client.local_addr().unwrap()),
                peer: Some(address),
            };
            assert_eq!(kind(&client), expected);
        }
    });
}

#[test]
fn a_udp_socket_is_described_by_its_addresses() {
    alone(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let local = socket.local_addr().unwrap();
        assert_eq!(
            kind(&socket),
            Kind::Udp {
                local: Some(local),
                peer: None
            }
        );
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let peer = other.local_addr().unwrap();
        socket.connect(peer).unwrap();
        assert_eq!(
            kind(&socket),
            Kind::Udp {
                local: Some(local),
                peer: Some(peer)
            }
        );
    });
}

for_each_type! { fn a_unix_socket_is_described_by_type_and_address(socket_type) {
    let pair = pair(socket_type);
    let unnamed = Kind::Unix { socket_type, listening: false, address: Address::Unnamed };
    assert_eq!(kind(&pair.left), unnamed);
    let path = TempSocket::new();
    let address = Address::path(path.path()).unwrap();
    let bound = socket::create(socket_type).unwrap();
    socket::bind(bound.as_fd(), &address).unwrap();
    let listening = socket_type != SocketType::Datagram;
    if listening {
        socket::listen(bound.as_fd(), 1).unwrap();
    }
    assert_eq!(kind(&bound), Kind::Unix { socket_type, listening, address });
} }

#[test]
fn a_descriptor_that_does_not_wait_is_said_not_to() {
    alone(|| {
        let pair = pair(SocketType::Stream);
        fdpass::descriptor::set_nonblocking(pair.left.as_fd(), true).unwrap();
        assert!(inspect::describe(pair.left.as_fd()).unwrap().nonblocking);
        assert!(!inspect::describe(pair.right.as_fd()).unwrap().nonblocking);
    });
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::CStr;
    use std::io;
    use std::os::fd::{FromRawFd, OwnedFd, RawFd};
    use std::process;

    use super::*;
    use crate::util::numbered_files;

    /// Owns what a system call has just returned.
    fn own(number: libc::c_long) -> OwnedFd {
        let number = RawFd::try_from(number).unwrap();
        assert!(number >= 0, "{}", io::Error::last_os_error());
        // SAFETY: the call has just returned this number to this thread alone.
        unsafe { OwnedFd::from_raw_fd(number) }
    }

    fn memfd(name: &CStr) -> OwnedFd {
        // SAFETY: `name` is a string that ends with zero.
        own(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) }.into())
    }

    #[test]
    fn a_memfd_is_told_from_a_file() {
        alone(|| {
            assert_eq!(kind(&memfd(c"some name")), Kind::Memfd);
            assert_eq!(kind(&memfd(c"")), Kind::Memfd);
            assert_eq!(kind(&numbered_files(1)[0]), Kind::File);
        });
    }

    #[test]
    fn a_pidfd_is_a_pidfd() {
        alone(|| {
            // SAFETY: the call takes two integers.
            let number = unsafe { libc::syscall(libc::SYS_pidfd_open, process::id(), 0) };
            assert_eq!(kind(&own(number)), Kind::Pidfd);
        });
    }

    #[test]
    fn an_eventfd_is_an_eventfd() {
        alone(|| {
            // SAFETY: the call takes two integers.
            let number = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
            assert_eq!(kind(&own(number.into())), Kind::Eventfd);
        });
    }

    #[test]
    fn an_epoll_is_an_epoll() {
        alone(|| {
            // SAFETY: the call takes an integer.
            let number = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
            assert_eq!(kind(&own(number.into())), Kind::Epoll);
        });
    }

    #[test]
    fn what_has_no_name_here_is_unknown() {
        alone(|| {
            // SAFETY: the call takes integers.
            let netlink =
                unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
            assert_eq!(kind(&own(netlink.into())), Kind::Unknown);
            // SAFETY: the call takes integers.
            let inotify = unsafe { libc::inotify_init1(libc::IN_CLOEXEC) };
            assert_eq!(kind(&own(inotify.into())), Kind::Unknown);
        });
    }

    #[test]
    fn a_kind_is_known_after_the_journey_too() {
        alone(|| {
            let pair = pair(SocketType::Stream);
            crate::util::send(pair.left(), b"x", &[memfd(c"shared")]).unwrap();
            let received = crate::util::receive(pair.right(), &mut [0; 1], 1)
                .unwrap()
                .unwrap();
            assert_eq!(kind(&received.fds[0]), Kind::Memfd);
        });
    }
}

#[test]
fn a_fifo_is_a_pipe() {
    alone(|| {
        let path = temp_path();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let fifo = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(kind(&fifo), Kind::Pipe);
    });
}

#[test]
fn a_number_that_is_not_open_is_ebadf() {
    alone(|| {
        // SAFETY: not open, so that it belongs to nobody; the kernel answers EBADF.
        let fd = unsafe { BorrowedFd::borrow_raw(999_999) };
        let error = inspect::describe(fd).unwrap_err();
        assert_eq!((error.code(), error.syscall()), ("EBADF", Some("fstat")));
    });
}

#[test]
fn each_kind_has_the_word_that_programs_match_on() {
    let named: Vec<&str> = [
        Kind::File,
        Kind::Directory,
        Kind::Pipe,
        Kind::Tty,
        Kind::Memfd,
        Kind::Pidfd,
        Kind::Eventfd,
        Kind::Epoll,
        Kind::Device,
        Kind::Unknown,
        Kind::Tcp {
            listening: false,
            local: None,
            peer: None,
        },
        Kind::Udp {
            local: None,
            peer: None,
        },
        Kind::Unix {
            socket_type: SocketType::Stream,
            listening: false,
            address: Address::Unnamed,
        },
    ]
    .iter()
    .map(Kind::name)
    .collect();
    assert_eq!(
        named,
        [
            "file",
            "directory",
            "pipe",
            "tty",
            "memfd",
            "pidfd",
            "eventfd",
            "epoll",
            "device",
            "unknown",
            "tcp",
            "udp",
            "unix",
        ]
    );
}
