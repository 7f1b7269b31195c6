//! Readiness: one event loop an environment, by libuv where the runtime has it, by a thread where it has not.
//!
//! The runtime decides, never the presence of a symbol: Bun exports the `uv_*` functions as stubs that abort, Deno a part
//! of them that misbehaves. JavaScript names the runtime, and only then is libuv looked up.

mod thread;
mod timer;
mod uv;

use std::cell::{Cell, RefCell};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::time::Instant;

use crate::error::Failure;
use crate::js;
use crate::state::State;
use timer::Timer;

/// What a descriptor is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl Interest {
    const NONE: Self = Self {
        read: false,
        write: false,
    };
}

/// What an event loop tells: readiness of the descriptor, or that a deadline passed or a turn was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wake {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

/// Something that waits for one descriptor. It is called with no borrow held by the loop, and may close itself.
pub(crate) trait Pollable {
    /// The descriptor is ready (level-triggered, sometimes for nothing), or a deadline or an asked-for turn has come
    /// (both flags false).
    fn wake(&self, state: &State, wake: Wake);

    /// `Loop::close` was called; not when the environment ends.
    fn stopped(&self) {}
}

struct Slot {
    pollable: Rc<dyn Pollable>,
    fd: RawFd,
    registration: Registration,
    interest: Interest,
    deadline: Option<Instant>,
    referenced: bool,
}

impl Slot {
    /// Whether it keeps the process alive by what it waits for: (a descriptor or a time, a time).
    fn weight(&self) -> (usize, usize) {
        let timed = self.deadline.is_some();
        let waits = timed || self.interest != Interest::NONE;
        (
            usize::from(self.referenced && waits),
            usize::from(self.referenced && timed),
        )
    }
}

enum Registration {
    Uv(uv::Poll),
    Thread,
}

enum Engine {
    Uv(uv::Uv),
    Thread(thread::Thread),
}

/// The event loop of one environment.
pub(crate) struct Loop {
    engine: Engine,
    slots: RefCell<Vec<Option<Slot>>>,
    free: RefCell<Vec<u32>>,
    /// Who wants a turn without waiting for readiness.
    soon: RefCell<Vec<u32>>,
    timer: Timer,
    /// Referenced slots that wait for anything, and those that wait for a time.
    waiting: Cell<usize>,
    timed: Cell<usize>,
    tearing_down: Cell<bool>,
}

impl std::fmt::Debug for Loop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loop")
            .field("slots", &self.slots.borrow().len())
            .finish_non_exhaustive()
    }
}

impl Loop {
    /// `on_thread`: the runtime is not Node or Electron.
    pub(crate) fn new(state: &State, on_thread: bool) -> Result<Self, Failure> {
        let engine = if on_thread {
            Engine::Thread(thread::Thread::start(state)?)
        } else {
            Engine::Uv(uv::Uv::start(state)?)
        };
        Ok(Self {
            engine,
            slots: RefCell::default(),
            free: RefCell::default(),
            soon: RefCell::default(),
            timer: Timer::default(),
            waiting: Cell::new(0),
            timed: Cell::new(0),
            tearing_down: Cell::new(false),
        })
    }

    /// Watches `fd`, which must stay open until `close`, be known to nobody else in this process, and be watched once.
    /// It begins referenced and without interest.
    pub(crate) fn open(
        &self,
        state: &State,
        fd: BorrowedFd<'_>,
        pollable: Rc<dyn Pollable>,
    ) -> Result<u32, Failure> {
        let key = self.free.borrow_mut().pop().unwrap_or_else(|| {
            let mut slots = self.slots.borrow_mut();
            slots.push(None);
            u32::try_from(slots.len() - 1).unwrap_or(u32::MAX)
        });
        let registration = match &self.engine {
            Engine::Uv(uv) => uv.poll(state, fd, key).map(Registration::Uv),
            Engine::Thread(thread) => thread.add(fd, key).map(|()| Registration::Thread),
        };
        let registration = registration.inspect_err(|_| self.free.borrow_mut().push(key))?;
        self.slots.borrow_mut()[key as usize] = Some(Slot {
            pollable,
            fd: fd.as_raw_fd(),
            registration,
            interest: Interest::NONE,
            deadline: None,
            referenced: true,
        });
        Ok(key)
    }

