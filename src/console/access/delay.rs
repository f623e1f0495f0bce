//! Who fails to log in waits before the next try, twice as long each time. A person who is kept out is a risk to a patient, so nobody
//! is kept out for longer than a minute, and others' failures do not count where somebody has logged in before: whoever guesses at a
//! technician's password from elsewhere does not keep the technician out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How failures of one kind count.
struct Rule {
    /// So many have no consequence.
    free: u32,
    longest: Duration,
}

const FIRST: Duration = Duration::from_secs(1);

/// Of one account from one address.
const PAIR: Rule = Rule { free: 3, longest: Duration::from_mins(1) };
/// Of all accounts from one address.
const ADDRESS: Rule = Rule { free: 10, longest: Duration::from_mins(1) };
/// Of one account from all addresses.
const ACCOUNT: Rule = Rule { free: 10, longest: Duration::from_secs(10) };

/// Who has not failed for so long begins anew.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(15);

/// Failures that are remembered of a kind; beyond it those that are longest past are forgotten.
const MOST_REMEMBERED: usize = 4096;

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

#[derive(Debug, Default)]
struct Remembered {
    pairs: BTreeMap<(String, IpAddr), Failures>,
    addresses: BTreeMap<IpAddr, Failures>,
    accounts: BTreeMap<String, Failures>,
    /// Where an account has logged in before, and when.
    known: BTreeMap<(String, IpAddr), Instant>,
}

/// The failures of this run.
#[derive(Debug, Default)]
pub(super) struct Delays(Mutex<Remembered>);

impl Failures {
    fn wait(self, rule: &Rule, now: Instant) -> Duration {
        let Some(beyond) = self.count.checked_sub(rule.free).filter(|beyond| *beyond > 0) else {
            return Duration::ZERO;
        };
        let pause = FIRST.saturating_mul(1 << (beyond - 1).min(16)).min(rule.longest);
        (self.last + pause).saturating_duration_since(now)
    }
}

impl Remembered {
    /// Takes an attempt back where it was counted against its address and its account.
    fn uncount_others(&mut self, pair: &(String, IpAddr)) {
        if !self.known.contains_key(pair) {
            uncount(&mut self.addresses, &pair.1);
            uncount(&mut self.accounts, &pair.0);
        }
    }
}

impl Delays {
    /// Whether an account has logged in before from an address.
    pub(super) fn knows(&self, account: &str, address: IpAddr) -> bool {
        self.0.lock().known.contains_key(&(account.to_owned(), network_of(address)))
    }

    /// Takes an attempt, which counts as failed until it [succeeds](Self::succeeded), so that many at once are no way around; or says
    /// how long to wait.
    pub(super) fn attempt(&self, account: &str, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let (address, mut remembered) = (network_of(address), self.0.lock());
        let pair = (account.to_owned(), address);
        let is_known = remembered.known.contains_key(&pair);
        let wait = |failures: Option<&Failures>, rule| failures.map_or(Duration::ZERO, |of| of.wait(rule, now));
        let others =
            wait(remembered.addresses.get(&address), &ADDRESS).max(wait(remembered.accounts.get(account), &ACCOUNT));
        let wait = wait(remembered.pairs.get(&pair), &PAIR).max(if is_known { Duration::ZERO } else { others });
        if !wait.is_zero() {
            return Err(wait);
        }
        count(&mut remembered.pairs, pair, now);
        if !is_known {
            count(&mut remembered.addresses, address, now);
            count(&mut remembered.accounts, account.to_owned(), now);
        }
        Ok(())
    }

    /// An attempt was wrong: the wait begins now, however long that took to find out.
    pub(super) fn failed(&self, account: &str, address: IpAddr, now: Instant) {
        let (address, mut remembered) = (network_of(address), self.0.lock());
        let Remembered { pairs, addresses, accounts, known } = &mut *remembered;
        let pair = (account.to_owned(), address);
        let others = (!known.contains_key(&pair)).then(|| [addresses.get_mut(&address), accounts.get_mut(account)]);
        for counted in others.into_iter().flatten().chain([pairs.get_mut(&pair)]).flatten() {
            counted.last = now;
        }
    }

    /// An attempt was right.
    pub(super) fn succeeded(&self, account: &str, address: IpAddr, now: Instant) {
        let (address, mut remembered) = (network_of(address), self.0.lock());
        let pair = (account.to_owned(), address);
        remembered.pairs.remove(&pair);
        remembered.uncount_others(&pair);
        if remembered.known.len() >= MOST_REMEMBERED {
            let oldest = remembered.known.iter().min_by_key(|(_, at)| **at).map(|(pair, _)| pair.clone());
            oldest.and_then(|pair| remembered.known.remove(&pair));
        }
        remembered.known.insert(pair, now);
    }
}

