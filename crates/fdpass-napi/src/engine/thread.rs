//! A poller thread and a threadsafe function, for Bun and Deno (and for tests on Node).
//!
//! One thread serves every environment of the process. It only says that something is ready; every read and write happens
//! on the environment's own thread.
#![expect(
    unsafe_code,
    reason = "threadsafe functions are a C interface; each block names the fact that makes it sound"
)]

use std::cell::{Cell, OnceCell};
use std::collections::HashMap;
use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::panic::{self, AssertUnwindSafe};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use napi::sys::{self, napi_callback_info, napi_env, napi_threadsafe_function, napi_value};
use polling::{Event, Events, Poller};

use super::{Interest, Wake};
use crate::error::Failure;
use crate::js::{self, Call, Reference, Value};
use crate::state::{self, State};

/// How many events one turn of the poller takes.
const EVENTS_PER_TURN: usize = 256;

/// How long wake-ups may follow one another before the runtime's loop gets a turn. Bun, and Node up to a thousand times,
/// runs threadsafe functions as long as there are calls, and under load there always are: its timers would never fire.
const LONGEST_WITHOUT_TURN: Duration = Duration::from_millis(2);

/// The process's poller: one of its two global objects.
struct Shared {
    poller: Poller,
    ports: Mutex<HashMap<u32, Arc<Port>>>,
}

static SHARED: OnceLock<Shared> = OnceLock::new();
/// Held while the poller is made and its thread started.
static STARTING: Mutex<()> = Mutex::new(());

fn shared() -> io::Result<&'static Shared> {
    let _starting = lock(&STARTING);
    if let Some(shared) = SHARED.get() {
        return Ok(shared);
    }
    let made = Shared {
        poller: Poller::new()?,
        ports: Mutex::default(),
    };
    let shared = SHARED.get_or_init(|| made);
    std::thread::Builder::new()
        .name("fdpass poller".to_owned())
        .stack_size(128 * 1024)
        .spawn(|| run(shared))?;
    Ok(shared)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(shared: &'static Shared) {
    let capacity = NonZeroUsize::new(EVENTS_PER_TURN).unwrap_or(NonZeroUsize::MIN);
    let mut events = Events::with_capacity(capacity);
    loop {
        let due = lock(&shared.ports)
            .values()
            .filter_map(|port| *lock(&port.due))
            .min();
        let timeout = due.map(|due| due.saturating_duration_since(Instant::now()));
        events.clear();
        if shared.poller.wait(&mut events, timeout).is_err() {
            continue;
        }
        for event in events.iter() {
            let (environment, key) = split(event.key);
            let port = lock(&shared.ports).get(&environment).cloned();
            if let Some(port) = port {
                let wake = Wake {
                    readable: event.readable,
                    writable: event.writable,
                };
                add(&mut lock(&port.ready), key, wake);
                port.signal();
            }
        }
        let now = Instant::now();
        let ports: Vec<_> = lock(&shared.ports).values().cloned().collect();
        for port in ports {
            let mut due = lock(&port.due);
            if due.is_some_and(|due| due <= now) {
                *due = None;
                drop(due);
                port.timer.store(true, Ordering::Release);
                port.signal();
            }
        }
    }
}

/// What is ready, each descriptor once: it may be armed anew before it was looked at, and then is seen again.
type ReadySet = HashMap<u32, Wake>;

fn add(ready: &mut ReadySet, key: u32, wake: Wake) {
    let known = ready.entry(key).or_default();
    known.readable |= wake.readable;
    known.writable |= wake.writable;
}

const fn join(environment: u32, key: u32) -> usize {
    ((environment as usize) << 32) | key as usize
}

#[expect(clippy::cast_possible_truncation, reason = "the inverse of `join`")]
const fn split(key: usize) -> (u32, u32) {
    ((key >> 32) as u32, key as u32)
}

/// Where the poller thread leaves what it saw for one environment.
#[derive(Debug)]
pub(crate) struct Port {
    ready: Mutex<ReadySet>,
    due: Mutex<Option<Instant>>,
    timer: AtomicBool,
    signalled: AtomicBool,
    /// Null once the environment has ended.
    function: Mutex<napi_threadsafe_function>,
    /// Null once the environment has ended.
    state: AtomicPtr<State>,
}

// SAFETY: the threadsafe function may be called from any thread, and only under its lock.
unsafe impl Send for Port {}
// SAFETY: the same; `state` is dereferenced on the environment's thread only.
unsafe impl Sync for Port {}

