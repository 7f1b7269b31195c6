//! A worker that accepts by itself, in a process of its own that is killed: what it had accepted and not read is served by
//! another. This program runs itself again as that worker.

#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
#![expect(clippy::expect_used, reason = "a test may stop at the first surprise")]

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fdpass::descriptor;
use fdpass::link::{self, Link, SendOptions, SocketTransport};
use fdpass::prefork::manager::{Config, Event, Manager};
use fdpass::prefork::wire;
use fdpass::prefork::worker::{Given, Order, Worker};
use fdpass::socket::{self, SocketType};

const ROLE: &str = "FDPASS_TEST_KEPT_WORKER";
const SOON: Duration = Duration::from_secs(10);
/// Connections that the worker accepts; it reads from the first.
const ACCEPTED: usize = 40;

/// The worker: a keeper, then what its parent is told line by line, then nothing until it is killed.
#[test]
fn as_worker() {
    if env::var_os(ROLE).is_none() {
        return;
    }
    // Other threads' locks and memory must not matter to the keeper.
    let _busy: Vec<_> = (0..3)
        .map(|_| {
            std::thread::spawn(|| {
                loop {
                    std::hint::black_box(vec![1u8; 100_000]);
                }
            })
        })
        .collect();
    let channel = io::stdin().as_fd().try_clone_to_owned().expect("a channel");
    let mut worker = Worker::new(channel).expect("a socket");
    let mut orders = Vec::new();
    let mut listener = None;
    let mut accepted = Vec::new();
    loop {
        descriptor::wait(worker.as_fd(), false, SOON).expect("poll");
        worker
            .receive(&mut orders, Instant::now())
            .expect("the manager is there")
            .expect("the manager is there");
        for order in orders.drain(..) {
            match order {
                Order::Accept(mut given) => {
                    listener = Some(TcpListener::from(given.pop().expect("one").1));
                    let listener = listener.as_ref().expect("just put there");
                    let now = Instant::now();
                    assert!(worker.keep(&[listener.as_fd()], now).expect("sent"));
                    worker.ready(now).expect("sent");
                    println!("ready");
                }
                Order::Serve(given) => {
                    accepted.push(TcpStream::from(given.fd));
                    let listener = listener.as_ref().expect("it came first");
                    while accepted.len() <= ACCEPTED {
                        descriptor::wait(listener.as_fd(), false, SOON).expect("poll");
                        accepted.push(listener.accept().expect("accept").0);
                    }
                    descriptor::wait(accepted[1].as_fd(), false, SOON).expect("poll");
                    accepted[1].read_exact(&mut [0]).expect("a byte");
                    println!("read");
                }
                other => panic!("unexpected: {other:?}"),
            }
        }
    }
}

struct Rig {
    manager: Manager,
    address: SocketAddr,
    events: Vec<Event>,
}

impl Rig {
    fn turn(&mut self) {
        descriptor::wait(self.manager.as_fd(), false, Duration::from_millis(50)).expect("poll");
        let now = Instant::now();
        self.manager.begin(now).expect("poll");
        self.manager.finish(now).expect("poll");
        self.events.extend(self.manager.take_events());
    }

    fn until(&mut self, done: impl Fn(&Self) -> bool) {
        let end = Instant::now() + SOON;
        while !done(self) {
            assert!(Instant::now() < end, "it did not happen: {:?}", self.events);
            self.turn();
        }
    }

    fn connect(&self) -> TcpStream {
        let mut client = TcpStream::connect(self.address).expect("connect");
        client.set_read_timeout(Some(SOON)).expect("option");
        client.write_all(b"?").expect("write");
        client
    }
}

/// Keepers that are children of this process, ended or not.
fn keepers() -> usize {
    let me = std::process::id().to_string();
    let stats = std::fs::read_dir("/proc")
        .expect("procfs")
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    stats
        .filter(|stat| {
            let (name, rest) = stat.rsplit_once(')').unwrap_or_default();
            name.ends_with("(fdpass-keeper") && rest.split(' ').nth(2) == Some(&me)
        })
        .count()
}

fn start_worker(channel: OwnedFd) -> (Child, impl FnMut(&str)) {
    let mut child = Command::new(env::current_exe().expect("this program"))
        .args(["--exact", "as_worker", "--nocapture"])
        .env(ROLE, "1")
        .stdin(Stdio::from(channel))
        .stdout(Stdio::piped())
        .spawn()
        .expect("start");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let wait_for = move |word: &str| {
        let found = lines.any(|line| line.expect("text").ends_with(word));
        assert!(found, "the worker said {word}");
    };
    (child, wait_for)
}

