//! A real socket that fails on demand.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use fdpass::link::{Chunk, SocketTransport, Transport};

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It fails with this errno and does nothing.
    Errno(i32),
    /// It takes or gives at most so many bytes.
    Short(usize),
    /// A read keeps only so many descriptors and says `MSG_CTRUNC`, if it brings any.
    Truncate(usize),
    /// A read that brings descriptors loses them and fails with EMSGSIZE; the next one brings the bytes (XNU).
    LoseAll,
}

/// What is going to happen, call by call; then `…_then` for ever.
#[derive(Debug)]
pub struct Script {
    pub send: VecDeque<Fault>,
    pub send_then: Fault,
    pub receive: VecDeque<Fault>,
    pub receive_then: Fault,
    pub sends: usize,
    pub receives: usize,
    moved: usize,
}

/// The real transport with a script.
#[derive(Debug)]
pub struct FaultTransport {
    inner: SocketTransport,
    script: Rc<RefCell<Script>>,
    kept: Vec<u8>,
}

impl FaultTransport {
    pub fn new(inner: SocketTransport) -> Self {
        Self {
            inner,
            script: Rc::new(RefCell::new(Script {
                send: VecDeque::new(),
                send_then: Fault::None,
                receive: VecDeque::new(),
                receive_then: Fault::None,
                sends: 0,
                receives: 0,
                moved: 0,
            })),
            kept: Vec::new(),
        }
    }

    /// The script, to be written while the link owns the transport.
    pub fn script(&self) -> Rc<RefCell<Script>> {
        Rc::clone(&self.script)
    }

    /// Bytes that passed both ways.
    pub fn moved(&self) -> usize {
        self.script.borrow().moved
    }

    fn next_send(&self) -> Fault {
        let mut script = self.script.borrow_mut();
        script.sends += 1;
        script.send.pop_front().unwrap_or(script.send_then)
    }

    fn next_receive(&self) -> Fault {
        let mut script = self.script.borrow_mut();
        script.receives += 1;
        script.receive.pop_front().unwrap_or(script.receive_then)
    }

    fn count<R>(&self, bytes: usize, result: R) -> R {
        self.script.borrow_mut().moved += bytes;
        result
    }
}

impl AsFd for FaultTransport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl Transport for FaultTransport {
    fn send(&mut self, parts: &[IoSlice<'_>], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        let sent = match self.next_send() {
            Fault::Errno(errno) => return Err(io::Error::from_raw_os_error(errno)),
            Fault::Short(most) => {
                let mut some = Vec::new();
                for part in parts {
                    let room = most - some.len();
                    some.extend_from_slice(&part[..part.len().min(room)]);
                }
                self.inner.send(&[IoSlice::new(&some)], fds)?
            }
            _ => self.inner.send(parts, fds)?,
        };
        self.count(sent, Ok(sent))
    }

    fn receive(&mut self, into: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<Chunk> {
        let fault = self.next_receive();
        if let Fault::Errno(errno) = fault {
            return Err(io::Error::from_raw_os_error(errno));
        }
        if !self.kept.is_empty() {
            let bytes = self.kept.len().min(into.len());
            into[..bytes].copy_from_slice(&self.kept[..bytes]);
            self.kept.drain(..bytes);
            return self.count(
                bytes,
                Ok(Chunk {
                    bytes,
                    ..Chunk::default()
                }),
            );
        }
        let room = match fault {
            Fault::Short(most) => into.len().min(most),
            _ => into.len(),
        };
        let before = fds.len();
        let mut chunk = self.inner.receive(&mut into[..room], fds)?;
        let came = fds.len() - before;
        match fault {
            Fault::Truncate(keep) if came > 0 => {
                fds.truncate(before + keep.min(came));
                chunk.fds = fds.len() - before;
                chunk.truncated = true;
            }
            Fault::LoseAll if came > 0 => {
                fds.truncate(before);
                self.kept.extend_from_slice(&into[..chunk.bytes]);
                return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
            }
            _ => {}
        }
        self.count(chunk.bytes, Ok(chunk))
    }

    /// The real call where nothing is to happen.
    fn receive_several(
        &mut self,
        into: &mut [u8],
        piece: usize,
        fds: &mut Vec<OwnedFd>,
        chunks: &mut [Chunk],
    ) -> io::Result<usize> {
        let script = self.script.borrow();
        let harmless = script.receive.is_empty() && script.receive_then == Fault::None;
        drop(script);
        if !harmless || !self.kept.is_empty() {
            chunks[0] = self.receive(&mut into[..piece], fds)?;
            return Ok(1);
        }
        self.script.borrow_mut().receives += 1;
        let read = self.inner.receive_several(into, piece, fds, chunks)?;
        let bytes = chunks[..read].iter().map(|chunk| chunk.bytes).sum();
        self.count(bytes, Ok(read))
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.inner.shutdown_write()
    }
}