    /// What to wait for from now on.
    pub(crate) fn set_interest(&self, key: u32, interest: Interest) {
        self.change(key, |slot| {
            if slot.interest != interest {
                slot.interest = interest;
                self.arm(key, slot);
            }
        });
    }

    /// When to call `wake` at the latest.
    pub(crate) fn set_deadline(&self, key: u32, deadline: Option<Instant>) {
        self.change(key, |slot| slot.deadline = deadline);
        if let Some(deadline) = deadline {
            self.timer.arm(&self.engine, deadline);
        }
    }

    /// Whether the descriptor keeps the process alive while it is waited for.
    pub(crate) fn set_referenced(&self, key: u32, on: bool) {
        self.change(key, |slot| {
            slot.referenced = on;
            if let (Engine::Uv(uv), Registration::Uv(poll)) = (&self.engine, &slot.registration) {
                uv.set_referenced(poll, on);
            }
        });
    }

    /// Changes a slot, and keeps count of what keeps the process alive.
    fn change(&self, key: u32, change: impl FnOnce(&mut Slot)) {
        let mut slots = self.slots.borrow_mut();
        let Some(Some(slot)) = slots.get_mut(key as usize) else {
            return;
        };
        let before = slot.weight();
        change(slot);
        let after = slot.weight();
        drop(slots);
        if before != after {
            self.waiting.set(self.waiting.get() + after.0 - before.0);
            self.timed.set(self.timed.get() + after.1 - before.1);
            self.update_references();
        }
    }

    /// Calls `wake` in the next turn of the loop, ready or not.
    pub(crate) fn soon(&self, key: u32) {
        let mut soon = self.soon.borrow_mut();
        if soon.contains(&key) {
            return;
        }
        soon.push(key);
        let first = soon.len() == 1;
        drop(soon);
        if first {
            match &self.engine {
                Engine::Uv(uv) => uv.start_turn(),
                Engine::Thread(_) => self.timer.arm_now(&self.engine),
            }
        }
        self.update_references();
    }

    /// Stops watching. No call follows; the descriptor may be closed at once.
    pub(crate) fn close(&self, key: u32) {
        // What it waited for must not count any more.
        self.change(key, |slot| slot.referenced = false);
        let Some(slot) = self
            .slots
            .borrow_mut()
            .get_mut(key as usize)
            .and_then(Option::take)
        else {
            return;
        };
        self.soon.borrow_mut().retain(|other| *other != key);
        slot.pollable.stopped();
        match (&self.engine, slot.registration) {
            (Engine::Uv(uv), Registration::Uv(poll)) => uv.close(poll),
            (Engine::Thread(thread), _) => thread.remove(slot.fd),
            (Engine::Uv(_), Registration::Thread) => {}
        }
        self.free.borrow_mut().push(key);
    }

    fn arm(&self, key: u32, slot: &Slot) {
        match (&self.engine, &slot.registration) {
            (Engine::Uv(uv), Registration::Uv(poll)) => uv.set_interest(poll, slot.interest),
            (Engine::Thread(thread), _) => thread.set_interest(slot.fd, key, slot.interest),
            (Engine::Uv(_), Registration::Thread) => {}
        }
    }

    fn dispatch(&self, state: &State, key: u32, wake: Wake) {
        if self.tearing_down.get() {
            return;
        }
        let pollable = match self.slots.borrow().get(key as usize) {
            Some(Some(slot)) => Rc::clone(&slot.pollable),
            _ => return,
        };
        js::in_scope(state.env, || {
            let woken = panic::catch_unwind(AssertUnwindSafe(|| {
                #[cfg(fdpass_portable)]
                crate::cold::mishap::happen();
                pollable.wake(state, wake);
            }));
            // No JavaScript called, to which it could be thrown: it is an uncaught exception.
            if woken.is_err()
                && let Some(entry) = state.entry.get()
            {
                entry.report(Failure::panicked().to_js(state.env));
            }
        });
    }

