//! The manager and workers of `fdpass::prefork` over real sockets. The workers live in this process: one dies when
//! everything it owns is dropped, as the kernel drops what a process owned.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use fdpass::descriptor;
use fdpass::link::{self, Link, SendOptions, SocketTransport};
use fdpass::prefork::admission::TokenBuckets;
use fdpass::prefork::manager::{Config, Decision, Event, Manager};
use fdpass::prefork::policy::Policy;
use fdpass::prefork::wire;
use fdpass::prefork::worker::{Given, Order, Worker};
use fdpass::prefork::{Peer, WorkerId};
use fdpass::socket::{self, SocketType};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const SOON: Duration = Duration::from_secs(10);

struct Rig {
    manager: Manager,
    address: SocketAddr,
    events: Vec<Event>,
}

struct Hand {
    worker: Worker,
    id: WorkerId,
    orders: Vec<Order>,
}

impl Rig {
    fn new(config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        let mut manager = Manager::new(config).expect("manager");
        manager
            .add_listener(listener.into(), true)
            .expect("it listens");
        Self {
            manager,
            address,
            events: Vec::new(),
        }
    }

    fn hire(&mut self, index: u32) -> Hand {
        let now = Instant::now();
        let (ours, theirs) = socket::pair(SocketType::Stream).expect("pair");
        let id = self
            .manager
            .add_worker(ours, index, 1, now)
            .expect("a socket");
        let mut worker = Worker::new(theirs).expect("a socket");
        worker.ready(now).expect("the manager is there");
        self.manager.finish(now).expect("poll");
        Hand {
            worker,
            id,
            orders: Vec::new(),
        }
    }

    /// One turn of the manager's loop. `false`: nothing happened within `wait`.
    fn turn(&mut self, wait: Duration) -> bool {
        if !descriptor::wait(self.manager.as_fd(), false, wait).expect("poll") {
            return false;
        }
        let now = Instant::now();
        self.manager.begin(now).expect("poll");
        self.manager.finish(now).expect("poll");
        self.events.extend(self.manager.take_events());
        true
    }

    fn settle(&mut self) {
        // A watchdog turns for ever.
        let end = Instant::now() + Duration::from_millis(300);
        while self.turn(Duration::from_millis(20)) && Instant::now() < end {}
    }

    fn until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let end = Instant::now() + SOON;
        while !done(self) {
            assert!(Instant::now() < end, "it did not happen: {:?}", self.events);
            self.turn(Duration::from_millis(100));
        }
    }

    fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.address).expect("connect");
        client.set_read_timeout(Some(SOON)).expect("option");
        client
    }

    fn bury(&mut self, hand: Hand) {
        let id = hand.id;
        drop(hand);
        let now = Instant::now();
        self.manager.worker_died(id, now);
        self.manager.finish(now).expect("poll");
        self.events.extend(self.manager.take_events());
    }
}

impl Hand {
    fn read(&mut self) {
        let now = Instant::now();
        while descriptor::wait(self.worker.as_fd(), false, Duration::from_millis(20)).expect("poll")
        {
            match self.worker.receive(&mut self.orders, now) {
                Ok(Some(_)) => {}
                end => panic!("the manager ended: {end:?}"),
            }
        }
    }

    fn given(&mut self) -> Vec<Given> {
        self.read();
        std::mem::take(&mut self.orders)
            .into_iter()
            .map(|order| match order {
                Order::Serve(given) => given,
                other => panic!("no connection: {other:?}"),
            })
            .collect()
    }

    fn close(&mut self, given: Vec<Given>) {
        let slots: Vec<u32> = given.iter().map(|given| given.slot).collect();
        drop(given);
        self.worker
            .closed(&slots, Instant::now())
            .expect("the manager is there");
    }
}

fn stream(given: &Given) -> TcpStream {
    let copy: OwnedFd = given.fd.try_clone().expect("dup");
    let stream = TcpStream::from(copy);
    stream.set_nonblocking(false).expect("option");
    stream
}

