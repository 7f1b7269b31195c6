//! What becomes of a connection whose worker died: the kernel is asked, not the worker.
//!
//! The kernel counts what came in, knows what of it nobody has read, and counts what was written. A connection of which
//! the worker read nothing is as good as new and another worker may have it. `docs/prefork.md` has the promise.

use std::os::fd::BorrowedFd;

use super::held::Connection;
use crate::sys::{self, TcpState};

/// How many bytes had been read from and written to a connection at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Read by a process.
    pub read: u64,
    /// Written by a process, sent or not.
    pub sent: u64,
}

/// What the kernel says of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Open, or half closed by the client.
    Open(Mark),
    /// Over: reset, or closed on both sides.
    Over,
    /// No TCP connection, or a kernel that does not count (Linux before 4.19).
    Unknown,
}

/// What to do with a connection of a dead worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The worker had not begun: another one gets it.
    Untouched,
    /// The worker had read a request that may be repeated, and answered nothing: another one gets it with these bytes.
    Replay(Box<[u8]>),
    /// The worker had begun, or it cannot be known: it is closed, at once.
    Close,
}

/// Asks the kernel how much went through a connection. `tcp(7)`, `TCP_INFO`; macOS: `TCP_CONNECTION_INFO`.
#[doc(alias = "TCP_INFO")]
#[must_use]
pub fn count(fd: BorrowedFd<'_>) -> Count {
    match sys::tcp_counts(fd) {
        Ok(counts) if counts.state == TcpState::Other => Count::Over,
        Ok(counts) => Count::Open(Mark {
            read: counts.read,
            sent: counts.sent,
        }),
        Err(_) => Count::Unknown,
    }
}

/// The rule. `replay`: whether requests that may be repeated are (`replay: 'idempotent'`).
#[must_use]
pub fn judge(connection: &Connection, count: Count, replay: bool) -> Verdict {
    let Count::Open(now) = count else {
        return Verdict::Close;
    };
    if now.sent != connection.mark.sent {
        return Verdict::Close;
    }
    let read = now.read.saturating_sub(connection.mark.read);
    if read == 0 && connection.prefix.is_empty() {
        return Verdict::Untouched;
    }
    if !replay || connection.replayed {
        return Verdict::Close;
    }
    let request = if connection.prefix.is_empty() {
        usize::try_from(read)
            .ok()
            .and_then(|read| connection.seen.get(..read))
    } else {
        (read == 0).then_some(&*connection.prefix)
    };
    match request {
        Some(request) if is_idempotent(request) => Verdict::Replay(request.into()),
        _ => Verdict::Close,
    }
}

