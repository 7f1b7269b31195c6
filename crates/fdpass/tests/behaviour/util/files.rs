//! Files that hold their own index, and paths for sockets.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::stat::fstat;

/// A path of this process's own, short enough for a socket.
pub(crate) fn temp_path() -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("fdpass-{}-{next}", process::id()))
}

/// A path of exactly `length` bytes in the directory for temporary files.
pub(crate) fn long_path(length: usize) -> String {
    let mut path = temp_path().to_str().unwrap().to_owned();
    path.push_str(&"x".repeat(length - path.len()));
    path
}

/// `count` files without a name, each holding its index.
pub(crate) fn numbered_files(count: usize) -> Vec<File> {
    (0..count).map(numbered_file).collect()
}

fn numbered_file(index: usize) -> File {
    let path = temp_path();
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .unwrap();
    fs::remove_file(&path).unwrap();
    write!(file, "{index}").unwrap();
    file
}

/// `fds` are the files with the indices `from..`, in this order, close-on-exec. Closes them.
pub(crate) fn assert_numbered(fds: impl IntoIterator<Item = OwnedFd>, from: usize, count: usize) {
    let mut found = Vec::new();
    for fd in fds {
        super::assert_cloexec(&fd);
        let mut file = File::from(fd);
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        found.push(text.parse::<usize>().unwrap());
    }
    assert_eq!(found, (from..from + count).collect::<Vec<_>>());
}

/// Whether both descriptors lead to one file.
pub(crate) fn same_file(a: &impl AsFd, b: &impl AsFd) -> bool {
    let (a, b) = (fstat(a.as_fd()).unwrap(), fstat(b.as_fd()).unwrap());
    (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
}

/// A path for a socket, removed at the end.
pub(crate) struct TempSocket(PathBuf);

impl TempSocket {
    pub(crate) fn new() -> Self {
        Self(temp_path())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
