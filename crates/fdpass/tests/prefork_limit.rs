//! A worker at the descriptor limit. The limit is the process's, so this is one test alone in its program.
#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, reason = "a test may stop at the first surprise")]

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use fdpass::descriptor;
use fdpass::prefork::manager::{Config, Manager};
use fdpass::prefork::wire;
use fdpass::prefork::worker::{Given, Order, Worker};
use fdpass::socket::{self, SocketType};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

fn turn(manager: &mut Manager) {
    descriptor::wait(manager.as_fd(), false, Duration::from_millis(200)).expect("poll");
    let now = Instant::now();
    manager.begin(now).expect("poll");
    manager.finish(now).expect("poll");
}

/// What the worker is given, once the manager has had time to give it.
fn given(manager: &mut Manager, worker: &mut Worker) -> Option<Given> {
    let mut orders = Vec::new();
    for _ in 0..10 {
        turn(manager);
        worker
            .receive(&mut orders, Instant::now())
            .expect("the manager is there");
        let served = orders.drain(..).find_map(|order| match order {
            Order::Serve(given) => Some(given),
            _ => None,
        });
        if served.is_some() {
            return served;
        }
    }
    None
}

#[test]
fn bytes_that_came_with_a_connection_that_did_not_arrive_go_back_with_it() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    let mut manager = Manager::new(Config::default()).expect("manager");
    manager
        .add_listener(OwnedFd::from(listener), true)
        .expect("it listens");
    let now = Instant::now();
    let (ours, theirs) = socket::pair(SocketType::Stream).expect("pair");
    manager.add_worker(ours, 0, 1, now).expect("a socket");
    let mut worker = Worker::new(theirs).expect("a socket");
    worker.ready(now).expect("the manager is there");
    manager.finish(now).expect("poll");
    let mut client = TcpStream::connect(address).expect("connect");
    client.write_all(b"?").expect("write");
    let first = given(&mut manager, &mut worker).expect("a connection");
    worker
        .release(first.slot, wire::TO_ANY, b"was read", Instant::now())
        .expect("the manager is there");
    drop(first);
    // The manager hears it and sends it again, to a worker that has no number for it.
    turn(&mut manager);
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("limit");
    setrlimit(Resource::RLIMIT_NOFILE, 3, hard).expect("limit");
    let mut orders = Vec::new();
    let received = worker.receive(&mut orders, Instant::now());
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).expect("limit");
    received.expect("the manager is there");
    assert!(
        matches!(orders[..], [Order::Lost { count: 1 }]),
        "{orders:?}"
    );
    let second = given(&mut manager, &mut worker).expect("it comes again");
    assert_eq!(&*second.prefix, b"was read");
}
