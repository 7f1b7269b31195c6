//! What manager and workers say to each other: the payloads of ordinary channel messages.
//!
//! `docs/prefork.md` is the specification. Pure over bytes; all numbers little-endian. The first byte says what it is.
//! An unknown one is passed over, so that versions can differ.

mod record;

pub use record::{Batch, Connections, Record};

/// The most connections of one message.
pub const MAX_BATCH: usize = 64;
/// The bytes of one connection in [`CONNECTIONS`].
pub const RECORD_BYTES: usize = 32;
/// The worker number that stands for the manager.
pub const TO_MANAGER: u32 = 0xffff_ffff;
/// The worker number that stands for every other worker.
pub const TO_ALL: u32 = 0xffff_fffe;
/// In [`RELEASED`]: whichever worker the policy chooses.
pub const TO_ANY: u32 = 0xffff_ffff;

/// Manager: connections, one descriptor each. `u8 kind, u8, u16 count`, `count` records, then their first bytes.
pub const CONNECTIONS: u8 = 0x01;
/// Manager: listening sockets to accept from. `u8 kind, u8, u16 count`, `count × u32 listener`.
pub const LISTENERS: u8 = 0x02;
/// Manager: are you there? `u8 kind, 3 × u8, u32 number`.
pub const PING: u8 = 0x03;
/// Manager: finish. `u8 kind, u8 flags (1: hand idle connections back), 2 × u8, u32 milliseconds`.
pub const DRAIN: u8 = 0x04;
/// Both: a message of the application. `u8 kind, u8, u16 descriptors that were lost on the way to the manager, u32 worker
/// (from, or to), bytes`; descriptors as they are, none when some were lost.
pub const MESSAGE: u8 = 0x05;

/// Worker: I can take connections. `u8 kind`.
pub const READY: u8 = 0x81;
/// Worker: these are closed. `u8 kind, 3 × u8, u32 received in all, n × u32 slot`.
pub const CLOSED: u8 = 0x82;
/// Worker: I have not closed this one and I do not want it. `u8 kind, u8 flags (1: for want of descriptors), 2 × u8,
/// u32 slot, u32 worker, bytes already read`.
pub const RELEASED: u8 = 0x83;
/// Worker: how busy I am. `u8 kind, 7 × u8, f64 load`.
pub const LOAD: u8 = 0x84;
/// Worker: I am here. `u8 kind, 3 × u8, u32 number of the ping`.
pub const PONG: u8 = 0x85;
/// Worker: I hold no connection any more and take none. `u8 kind`.
pub const DRAINED: u8 = 0x86;
/// Worker: when my process has ended, the connections that I had accepted myself come from this Unix stream socket, each
/// as one byte with one descriptor, until its end. `u8 kind, 3 × u8, u32 pid of who sends them`, one descriptor.
pub const KEEPER: u8 = 0x87;

/// What a manager said.
#[derive(Debug)]
#[non_exhaustive]
pub enum FromManager<'a> {
    /// Connections.
    Connections(Connections<'a>),
    /// Listening sockets to accept from, by number.
    Listeners(Vec<u32>),
    /// Answer with a pong of this number.
    Ping(u32),
    /// Finish; hand idle connections back if `hand_back`, and be gone within `millis`.
    Drain {
        /// Idle connections go to others.
        hand_back: bool,
        /// What is left then is cut.
        millis: u32,
    },
    /// A message of the application.
    Message {
        /// The worker it comes from, or [`TO_MANAGER`].
        from: u32,
        /// How many descriptors it had before they were lost on their way to the manager.
        lost: u16,
        /// The bytes.
        data: &'a [u8],
    },
    /// Of a later version.
    Unknown(u8),
}

/// Reads what a manager said. `None`: it is not a message of this protocol.
#[must_use]
pub fn from_manager(payload: &[u8]) -> Option<FromManager<'_>> {
    let (&kind, _) = payload.split_first()?;
    Some(match kind {
        CONNECTIONS => {
            let count = usize::from(u16_in(payload, 2)?);
            let end = 4 + count * RECORD_BYTES;
            FromManager::Connections(Connections::new(payload.get(4..end)?, &payload[end..]))
        }
        LISTENERS => {
            let count = usize::from(u16_in(payload, 2)?);
            FromManager::Listeners(words(payload.get(4..4 + count * 4)?).collect())
        }
        PING => FromManager::Ping(u32_in(payload, 4)?),
        DRAIN => FromManager::Drain {
            hand_back: payload.get(1)? & 1 != 0,
            millis: u32_in(payload, 4)?,
        },
        MESSAGE => FromManager::Message {
            from: u32_in(payload, 4)?,
            lost: u16_in(payload, 2)?,
            data: &payload[8..],
        },
        kind => FromManager::Unknown(kind),
    })
}

