//! Connections in a message.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

#[cfg(doc)]
use super::{CLOSED, RELEASED};
use super::{CONNECTIONS, RECORD_BYTES, u16_at, u32_at};
use crate::prefork::Peer;

/// One connection of [`CONNECTIONS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Names it in [`CLOSED`] and [`RELEASED`].
    pub slot: u32,
    /// The number of the listener it came from.
    pub listener: u16,
    /// The client.
    pub peer: Peer,
    /// How many bytes come before what is in the socket.
    pub prefix: u32,
}

/// `u32 slot, u16 listener, u8 family (0, 4, 6), u8, u32 prefix, u16 port, u16, 16 × u8 address`
impl Record {
    fn encode(&self, into: &mut Vec<u8>) {
        let (family, port, address) = match self.peer {
            Peer::Inet(SocketAddr::V4(v4)) => (4, v4.port(), v4.ip().to_ipv6_mapped().octets()),
            Peer::Inet(SocketAddr::V6(v6)) => (6, v6.port(), v6.ip().octets()),
            Peer::Unix => (0, 0, [0; 16]),
        };
        into.extend_from_slice(&self.slot.to_le_bytes());
        into.extend_from_slice(&self.listener.to_le_bytes());
        into.extend_from_slice(&[family, 0]);
        into.extend_from_slice(&self.prefix.to_le_bytes());
        into.extend_from_slice(&port.to_le_bytes());
        into.extend_from_slice(&[0; 2]);
        into.extend_from_slice(&address);
    }

    fn decode(bytes: &[u8; RECORD_BYTES]) -> Self {
        let octets: [u8; 16] = std::array::from_fn(|i| bytes[16 + i]);
        let v6 = Ipv6Addr::from(octets);
        let ip = match bytes[6] {
            4 => Some(IpAddr::V4(Ipv4Addr::from([
                octets[12], octets[13], octets[14], octets[15],
            ]))),
            6 => Some(IpAddr::V6(v6)),
            _ => None,
        };
        Self {
            slot: u32_at(bytes, 0),
            listener: u16_at(bytes, 4),
            peer: ip.map_or(Peer::Unix, |ip| {
                Peer::Inet(SocketAddr::new(ip, u16_at(bytes, 12)))
            }),
            prefix: u32_at(bytes, 8),
        }
    }
}

/// Builds [`CONNECTIONS`]; its memory is used again.
#[derive(Debug, Default)]
pub struct Batch {
    payload: Vec<u8>,
    prefixes: Vec<u8>,
    count: u16,
}

impl Batch {
    /// Starts over.
    pub fn clear(&mut self) {
        self.payload.clear();
        self.payload.extend_from_slice(&[CONNECTIONS, 0, 0, 0]);
        self.prefixes.clear();
        self.count = 0;
    }

    /// Adds a connection with the bytes that come before what is in its socket.
    pub fn push(&mut self, mut record: Record, prefix: &[u8]) {
        record.prefix = u32::try_from(prefix.len()).unwrap_or(u32::MAX);
        record.encode(&mut self.payload);
        self.prefixes.extend_from_slice(prefix);
        self.count += 1;
    }

    /// The payload.
    pub fn finish(&mut self) -> &[u8] {
        let count = self.count.to_le_bytes();
        self.payload[2..4].copy_from_slice(&count);
        self.payload.append(&mut self.prefixes);
        &self.payload
    }
}

/// The records of [`CONNECTIONS`].
#[derive(Clone, Debug)]
pub struct Connections<'a> {
    records: &'a [u8],
    prefixes: &'a [u8],
    at: usize,
}

impl<'a> Connections<'a> {
    pub(super) const fn new(records: &'a [u8], prefixes: &'a [u8]) -> Self {
        Self {
            records,
            prefixes,
            at: 0,
        }
    }
}

impl<'a> Iterator for Connections<'a> {
    type Item = (Record, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (bytes, rest) = self.records.split_first_chunk::<RECORD_BYTES>()?;
        self.records = rest;
        let record = Record::decode(bytes);
        let end = self.at.checked_add(record.prefix as usize)?;
        let prefix = self.prefixes.get(self.at..end)?;
        self.at = end;
        Some((record, prefix))
    }
}
