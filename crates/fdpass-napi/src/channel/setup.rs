//! The memory that batches are written to, and the functions that take them.

use napi::sys::{TypedarrayType, napi_env, napi_value};

use fdpass::link::Budget;

use crate::error::Failure;
use crate::js::{self, Elements, Entry, Reference};

/// What `channelSetup` was given. The arrays are JavaScript's; the references keep them alive and V8 does not move them.
#[derive(Debug)]
pub(super) struct Setup {
    env: napi_env,
    slab: Elements,
    meta: Elements,
    fds: Elements,
    _arrays: [Reference; 3],
    on_batch: Reference,
    on_event: Reference,
    entry: Entry,
    budget: Budget,
    share: usize,
}

/// Views of the arrays that are shared with JavaScript.
pub(super) struct Shared<'call> {
    pub(super) slab: &'call mut [u8],
    pub(super) meta: &'call mut [i32],
    pub(super) fds: &'call mut [i32],
}

/// Integers of one message (`RECORD` in `src/native-types.ts`).
pub(super) const RECORD_SIZE: usize = 10;

impl Setup {
    /// `arrays`: slab, meta, fds; `functions`: `onBatch`, `onEvent`.
    pub(super) fn new(
        env: napi_env,
        on_thread: bool,
        arrays: [napi_value; 3],
        functions: [napi_value; 2],
    ) -> Result<Self, Failure> {
        let [slab, meta, fds] = arrays;
        let [on_batch, on_event] = functions;
        let meta_elements = js::typed_array(env, meta, TypedarrayType::int32_array);
        let fds_elements = js::typed_array(env, fds, TypedarrayType::int32_array);
        let budget = Budget::of_this_process();
        Ok(Self {
            env,
            slab: js::typed_array(env, slab, TypedarrayType::uint8_array),
            meta: meta_elements,
            fds: fds_elements,
            _arrays: [
                Reference::new(env, slab)?,
                Reference::new(env, meta)?,
                Reference::new(env, fds)?,
            ],
            on_batch: Reference::new(env, on_batch)?,
            on_event: Reference::new(env, on_event)?,
            entry: Entry::new(env, on_thread)?,
            share: Budget::share_of_this_process(),
            budget: Budget {
                messages: meta_elements.1.saturating_sub(1) / RECORD_SIZE,
                fds: budget.fds.min(fds_elements.1),
                ..budget
            },
        })
    }

    /// The arrays, until JavaScript runs again.
    pub(super) fn shared<'call>(&self) -> Shared<'call> {
        Shared {
            slab: js::view(self.slab),
            meta: js::view(self.meta),
            fds: js::view(self.fds),
        }
    }

    /// What one batch may bring.
    pub(super) const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The descriptors that one channel may have taken in and not handed out: a part of what the process may have open.
    pub(super) const fn share(&self) -> usize {
        self.share
    }

    pub(super) const fn env(&self) -> napi_env {
        self.env
    }

    pub(super) fn call_on_batch(&self, arguments: &[napi_value]) {
        self.entry.call(self.on_batch.value(), arguments);
    }

    /// `onEvent(handle, event, a, b)`
    pub(super) fn event(&self, handle: usize, event: i32, a: f64, error: Option<&Failure>) {
        let b = error.map_or_else(
            || js::undefined(self.env),
            |failure| failure.to_js(self.env),
        );
        self.event_with(handle, event, a, b);
    }

    pub(super) fn event_with(&self, handle: usize, event: i32, a: f64, b: napi_value) {
        let env = self.env;
        let handle = i32::try_from(handle).unwrap_or(0);
        let arguments = [
            js::int(env, handle),
            js::int(env, event),
            js::number(env, a),
            b,
        ];
        self.entry.call(self.on_event.value(), &arguments);
    }
}