/// What a worker said.
#[derive(Debug)]
#[non_exhaustive]
pub enum FromWorker<'a> {
    /// It can take connections.
    Ready,
    /// Connections it has closed, and how many it has received in all (modulo 2^32).
    Closed {
        /// Since it started.
        received: u32,
        /// Four bytes each; see [`words`].
        slots: &'a [u8],
    },
    /// A connection it hands back.
    Released {
        /// Which.
        slot: u32,
        /// Whom to give it to, or [`TO_ANY`].
        to: u32,
        /// What it had read of it.
        prefix: &'a [u8],
        /// It has no free descriptor: let it rest.
        no_room: bool,
    },
    /// How busy it is.
    Load(f64),
    /// It is there.
    Pong(u32),
    /// It holds nothing and takes nothing.
    Drained,
    /// What it had accepted itself comes from the descriptor of this message when its process has ended.
    Keeper {
        /// The process that sends it.
        pid: u32,
    },
    /// A message of the application.
    Message {
        /// The worker it is for, [`TO_MANAGER`] or [`TO_ALL`].
        to: u32,
        /// The bytes.
        data: &'a [u8],
    },
    /// Of a later version.
    Unknown(u8),
}

/// Reads what a worker said. `None`: it is not a message of this protocol.
#[must_use]
pub fn from_worker(payload: &[u8]) -> Option<FromWorker<'_>> {
    let (&kind, _) = payload.split_first()?;
    Some(match kind {
        READY => FromWorker::Ready,
        CLOSED => FromWorker::Closed {
            received: u32_in(payload, 4)?,
            slots: &payload[8..],
        },
        RELEASED => FromWorker::Released {
            slot: u32_in(payload, 4)?,
            to: u32_in(payload, 8)?,
            prefix: &payload[12..],
            no_room: payload.get(1)? & 1 != 0,
        },
        LOAD => FromWorker::Load(f64::from_bits(
            u64::from(u32_in(payload, 8)?) | u64::from(u32_in(payload, 12)?) << 32,
        )),
        PONG => FromWorker::Pong(u32_in(payload, 4)?),
        DRAINED => FromWorker::Drained,
        KEEPER => FromWorker::Keeper {
            pid: u32_in(payload, 4)?,
        },
        MESSAGE => FromWorker::Message {
            to: u32_in(payload, 4)?,
            data: &payload[8..],
        },
        kind => FromWorker::Unknown(kind),
    })
}

/// [`KEEPER`].
#[must_use]
pub fn keeper(pid: u32) -> [u8; 8] {
    with_word([KEEPER, 0, 0, 0], pid)
}

/// [`PING`] or [`PONG`].
#[must_use]
pub fn beat(kind: u8, number: u32) -> [u8; 8] {
    with_word([kind, 0, 0, 0], number)
}

/// [`DRAIN`].
#[must_use]
pub fn drain(hand_back: bool, millis: u32) -> [u8; 8] {
    with_word([DRAIN, u8::from(hand_back), 0, 0], millis)
}

/// [`LOAD`].
#[must_use]
pub fn load(load: f64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[0] = LOAD;
    bytes[8..].copy_from_slice(&load.to_le_bytes());
    bytes
}

/// [`CLOSED`].
#[must_use]
pub fn closed(received: u32, slots: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + slots.len() * 4);
    bytes.extend_from_slice(&with_word([CLOSED, 0, 0, 0], received));
    for slot in slots {
        bytes.extend_from_slice(&slot.to_le_bytes());
    }
    bytes
}

/// [`RELEASED`].
#[must_use]
pub fn released(slot: u32, to: u32, prefix: &[u8], no_room: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(12 + prefix.len());
    bytes.extend_from_slice(&with_word([RELEASED, u8::from(no_room), 0, 0], slot));
    bytes.extend_from_slice(&to.to_le_bytes());
    bytes.extend_from_slice(prefix);
    bytes
}

/// [`MESSAGE`].
#[must_use]
pub fn message(worker: u32, data: &[u8]) -> Vec<u8> {
    damaged(worker, 0, data)
}

/// [`MESSAGE`] of which `lost` descriptors were lost.
#[must_use]
pub fn damaged(worker: u32, lost: u16, data: &[u8]) -> Vec<u8> {
    let [low, high] = lost.to_le_bytes();
    let mut bytes = Vec::with_capacity(8 + data.len());
    bytes.extend_from_slice(&with_word([MESSAGE, 0, low, high], worker));
    bytes.extend_from_slice(data);
    bytes
}

/// [`LISTENERS`].
#[must_use]
pub fn listeners(numbers: &[u32]) -> Vec<u8> {
    let count = u16::try_from(numbers.len()).unwrap_or(u16::MAX);
    let [low, high] = count.to_le_bytes();
    let mut bytes = vec![LISTENERS, 0, low, high];
    for number in numbers {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes
}

/// Numbers of four bytes each. What is left over is passed over.
pub fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.chunks_exact(4).map(|four| u32_at(four, 0))
}