fn answer(given: &Given) {
    let mut stream = stream(given);
    let mut request = vec![0; GET.len()];
    stream.read_exact(&mut request).expect("request");
    stream.write_all(b"answer").expect("write");
}

#[test]
fn connections_go_in_turn_with_their_address_and_copies_go_when_they_are_closed() {
    let mut rig = Rig::new(Config::default());
    let (mut a, mut b) = (rig.hire(0), rig.hire(1));
    let clients: Vec<_> = (0..10).map(|_| rig.connect()).collect();
    rig.settle();
    let (of_a, of_b) = (a.given(), b.given());
    assert_eq!((of_a.len(), of_b.len()), (5, 5));
    let mut addresses: Vec<_> = of_a.iter().chain(&of_b).map(|given| given.peer).collect();
    for client in &clients {
        let peer = Peer::Inet(client.local_addr().expect("address"));
        let at = addresses.iter().position(|found| *found == peer);
        addresses.remove(at.expect("each client is somewhere"));
    }
    assert_eq!(rig.manager.totals().held, 10);
    a.close(of_a);
    b.close(of_b);
    rig.until(|rig| rig.manager.totals().held == 0);
    for mut client in clients {
        assert_eq!(client.read(&mut [0; 1]).expect("the end"), 0);
    }
    let stats = rig.manager.worker_stats(a.id).expect("it is there");
    assert_eq!((stats.given, stats.active, stats.in_flight), (5, 0, 0));
}

#[test]
fn nobody_is_accepted_before_a_worker_is_ready() {
    let mut rig = Rig::new(Config::default());
    let mut client = rig.connect();
    client.write_all(GET).expect("write");
    rig.manager.finish(Instant::now()).expect("poll");
    rig.settle();
    assert_eq!(rig.manager.totals().accepted, 0);
    let mut hand = rig.hire(0);
    rig.until(|rig| rig.manager.totals().accepted == 1);
    answer(&hand.given()[0]);
    client.read_exact(&mut [0; 6]).expect("answer");
}

#[test]
fn what_a_dead_worker_had_not_touched_is_served_by_another_and_the_rest_is_closed() {
    let mut rig = Rig::new(Config::default());
    let mut a = rig.hire(0);
    let mut clients: Vec<_> = (0..3).map(|_| rig.connect()).collect();
    for client in &mut clients {
        client.write_all(GET).expect("write");
        rig.settle();
    }
    let given = a.given();
    assert_eq!(given.len(), 3);
    // The first was read, the second answered in part, the third not touched.
    stream(&given[0])
        .read_exact(&mut vec![0; GET.len()])
        .expect("request");
    answer(&given[1]);
    drop(given);
    rig.bury(a);
    let mut b = rig.hire(0);
    rig.settle();
    let given = b.given();
    assert_eq!(given.len(), 1);
    answer(&given[0]);
    assert_eq!(clients[0].read(&mut [0; 1]).expect("the end"), 0);
    let mut text = Vec::new();
    clients[1].read_to_end(&mut text).expect("the end");
    assert_eq!(text, b"answer");
    clients[2].read_exact(&mut [0; 6]).expect("answer");
    assert!(rig.events.iter().any(|event| matches!(
        event,
        Event::Inherited {
            reassigned: 1,
            replayed: 0,
            closed: 2,
            ..
        }
    )));
}

#[test]
fn connections_still_in_the_channel_of_a_dead_worker_are_not_lost() {
    let mut rig = Rig::new(Config::default());
    let a = rig.hire(0);
    let mut clients: Vec<_> = (0..100).map(|_| rig.connect()).collect();
    rig.until(|rig| rig.manager.totals().accepted == 100);
    rig.bury(a);
    let mut b = rig.hire(0);
    rig.settle();
    let given = b.given();
    assert_eq!(given.len(), 100);
    for client in &mut clients {
        client.write_all(GET).expect("write");
    }
    given.iter().for_each(answer);
    for client in &mut clients {
        client.read_exact(&mut [0; 6]).expect("answer");
    }
    b.close(given);
    rig.until(|rig| rig.manager.totals().held == 0);
}

