//! Channels of one environment: a framed link each, its socket watched by the event loop.

mod batch;
mod calls;
mod config;
mod events;
mod setup;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Instant;

use fdpass::link::{Link, ReadBuffer, SocketTransport, State as LinkState, Stop};

use crate::engine::{Interest, Loop, Pollable, Wake};
use crate::error::Failure;
use crate::state::State;

use batch::Batch;
pub(crate) use calls::register;
use setup::Setup;

/// How many batches one wake-up hands to JavaScript before other descriptors have their turn.
const BATCHES_PER_WAKE: usize = 4;

/// The channels of one environment, by handle.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    setup: RefCell<Option<Rc<Setup>>>,
    list: RefCell<Vec<Option<Rc<Channel>>>>,
    free: RefCell<Vec<usize>>,
    /// How many descriptors the batch has that JavaScript is taking.
    batch_fds: Cell<usize>,
    /// One for all: an idle channel holds no buffer.
    buffer: RefCell<Option<ReadBuffer>>,
}

/// One channel.
pub(crate) struct Channel {
    handle: Cell<usize>,
    key: Cell<Option<u32>>,
    /// `None` once destroyed.
    link: RefCell<Option<Box<Link<SocketTransport>>>>,
    reading: Cell<bool>,
    /// No more messages come: `end` or `error` was told.
    ended: Cell<bool>,
    told: events::Told,
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel")
            .field("handle", &self.handle.get())
            .finish_non_exhaustive()
    }
}

impl Channels {
    fn setup(&self) -> Result<Rc<Setup>, Failure> {
        self.setup
            .borrow()
            .clone()
            .ok_or_else(|| Failure::internal("channelSetup was not called"))
    }

    fn get(&self, handle: i32) -> Result<Rc<Channel>, Failure> {
        let index = usize::try_from(handle).unwrap_or(0);
        let found = self.list.borrow().get(index).cloned().flatten();
        found.ok_or_else(|| Failure::new("ERR_FDPASS_CLOSED", "The channel is closed"))
    }

    /// Starts to watch `link` under a new handle.
    fn add(
        &self,
        state: &State,
        link: Box<Link<SocketTransport>>,
    ) -> Result<Rc<Channel>, (Failure, Box<Link<SocketTransport>>)> {
        let channel = Rc::new(Channel {
            handle: Cell::new(0),
            key: Cell::new(None),
            link: RefCell::new(None),
            reading: Cell::new(false),
            ended: Cell::new(false),
            told: events::Told::of(&link),
        });
        let opened = event_loop(state).and_then(|event_loop| {
            use std::os::fd::AsFd;
            let pollable = Watched(Rc::downgrade(&channel));
            event_loop.open(state, link.transport().as_fd(), Rc::new(pollable))
        });
        match opened {
            Ok(key) => channel.key.set(Some(key)),
            Err(failure) => return Err((failure, link)),
        }
        *channel.link.borrow_mut() = Some(link);
        channel.handle.set(self.place(Rc::clone(&channel)));
        Ok(channel)
    }

    /// Handles begin at 1, so that none is mistaken for "no handle".
    fn place(&self, channel: Rc<Channel>) -> usize {
        let mut list = self.list.borrow_mut();
        if list.is_empty() {
            list.push(None);
        }
        let index = self.free.borrow_mut().pop().unwrap_or(list.len());
        if index == list.len() {
            list.push(None);
        }
        list[index] = Some(channel);
        index
    }

    fn remove(&self, channel: &Channel) {
        let index = channel.handle.replace(0);
        if index != 0
            && self
                .list
                .borrow_mut()
                .get_mut(index)
                .and_then(Option::take)
                .is_some()
        {
            self.free.borrow_mut().push(index);
        }
    }
}

fn event_loop(state: &State) -> Result<&Loop, Failure> {
    state
        .event_loop
        .get()
        .ok_or_else(|| Failure::internal("channelSetup was not called"))
}

/// What the event loop holds: the registry owns the channel.
struct Watched(Weak<Channel>);

impl Pollable for Watched {
    fn wake(&self, state: &State, wake: Wake) {
        if let Some(channel) = self.0.upgrade() {
            channel.wake(state, wake);
        }
    }
}

/// Why reading stopped for this wake-up.
enum Pause {
    /// Wait for readiness.
    Wait,
    /// More is there: another turn.
    Again,
    End,
    Failed(Failure),
}