fn with_word(start: [u8; 4], word: u32) -> [u8; 8] {
    let word = word.to_le_bytes();
    [
        start[0], start[1], start[2], start[3], word[0], word[1], word[2], word[3],
    ]
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u16_in(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).map(|bytes| u16_at(bytes, 0))
}

fn u32_in(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).map(|bytes| u32_at(bytes, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prefork::Peer;

    fn record(slot: u32, peer: Peer) -> Record {
        Record {
            slot,
            listener: 3,
            peer,
            prefix: 0,
        }
    }

    #[test]
    fn a_batch_is_what_it_was() {
        let v4 = Peer::Inet("10.1.2.3:65535".parse().expect("address"));
        let v6 = Peer::Inet("[2001:db8::7]:80".parse().expect("address"));
        let mut batch = Batch::default();
        for _ in 0..2 {
            batch.clear();
            batch.push(record(7, v4), b"GET");
            batch.push(record(8, v6), b"");
            batch.push(record(9, Peer::Unix), b"HEAD");
            let Some(FromManager::Connections(connections)) = from_manager(batch.finish()) else {
                panic!("connections");
            };
            let got: Vec<_> = connections
                .map(|(r, p)| (r.slot, r.listener, r.peer, p))
                .collect();
            let expected: [(u32, u16, Peer, &[u8]); 3] = [
                (7, 3, v4, b"GET"),
                (8, 3, v6, b""),
                (9, 3, Peer::Unix, b"HEAD"),
            ];
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn a_batch_as_bytes() {
        let mut batch = Batch::default();
        batch.clear();
        batch.push(
            record(
                0x0102_0304,
                Peer::Inet("1.2.3.4:258".parse().expect("address")),
            ),
            b"x",
        );
        let expected = [
            1, 0, 1, 0, 4, 3, 2, 1, 3, 0, 4, 0, 1, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            0, 0xff, 0xff, 1, 2, 3, 4, b'x',
        ];
        assert_eq!(batch.finish(), expected);
    }

    #[test]
    fn words_of_a_worker_are_what_they_were() {
        let bytes = closed(70, &[1, 0xffff_fff0]);
        let Some(FromWorker::Closed {
            received: 70,
            slots,
        }) = from_worker(&bytes)
        else {
            panic!("closed");
        };
        assert_eq!(words(slots).collect::<Vec<_>>(), [1, 0xffff_fff0]);
        let bytes = released(5, TO_ANY, b"abc", true);
        assert!(matches!(
            from_worker(&bytes),
            Some(FromWorker::Released {
                slot: 5,
                to: TO_ANY,
                prefix: b"abc",
                no_room: true
            })
        ));
        assert!(
            matches!(from_worker(&load(0.25)), Some(FromWorker::Load(load)) if load.to_bits() == 0.25f64.to_bits())
        );
        assert!(matches!(
            from_worker(&keeper(77)),
            Some(FromWorker::Keeper { pid: 77 })
        ));
        assert!(matches!(
            from_worker(&beat(PONG, 9)),
            Some(FromWorker::Pong(9))
        ));
        assert!(matches!(
            from_worker(&message(TO_ALL, b"hi")),
            Some(FromWorker::Message {
                to: TO_ALL,
                data: b"hi"
            })
        ));
        assert!(matches!(
            from_manager(&drain(true, 500)),
            Some(FromManager::Drain {
                hand_back: true,
                millis: 500
            })
        ));
        assert!(
            matches!(from_manager(&listeners(&[4, 5])), Some(FromManager::Listeners(list)) if list == [4, 5])
        );
    }

    #[test]
    fn every_prefix_of_every_message_is_refused_or_understood_and_never_panics() {
        let mut batch = Batch::default();
        batch.clear();
        batch.push(record(1, Peer::Unix), b"abcdef");
        let messages = [
            batch.finish().to_vec(),
            closed(1, &[2, 3]),
            released(1, 2, b"x", false),
            message(1, b"y"),
            listeners(&[1, 2]),
            beat(PING, 1).to_vec(),
            load(1.0).to_vec(),
        ];
        for bytes in messages {
            for end in 0..bytes.len() {
                if let Some(FromManager::Connections(connections)) = from_manager(&bytes[..end]) {
                    assert_eq!(connections.count(), 0, "a prefix that is not there");
                }
                if let Some(FromWorker::Closed { slots, .. }) = from_worker(&bytes[..end]) {
                    assert!(words(slots).count() <= 2);
                }
            }
        }
        assert!(from_manager(&[]).is_none() && from_worker(&[]).is_none());
        assert!(matches!(
            from_worker(&[0x99]),
            Some(FromWorker::Unknown(0x99))
        ));
    }
}