#[test]
fn closed_words_of_a_dead_worker_are_heard() {
    let mut rig = Rig::new(Config::default());
    let mut a = rig.hire(0);
    let mut client = rig.connect();
    rig.settle();
    let given = a.given();
    // Refused without reading: the kernel would call it untouched.
    a.close(given);
    rig.bury(a);
    assert_eq!(rig.manager.totals().held, 0);
    assert_eq!(client.read(&mut [0; 1]).expect("the end"), 0);
}

#[test]
fn a_request_that_may_be_repeated_is_replayed_once() {
    let config = Config {
        replay: true,
        ..Config::default()
    };
    let mut rig = Rig::new(config);
    let mut a = rig.hire(0);
    let mut client = rig.connect();
    // Its bytes come after it was accepted, and it is not handed over without them.
    rig.settle();
    assert!(a.given().is_empty());
    client.write_all(GET).expect("write");
    rig.settle();
    let given = a.given();
    stream(&given[0])
        .read_exact(&mut vec![0; GET.len()])
        .expect("request");
    drop(given);
    rig.bury(a);
    let mut b = rig.hire(1);
    rig.settle();
    let given = b.given();
    assert_eq!(&*given[0].prefix, GET);
    drop(given);
    rig.bury(b);
    assert_eq!(
        client.read(&mut [0; 1]).expect("the end"),
        0,
        "not a second time"
    );
    assert_eq!(
        (rig.manager.totals().replayed, rig.manager.totals().held),
        (1, 0)
    );
}

#[test]
fn a_full_worker_is_passed_over_and_when_all_are_full_the_kernel_keeps_the_queue() {
    let config = Config {
        max_in_flight: 4,
        ..Config::default()
    };
    let mut rig = Rig::new(config);
    let mut a = rig.hire(0);
    let _clients: Vec<_> = (0..10).map(|_| rig.connect()).collect();
    rig.settle();
    assert_eq!(rig.manager.totals().accepted, 4);
    assert!(!rig.manager.totals().accepting);
    let available = |rig: &Rig, hand: &Hand| {
        let stats = rig.manager.worker_stats(hand.id);
        stats.expect("it is there").available
    };
    assert!(!available(&rig, &a), "it is full");
    assert!(
        rig.events
            .iter()
            .any(|event| matches!(event, Event::Saturated))
    );
    let mut b = rig.hire(1);
    assert!(!available(&rig, &b), "nobody has heard it yet");
    rig.settle();
    assert_eq!(rig.manager.totals().accepted, 8);
    let given = a.given();
    a.close(given);
    rig.settle();
    assert_eq!(rig.manager.totals().accepted, 10);
    assert_eq!((b.given().len(), a.given().len()), (4, 2));
}

#[test]
fn a_connection_moves_in_the_middle_of_its_life_with_what_was_read_of_it() {
    let mut rig = Rig::new(Config::default());
    let (mut a, mut b) = (rig.hire(0), rig.hire(1));
    let mut client = rig.connect();
    client.write_all(GET).expect("write");
    rig.settle();
    let given = a.given().pop().or_else(|| {
        std::mem::swap(&mut a, &mut b);
        a.given().pop()
    });
    let given = given.expect("one of them has it");
    answer(&given);
    client.read_exact(&mut [0; 6]).expect("answer");
    client.write_all(b"half and half").expect("write");
    stream(&given).read_exact(&mut [0; 4]).expect("half");
    let to = u32::from(a.id == 1);
    a.worker
        .release(given.slot, to, b"half", Instant::now())
        .expect("the manager is there");
    drop(given);
    rig.settle();
    let given = b.given().pop().expect("it moved");
    assert_eq!(&*given.prefix, b"half");
    let mut rest = [0; 9];
    stream(&given).read_exact(&mut rest).expect("the rest");
    assert_eq!(&rest, b" and half");
    assert_eq!(rig.manager.totals().moved, 1);
    // A late word of the first names nothing.
    a.worker
        .closed(&[given.slot], Instant::now())
        .expect("the manager is there");
    rig.settle();
    assert_eq!(rig.manager.totals().held, 1);
}