impl Port {
    /// Has `on_wake` called on the environment's thread, once for any number of signals before it runs.
    fn signal(&self) {
        if self.signalled.swap(true, Ordering::AcqRel) {
            return;
        }
        let function = lock(&self.function);
        if !function.is_null() {
            // SAFETY: not released: `stop` sets it to null under this lock before it releases.
            unsafe {
                sys::napi_call_threadsafe_function(
                    *function,
                    ptr::null_mut(),
                    sys::ThreadsafeFunctionCallMode::nonblocking,
                );
            }
        }
    }
}

/// The thread engine of one environment.
pub(super) struct Thread {
    shared: &'static Shared,
    environment: u32,
    port: Arc<Port>,
    env: napi_env,
    referenced: Cell<bool>,
    /// When the runtime's loop was last seen to turn.
    turned: Cell<Option<Instant>>,
    /// `setImmediate` was called, and has not called back.
    turning: Cell<bool>,
    on_turn: OnceCell<Reference>,
}

impl Thread {
    pub(super) fn start(state: &State) -> Result<Self, Failure> {
        let shared = shared()
            .map_err(|error| Failure::internal(format!("Cannot start the poller: {error}")))?;
        let port = Arc::new(Port {
            ready: Mutex::default(),
            due: Mutex::default(),
            timer: AtomicBool::new(false),
            signalled: AtomicBool::new(false),
            function: Mutex::new(ptr::null_mut()),
            state: AtomicPtr::new(ptr::from_ref(state).cast_mut()),
        });
        *lock(&port.function) = make_function(state.env, &port)?;
        let mut ports = lock(&shared.ports);
        // Numbers are used again: an event that is still under way then wakes the wrong environment for nothing.
        let environment = u32::try_from(ports.len()).unwrap_or(u32::MAX);
        let taken = |number: &u32| ports.contains_key(number);
        let environment = (0..environment)
            .find(|number| !taken(number))
            .unwrap_or(environment);
        ports.insert(environment, Arc::clone(&port));
        drop(ports);
        Ok(Self {
            shared,
            environment,
            port,
            env: state.env,
            referenced: Cell::new(false),
            turned: Cell::new(None),
            turning: Cell::new(false),
            on_turn: OnceCell::new(),
        })
    }

    pub(super) fn add(&self, fd: BorrowedFd<'_>, key: u32) -> Result<(), Failure> {
        let event = Event::none(join(self.environment, key));
        // SAFETY: `Loop::close` deletes the descriptor before it is closed (contract of `Loop::open`).
        let added = unsafe { self.shared.poller.add(fd.as_raw_fd(), event) };
        added.map_err(|error| Failure::internal(format!("Cannot watch the descriptor: {error}")))
    }

    /// One shot: it is armed again after every event.
    pub(super) fn set_interest(&self, fd: RawFd, key: u32, interest: Interest) {
        let event = Event::new(join(self.environment, key), interest.read, interest.write);
        // SAFETY: the descriptor is open until `Loop::close`.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        // Fails only for a descriptor that was not added.
        let _modified: io::Result<()> = self.shared.poller.modify(fd, event);
    }

    pub(super) fn remove(&self, fd: RawFd) {
        // SAFETY: the descriptor is open until after `Loop::close`.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let _deleted: io::Result<()> = self.shared.poller.delete(fd);
    }

    pub(super) fn start_timer(&self, deadline: Instant) {
        *lock(&self.port.due) = Some(deadline);
        let _notified: io::Result<()> = self.shared.poller.notify();
    }

    pub(super) fn set_referenced(&self, on: bool) {
        if self.referenced.replace(on) == on {
            return;
        }
        let function = *lock(&self.port.function);
        if function.is_null() {
            return;
        }
        if on {
            // SAFETY: not released; on the environment's thread.
            unsafe { sys::napi_ref_threadsafe_function(self.env, function) };
        } else {
            // SAFETY: the same.
            unsafe { sys::napi_unref_threadsafe_function(self.env, function) };
        }
    }

    /// Whether wake-ups wait for the runtime's loop to turn.
    fn owes_turn(&self) -> bool {
        self.turning.get()
    }

    /// After a wake-up: asks for a turn of the runtime's loop, if there was none for some time. Until it has come the
    /// poller thread does not call; the turn looks at what it has left.
    fn give_turn(&self, state: &State) {
        let now = Instant::now();
        let last = self.turned.get();
        if self.turning.get() || last.is_some_and(|last| now - last < LONGEST_WITHOUT_TURN) {
            return;
        }
        self.turned.set(Some(now));
        if self.on_turn.get().is_none()
            && let Ok(function) = js::new_function(state, turn)
        {
            self.on_turn.get_or_init(|| function);
        }
        let Some(on_turn) = self.on_turn.get() else {
            return;
        };
        if js::set_immediate(self.env, on_turn.value()) {
            self.turning.set(true);
            self.port.signalled.store(true, Ordering::Release);
        }
    }

