//! `sendmsg` and `recvmsg` with control data as given: what other programs do, and what the core never does.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use fdpass::ancillary::{CMSG_NATIVE, Decoder, Item, encode_rights};

/// What a raw receive brought.
pub(crate) struct Raw {
    pub(crate) bytes: usize,
    pub(crate) control: Vec<u8>,
    pub(crate) flags: i32,
}

impl Raw {
    pub(crate) fn control_truncated(&self) -> bool {
        self.flags & libc::MSG_CTRUNC != 0
    }
}

/// A count between `usize` and what `msghdr` has: `size_t`, or `socklen_t` on macOS and with musl.
fn fit<From, To: TryFrom<From>>(count: From) -> To {
    To::try_from(count).ok().unwrap()
}

fn header(data: &mut libc::iovec, control: &mut [u8]) -> libc::msghdr {
    // SAFETY: `msghdr` holds pointers and integers only, for which all zero bits is a value.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = data;
    header.msg_iovlen = 1;
    if !control.is_empty() {
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = fit(control.len());
    }
    header
}

pub(crate) fn raw_send(socket: &impl AsFd, bytes: &[u8], control: &[u8]) -> io::Result<usize> {
    let mut control = control.to_vec();
    let mut data = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let header = header(&mut data, &mut control);
    let flags = libc::MSG_DONTWAIT;
    // SAFETY: `header` points at `data` and `control`, both alive; the kernel does not write through them.
    let sent = unsafe { libc::sendmsg(socket.as_fd().as_raw_fd(), &raw const header, flags) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Receives up to 64 bytes with room for `room` bytes of control data.
pub(crate) fn raw_receive(socket: &impl AsFd, room: usize, flags: i32) -> io::Result<Raw> {
    let mut bytes = [0u8; 64];
    // Longer than it is said to be: the kernel must not write there.
    let mut control = vec![0xA5u8; room + 64];
    let mut data = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let mut header = header(&mut data, &mut control[..room]);
    let flags = flags | libc::MSG_DONTWAIT;
    // SAFETY: `header` points at `data` and `control`, both alive, writable and of the lengths stated.
    let got = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut header, flags) };
    let bytes = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
    let filled: usize = fit(header.msg_controllen);
    control.truncate(if room == 0 { 0 } else { filled.min(room) });
    Ok(Raw {
        bytes,
        control,
        flags: header.msg_flags,
    })
}

/// One `SCM_RIGHTS` control message of `data`, whole integers or not.
pub(crate) fn control_message(data: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; CMSG_NATIVE.space(data.len())];
    let whole = encode_rights(CMSG_NATIVE, &mut buffer, [].into_iter()).unwrap();
    assert_eq!(whole, CMSG_NATIVE.space(0));
    let length = CMSG_NATIVE.length(data.len());
    let field = CMSG_NATIVE.space(0) - 8;
    let stated = length.to_ne_bytes();
    // The length field is as wide as the layout says: 8 bytes on Linux, 4 on macOS (both little-endian).
    let width = field.min(stated.len());
    buffer[..width].copy_from_slice(&stated[..width]);
    let start = CMSG_NATIVE.length(0);
    buffer[start..start + data.len()].copy_from_slice(data);
    buffer
}

/// Owns every descriptor that the decoder finds in `control`, which the kernel has filled.
pub(crate) fn own_all(control: &[u8]) -> Vec<OwnedFd> {
    let mut owned = Vec::new();
    for item in Decoder::new(CMSG_NATIVE, control) {
        if let Item::Rights(numbers) | Item::Pidfd(numbers) = item {
            for number in numbers.filter(|number| *number >= 0) {
                // SAFETY: the kernel has just installed this number in this process, and nobody else knows of it.
                owned.push(unsafe { OwnedFd::from_raw_fd(number) });
            }
        }
    }
    owned
}

/// Turns on an option of a socket that the library itself never turns on.
#[cfg(target_os = "linux")]
pub(crate) fn set_raw_option(socket: &impl AsFd, option: i32, value: i32) -> io::Result<()> {
    // SAFETY: `value` is an int of the length stated.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            4,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Binds to `path` as other programs may: without a zero byte at its end, as many bytes as there are.
#[cfg(target_os = "linux")]
pub(crate) fn raw_bind(socket: &impl AsFd, path: &[u8]) -> io::Result<()> {
    // SAFETY: `sockaddr_un` holds integers only, for which all zero bits is a value.
    let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
    address.sun_family = libc::AF_UNIX.try_into().unwrap();
    for (to, from) in address.sun_path.iter_mut().zip(path) {
        *to = from.cast_signed();
    }
    let length = mem::offset_of!(libc::sockaddr_un, sun_path) + path.len();
    assert!(length <= size_of_val(&address));
    // SAFETY: `address` is at least as long as stated.
    let result = unsafe {
        libc::bind(
            socket.as_fd().as_raw_fd(),
            (&raw const address).cast(),
            length.try_into().unwrap(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