#[test]
fn an_idle_connection_that_moved_moves_again_when_its_new_worker_dies() {
    let mut rig = Rig::new(Config::default());
    let mut a = rig.hire(0);
    let mut client = rig.connect();
    client.write_all(GET).expect("write");
    rig.settle();
    let given = a.given();
    answer(&given[0]);
    client.read_exact(&mut [0; 6]).expect("answer");
    let mut b = rig.hire(1);
    rig.settle();
    rig.manager
        .drain_worker(a.id, true, 1000, Instant::now())
        .expect("it is there");
    a.read();
    assert!(matches!(
        a.orders[..],
        [Order::Drain {
            hand_back: true,
            millis: 1000
        }]
    ));
    a.worker
        .release(given[0].slot, wire::TO_ANY, &[], Instant::now())
        .expect("the manager is there");
    drop(given);
    rig.settle();
    assert_eq!(b.given().len(), 1);
    rig.bury(b);
    let mut c = rig.hire(1);
    rig.settle();
    client.write_all(GET).expect("write");
    answer(&c.given()[0]);
    client.read_exact(&mut [0; 6]).expect("answer");
}

#[test]
fn a_silent_worker_with_work_is_suspected_and_then_reported_and_an_idle_one_is_not() {
    let config = Config {
        watchdog: Some(Duration::from_millis(80)),
        ..Config::default()
    };
    let mut rig = Rig::new(config);
    let (a, mut b) = (rig.hire(0), rig.hire(1));
    rig.settle();
    let _first = rig.connect();
    rig.until(|rig| {
        b.read();
        rig.events
            .iter()
            .any(|event| matches!(event, Event::Suspect(id) if *id == a.id))
    });
    let _second = rig.connect();
    rig.until(|rig| {
        b.read();
        rig.events
            .iter()
            .any(|event| matches!(event, Event::Hung(id) if *id == a.id))
    });
    assert_eq!(b.given().len(), 1, "the silent one gets nothing more");
    assert!(
        !rig.events
            .iter()
            .any(|event| matches!(event, Event::Hung(id) if *id == b.id))
    );
    rig.bury(a);
    rig.settle();
    assert_eq!(b.given().len(), 1);
}

#[test]
fn the_caller_decides_by_first_bytes() {
    let config = Config {
        policy: Policy::External,
        peek_bytes: 16,
        peek_timeout: Duration::from_millis(30),
        ..Config::default()
    };
    let mut rig = Rig::new(config);
    let (mut a, mut b) = (rig.hire(0), rig.hire(1));
    rig.settle();
    let (mut to_b, mut refused, silent) = (rig.connect(), rig.connect(), rig.connect());
    to_b.write_all(b"b please").expect("write");
    refused.write_all(b"no").expect("write");
    let mut decided = 0;
    let end = Instant::now() + SOON;
    while decided < 3 && Instant::now() < end {
        descriptor::wait(rig.manager.as_fd(), false, SOON).expect("poll");
        let now = Instant::now();
        rig.manager.begin(now).expect("poll");
        for slot in rig.manager.take_undecided() {
            let seen = &*rig.manager.connection(slot).expect("it is held").seen;
            let decision = match seen {
                b"b please" => Decision::Worker(1),
                b"no" => Decision::Refuse,
                b"" => Decision::Default,
                other => panic!("{other:?}"),
            };
            rig.manager.decide(slot, decision, now);
            decided += 1;
        }
        rig.manager.finish(now).expect("poll");
    }
    rig.settle();
    let of_b = b.given();
    let mut seen = [0; 8];
    stream(&of_b[0])
        .read_exact(&mut seen)
        .expect("nothing was consumed");
    assert_eq!(&seen, b"b please");
    assert_eq!(a.given().len() + of_b.len(), 2);
    assert!(refused.read(&mut [0; 1]).is_ok_and(|n| n == 0) || rig.manager.totals().refused == 1);
    drop(silent);
}

