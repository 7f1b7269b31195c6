//! The manager's own copies of the connections it gave away, by slot.

use std::os::fd::OwnedFd;
use std::time::Instant;

use super::peer::Peer;
use super::verdict::Mark;

/// How many bits of a [`SlotId`] are the place in the table; the rest is the generation.
const INDEX_BITS: u32 = 20;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;

/// Names one handing-over of one connection on the wire. A connection that goes to another worker gets another id, so a
/// late word of the first worker names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(pub u32);

impl SlotId {
    const fn index(self) -> usize {
        (self.0 & INDEX_MASK) as usize
    }
}

/// A connection and what is remembered of it.
#[derive(Debug)]
pub struct Connection {
    /// The manager's copy.
    pub fd: OwnedFd,
    /// The number of the listener it came from.
    pub listener: u16,
    /// The client.
    pub peer: Peer,
    /// The worker that has it ([`super::WorkerId`]), or nobody yet.
    pub worker: Option<u32>,
    /// Bytes that a worker had read and that the next one gets before what is in the socket.
    pub prefix: Box<[u8]>,
    /// First bytes as they were seen, still in the socket when it was accepted: for a replay.
    pub seen: Box<[u8]>,
    /// Whether the caller was asked whether it may come in, and let it: it is asked once.
    pub admitted: bool,
    /// Whether it was given to a second worker after a first one had read its request.
    pub replayed: bool,
    /// What had gone through it when the present worker got it.
    pub mark: Mark,
    /// When it was accepted.
    pub accepted: Instant,
}

impl Connection {
    /// One that no worker had yet from the manager.
    pub(super) fn new(fd: OwnedFd, listener: u16, peer: Peer, accepted: Instant) -> Self {
        Self {
            fd,
            listener,
            peer,
            worker: None,
            prefix: Box::default(),
            seen: Box::default(),
            admitted: false,
            replayed: false,
            mark: Mark::default(),
            accepted,
        }
    }
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    connection: Option<Connection>,
}

/// The table of held connections.
#[derive(Debug, Default)]
pub struct Held {
    slots: Vec<Slot>,
    free: Vec<u32>,
    count: usize,
}

impl Held {
    /// How many connections are held.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether none is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether [`Held::insert`] would refuse: 2^20 are held.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.free.is_empty() && self.slots.len() > INDEX_MASK as usize
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.slots
            .iter()
            .filter_map(|slot| slot.connection.as_ref())
    }

    /// Takes a connection in.
    ///
    /// # Errors
    /// The connection, when the table is full.
    pub fn insert(&mut self, connection: Connection) -> Result<SlotId, Connection> {
        let index = match self.free.pop() {
            Some(index) => index,
            None => match u32::try_from(self.slots.len()) {
                Ok(index) if index <= INDEX_MASK => {
                    self.slots.push(Slot {
                        generation: 0,
                        connection: None,
                    });
                    index
                }
                _ => return Err(connection),
            },
        };
        let slot = &mut self.slots[index as usize];
        slot.connection = Some(connection);
        self.count += 1;
        Ok(id(index, slot.generation))
    }

    fn slot(&self, slot: SlotId) -> Option<&Slot> {
        self.slots
            .get(slot.index())
            .filter(|found| found.generation == slot.0 >> INDEX_BITS)
    }

    fn slot_mut(&mut self, slot: SlotId) -> Option<&mut Slot> {
        self.slots
            .get_mut(slot.index())
            .filter(|found| found.generation == slot.0 >> INDEX_BITS)
    }

    /// The connection of a slot, unless the id is an old one.
    #[must_use]
    pub fn get(&self, slot: SlotId) -> Option<&Connection> {
        self.slot(slot)?.connection.as_ref()
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, slot: SlotId) -> Option<&mut Connection> {
        self.slot_mut(slot)?.connection.as_mut()
    }

    /// Takes a connection out; dropping it closes the copy.
    pub fn remove(&mut self, slot: SlotId) -> Option<Connection> {
        let found = self.slot_mut(slot)?;
        let connection = found.connection.take()?;
        found.generation = next(found.generation);
        self.free.push(slot.0 & INDEX_MASK);
        self.count -= 1;
        Some(connection)
    }

    /// Another id for the same connection; the old one names nothing from now on.
    pub fn renew(&mut self, slot: SlotId) -> Option<SlotId> {
        let found = self.slot_mut(slot)?;
        found.connection.as_ref()?;
        found.generation = next(found.generation);
        Some(id(slot.0 & INDEX_MASK, found.generation))
    }

    /// The slots of one worker.
    #[must_use]
    pub fn of_worker(&self, worker: u32) -> Vec<SlotId> {
        self.slots
            .iter()
            .zip(0u32..)
            .filter(|(slot, _)| {
                slot.connection
                    .as_ref()
                    .is_some_and(|connection| connection.worker == Some(worker))
            })
            .map(|(slot, index)| id(index, slot.generation))
            .collect()
    }
}

const fn id(index: u32, generation: u32) -> SlotId {
    SlotId(generation << INDEX_BITS | index)
}

const fn next(generation: u32) -> u32 {
    (generation + 1) & (u32::MAX >> INDEX_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    fn connection(worker: Option<u32>) -> Connection {
        let file = File::open("/dev/null").expect("/dev/null");
        Connection {
            worker,
            ..Connection::new(file.into(), 0, Peer::Unix, Instant::now())
        }
    }

    #[test]
    fn an_old_id_names_nothing() {
        let mut held = Held::default();
        let first = held.insert(connection(None)).expect("room");
        let second = held.renew(first).expect("it is there");
        assert_ne!(first, second);
        assert!(held.get(first).is_none() && held.remove(first).is_none());
        assert!(held.remove(second).is_some());
        let third = held.insert(connection(None)).expect("room");
        assert_eq!(third.index(), first.index(), "the place is used again");
        assert!(held.get(first).is_none() && held.get(second).is_none());
        assert_eq!(held.len(), 1);
    }

    #[test]
    fn generations_wrap_without_touching_the_place() {
        let mut held = Held::default();
        let mut slot = held.insert(connection(None)).expect("room");
        for _ in 0..5000 {
            slot = held.renew(slot).expect("it is there");
        }
        assert_eq!(slot.index(), 0);
        assert!(held.get(slot).is_some());
    }

    #[test]
    fn the_slots_of_a_worker_are_its_own() {
        let mut held = Held::default();
        let mine: Vec<_> = (0..3)
            .map(|_| held.insert(connection(Some(7))).expect("room"))
            .collect();
        let other = held.insert(connection(Some(8))).expect("room");
        held.remove(mine[1]);
        assert_eq!(held.of_worker(7), [mine[0], mine[2]]);
        assert_eq!(held.of_worker(8), [other]);
        assert!(held.of_worker(9).is_empty());
    }
}
