//! Descriptors that can be told apart, and whose last copy can be seen to close.

use std::io::{PipeReader, PipeWriter, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use fdpass::{descriptor, inspect};

/// A pipe whose write end is passed about. Its inode is its name; when every copy is closed, the read end says so.
///
/// That works beside other tests of the same process, which counting descriptors does not.
pub struct Tag {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Tag {
    pub fn new() -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        descriptor::set_nonblocking(reader.as_fd(), true).unwrap();
        Self { reader, writer }
    }

    pub fn many(count: usize) -> Vec<Self> {
        std::iter::repeat_with(Self::new).take(count).collect()
    }

    /// The descriptor to send.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.writer.as_fd()
    }

    /// A copy to move.
    pub fn copy(&self) -> OwnedFd {
        self.writer.as_fd().try_clone_to_owned().unwrap()
    }

    pub fn assert_is(&self, fd: &OwnedFd) {
        let identity = |fd: BorrowedFd<'_>| {
            let description = inspect::describe(fd).unwrap();
            (description.device, description.inode)
        };
        assert_eq!(identity(fd.as_fd()), identity(self.fd()));
        assert!(descriptor::is_close_on_exec(fd.as_fd()).unwrap());
    }

    /// Closes our own copy and proves that there was no other.
    pub fn assert_only_copy(self) {
        let Self { mut reader, writer } = self;
        drop(writer);
        let mut byte = [0];
        match reader.read(&mut byte) {
            Ok(0) => {}
            other => panic!("a copy of the descriptor is still open: {other:?}"),
        }
    }
}