    /// A descriptor is ready. `stopped`: the watcher is not armed any more (libuv's after an error, which reading or
    /// writing will name; the poller's always).
    fn on_readiness(&self, state: &State, key: u32, wake: Wake, stopped: bool) {
        self.dispatch(state, key, wake);
        if stopped {
            self.rearm(key);
        }
    }

    /// Not without interest: epoll tells of a hang-up unasked, and would again at once.
    fn rearm(&self, key: u32) {
        let slots = self.slots.borrow();
        match slots.get(key as usize) {
            Some(Some(slot)) if slot.interest != Interest::NONE => self.arm(key, slot),
            _ => {}
        }
    }

    /// The timer fired, or the poller thread says that its time has come.
    fn on_timer(&self, state: &State) {
        let now = Instant::now();
        let due = self.timer.fired(now);
        if let Engine::Thread(_) = &self.engine {
            self.on_turn(state);
        }
        if due {
            for key in self.take_due(now) {
                self.dispatch(state, key, Wake::default());
            }
        }
        if self.tearing_down.get() {
            return;
        }
        if due {
            let next = self
                .slots
                .borrow()
                .iter()
                .flatten()
                .filter_map(|slot| slot.deadline)
                .min();
            self.timer.forget(next);
        }
        self.timer.rearm(&self.engine);
        self.update_references();
    }

    /// The turn that `soon` asked for.
    fn on_turn(&self, state: &State) {
        for key in self.soon.take() {
            self.dispatch(state, key, Wake::default());
        }
        self.update_references();
    }

    fn take_due(&self, now: Instant) -> Vec<u32> {
        let is_due = |slot: &Slot| slot.deadline.is_some_and(|deadline| deadline <= now);
        let slots = self.slots.borrow();
        let keys = (0u32..).zip(slots.iter());
        let due: Vec<u32> = keys
            .filter(|(_, slot)| slot.as_ref().is_some_and(is_due))
            .map(|(key, _)| key)
            .collect();
        drop(slots);
        for key in &due {
            self.change(*key, |slot| slot.deadline = None);
        }
        due
    }

    fn soon_is_referenced(&self) -> bool {
        let slots = self.slots.borrow();
        let is_referenced = |key: &u32| {
            slots
                .get(*key as usize)
                .and_then(Option::as_ref)
                .is_some_and(|slot| slot.referenced)
        };
        self.soon.borrow().iter().any(is_referenced)
    }

    /// Only referenced slots that wait for something keep the process alive.
    fn update_references(&self) {
        if self.tearing_down.get() {
            return;
        }
        let soon = self.soon_is_referenced();
        match &self.engine {
            // A watcher of libuv counts for itself.
            Engine::Uv(uv) => {
                uv.set_timer_referenced(self.timed.get() > 0);
                uv.set_turn_referenced(soon);
            }
            Engine::Thread(thread) => thread.set_referenced(soon || self.waiting.get() > 0),
        }
    }

    /// The environment ends: nothing is dispatched any more, and every watcher closes. Whether all is done already; else
    /// the engine calls `State::finish` when it is.
    pub(crate) fn tear_down(&self) -> bool {
        self.tearing_down.set(true);
        let slots = self.slots.take();
        match &self.engine {
            Engine::Uv(uv) => {
                for slot in slots.iter().flatten() {
                    if let Registration::Uv(poll) = &slot.registration {
                        uv.close(*poll);
                    }
                }
                uv.close_own();
                uv.open_handles() == 0
            }
            Engine::Thread(thread) => {
                for slot in slots.iter().flatten() {
                    thread.remove(slot.fd);
                }
                thread.stop();
                true
            }
        }
    }
}
