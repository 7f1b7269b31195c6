//! Manager and workers at the descriptor limit. The limit is the process's, so this is one test alone in its program.
#![cfg(target_os = "linux")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use fdpass::descriptor;
use fdpass::link::Damage;
use fdpass::prefork::manager::{Config, Event, Manager};
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

/// Runs `act` with no free descriptor.
fn at_the_limit<R>(act: impl FnOnce() -> R) -> R {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("limit");
    setrlimit(Resource::RLIMIT_NOFILE, 3, hard).expect("limit");
    let result = act();
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).expect("limit");
    result
}

#[test]
fn nothing_is_lost_in_silence_at_the_descriptor_limit() {
    bytes_that_came_with_a_connection_that_did_not_arrive_go_back_with_it();
    a_message_whose_descriptors_the_manager_could_not_take_says_so_to_whom_it_reaches();
    a_message_whose_descriptors_a_worker_could_not_take_says_so();
}

fn a_message_whose_descriptors_the_manager_could_not_take_says_so_to_whom_it_reaches() {
    let (mut manager, mut from) = pair();
    let mut to = hire(&mut manager, 1);
    turn(&mut manager);
    let now = Instant::now();
    let lent = std::fs::File::open("/dev/null").expect("/dev/null");
    for receiver in [wire::TO_MANAGER, 1] {
        from.send(receiver, b"with two", &[lent.as_fd(); 2], now)
            .expect("the manager is there");
    }
    at_the_limit(|| turn(&mut manager));
    let told = manager
        .take_events()
        .into_iter()
        .find_map(|event| match event {
            Event::Message {
                data, fds, damage, ..
            } => Some((data, fds.len(), damage)),
            _ => None,
        });
    let here = Damage::Truncated {
        sent: 2,
        received: 0,
    };
    assert_eq!(told, Some((b"with two".to_vec(), 0, Some(here))));
    let there = Damage::Withdrawn {
        sent: 2,
        received: 0,
    };
    assert_eq!(message(&mut to), (b"with two".to_vec(), 0, Some(there)));
}

fn a_message_whose_descriptors_a_worker_could_not_take_says_so() {
    let (mut manager, mut worker) = pair();
    turn(&mut manager);
    let lent = std::fs::File::open("/dev/null").expect("/dev/null");
    manager
        .send(1, b"with one", &[lent.as_fd()], Instant::now())
        .expect("the worker is there");
    let damage = Damage::Truncated {
        sent: 1,
        received: 0,
    };
    let message = at_the_limit(|| message(&mut worker));
    assert_eq!(message, (b"with one".to_vec(), 0, Some(damage)));
}

/// The message that waits for a worker: its bytes, how many descriptors, and why there are not more.
fn message(worker: &mut Worker) -> (Vec<u8>, usize, Option<Damage>) {
    let mut orders = Vec::new();
    worker
        .receive(&mut orders, Instant::now())
        .expect("the manager is there");
    let Some(Order::Message {
        data, fds, damage, ..
    }) = orders.pop()
    else {
        panic!("a message waits: {orders:?}");
    };
    (data, fds.len(), damage)
}

fn hire(manager: &mut Manager, index: u32) -> Worker {
    let now = Instant::now();
    let (ours, theirs) = socket::pair(SocketType::Stream).expect("pair");
    manager.add_worker(ours, index, 1, now).expect("a socket");
    let mut worker = Worker::new(theirs).expect("a socket");
    worker.ready(now).expect("the manager is there");
    manager.finish(now).expect("poll");
    worker
}

fn pair() -> (Manager, Worker) {
    let mut manager = Manager::new(Config::default()).expect("manager");
    let worker = hire(&mut manager, 0);
    (manager, worker)
}

fn bytes_that_came_with_a_connection_that_did_not_arrive_go_back_with_it() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    let (mut manager, mut worker) = pair();
    manager
        .add_listener(OwnedFd::from(listener), true)
        .expect("it listens");
    let mut client = TcpStream::connect(address).expect("connect");
    client.write_all(b"?").expect("write");
    let first = given(&mut manager, &mut worker).expect("a connection");
    worker
        .release(first.slot, wire::TO_ANY, b"was read", Instant::now())
        .expect("the manager is there");
    drop(first);
    // The manager hears it and sends it again, to a worker that has no number for it.
    turn(&mut manager);
    let mut orders = Vec::new();
    at_the_limit(|| worker.receive(&mut orders, Instant::now())).expect("the manager is there");
    assert!(
        matches!(orders[..], [Order::Lost { count: 1 }]),
        "{orders:?}"
    );
    let second = given(&mut manager, &mut worker).expect("it comes again");
    assert_eq!(&*second.prefix, b"was read");
}
