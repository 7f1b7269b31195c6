//! A process for each test, and a second one for those that need a peer.

use std::any::type_name;
use std::env;
use std::fs::File;
use std::io::{Write, stderr, stdout};
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::{Child, Command, Stdio};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::snapshot::{guarded, is_open};

/// Which part of its test this process plays: none (the harness started it), `body` or `peer`.
const ROLE: &str = "FDPASS_TEST_ROLE";
/// A test that hangs is ended by SIGALRM.
const SECONDS: u32 = 60;

/// Runs `body` in a process of its own, where the descriptors before and after are compared.
pub(crate) fn alone<F: FnOnce()>(body: F) {
    match role().as_deref() {
        None => run_body(&test_name::<F>()),
        Some(_) => run_guarded(body),
    }
}

/// The same with a second process at hand: `body` is given a function that starts it, `peer` is what it does with the
/// socket it is given. The end of the process closes everything it had.
pub(crate) fn alone_with_peer<F>(body: F, peer: impl FnOnce(OwnedFd))
where
    F: FnOnce(&dyn Fn(OwnedFd) -> Child),
{
    match role().as_deref() {
        None => run_body(&test_name::<F>()),
        Some("peer") => peer(inherited_socket()),
        Some(_) => run_guarded(|| body(&|socket| start_peer(&test_name::<F>(), socket))),
    }
}

fn role() -> Option<String> {
    env::var(ROLE).ok()
}

fn run_guarded(body: impl FnOnce()) {
    nix::unistd::alarm::set(SECONDS);
    guarded(body);
    nix::unistd::alarm::cancel();
}

/// The path of the test that the closure `F` stands in, as the harness names it (without the name of the program).
fn test_name<F>() -> String {
    let full = type_name::<F>();
    let (_, path) = full.split_once("::").expect("a path");
    path.split("::{{closure}}")
        .next()
        .expect("a path")
        .to_owned()
}

fn this_test(name: &str, role: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env("RUST_BACKTRACE", "0");
    command
}

fn run_body(name: &str) {
    let output = this_test(name, "body")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    // A name that matches no test would pass in silence.
    let ran = text.contains("test result: ok. 1 passed");
    assert!(
        output.status.success() && ran,
        "{name} failed in its own process ({}):\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    // Not captured by the harness, so that a skipped test is seen.
    for line in text.lines().filter(|line| line.starts_with("skipped: ")) {
        let _ = writeln!(stderr().lock(), "{name}: {line}");
    }
}

fn start_peer(name: &str, socket: OwnedFd) -> Child {
    this_test(name, "peer")
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// The socket comes as standard input; `/dev/null` takes its place.
fn inherited_socket() -> OwnedFd {
    nix::unistd::alarm::set(SECONDS);
    // SAFETY: `start_peer` gave this process the socket as descriptor 0, and nothing else here owns or uses it: it is
    // duplicated at once and then replaced.
    let inherited = unsafe { OwnedFd::from_raw_fd(0) };
    let socket = fdpass::descriptor::duplicate(std::os::fd::AsFd::as_fd(&inherited)).unwrap();
    drop(inherited);
    let null = File::open("/dev/null").unwrap();
    assert_eq!(std::os::fd::IntoRawFd::into_raw_fd(null), 0);
    socket
}

/// Leaves this process `free` free descriptors: the limit stands where that many numbers below it are free.
pub(crate) fn limit_descriptors(free: usize) {
    let mut limit = 0;
    let mut left = free;
    while left > 0 || is_open(limit) {
        left -= usize::from(!is_open(limit));
        limit += 1;
    }
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, limit.try_into().unwrap(), hard).unwrap();
}

#[cfg(target_os = "linux")]
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Says that a test could not run here, and why.
pub(crate) fn skip(reason: &str) {
    writeln!(stdout().lock(), "\nskipped: {reason}").unwrap();
}
