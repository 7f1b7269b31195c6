//! Who may come in at all: a token bucket for each client address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long nobody is looked for who can be forgotten after a look that found nobody: it is a look at every address, and a
/// flood must not have one for each connection.
const SWEEP_PAUSE: Duration = Duration::from_millis(100);

/// A token bucket per client address, in the form of the generic cell rate algorithm: one instant per client says all.
#[derive(Debug)]
pub struct TokenBuckets {
    /// The time that one connection costs.
    cost: Duration,
    /// How far a client may be ahead of its rate.
    burst: Duration,
    most: usize,
    /// When those whose buckets are full were last looked for.
    swept: Option<Instant>,
    /// When each client's bucket is full again.
    full_at: HashMap<IpAddr, Instant>,
}

impl TokenBuckets {
    /// `rate` connections a second for each address in the long run, `burst` at once. At most `most` addresses are
    /// remembered; when all of them are busy, an address that is not among them is let in uncounted: a flood from many
    /// addresses costs bounded memory and does not lock everybody else out.
    #[must_use]
    pub fn new(rate: f64, burst: u32, most: usize) -> Self {
        let cost = Duration::try_from_secs_f64(1.0 / rate.max(1e-6)).unwrap_or(Duration::MAX);
        Self {
            cost,
            burst: cost.saturating_mul(burst.max(1)),
            most: most.max(1),
            swept: None,
            full_at: HashMap::new(),
        }
    }

    /// Whether a connection from `client` may come in now.
    pub fn admit(&mut self, client: IpAddr, now: Instant) -> bool {
        if !self.full_at.contains_key(&client) && self.full_at.len() >= self.most {
            self.sweep(now);
            if self.full_at.len() >= self.most {
                return true;
            }
        }
        let full_at = self.full_at.entry(client).or_insert(now);
        let Some(after) = (*full_at).max(now).checked_add(self.cost) else {
            return false;
        };
        if after.saturating_duration_since(now) > self.burst {
            return false;
        }
        *full_at = after;
        true
    }

    /// Forgets those whose buckets are full.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now < swept + SWEEP_PAUSE) {
            return;
        }
        self.full_at.retain(|_, full_at| *full_at > now);
        self.swept = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const fn client(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let start = Instant::now();
        let mut buckets = TokenBuckets::new(10.0, 3, 100);
        let mut at = |millis| buckets.admit(client(1), start + Duration::from_millis(millis));
        assert_eq!([at(0), at(0), at(0), at(0)], [true, true, true, false]);
        assert_eq!([at(99), at(100), at(150)], [false, true, false]);
        assert_eq!(
            [at(5000), at(5000), at(5000), at(5000)],
            [true, true, true, false]
        );
    }

    #[test]
    fn clients_do_not_share_a_bucket_and_memory_is_bounded() {
        let now = Instant::now();
        let mut buckets = TokenBuckets::new(1.0, 1, 2);
        assert!(buckets.admit(client(1), now) && !buckets.admit(client(1), now));
        assert!(buckets.admit(client(2), now) && !buckets.admit(client(2), now));
        assert!(buckets.admit(client(3), now) && buckets.admit(client(3), now));
        assert_eq!(buckets.full_at.len(), 2);
        let later = now + Duration::from_secs(2);
        assert!(buckets.admit(client(3), later) && !buckets.admit(client(3), later));
        assert_eq!(buckets.full_at.len(), 1);
    }

    #[test]
    fn a_flood_of_addresses_does_not_look_at_all_of_them_each_time() {
        let start = Instant::now();
        let mut buckets = TokenBuckets::new(100.0, 1, 2);
        let mut at = |millis, last| {
            let now = start + Duration::from_millis(millis);
            assert!(buckets.admit(client(last), now));
            buckets.swept.map(|swept| swept.duration_since(start))
        };
        assert_eq!([at(0, 1), at(0, 2)], [None, None]);
        let looked = Some(Duration::ZERO);
        assert_eq!([at(0, 3), at(5, 4), at(99, 5)], [looked; 3]);
        assert_eq!(at(100, 6), Some(Duration::from_millis(100)));
    }
}