impl Channel {
    fn wake(&self, state: &State, wake: Wake) {
        let now = Instant::now();
        let Ok(setup) = state.channels.setup() else {
            return;
        };
        if let Err(failure) = self.run_deadline(now) {
            return self.fail(state, &setup, &failure);
        }
        if wake.writable {
            self.flush(now);
        }
        match self.read(state, &setup, now) {
            Pause::Wait => {}
            Pause::Again => self.soon(state),
            Pause::End => {
                // What came before the end counts before it.
                self.tell(&setup);
                self.end(&setup);
            }
            Pause::Failed(failure) => return self.fail(state, &setup, &failure),
        }
        self.settle(state, &setup, now);
    }

    fn run_deadline(&self, now: Instant) -> Result<(), Failure> {
        let mut link = self.link.borrow_mut();
        match link.as_mut() {
            Some(link) if link.next_deadline().is_some_and(|deadline| deadline <= now) => {
                link.on_deadline(now).map_err(Failure::from)
            }
            _ => Ok(()),
        }
    }

    /// A broken write side is told by the failures of its messages; how the connection ended, by the read side.
    fn flush(&self, now: Instant) {
        if let Some(link) = self.link.borrow_mut().as_mut() {
            let _told_by_failures = link.flush(now);
        }
    }

    fn read(&self, state: &State, setup: &Setup, now: Instant) -> Pause {
        for _ in 0..BATCHES_PER_WAKE {
            if !self.wants_input() {
                return Pause::Wait;
            }
            let mut batch = Batch::new(setup, state);
            let outcome = {
                let mut link = self.link.borrow_mut();
                let Some(link) = link.as_mut() else {
                    return Pause::Wait;
                };
                let mut buffer = state.channels.buffer.borrow_mut();
                let buffer = buffer.get_or_insert_with(ReadBuffer::new);
                link.receive_into(buffer, &mut batch, setup.budget(), now)
            };
            batch.deliver(self.handle.get());
            match outcome {
                Ok(received) => match received.stopped {
                    Stop::Drained => return Pause::Wait,
                    Stop::End => return Pause::End,
                    Stop::Budget | Stop::Paused => {}
                },
                Err(error) => return Pause::Failed(error.into()),
            }
        }
        Pause::Again
    }

    /// Reading is on, or the channel is closing and drains what still comes.
    fn wants_input(&self) -> bool {
        let link = self.link.borrow();
        let Some(link) = link.as_ref() else {
            return false;
        };
        !self.ended.get() && (self.reading.get() || link.state() == LinkState::Closing)
    }

    /// After anything happened: acknowledgements go out, events are told, the loop learns what to wait for.
    fn settle(&self, state: &State, setup: &Setup, now: Instant) {
        if self
            .link
            .borrow()
            .as_ref()
            .is_some_and(|link| link.wants_write())
        {
            self.flush(now);
        }
        self.tell(setup);
        self.tell_drain(setup);
        self.tell_broken_writing(setup);
        let finished = self
            .link
            .borrow()
            .as_ref()
            .is_some_and(|link| link.state() == LinkState::Finished);
        if finished {
            let handle = self.handle.get();
            self.destroy(state);
            return setup.event(handle, events::CLOSED, 0.0, None);
        }
        self.wait(state);
    }

    /// Tells the loop what to wait for. Never enters JavaScript.
    fn wait(&self, state: &State) {
        let (Some(key), Ok(event_loop)) = (self.key.get(), event_loop(state)) else {
            return;
        };
        let link = self.link.borrow();
        let Some(link) = link.as_ref() else { return };
        let closing = link.state() == LinkState::Closing;
        let interest = Interest {
            read: !self.ended.get() && (self.reading.get() || closing) && link.wants_read(),
            write: link.wants_write(),
        };
        event_loop.set_interest(key, interest);
        event_loop.set_deadline(key, link.next_deadline());
    }

    /// Asks for a turn in which what happened is told.
    fn soon(&self, state: &State) {
        if let (Some(key), Ok(event_loop)) = (self.key.get(), event_loop(state)) {
            event_loop.soon(key);
        }
    }

    fn end(&self, setup: &Setup) {
        if !self.ended.replace(true) {
            setup.event(self.handle.get(), events::END, 0.0, None);
        }
    }

    fn fail(&self, state: &State, setup: &Setup, failure: &Failure) {
        if self.ended.replace(true) && self.link.borrow().is_none() {
            return;
        }
        self.tell(setup);
        let handle = self.handle.get();
        self.stop_watching(state);
        if handle != 0 {
            setup.event(handle, events::ERROR, 0.0, Some(failure));
        }
    }

    fn stop_watching(&self, state: &State) {
        if let (Some(key), Ok(event_loop)) = (self.key.take(), event_loop(state)) {
            event_loop.close(key);
        }
    }

    /// Closes everything at once.
    fn destroy(&self, state: &State) {
        self.stop_watching(state);
        state.channels.remove(self);
        drop(self.link.take());
    }
}