    /// The environment ends: the poller thread forgets it.
    pub(super) fn stop(&self) {
        lock(&self.shared.ports).remove(&self.environment);
        self.port.state.store(ptr::null_mut(), Ordering::Release);
        let mut function = lock(&self.port.function);
        if !function.is_null() {
            // SAFETY: not released before: set to null under this lock.
            unsafe {
                sys::napi_release_threadsafe_function(
                    *function,
                    sys::ThreadsafeFunctionReleaseMode::abort,
                );
            }
            *function = ptr::null_mut();
        }
    }
}

fn make_function(env: napi_env, port: &Arc<Port>) -> Result<napi_threadsafe_function, Failure> {
    let mut function = ptr::null_mut();
    let name = js::string(env, "fdpass");
    let context = Arc::into_raw(Arc::clone(port)).cast_mut().cast::<c_void>();
    // SAFETY: `context` stays alive until `finalize`, which Node-API calls once.
    let status = unsafe {
        sys::napi_create_threadsafe_function(
            env,
            ptr::null_mut(),
            ptr::null_mut(),
            name,
            0,
            1,
            context,
            Some(finalize),
            context,
            Some(on_wake),
            &raw mut function,
        )
    };
    if status != sys::Status::napi_ok {
        // SAFETY: the function was not made, so that nobody else frees the context.
        drop(unsafe { Arc::from_raw(context.cast_const().cast::<Port>()) });
        return Err(Failure::internal("Cannot make a threadsafe function"));
    }
    // SAFETY: made above; nothing waits yet, so that it must not keep the process alive.
    unsafe { sys::napi_unref_threadsafe_function(env, function) };
    Ok(function)
}

unsafe extern "C" fn finalize(_env: napi_env, _data: *mut c_void, context: *mut c_void) {
    // SAFETY: the context of `make_function`; finalized once.
    drop(unsafe { Arc::from_raw(context.cast_const().cast::<Port>()) });
}

unsafe extern "C" fn on_wake(
    env: napi_env,
    _callback: napi_value,
    context: *mut c_void,
    _data: *mut c_void,
) {
    // Null: the environment is going away.
    if env.is_null() {
        return;
    }
    // SAFETY: the context of `make_function`, alive until `finalize`.
    let port = unsafe { &*context.cast_const().cast::<Port>() };
    let pointer = port.state.load(Ordering::Acquire);
    if pointer.is_null() {
        return;
    }
    // A panic must not cross into C; its own message is on stderr.
    let _caught = panic::catch_unwind(AssertUnwindSafe(|| wake(state::at(pointer.cast()), port)));
}

extern "C" fn turn(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 0>| {
        if let Some(thread) = thread_of(call.state) {
            thread.turning.set(false);
            thread.turned.set(Some(Instant::now()));
            wake(call.state, &thread.port);
        }
        Ok(Value::Undefined)
    })
}

fn thread_of(state: &State) -> Option<&Thread> {
    match &state.event_loop.get()?.engine {
        super::Engine::Thread(thread) => Some(thread),
        super::Engine::Uv(_) => None,
    }
}

fn wake(state: &State, port: &Port) {
    // Else `signalled` stays set, and the turn is the next to look.
    if thread_of(state).is_some_and(Thread::owes_turn) {
        return;
    }
    port.signalled.store(false, Ordering::Release);
    let ready = std::mem::take(&mut *lock(&port.ready));
    let timer = port.timer.swap(false, Ordering::AcqRel);
    let Some(event_loop) = state.event_loop.get() else {
        return;
    };
    let begun = Instant::now();
    let mut ready = ready.into_iter();
    for (key, wake) in ready.by_ref() {
        event_loop.on_readiness(state, key, wake, true);
        if begun.elapsed() >= LONGEST_WITHOUT_TURN {
            break;
        }
    }
    let is_cut = ready.len() > 0;
    if is_cut {
        let mut later = lock(&port.ready);
        ready.for_each(|(key, wake)| add(&mut later, key, wake));
    }
    if timer {
        event_loop.on_timer(state);
    }
    if let Some(thread) = thread_of(state) {
        thread.give_turn(state);
        if is_cut && !thread.owes_turn() {
            port.signal();
        }
    }
}
