//! Duplicates, flags, and closing many at once.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd, RawFd};

use fdpass::descriptor;

use crate::util::{
    alone, assert_cloexec, assert_closed, assert_numbered, count_fds, is_open, numbered_files,
    same_file,
};

fn owned(count: usize) -> Vec<OwnedFd> {
    numbered_files(count)
        .into_iter()
        .map(OwnedFd::from)
        .collect()
}

fn numbers(fds: &[OwnedFd]) -> Vec<RawFd> {
    fds.iter().map(AsRawFd::as_raw_fd).collect()
}

#[test]
fn a_duplicate_is_the_same_file_close_on_exec_under_another_number() {
    alone(|| {
        let file = numbered_files(1).remove(0);
        let copy = descriptor::duplicate(file.as_fd()).unwrap();
        assert!(same_file(&file, &copy));
        assert_ne!(file.as_raw_fd(), copy.as_raw_fd());
        assert_cloexec(&copy);
    });
}

#[test]
fn a_duplicate_never_takes_the_place_of_a_standard_stream() {
    alone(|| {
        let file = numbered_files(1).remove(0);
        // Standard input is free while the copy is made, as in a daemon that closed it.
        let kept = nix::unistd::dup(std::io::stdin().as_fd()).unwrap();
        nix::unistd::close(0).unwrap();
        let copy = descriptor::duplicate(file.as_fd()).unwrap();
        let back = nix::unistd::dup(&kept).unwrap().into_raw_fd();
        assert_eq!(back, 0);
        assert!(copy.as_raw_fd() >= 3);
    });
}

#[test]
fn close_on_exec_is_told_and_set() {
    alone(|| {
        let file = numbered_files(1).remove(0);
        let plain = nix::unistd::dup(&file).unwrap();
        assert!(!descriptor::is_close_on_exec(plain.as_fd()).unwrap());
        descriptor::set_close_on_exec(plain.as_fd()).unwrap();
        assert!(descriptor::is_close_on_exec(plain.as_fd()).unwrap());
    });
}

#[test]
fn not_waiting_is_set_and_cleared_and_leaves_other_flags_alone() {
    alone(|| {
        let path = crate::util::temp_path();
        let file = std::fs::OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(&path)
            .unwrap();
        std::fs::remove_file(&path).unwrap();
        let flags = || nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_GETFL).unwrap();
        let before = flags();
        descriptor::set_nonblocking(file.as_fd(), true).unwrap();
        assert_eq!(flags(), before | libc::O_NONBLOCK);
        descriptor::set_nonblocking(file.as_fd(), false).unwrap();
        assert_eq!(flags(), before);
    });
}

#[test]
fn closing_many_closes_each_and_keeps_the_memory() {
    alone(|| {
        let mut fds = owned(50);
        let (gone, capacity) = (numbers(&fds), fds.capacity());
        descriptor::close_all(&mut fds);
        gone.into_iter().for_each(assert_closed);
        assert_eq!((fds.len(), fds.capacity()), (0, capacity));
        descriptor::close_all(&mut fds);
    });
}

#[test]
fn closing_many_leaves_the_numbers_between_alone() {
    alone(|| {
        let all = owned(60);
        let (mut closed, kept): (Vec<_>, Vec<_>) = all
            .into_iter()
            .enumerate()
            .partition::<Vec<_>, _>(|(index, _)| index % 7 != 3);
        let strip =
            |list: &mut Vec<(usize, OwnedFd)>| list.drain(..).map(|(_, fd)| fd).collect::<Vec<_>>();
        let mut closed = strip(&mut closed);
        let kept_numbers: Vec<RawFd> = kept.iter().map(|(_, fd)| fd.as_raw_fd()).collect();
        let before = count_fds();
        let count = closed.len();
        descriptor::close_all(&mut closed);
        assert!(kept_numbers.into_iter().all(is_open));
        assert_eq!(count_fds(), before - count);
    });
}

#[test]
fn closing_many_works_in_any_order() {
    alone(|| {
        let mut fds = owned(40);
        fds.reverse();
        fds.swap(3, 30);
        fds.swap(0, 39);
        let gone = numbers(&fds);
        descriptor::close_all(&mut fds);
        gone.into_iter().for_each(assert_closed);
    });
}

#[test]
fn reading_and_writing_move_the_position() {
    alone(|| {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        assert_eq!(descriptor::write(writer.as_fd(), b"hello").unwrap(), 5);
        let mut buffer = [0; 3];
        assert_eq!(descriptor::read(reader.as_fd(), &mut buffer).unwrap(), 3);
        assert_eq!(&buffer, b"hel");
        File::from(writer).write_all(b"!").unwrap();
        assert_eq!(descriptor::read(reader.as_fd(), &mut buffer).unwrap(), 3);
        assert_eq!(&buffer, b"lo!");
        assert_eq!(descriptor::read(reader.as_fd(), &mut buffer).unwrap(), 0);
        let error = descriptor::write(reader.as_fd(), b"x").unwrap_err();
        assert_eq!((error.code(), error.syscall()), ("EBADF", Some("write")));
    });
}

#[test]
fn the_same_list_can_be_filled_again_after_closing() {
    alone(|| {
        let mut fds = owned(3);
        descriptor::close_all(&mut fds);
        fds.extend(owned(2));
        assert_numbered(fds, 0, 2);
    });
}
