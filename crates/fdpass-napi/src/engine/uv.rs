//! libuv, called raw: `uv_poll`, one `uv_timer` and one `uv_idle` on the environment's own loop.
//!
//! No layout of libuv is known here: handles are allocated by `uv_handle_size` and freed in their close callback. The
//! functions are looked up by name once the runtime is known to be Node or Electron.
#![expect(
    unsafe_code,
    reason = "libuv is a C interface; each block names the fact that makes its call sound"
)]

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::panic::{self, AssertUnwindSafe};
use std::ptr;
use std::sync::OnceLock;
use std::time::Instant;

use super::{Interest, Wake};
use crate::error::Failure;
use crate::js;
use crate::state::{self, State};

// `enum uv_handle_type` and `enum uv_poll_event` of `uv.h`: part of libuv's stable ABI since 1.0.
const UV_IDLE: c_int = 6;
const UV_POLL: c_int = 8;
const UV_TIMER: c_int = 13;
const UV_READABLE: c_int = 1;
const UV_WRITABLE: c_int = 2;

type Handle = *mut c_void;
type PollCallback = unsafe extern "C" fn(Handle, c_int, c_int);
type HandleCallback = unsafe extern "C" fn(Handle);

macro_rules! functions {
    ($($name:ident: $symbol:literal fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        #[derive(Clone, Copy, Debug)]
        struct Functions {
            $($name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Functions {
            fn look_up() -> Result<Self, Failure> {
                Ok(Self {
                    $($name: {
                        let address = symbol($symbol)?;
                        // SAFETY: the symbol of this name has this signature in every libuv 1.x (`uv.h`).
                        unsafe {
                            mem::transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) $(-> $result)?>(address)
                        }
                    },)*
                })
            }
        }
    };
}

functions! {
    handle_size: c"uv_handle_size" fn(c_int) -> usize;
    set_data: c"uv_handle_set_data" fn(Handle, *mut c_void);
    get_data: c"uv_handle_get_data" fn(Handle) -> *mut c_void;
    reference: c"uv_ref" fn(Handle);
    unreference: c"uv_unref" fn(Handle);
    close: c"uv_close" fn(Handle, HandleCallback);
    poll_init: c"uv_poll_init" fn(*mut c_void, Handle, c_int) -> c_int;
    poll_start: c"uv_poll_start" fn(Handle, c_int, PollCallback) -> c_int;
    poll_stop: c"uv_poll_stop" fn(Handle) -> c_int;
    idle_init: c"uv_idle_init" fn(*mut c_void, Handle) -> c_int;
    idle_start: c"uv_idle_start" fn(Handle, HandleCallback) -> c_int;
    idle_stop: c"uv_idle_stop" fn(Handle) -> c_int;
    timer_init: c"uv_timer_init" fn(*mut c_void, Handle) -> c_int;
    timer_start: c"uv_timer_start" fn(Handle, HandleCallback, u64, u64) -> c_int;
    update_time: c"uv_update_time" fn(*mut c_void);
    error_name: c"uv_err_name" fn(c_int) -> *const c_char;
}

/// Addresses, the same for every environment of the process: a constant that is known only at run time.
static FUNCTIONS: OnceLock<Functions> = OnceLock::new();

fn symbol(name: &CStr) -> Result<*mut c_void, Failure> {
    // SAFETY: the name is a C string.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    if address.is_null() {
        return Err(Failure::new(
            "ERR_FDPASS_UNSUPPORTED_RUNTIME",
            format!("This runtime does not export {}", name.to_string_lossy()),
        ));
    }
    Ok(address)
}

/// What a handle's data pointer leads to; freed with the handle.
struct Data {
    state: *const State,
    key: u32,
}

/// A `uv_poll_t`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Poll(Handle);

/// libuv's loop of one environment.
pub(super) struct Uv {
    functions: Functions,
    event_loop: *mut c_void,
    timer: Handle,
    /// Runs once a turn of the loop while it is started. A timer of no time would be run again and again in one turn
    /// (libuv before 1.48), and starve everything else.
    turn: Handle,
    /// Handles whose close callback has not run yet.
    open: Cell<usize>,
}

impl Uv {
    pub(super) fn start(state: &State) -> Result<Self, Failure> {
        let found = Functions::look_up()?;
        let functions = *FUNCTIONS.get_or_init(|| found);
        let event_loop = js::uv_loop(state.env)?;
        let uv = Self {
            functions,
            event_loop,
            timer: ptr::null_mut(),
            turn: ptr::null_mut(),
            open: Cell::new(0),
        };
        let timer = uv.allocate(UV_TIMER, state, 0);
        // SAFETY: the memory is as large as `uv_handle_size` says, the loop is the environment's. It cannot fail.
        unsafe { (functions.timer_init)(event_loop, timer) };
        // SAFETY: initialized above.
        unsafe { (functions.unreference)(timer) };
        let turn = uv.allocate(UV_IDLE, state, 0);
        // SAFETY: as for the timer.
        unsafe { (functions.idle_init)(event_loop, turn) };
        uv.open.set(2);
        Ok(Self { timer, turn, ..uv })
    }

    fn allocate(&self, kind: c_int, state: &State, key: u32) -> Handle {
        // SAFETY: any handle type may be asked for.
        let size = unsafe { (self.functions.handle_size)(kind) };
        // SAFETY: `size` is not zero. Handles are freed by `free` in `on_close`.
        let handle = unsafe { libc::calloc(1, size) };
        if handle.is_null() {
            std::alloc::handle_alloc_error(std::alloc::Layout::new::<Data>());
        }
        let data = Box::into_raw(Box::new(Data { state, key }));
        // SAFETY: the data field is part of every handle and may be set before it is initialized.
        unsafe { (self.functions.set_data)(handle, data.cast()) };
        handle
    }

    /// Watches `fd`; libuv makes it non-blocking.
    pub(super) fn poll(
        &self,
        state: &State,
        fd: BorrowedFd<'_>,
        key: u32,
    ) -> Result<Poll, Failure> {
        let handle = self.allocate(UV_POLL, state, key);
        // SAFETY: as in `start`; the descriptor stays open until `close` (contract of `Loop::open`).
        let status = unsafe { (self.functions.poll_init)(self.event_loop, handle, fd.as_raw_fd()) };
        if status < 0 {
            self.free(handle);
            return Err(self.failure(status));
        }
        self.open.set(self.open.get() + 1);
        Ok(Poll(handle))
    }

    fn failure(&self, status: c_int) -> Failure {
        // SAFETY: takes any number.
        let name = unsafe { (self.functions.error_name)(status) };
        // SAFETY: returned a C string, static for every known number; unknown ones are not returned by libuv.
        let name = unsafe { CStr::from_ptr(name) };
        let name = name.to_string_lossy();
        let mut failure = Failure::new(&name, format!("Cannot watch the descriptor: {name}"));
        failure.errno = Some(-status);
        failure.syscall = Some("uv_poll_init");
        failure
    }

    pub(super) fn set_interest(&self, poll: &Poll, interest: Interest) {
        let events = if interest.read { UV_READABLE } else { 0 }
            | if interest.write { UV_WRITABLE } else { 0 };
        if events == 0 {
            // SAFETY: the handle is open.
            unsafe { (self.functions.poll_stop)(poll.0) };
        } else {
            // SAFETY: the handle is open; `on_poll` takes what libuv passes.
            unsafe { (self.functions.poll_start)(poll.0, events, on_poll) };
        }
    }

    pub(super) fn set_referenced(&self, poll: &Poll, on: bool) {
        self.reference(poll.0, on);
    }

    fn reference(&self, handle: Handle, on: bool) {
        let call = if on {
            self.functions.reference
        } else {
            self.functions.unreference
        };
        // SAFETY: the handle is open.
        unsafe { call(handle) };
    }

    /// The descriptor may be closed as soon as this returns (`uv_poll_init` in libuv's documentation).
    pub(super) fn close(&self, poll: Poll) {
        // SAFETY: the handle is open: `Loop` closes each once.
        unsafe { (self.functions.poll_stop)(poll.0) };
        // SAFETY: the same.
        unsafe { (self.functions.close)(poll.0, on_close) };
    }

    pub(super) fn start_timer(&self, deadline: Instant) {
        let wait = deadline.saturating_duration_since(Instant::now());
        // Rounded up, so that the deadline has passed when the timer fires.
        let millis = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        // SAFETY: the loop is the environment's. libuv counts from its own idea of now, which is that of the last turn.
        unsafe { (self.functions.update_time)(self.event_loop) };
        // SAFETY: the timer is open until `close_timer`.
        unsafe { (self.functions.timer_start)(self.timer, on_timer, millis, 0) };
    }

    pub(super) fn set_timer_referenced(&self, on: bool) {
        self.reference(self.timer, on);
    }

    /// Has `Loop::on_turn` called in the next turn.
    pub(super) fn start_turn(&self) {
        // SAFETY: the handle is open until `close_own`.
        unsafe { (self.functions.idle_start)(self.turn, on_turn) };
    }

    pub(super) fn set_turn_referenced(&self, on: bool) {
        self.reference(self.turn, on);
    }

    /// Closes the handles that are not a descriptor's.
    pub(super) fn close_own(&self) {
        for handle in [self.timer, self.turn] {
            // SAFETY: open: called once, when the environment ends.
            unsafe { (self.functions.close)(handle, on_close) };
        }
    }

    pub(super) fn open_handles(&self) -> usize {
        self.open.get()
    }

    fn free(&self, handle: Handle) {
        // SAFETY: libuv does not know the handle, or is through with it (close callback).
        let data = unsafe { (self.functions.get_data)(handle) };
        // SAFETY: made by `allocate`, freed once.
        drop(unsafe { Box::from_raw(data.cast::<Data>()) });
        // SAFETY: the same.
        unsafe { libc::free(handle) };
    }
}

/// The environment and key of a handle that libuv calls back with.
fn data_of<'call>(handle: Handle) -> Option<(&'call State, u32)> {
    let functions = FUNCTIONS.get()?;
    // SAFETY: an open handle of ours.
    let data = unsafe { (functions.get_data)(handle) };
    // SAFETY: made by `allocate`; freed only in `on_close`, after which libuv does not call.
    let data = unsafe { &*data.cast::<Data>() };
    Some((state::at(data.state.cast_mut().cast()), data.key))
}

