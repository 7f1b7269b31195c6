//! Who gets the next connection: pure functions over what is known of the workers.

/// A way to choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// The worker that holds the fewest connections.
    #[default]
    LeastConnections,
    /// One after the other.
    RoundRobin,
    /// The worker that reported the smallest load. Between two reports each further connection counts as much as the
    /// worker's connections did on average, so that a stale figure does not draw everybody.
    LeastLoad,
    /// The same worker for the same client address as long as that worker can take connections (rendezvous hashing: a
    /// worker that goes moves only its own clients, one that comes draws only its share).
    Sticky,
    /// In proportion to the weights, evenly interleaved.
    Weighted,
    /// The caller decides, connection by connection.
    External,
}

/// What a policy sees of one worker that can take a connection now.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// The worker's place: stays the same when a worker is replaced.
    pub index: u32,
    /// Connections it holds.
    pub active: u32,
    /// The load it last reported, with what it was given since ([`Policy::LeastLoad`]).
    pub load: f64,
    /// Its share ([`Policy::Weighted`]).
    pub weight: u32,
}

/// A policy and what it remembers.
#[derive(Debug, Default)]
pub struct Chooser {
    policy: Policy,
    /// Where the next choice starts to look: behind the last one, so that equals take turns.
    next: usize,
    /// Running figures of [`Policy::Weighted`], by worker index.
    shares: Vec<i64>,
}

impl Chooser {
    /// A chooser that has not chosen yet.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }

    /// The policy.
    #[must_use]
    pub const fn policy(&self) -> Policy {
        self.policy
    }

    /// Chooses one of `count` workers; `look` says what is to be known of each, or `None` for one that cannot take a
    /// connection now. `client` is the hash of the client's address, where it has one. `None`: nobody can.
    pub fn choose(
        &mut self,
        count: usize,
        client: Option<u64>,
        look: impl Fn(usize) -> Option<Candidate>,
    ) -> Option<usize> {
        let found = match self.policy {
            Policy::RoundRobin => self.in_turn(count, &look),
            Policy::LeastLoad => self.least(count, &look, |worker| (worker.load, worker.active)),
            Policy::Weighted => self.weighted(count, &look),
            Policy::Sticky if client.is_some() => sticky(count, client.unwrap_or(0), &look),
            Policy::LeastConnections | Policy::Sticky | Policy::External => {
                self.least(count, &look, |worker| (0.0, worker.active))
            }
        };
        self.next = found.map_or(self.next, |at| at + 1);
        found
    }

    fn places(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        let start = self.next;
        (0..count).map(move |step| (start + step) % count)
    }

    fn in_turn(&self, count: usize, look: &impl Fn(usize) -> Option<Candidate>) -> Option<usize> {
        self.places(count).find(|at| look(*at).is_some())
    }

    fn least(
        &self,
        count: usize,
        look: &impl Fn(usize) -> Option<Candidate>,
        cost: impl Fn(&Candidate) -> (f64, u32),
    ) -> Option<usize> {
        let mut best: Option<(usize, (f64, u32))> = None;
        for at in self.places(count) {
            let Some(worker) = look(at) else { continue };
            let cost = cost(&worker);
            if best.is_none_or(|(_, least)| cost < least) {
                best = Some((at, cost));
            }
        }
        best.map(|(at, _)| at)
    }

    /// Smooth weighted round robin: everybody gains its weight, the richest pays the sum.
    fn weighted(
        &mut self,
        count: usize,
        look: &impl Fn(usize) -> Option<Candidate>,
    ) -> Option<usize> {
        let mut sum = 0;
        let mut best: Option<(usize, usize, i64)> = None;
        for at in 0..count {
            let Some(worker) = look(at) else { continue };
            let index = worker.index as usize;
            if self.shares.len() <= index {
                self.shares.resize(index + 1, 0);
            }
            let weight = i64::from(worker.weight.max(1));
            sum += weight;
            self.shares[index] += weight;
            let share = self.shares[index];
            if best.is_none_or(|(_, _, most)| share > most) {
                best = Some((at, index, share));
            }
        }
        let (at, index, _) = best?;
        self.shares[index] -= sum;
        Some(at)
    }
}

