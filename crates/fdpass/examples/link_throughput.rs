//! How fast a link is beside a plain `sendmsg`/`recvmsg` loop: two processes, 64-byte messages with K descriptors each,
//! received, counted and closed.
//!
//! `cargo run --release --example link_throughput -- K MESSAGES [ROUNDS]`: both ways alternate; what counts is the
//! median of the ratios of each round.
#![expect(clippy::print_stdout, reason = "a program that prints its result")]

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fdpass::descriptor;
use fdpass::link::{
    Budget, Config, FdBatch, Flush, Link, MessageMeta, ReadBuffer, SendOptions, Sink, SinkStatus,
    SocketTransport,
};
use fdpass::message::{self, Arrival, Wait};
use fdpass::socket::{self, Socket, SocketType};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const FOREVER: Duration = Duration::from_secs(60);

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| words.get(at).map_or(Ok(default), |word| word.parse());
    match words.first().map(String::as_str) {
        Some("receive-plain") => receive_plain(number(1, 0)?),
        Some("receive-link") => receive_link(number(1, 0)?),
        _ => compare(number(0, 1)?, number(1, 200_000)?, number(2, 5)?),
    }
}

fn compare(fds: u64, messages: u64, rounds: u64) -> Outcome<()> {
    let file = File::open("/dev/null")?;
    let fds = vec![file.as_fd(); usize::try_from(fds)?];
    let mut ratios = Vec::new();
    for _ in 0..rounds {
        let plain = run("receive-plain", messages, |to| {
            send_plain(to, &fds, messages)
        })?;
        let link = run("receive-link", messages, |to| send_link(to, &fds, messages))?;
        let ratio = link.per_second / plain.per_second;
        println!("plain {plain}   link {link}   {ratio:.2}");
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "{} descriptors: {:.2} x plain",
        fds.len(),
        ratios[ratios.len() / 2]
    );
    Ok(())
}

/// What one run cost. On a busy machine the processor time says more than the clock.
struct Cost {
    per_second: f64,
    send_micros: f64,
    receive_micros: f64,
}

impl std::fmt::Display for Cost {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            per_second,
            send_micros,
            receive_micros,
        } = self;
        write!(
            out,
            "{per_second:>8.0}/s (cpu us: send {send_micros:.2}, receive {receive_micros:.2})"
        )
    }
}

/// Processor time of this process, or of its children that have ended.
fn cpu_micros(who: UsageWho) -> Outcome<f64> {
    let usage = getrusage(who)?;
    let spent = usage.user_time() + usage.system_time();
    Ok(f64::from(i32::try_from(spent.num_microseconds())?))
}

/// One run, from the first byte sent to the receiver's word that all came.
///
/// What `send` returns is kept until then: closing a socket with unread bytes would reset the receiver.
fn run<K>(role: &str, messages: u64, send: impl FnOnce(OwnedFd) -> Outcome<K>) -> Outcome<Cost> {
    let (ours, theirs) = socket::pair(SocketType::Stream)?;
    let mut child = Command::new(std::env::current_exe()?)
        .args([role, &messages.to_string()])
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::piped())
        .spawn()?;
    let mut done = child.stdout.take().ok_or("no pipe")?;
    let mut ready = [0];
    done.read_exact(&mut ready)?;
    let before = cpu_micros(UsageWho::RUSAGE_SELF)?;
    let before_child = cpu_micros(UsageWho::RUSAGE_CHILDREN)?;
    let start = Instant::now();
    let _kept = send(ours)?;
    done.read_exact(&mut ready)?;
    let seconds = start.elapsed().as_secs_f64();
    child.wait()?;
    let messages = f64::from(u32::try_from(messages)?);
    Ok(Cost {
        per_second: messages / seconds,
        send_micros: (cpu_micros(UsageWho::RUSAGE_SELF)? - before) / messages,
        receive_micros: (cpu_micros(UsageWho::RUSAGE_CHILDREN)? - before_child) / messages,
    })
}

fn send_plain(to: OwnedFd, fds: &[BorrowedFd<'_>], messages: u64) -> Outcome<OwnedFd> {
    let socket = Socket::check(to.as_fd())?;
    for _ in 0..messages {
        message::send(socket, &[0; 64], fds, Wait::AsDescriptor)?;
    }
    Ok(to)
}

fn receive_plain(messages: u64) -> Outcome<()> {
    let stdin = std::io::stdin();
    let socket = Socket::check(stdin.as_fd())?;
    let mut buffer = [0; 64];
    let mut fds = Vec::new();
    let (mut bytes, mut arrival) = (0, Arrival::default());
    print_now("r")?;
    while bytes < messages * 64 {
        let wait = Wait::AsDescriptor;
        if !message::receive_into(socket, &mut buffer, &mut fds, &mut arrival, wait)? {
            return Err("the sender is gone".into());
        }
        bytes += arrival.bytes as u64;
        fds.clear();
    }
    print_now("d")
}

fn send_link(to: OwnedFd, fds: &[BorrowedFd<'_>], messages: u64) -> Outcome<Link> {
    let mut link = Link::new(SocketTransport::new(to)?, Config::default());
    let now = Instant::now();
    for _ in 0..messages {
        let sent = link.try_send(&[0; 64], fds, SendOptions::default(), now)?;
        while !sent.written && link.flush(now)? == Flush::Blocked {
            descriptor::wait(link.transport().as_fd(), true, FOREVER)?;
        }
    }
    Ok(link)
}

struct Count {
    messages: u64,
}

impl Sink for Count {
    fn message(&mut self, _: &MessageMeta, _: &[u8], _: &mut FdBatch<'_>) -> SinkStatus {
        self.messages += 1;
        SinkStatus::Continue
    }
}

fn receive_link(messages: u64) -> Outcome<()> {
    let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
    let mut link = Link::new(SocketTransport::new(socket)?, Config::default());
    let mut buffer = ReadBuffer::new();
    let mut count = Count { messages: 0 };
    let now = Instant::now();
    print_now("r")?;
    while count.messages < messages {
        if !link.has_buffered() {
            descriptor::wait(link.transport().as_fd(), false, FOREVER)?;
        }
        link.receive_into(&mut buffer, &mut count, &Budget::default(), now)?;
    }
    print_now("d")
}

fn print_now(word: &str) -> Outcome<()> {
    use std::io::Write;
    let mut out = std::io::stdout();
    out.write_all(word.as_bytes())?;
    out.flush()?;
    Ok(())
}