#[test]
fn what_a_killed_worker_had_accepted_and_not_read_is_served_by_another() {
    // As the first process of a container: orphans become its children.
    nix::sys::prctl::set_child_subreaper(true).expect("prctl");
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    let mut rig = Rig {
        manager: Manager::new(Config::default()).expect("manager"),
        address,
        events: Vec::new(),
    };
    let now = Instant::now();
    let number = rig
        .manager
        .add_listener(listener.into(), false)
        .expect("it listens");
    let (ours, theirs) = socket::pair(SocketType::Stream).expect("pair");
    let id = rig.manager.add_worker(ours, 0, 1, now).expect("a socket");
    let (mut child, mut wait_for) = start_worker(theirs);
    rig.manager
        .give_listeners(id, &[number], now)
        .expect("it is there");
    rig.until(|rig| matches!(rig.events[..], [Event::Ready(_), ..]));
    wait_for("ready");

    // One that the manager has a copy of, and many that it knows nothing of.
    let mut clients = vec![rig.connect()];
    rig.manager.enable_listener(number, true);
    rig.manager.finish(Instant::now()).expect("poll");
    rig.until(|rig| rig.manager.totals().accepted == 1);
    rig.manager.enable_listener(number, false);
    rig.manager.finish(Instant::now()).expect("poll");
    clients.extend((0..ACCEPTED).map(|_| rig.connect()));
    wait_for("read");
    child.kill().expect("kill");
    child.wait().expect("wait");

    let (ours, theirs) = socket::pair(SocketType::Stream).expect("pair");
    rig.manager
        .add_worker(ours, 1, 1, Instant::now())
        .expect("a socket");
    let mut heir = Worker::new(theirs).expect("a socket");
    heir.ready(Instant::now()).expect("the manager is there");
    rig.manager.worker_died(id, Instant::now());
    rig.until(|rig| {
        rig.events
            .iter()
            .any(|event| matches!(event, Event::Inherited { .. }))
    });
    let counts = rig.events.iter().find_map(|event| match event {
        Event::Inherited {
            reassigned, closed, ..
        } => Some((*reassigned as usize, *closed)),
        _ => None,
    });
    assert_eq!(counts, Some((ACCEPTED, 1)), "all but the one that was read");

    let mut given = Vec::new();
    let end = Instant::now() + SOON;
    while given.len() < ACCEPTED && Instant::now() < end {
        rig.turn();
        let mut orders = Vec::new();
        heir.receive(&mut orders, Instant::now())
            .expect("the manager is there");
        given.extend(orders.into_iter().filter_map(|order| match order {
            Order::Serve(Given { fd, peer, .. }) => Some((TcpStream::from(fd), peer)),
            _ => None,
        }));
    }
    for (stream, peer) in &mut given {
        assert_eq!(
            *peer,
            fdpass::prefork::Peer::Inet(stream.peer_addr().expect("a peer"))
        );
        stream.write_all(b"!").expect("write");
    }
    let outcomes: Vec<bool> = clients
        .iter_mut()
        .map(|client| client.read_exact(&mut [0]).is_ok())
        .collect();
    let lost = outcomes.iter().filter(|answered| !**answered).count();
    assert_eq!(lost, 1, "the client whose byte was read: {outcomes:?}");
    assert!(!outcomes[1]);
    rig.until(|_| keepers() == 0);
}

#[test]
fn a_worker_that_names_another_child_as_its_keeper_does_not_take_its_end_away() {
    nix::sys::prctl::set_child_subreaper(true).expect("prctl");
    let mut other = Command::new("sleep").arg("1000").spawn().expect("start");
    let mut manager = Manager::new(Config::default()).expect("manager");
    let now = Instant::now();
    let (ours, theirs) = socket::pair(SocketType::Stream).expect("pair");
    let (keeper, end) = socket::pair(SocketType::Stream).expect("pair");
    let liar = manager.add_worker(ours, 0, 1, now).expect("a socket");
    let transport = SocketTransport::new(theirs).expect("a socket");
    let mut link = Link::new(transport, link::Config::default());
    let named = wire::keeper(other.id());
    link.try_send(&named, &[keeper.as_fd()], SendOptions::default(), now)
        .expect("sent");
    drop((link, keeper, end));
    other.kill().expect("it lives");
    let ended = format!("/proc/{}/stat", other.id());
    while !std::fs::read_to_string(&ended).is_ok_and(|stat| stat.contains(") Z ")) {}
    manager.worker_died(liar, now);
    assert!(
        manager
            .take_events()
            .iter()
            .any(|event| matches!(event, Event::Inherited { .. }))
    );
    other.wait().expect("its end is for who started it");
}