/// Whether `bytes` are (the beginning of) exactly one GET or HEAD request.
#[must_use]
pub fn is_idempotent(bytes: &[u8]) -> bool {
    if !bytes.starts_with(b"GET ") && !bytes.starts_with(b"HEAD ") {
        return false;
    }
    // What follows the blank line is a body or the next request, of which nothing is known.
    bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .is_none_or(|at| at + 4 == bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prefork::peer::Peer;
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::fd::AsFd;
    use std::time::Instant;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let client = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
        (client, listener.accept().expect("accept").0)
    }

    fn held(server: &TcpStream) -> Connection {
        let fd = server.try_clone().expect("dup").into();
        Connection {
            worker: Some(1),
            ..Connection::new(fd, 0, Peer::Unix, Instant::now())
        }
    }

    fn verdict(connection: &Connection, replay: bool) -> Verdict {
        judge(connection, count(connection.fd.as_fd()), replay)
    }

    /// The bytes are in the receive queue of the server's end.
    fn wait_for(server: &TcpStream, bytes: usize) {
        let mut buffer = vec![0; bytes];
        while server.peek(&mut buffer).expect("peek") < bytes {}
    }

    #[test]
    fn a_connection_nobody_read_is_untouched() {
        let (mut client, server) = pair();
        let connection = held(&server);
        assert_eq!(verdict(&connection, false), Verdict::Untouched);
        client.write_all(GET).expect("write");
        wait_for(&server, GET.len());
        assert_eq!(verdict(&connection, false), Verdict::Untouched);
    }

    #[test]
    fn the_end_of_the_client_is_no_byte_read() {
        let (mut client, server) = pair();
        let connection = held(&server);
        client.write_all(GET).expect("write");
        client.shutdown(Shutdown::Write).expect("shutdown");
        wait_for(&server, GET.len());
        while count(connection.fd.as_fd()) == Count::Over {}
        assert_eq!(verdict(&connection, false), Verdict::Untouched);
        (&server).read_exact(&mut [0; 1]).expect("read");
        assert_eq!(verdict(&connection, false), Verdict::Close);
    }

    #[test]
    fn what_was_read_is_closed_or_replayed_once() {
        let (mut client, server) = pair();
        let mut connection = held(&server);
        client.write_all(GET).expect("write");
        wait_for(&server, GET.len());
        connection.seen = GET.into();
        (&server).read_exact(&mut vec![0; GET.len()]).expect("read");
        assert_eq!(verdict(&connection, false), Verdict::Close);
        assert_eq!(verdict(&connection, true), Verdict::Replay(GET.into()));
        connection.replayed = true;
        assert_eq!(verdict(&connection, true), Verdict::Close);
    }

    #[test]
    fn a_post_is_never_replayed_nor_what_follows_a_get() {
        assert!(is_idempotent(b"HEAD /x HTTP/1.1\r\nHo"));
        assert!(is_idempotent(GET));
        assert!(!is_idempotent(b"POST / HTTP/1.1\r\n\r\n"));
        assert!(!is_idempotent(b"GE"));
        assert!(!is_idempotent(b"GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\n"));
    }

    #[test]
    fn an_answer_begun_is_the_end_of_it() {
        let (mut client, server) = pair();
        let mut connection = held(&server);
        client.write_all(GET).expect("write");
        wait_for(&server, GET.len());
        connection.seen = GET.into();
        (&server).write_all(b"H").expect("write");
        assert_eq!(verdict(&connection, true), Verdict::Close);
    }

    #[test]
    fn a_moved_connection_is_judged_from_where_it_was_moved() {
        let (mut client, server) = pair();
        let mut connection = held(&server);
        client.write_all(b"one").expect("write");
        (&server).read_exact(&mut [0; 3]).expect("read");
        (&server).write_all(b"answer").expect("write");
        client.read_exact(&mut [0; 6]).expect("read");
        assert_eq!(verdict(&connection, false), Verdict::Close);
        let Count::Open(mark) = count(server.as_fd()) else {
            panic!("it is open");
        };
        connection.mark = mark;
        assert_eq!(verdict(&connection, false), Verdict::Untouched);
        client.write_all(b"two").expect("write");
        (&server).read_exact(&mut [0; 3]).expect("read");
        assert_eq!(verdict(&connection, false), Verdict::Close);
    }

    #[test]
    fn bytes_a_worker_got_in_its_message_count_as_read() {
        let (_client, server) = pair();
        let mut connection = held(&server);
        connection.prefix = GET.into();
        assert_eq!(verdict(&connection, false), Verdict::Close);
        assert_eq!(verdict(&connection, true), Verdict::Replay(GET.into()));
    }

    #[test]
    fn a_reset_connection_and_a_unix_socket_are_closed() {
        let (client, server) = pair();
        let connection = held(&server);
        (&server).write_all(b"x").expect("write");
        while client.peek(&mut [0; 1]).expect("peek") == 0 {}
        // Closing with unread bytes resets.
        drop(client);
        while matches!(count(connection.fd.as_fd()), Count::Open(_)) {}
        assert_eq!(verdict(&connection, true), Verdict::Close);
        let (a, _b) = crate::socket::pair(crate::socket::SocketType::Stream).expect("pair");
        assert_eq!(count(a.as_fd()), Count::Unknown);
    }
}
