//! What a manager tells JavaScript (`PreforkEvent` in `src/prefork/native-types.ts`).

use fdpass::prefork::manager::Event;
use napi::sys::{TypedarrayType, napi_value};

use super::Watched;
use crate::error::Failure;
use crate::js;
use crate::prefork::message_parts;
use crate::state::State;

impl Watched {
    pub(super) fn tell(&self, state: &State, event: Event) {
        let number = |id: u32| f64::from(id);
        match event {
            Event::Ready(id) => self.event(1, number(id), None),
            Event::Drained(id) => self.event(2, number(id), None),
            Event::Suspect(id) => self.event(3, number(id), None),
            Event::Recovered(id) => self.event(4, number(id), None),
            Event::Hung(id) => self.event(5, number(id), None),
            Event::ChannelEnded(id, error) => {
                let failure = error.map(Failure::from);
                let error = failure.map(|failure| failure.to_js(self.env));
                self.event(6, number(id), error);
            }
            Event::Message {
                from,
                data,
                fds,
                damage,
            } => {
                let [bytes, numbers] = message_parts(state, &data, fds, damage);
                self.event_with(7, number(from), bytes, numbers);
            }
            Event::Pressure(errno) => {
                let name = js::string(self.env, fdpass::error::errno_name(errno));
                self.event(8, 0.0, Some(name));
            }
            Event::ListenerFailed(listener, errno) => {
                let name = js::string(self.env, fdpass::error::errno_name(errno));
                self.event(9, f64::from(listener), Some(name));
            }
            Event::Saturated => self.event(10, 0.0, None),
            Event::Accepting => self.event(11, 0.0, None),
            Event::Inherited {
                worker,
                reassigned,
                replayed,
                closed,
            } => {
                let counts = [reassigned, replayed, closed].map(u32::cast_signed);
                let array = js::new_typed_array(self.env, TypedarrayType::int32_array, 3, |into| {
                    into.copy_from_slice(&counts);
                });
                self.event(12, number(worker), array);
            }
            _ => {}
        }
    }

    /// `onEvent(kind, number, what, fds)`
    fn event(&self, kind: i32, number: f64, what: Option<napi_value>) {
        self.event_with(kind, number, what, None);
    }

    fn event_with(
        &self,
        kind: i32,
        number: f64,
        what: Option<napi_value>,
        fds: Option<napi_value>,
    ) {
        let env = self.env;
        let arguments = [
            js::int(env, kind),
            js::number(env, number),
            what.unwrap_or_else(|| js::undefined(env)),
            fds.unwrap_or_else(|| js::undefined(env)),
        ];
        self.entry.call(self.on_event.value(), &arguments);
    }
}