fn count<K: Ord + Clone>(failures: &mut BTreeMap<K, Failures>, of: K, now: Instant) {
    if failures.len() >= MOST_REMEMBERED && !failures.contains_key(&of) {
        failures.retain(|_, of| now.saturating_duration_since(of.last) < FORGOTTEN_AFTER);
        if failures.len() >= MOST_REMEMBERED {
            let oldest = failures.iter().min_by_key(|(_, of)| of.last).map(|(of, _)| of.clone());
            oldest.and_then(|of| failures.remove(&of));
        }
    }
    let counted = failures.entry(of).or_insert(Failures { count: 0, last: now });
    if now.saturating_duration_since(counted.last) >= FORGOTTEN_AFTER {
        counted.count = 0;
    }
    *counted = Failures { count: counted.count.saturating_add(1), last: now };
}

fn uncount<K: Ord + std::borrow::Borrow<Q>, Q: Ord + ?Sized>(failures: &mut BTreeMap<K, Failures>, of: &Q) {
    if let Some(of) = failures.get_mut(of) {
        of.count = of.count.saturating_sub(1);
    }
}

/// An address as whoever has it has it: of IPv6 a network of 64 bits is one household's.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));
    const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 8));

    /// Fails at once whenever that is possible, for so long. How often that was, and the longest wait.
    fn guess(
        delays: &Delays,
        account: impl Fn(u32) -> String,
        from: IpAddr,
        began: Instant,
        lasts: Duration,
    ) -> (u32, Duration) {
        let (mut now, mut tries, mut longest) = (began, 0, Duration::ZERO);
        while now < began + lasts {
            match delays.attempt(&account(tries), from, now) {
                Ok(()) => tries += 1,
                Err(wait) => {
                    longest = longest.max(wait);
                    now += wait;
                }
            }
        }
        (tries, longest)
    }

    #[test]
    fn waits_double_up_to_a_minute_and_never_become_a_lock() {
        let (delays, began) = (Delays::default(), Instant::now());
        let (tries, longest) = guess(&delays, |_| "ann".to_owned(), HERE, began, Duration::from_hours(1));
        assert!((50..80).contains(&tries) && longest == Duration::from_mins(1), "{tries} tries, {longest:?}");
        let after = began + Duration::from_hours(1) + Duration::from_mins(1);
        assert_eq!(delays.attempt("ann", HERE, after), Ok(()));
        delays.succeeded("ann", HERE, after);
        for _ in 0..3 {
            assert_eq!(delays.attempt("ann", HERE, after), Ok(()), "a success lets failures be forgotten");
        }
    }

    #[test]
    fn many_accounts_from_one_address_are_no_way_around() {
        let (delays, began) = (Delays::default(), Instant::now());
        let (tries, _) = guess(&delays, |n| format!("user{n}"), HERE, began, Duration::from_mins(10));
        assert!(tries < 30, "{tries}");
        assert_eq!(delays.attempt("ann", ELSEWHERE, began + Duration::from_mins(10)), Ok(()));
    }

    #[test]
    fn who_is_guessed_at_from_elsewhere_gets_in_where_they_got_in_before() {
        let (delays, now) = (Delays::default(), Instant::now());
        assert_eq!(delays.attempt("ann", HERE, now), Ok(()));
        assert!(!delays.knows("ann", HERE));
        delays.succeeded("ann", HERE, now);
        assert!(delays.knows("ann", HERE) && !delays.knows("ann", ELSEWHERE));
        for n in 0..200_u32 {
            let from = IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a01_0000 + n));
            let _ = delays.attempt("ann", from, now);
        }
        let new_place = delays.attempt("ann", ELSEWHERE, now).unwrap_err();
        assert!(new_place <= Duration::from_secs(10), "{new_place:?}");
        assert_eq!(delays.attempt("ann", HERE, now), Ok(()));
    }

    #[test]
    fn a_crowd_at_once_is_counted_before_it_is_answered_and_memory_has_a_limit() {
        let (delays, now) = (Delays::default(), Instant::now());
        let taken = (0..1000).filter(|_| delays.attempt("ann", HERE, now).is_ok()).count();
        assert_eq!(taken, 4);
        for n in 0..10_000_u32 {
            let _ = delays.attempt("ann", IpAddr::V4(std::net::Ipv4Addr::from_bits(n)), now + Duration::from_hours(1));
        }
        assert!(delays.0.lock().pairs.len() <= MOST_REMEMBERED);
        let one_network = ["fd00::1", "fd00::2"].map(|address| network_of(address.parse().unwrap()));
        assert_eq!(one_network[0], one_network[1]);
    }
}