/// Rendezvous hashing: each worker bids a number made of its index and the client; the highest bid wins.
fn sticky(count: usize, client: u64, look: &impl Fn(usize) -> Option<Candidate>) -> Option<usize> {
    (0..count)
        .filter_map(|at| Some((at, bid(client, look(at)?.index))))
        .max_by_key(|(_, bid)| *bid)
        .map(|(at, _)| at)
}

/// The finalizer of splitmix64, which spreads every bit of its input over all bits of its result.
fn bid(client: u64, index: u32) -> u64 {
    let mut x = client
        ^ u64::from(index)
            .wrapping_add(1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(index: u32, active: u32) -> Candidate {
        Candidate {
            index,
            active,
            load: 0.0,
            weight: 1,
        }
    }

    fn choose(chooser: &mut Chooser, workers: &[Option<Candidate>]) -> Option<usize> {
        chooser.choose(workers.len(), None, |at| workers[at])
    }

    #[test]
    fn least_connections_takes_the_emptiest_and_lets_equals_take_turns() {
        let mut chooser = Chooser::new(Policy::LeastConnections);
        let workers = [Some(worker(0, 3)), Some(worker(1, 1)), Some(worker(2, 2))];
        assert_eq!(choose(&mut chooser, &workers), Some(1));
        let equal = [Some(worker(0, 0)), Some(worker(1, 0)), Some(worker(2, 0))];
        let turns: Vec<_> = (0..6).map(|_| choose(&mut chooser, &equal)).collect();
        assert_eq!(turns, [2, 0, 1, 2, 0, 1].map(Some));
    }

    #[test]
    fn round_robin_passes_over_who_cannot_take_it() {
        let mut chooser = Chooser::new(Policy::RoundRobin);
        let workers = [Some(worker(0, 0)), None, Some(worker(2, 9))];
        let turns: Vec<_> = (0..4).map(|_| choose(&mut chooser, &workers)).collect();
        assert_eq!(turns, [0, 2, 0, 2].map(Some));
        assert_eq!(choose(&mut chooser, &[None, None]), None);
        assert_eq!(choose(&mut chooser, &[]), None);
    }

    #[test]
    fn least_load_prefers_the_report_to_the_count() {
        let mut chooser = Chooser::new(Policy::LeastLoad);
        let loaded = |index, load, active| {
            Some(Candidate {
                load,
                ..worker(index, active)
            })
        };
        let workers = [loaded(0, 0.9, 1), loaded(1, 0.2, 50), loaded(2, 0.2, 40)];
        assert_eq!(choose(&mut chooser, &workers), Some(2));
    }

    #[test]
    fn weighted_shares_are_exact_and_interleaved() {
        let mut chooser = Chooser::new(Policy::Weighted);
        let weighted = |index, weight| {
            Some(Candidate {
                weight,
                ..worker(index, 0)
            })
        };
        let workers = [weighted(0, 5), weighted(1, 1), weighted(2, 1)];
        let turns: Vec<_> = (0..7)
            .filter_map(|_| choose(&mut chooser, &workers))
            .collect();
        assert_eq!(turns, [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn sticky_moves_only_the_clients_of_a_worker_that_goes() {
        let mut chooser = Chooser::new(Policy::Sticky);
        let mut pick = |client: u64, gone: Option<u32>| {
            chooser
                .choose(8, Some(client), |at| {
                    let index = u32::try_from(at).ok()?;
                    (Some(index) != gone).then(|| worker(index, 0))
                })
                .expect("seven are there")
        };
        let mut counts = [0; 8];
        for client in 0..8000u64 {
            let client = client.wrapping_mul(0x2545_f491_4f6c_dd1d);
            let before = pick(client, None);
            let after = pick(client, Some(3));
            counts[before] += 1;
            assert!(before == after || before == 3, "moved from {before}");
            assert_ne!(after, 3);
        }
        assert!(counts.iter().all(|n| (850..1150).contains(n)), "{counts:?}");
    }
}
