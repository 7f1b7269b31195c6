//! What a link needs of a socket, and the real one.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::message::{self, Wait};
use crate::socket::{self, Socket, SocketType};
use crate::sys::{self, Arrival, MAX_SEVERAL};

/// What one read brought besides bytes in the buffer and descriptors in the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Bytes read. 0 is the end of the stream, or a loss (`truncated`) whose bytes are still to be read.
    pub bytes: usize,
    /// Descriptors appended to the list.
    pub fds: usize,
    /// Slots the kernel refused to fill.
    pub refused: usize,
    /// Descriptors were lost (`MSG_CTRUNC`).
    pub truncated: bool,
    /// Who sent the bytes, if the socket asks for it ([`socket::set_pass_credentials`]).
    pub credentials: Option<Credentials>,
}

/// A connected stream that carries descriptors and never waits.
///
/// EINTR may come out of every call; the link repeats it.
pub trait Transport {
    /// Sends the parts as one `sendmsg`, with copies of `fds` on the first byte. Borrows them.
    ///
    /// # Errors
    /// An errno: nothing was taken, no byte and no descriptor.
    fn send(&mut self, parts: &[IoSlice<'_>], fds: &[BorrowedFd<'_>]) -> io::Result<usize>;

    /// Reads once. What arrived is appended to `fds`, close-on-exec, in order.
    ///
    /// # Errors
    /// An errno. EMSGSIZE: descriptors were lost, and the bytes they came with are still to be read.
    fn receive(&mut self, into: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<Chunk>;

    /// Reads at most `chunks.len()` times, the n-th time into the n-th `piece` bytes of `into`. Returns how often; fewer
    /// than asked means that nothing more is there, unless the transport always reads once, as this default does.
    ///
    /// # Errors
    /// As [`Transport::receive`], of the first read.
    fn receive_several(
        &mut self,
        into: &mut [u8],
        piece: usize,
        fds: &mut Vec<OwnedFd>,
        chunks: &mut [Chunk],
    ) -> io::Result<usize> {
        chunks[0] = self.receive(&mut into[..piece], fds)?;
        Ok(1)
    }

    /// No more bytes will be sent.
    ///
    /// # Errors
    /// As `shutdown(2)`.
    fn shutdown_write(&mut self) -> io::Result<()>;
}

/// A Unix domain stream socket. It owns the descriptor; every call on it returns at once, whatever `O_NONBLOCK` says,
/// so that a description shared with another process is not changed.
#[derive(Debug)]
pub struct SocketTransport {
    socket: OwnedFd,
}

impl SocketTransport {
    /// Takes `socket` after checking that it is a Unix domain socket of type stream. It is closed if it is not.
    ///
    /// # Errors
    /// As [`Socket::check`]; [`Error::Kind`] for a datagram or seqpacket socket.
    pub fn new(socket: OwnedFd) -> Result<Self> {
        match Socket::check(socket.as_fd())?.kind() {
            SocketType::Stream => Ok(Self { socket }),
            SocketType::Datagram => Err(not_a_stream("a datagram socket")),
            SocketType::SeqPacket => Err(not_a_stream("a seqpacket socket")),
        }
    }

    /// The socket, yours again.
    #[must_use]
    pub fn into_socket(self) -> OwnedFd {
        self.socket
    }

    fn socket(&self) -> Socket<'_> {
        Socket::known(self.socket.as_fd(), SocketType::Stream)
    }
}

fn not_a_stream(found: &'static str) -> Error {
    Error::Kind {
        expected: "a stream socket",
        found,
    }
}

impl AsFd for SocketTransport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Transport for SocketTransport {
    #[inline]
    fn send(&mut self, parts: &[IoSlice<'_>], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        message::send_vectored(self.socket(), parts, fds, Wait::Never).map_err(to_io)
    }

    #[inline]
    fn receive(&mut self, into: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<Chunk> {
        let mut arrival = Arrival::NOTHING;
        message::receive_into(self.socket(), into, fds, &mut arrival, Wait::Never)
            .map_err(to_io)?;
        Ok(Chunk::of(&arrival))
    }

    #[inline]
    fn receive_several(
        &mut self,
        into: &mut [u8],
        piece: usize,
        fds: &mut Vec<OwnedFd>,
        chunks: &mut [Chunk],
    ) -> io::Result<usize> {
        let mut arrived = [const { Arrival::NOTHING }; MAX_SEVERAL];
        let asked = chunks.len().min(MAX_SEVERAL);
        let socket = self.socket.as_fd();
        let read = sys::receive_several(socket, into, piece, fds, &mut arrived[..asked])?;
        for (chunk, arrived) in chunks.iter_mut().zip(&arrived[..read]) {
            *chunk = Chunk::of(arrived);
        }
        Ok(read)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        socket::shutdown_write(self.as_fd()).map_err(to_io)
    }
}

impl Chunk {
    fn of(arrival: &Arrival) -> Self {
        Self {
            bytes: arrival.bytes,
            fds: arrival.fds,
            refused: arrival.refused,
            truncated: arrival.control_truncated,
            credentials: arrival.credentials,
        }
    }
}

fn to_io(error: Error) -> io::Error {
    match error {
        Error::System { source, .. } => source,
        other => io::Error::other(other),
    }
}