unsafe extern "C" fn on_poll(handle: Handle, status: c_int, events: c_int) {
    guard(|| {
        let Some((state, key)) = data_of(handle) else {
            return;
        };
        let failed = status < 0;
        let wake = Wake {
            readable: failed || events & UV_READABLE != 0,
            writable: failed || events & UV_WRITABLE != 0,
        };
        if let Some(event_loop) = state.event_loop.get() {
            event_loop.on_readiness(state, key, wake, failed);
        }
    });
}

unsafe extern "C" fn on_timer(handle: Handle) {
    guard(|| {
        let Some((state, _)) = data_of(handle) else {
            return;
        };
        if let Some(event_loop) = state.event_loop.get() {
            event_loop.on_timer(state);
        }
    });
}

unsafe extern "C" fn on_turn(handle: Handle) {
    guard(|| {
        let Some((state, _)) = data_of(handle) else {
            return;
        };
        let Some(event_loop) = state.event_loop.get() else {
            return;
        };
        if let super::Engine::Uv(uv) = &event_loop.engine {
            // SAFETY: the handle is open; who asks for another turn starts it again.
            unsafe { (uv.functions.idle_stop)(handle) };
        }
        event_loop.on_turn(state);
    });
}

unsafe extern "C" fn on_close(handle: Handle) {
    guard(|| {
        let Some((state, _)) = data_of(handle) else {
            return;
        };
        let Some(event_loop) = state.event_loop.get() else {
            return;
        };
        let super::Engine::Uv(uv) = &event_loop.engine else {
            return;
        };
        uv.free(handle);
        uv.open.set(uv.open.get() - 1);
        if event_loop.tearing_down.get() && uv.open.get() == 0 {
            state.finish();
        }
    });
}

/// A panic must not cross into C.
fn guard(body: impl FnOnce()) {
    if panic::catch_unwind(AssertUnwindSafe(body)).is_err() {
        // The panic's own message is on stderr; the loop goes on.
    }
}
