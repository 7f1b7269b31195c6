use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

use crate::sys::RawAddress;

/// Who is at the other end of an accepted connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A TCP client.
    Inet(SocketAddr),
    /// A client of a Unix listener, or of a family this library does not know.
    Unix,
}

impl Peer {
    pub(super) fn from_raw(address: &RawAddress) -> Self {
        match address {
            RawAddress::Inet(address) => Self::Inet(*address),
            RawAddress::Unix(_) | RawAddress::Other => Self::Unix,
        }
    }

    /// The address without the port, IPv4 in IPv6 as IPv4: one client, one value.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Inet(address) => Some(address.ip().to_canonical()),
            Self::Unix => None,
        }
    }

    /// A hash of [`Peer::ip`] that is the same in every run of one build.
    #[must_use]
    pub fn hash(&self) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        self.ip()?.hash(&mut hasher);
        Some(hasher.finish())
    }
}