#[test]
fn admission_refuses_before_anybody_is_bothered() {
    let mut rig = Rig::new(Config::default());
    rig.manager
        .set_admission(Some(TokenBuckets::new(0.001, 2, 100)));
    let mut a = rig.hire(0);
    let mut clients: Vec<_> = (0..4).map(|_| rig.connect()).collect();
    rig.settle();
    assert_eq!(a.given().len(), 2);
    assert_eq!(rig.manager.totals().refused, 2);
    assert_eq!(clients[3].read(&mut [0; 1]).expect("the end"), 0);
}

#[test]
fn workers_write_to_each_other_and_to_the_manager_with_descriptors() {
    let mut rig = Rig::new(Config::default());
    let (mut a, mut b, mut c) = (rig.hire(0), rig.hire(1), rig.hire(2));
    rig.settle();
    let (left, _right) = socket::pair(SocketType::Stream).expect("pair");
    let now = Instant::now();
    a.worker
        .send(1, b"to b", &[left.as_fd()], now)
        .expect("send");
    a.worker
        .send(wire::TO_ALL, b"to all", &[], now)
        .expect("send");
    a.worker
        .send(wire::TO_MANAGER, b"to you", &[left.as_fd()], now)
        .expect("send");
    rig.settle();
    b.read();
    c.read();
    assert!(matches!(&b.orders[..], [
        Order::Message { from: 0, data: first, fds, .. },
        Order::Message { from: 0, data: second, .. },
    ] if first == b"to b" && fds.len() == 1 && second == b"to all"));
    assert!(matches!(&c.orders[..], [Order::Message { from: 0, data, .. }] if data == b"to all"));
    assert!(rig.events.iter().any(|event| matches!(
        event,
        Event::Message { from, data, fds, damage: None } if *from == a.id && data == b"to you" && fds.len() == 1
    )));
    rig.manager
        .send(a.id, b"thanks", &[left.as_fd()], now)
        .expect("send");
    a.read();
    assert!(
        matches!(&a.orders[..], [Order::Message { from: wire::TO_MANAGER, data, fds, damage: None }]
        if data == b"thanks" && fds.len() == 1)
    );
}

#[test]
fn a_channel_that_ends_gives_nothing_away_while_its_process_may_live() {
    let mut rig = Rig::new(Config::default());
    let mut a = rig.hire(0);
    let mut b = rig.hire(1);
    let _client = rig.connect();
    rig.settle();
    let (mine, other) = (a.given(), b.given());
    assert_eq!(mine.len() + other.len(), 1);
    let (gone, id) = if mine.is_empty() { (b, 1) } else { (a, 0) };
    let id = gone.id.max(id);
    drop(gone.worker);
    rig.until(|rig| {
        rig.events
            .iter()
            .any(|event| matches!(event, Event::ChannelEnded(..)))
    });
    assert_eq!(rig.manager.totals().reassigned, 0);
    drop((mine, other));
    rig.manager.worker_died(id, Instant::now());
    assert_eq!(rig.manager.totals().reassigned, 1);
}

#[test]
fn listening_sockets_go_to_workers() {
    let mut rig = Rig::new(Config::default());
    let mut a = rig.hire(0);
    rig.settle();
    rig.manager.enable_listener(0, false);
    let now = Instant::now();
    rig.manager
        .give_listeners(a.id, &[0], now)
        .expect("it is there");
    rig.manager.finish(now).expect("poll");
    a.read();
    let Some(Order::Accept(mut listeners)) = a.orders.pop() else {
        panic!("a listener");
    };
    let (number, fd) = listeners.pop().expect("one");
    assert_eq!(number, 0);
    let _client = rig.connect();
    socket::accept(fd.as_fd()).expect("the worker accepts");
    assert_eq!(rig.manager.totals().accepted, 0);
    // The worker is gone: the manager serves its queue.
    drop(fd);
    let _client = rig.connect();
    rig.manager.enable_listener(0, true);
    rig.manager.finish(Instant::now()).expect("poll");
    rig.settle();
    assert_eq!(a.given().len(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_listener_that_failed_is_told_once_and_asked_again_when_it_is_enabled() {
    let mut rig = Rig::new(Config::default());
    let _a = rig.hire(0);
    rig.settle();
    let listener = rig.manager.listener(0).expect("it listens");
    // Of the socket, not of this descriptor.
    let copy = TcpStream::from(listener.try_clone_to_owned().expect("a descriptor"));
    copy.shutdown(Shutdown::Both).expect("shutdown");
    let failures = |rig: &Rig| {
        let failed = |event: &&Event| matches!(event, Event::ListenerFailed(0, _));
        rig.events.iter().filter(failed).count()
    };
    rig.until(|rig| failures(rig) == 1);
    rig.manager.enable_listener(0, true);
    rig.manager.finish(Instant::now()).expect("poll");
    rig.until(|rig| failures(rig) == 2);
    rig.manager.close_listener(0, Instant::now());
    rig.events.extend(rig.manager.take_events());
    assert_eq!(failures(&rig), 2);
}

#[test]
fn who_waits_at_a_listener_that_closes_is_taken_in() {
    let mut rig = Rig::new(Config::default());
    let mut a = rig.hire(0);
    rig.settle();
    let mut clients: Vec<TcpStream> = (0..3).map(|_| rig.connect()).collect();
    for client in &mut clients {
        client.write_all(GET).expect("write");
    }
    let now = Instant::now();
    rig.manager.close_listener(0, now);
    rig.manager
        .drain_worker(a.id, false, 1000, now)
        .expect("it is there");
    rig.manager.finish(now).expect("poll");
    TcpStream::connect(rig.address).expect_err("nobody listens");
    a.read();
    let drain = a.orders.pop();
    assert!(matches!(drain, Some(Order::Drain { .. })), "behind them");
    for given in a.given() {
        answer(&given);
    }
    for client in &mut clients {
        client.read_exact(&mut [0; 1]).expect("an answer");
    }
}

#[test]
fn words_find_room_later_when_the_queue_to_the_manager_is_full() {
    let mut rig = Rig::new(Config {
        watchdog: Some(Duration::from_millis(80)),
        ..Config::default()
    });
    let mut a = rig.hire(0);
    let mut client = rig.connect();
    rig.settle();
    let given = a.given();
    // The manager does not look, and the application says what there is no room for.
    let now = Instant::now();
    let mut said = 0;
    let refused = loop {
        match a.worker.send(wire::TO_MANAGER, &[0; 64], &[], now) {
            Ok(()) => said += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.code(), "ERR_FDPASS_QUEUE_FULL");
    a.close(given);
    a.worker.drained(now).expect("the manager is there");
    let heard = |rig: &Rig| {
        let messages = rig.events.iter();
        messages
            .filter(|event| matches!(event, Event::Message { .. }))
            .count()
    };
    rig.until(|rig| {
        let mut orders = Vec::new();
        a.worker
            .receive(&mut orders, Instant::now())
            .expect("a ping without room for an answer is no end");
        heard(rig) == said && rig.manager.totals().held == 0
    });
    assert_eq!(client.read(&mut [0; 1]).expect("the end"), 0);
    assert!(
        rig.events
            .iter()
            .any(|event| matches!(event, Event::Drained(_)))
    );
}

#[test]
fn a_message_for_an_index_goes_to_one_worker_while_two_have_it() {
    let mut rig = Rig::new(Config::default());
    let (mut from, mut old, mut new) = (rig.hire(0), rig.hire(1), rig.hire(1));
    rig.settle();
    let now = Instant::now();
    from.worker.send(1, b"one", &[], now).expect("sent");
    from.worker
        .send(wire::TO_ALL, b"all", &[], now)
        .expect("sent");
    rig.settle();
    let texts = |hand: &mut Hand| {
        hand.read();
        std::mem::take(&mut hand.orders)
            .into_iter()
            .filter_map(|order| match order {
                Order::Message { data, .. } => Some(data),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(texts(&mut old), [b"one", b"all"]);
    assert_eq!(texts(&mut new), [b"all"]);
}

/// Words as no worker says them: any slot, any length, descriptors with every kind.
fn lie(random: &mut impl FnMut() -> u32, slots: &[u32]) -> Vec<u8> {
    let slot = match random() % 4 {
        0 => random(),
        1 => 0,
        _ => slots[random() as usize % slots.len()],
    };
    let to = [0, 1, 7, wire::TO_ANY, wire::TO_ALL][random() as usize % 5];
    let mut word = match random() % 9 {
        0 => vec![wire::READY],
        1 => wire::closed(random(), &[slot, slot, slot ^ 1]),
        2 => wire::released(slot, to, &vec![0; (random() % 400_000) as usize], false),
        3 => wire::released(slot, to, b"GET / HTTP/1.1\r\n\r\n", true),
        4 => wire::load(f64::from_bits(u64::from(random()) << 32)).to_vec(),
        5 => wire::beat(wire::PONG, random()).to_vec(),
        6 => wire::keeper(random() % 3).to_vec(),
        7 => wire::message(to, &[0; 9]),
        _ => vec![u8::try_from(random() % 256).unwrap_or(0); 5],
    };
    if random().is_multiple_of(4) {
        word.truncate(random() as usize % (word.len() + 1));
    }
    word
}

#[test]
fn a_worker_that_lies_harms_nobody_but_itself() {
    let mut seed = 0x2545_f491_u32;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed
    };
    for _ in 0..4 {
        let mut rig = Rig::new(Config {
            max_connections: 4,
            watchdog: Some(Duration::from_millis(50)),
            wait_timeout: Duration::from_millis(20),
            ..Config::default()
        });
        let mut honest = rig.hire(0);
        let now = Instant::now();
        let (ours, theirs) = socket::pair(SocketType::Stream).expect("pair");
        let liar = rig.manager.add_worker(ours, 1, 1, now).expect("a socket");
        let transport = SocketTransport::new(theirs).expect("a socket");
        let mut link = Link::new(transport, link::Config::default());
        let mut say = |word: &[u8], fds: &[BorrowedFd<'_>]| {
            link.try_send(word, fds, SendOptions::default(), now)
                .expect("the manager is there");
        };
        say(&[wire::READY], &[]);
        let mut clients: Vec<_> = (0..8).map(|_| rig.connect()).collect();
        for client in &mut clients {
            client.write_all(GET).expect("write");
        }
        rig.until(|rig| rig.manager.totals().accepted == 8);
        let given = honest.given();
        assert_eq!(given.len(), 4);
        let its: Vec<u32> = given.iter().map(|given| given.slot).collect();
        let lent = std::fs::File::open("/dev/null").expect("/dev/null");
        for _ in 0..60 {
            let fds = vec![lent.as_fd(); random() as usize % 3];
            say(&lie(&mut random, &[0, 1, 2, 3, 4, 5, 6, 7]), &fds);
            rig.turn(Duration::ZERO);
        }
        rig.settle();
        drop(link);
        rig.manager.worker_died(liar, Instant::now());
        rig.settle();
        honest.read();
        let more: Vec<_> = std::mem::take(&mut honest.orders)
            .into_iter()
            .filter_map(|order| match order {
                Order::Serve(given) => Some(given),
                _ => None,
            })
            .collect();
        assert!(
            more.iter().all(|more| !its.contains(&more.slot)),
            "a connection of the honest one was given twice"
        );
        given.iter().for_each(answer);
        for given in &given {
            let Peer::Inet(peer) = given.peer else {
                panic!("a TCP client");
            };
            let client = clients
                .iter_mut()
                .find(|client| client.local_addr().is_ok_and(|address| address == peer));
            let mut text = [0; 6];
            client
                .expect("it is a client's")
                .read_exact(&mut text)
                .expect("answer");
        }
        honest.close(given);
        honest.close(more);
        rig.until(|rig| rig.manager.totals().held == 0);
    }
}
