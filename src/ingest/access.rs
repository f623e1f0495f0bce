//! Who may send, and how much of the daemon one sender may take.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use ipnet::IpNet;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use crate::telemetry;

/// A scanner that may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanner {
    pub ae_title: String,
    /// From where; from anywhere if there is none.
    pub addresses: Vec<IpNet>,
}

impl Scanner {
    fn has_address(&self, address: IpAddr) -> bool {
        self.addresses.is_empty() || self.addresses.iter().any(|network| network.contains(&address))
    }
}

/// Reads `10.0.0.7` or `10.0.0.0/24`. An IPv4 address that is written as one of IPv6 is taken for itself, as callers are.
#[must_use]
pub fn parse_network(text: &str) -> Option<IpNet> {
    let network = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    match (network.addr().to_canonical(), network.prefix_len().checked_sub(96)) {
        (address @ IpAddr::V4(_), Some(length)) => IpNet::new(address, length).ok(),
        _ => Some(network),
    }
}

/// Whether any of the scanners may send from this address. Where no scanners are listed everybody may.
pub(super) fn may_connect(scanners: &[Scanner], archives: &[Scanner], address: IpAddr) -> bool {
    scanners.is_empty() || scanners.iter().chain(archives).any(|caller| caller.has_address(address))
}

/// Whether this caller may send from this address.
pub(super) fn may_send(scanners: &[Scanner], calling_ae_title: &str, address: IpAddr) -> bool {
    scanners.is_empty() || is_listed(scanners, calling_ae_title, address)
}

/// Whether this caller is one of these, at an address of its own.
pub(super) fn is_listed(callers: &[Scanner], calling_ae_title: &str, address: IpAddr) -> bool {
    callers.iter().any(|caller| caller.ae_title.trim() == calling_ae_title && caller.has_address(address))
}

/// Who sends: the same calling AE title from the same address.
type Sender = (String, IpAddr);

/// Permits for open associations, a limited number in all and for each sender.
#[derive(Debug)]
pub(super) struct AssociationPermits {
    open: Mutex<BTreeMap<Sender, usize>>,
    most: usize,
    most_of_one: usize,
}

/// One association's permit; dropping it gives it back.
#[derive(Debug)]
pub(super) struct AssociationPermit {
    permits: Arc<AssociationPermits>,
    sender: Sender,
}

impl AssociationPermits {
    pub(super) fn new(most: usize, most_of_one: usize) -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), most, most_of_one })
    }

    /// A permit for a sender, if one is left.
    pub(super) fn take(self: &Arc<Self>, calling_ae_title: &str, address: IpAddr) -> Option<AssociationPermit> {
        let sender = (calling_ae_title.to_owned(), address);
        let mut open = self.open();
        let own = open.get(&sender).copied().unwrap_or(0);
        if own >= self.most_of_one || open.values().sum::<usize>() >= self.most {
            return None;
        }
        open.insert(sender.clone(), own + 1);
        telemetry::associations_open(1.0);
        Some(AssociationPermit { permits: self.clone(), sender })
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<Sender, usize>> {
        self.open.lock()
    }
}

impl Drop for AssociationPermit {
    fn drop(&mut self) {
        let mut open = self.permits.open();
        match open.get_mut(&self.sender) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.remove(&self.sender)),
        }
        telemetry::associations_open(-1.0);
    }
}

/// Connections that have not asked for an association yet. Where too many are open the oldest is closed: a real
/// scanner asks at once, so that a flood of connections shuts no scanner out.
#[derive(Debug)]
pub(super) struct PendingConnections {
    connections: Mutex<BTreeMap<u64, oneshot::Sender<()>>>,
    most: usize,
}

/// A connection's entry among the pending ones; dropping it removes it.
#[derive(Debug)]
pub(super) struct PendingConnection {
    pending: Arc<PendingConnections>,
    number: u64,
    /// Ends when newer connections have pushed this one out.
    pub pushed_out: oneshot::Receiver<()>,
}

impl PendingConnections {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { connections: Mutex::default(), most })
    }

    /// Enters a connection; numbers rise. The oldest one is pushed out if there are too many.
    pub(super) fn enter(self: &Arc<Self>, number: u64) -> PendingConnection {
        let (keep, pushed_out) = oneshot::channel();
        let mut connections = self.connections();
        while connections.len() >= self.most {
            connections.pop_first();
        }
        connections.insert(number, keep);
        PendingConnection { pending: self.clone(), number, pushed_out }
    }

    fn connections(&self) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<()>>> {
        self.connections.lock()
    }
}

impl Drop for PendingConnection {
    fn drop(&mut self) {
        self.pending.connections().remove(&self.number);
    }
}

/// A token bucket for each address whose connections come to nothing. Each such connection costs the address a token; tokens
/// come back slowly. An address without a token has its connections closed as they are accepted, unread and unlogged, so that
/// a flood of them costs the scanners as little as can be.
#[derive(Debug)]
pub(super) struct RateLimiter {
    buckets: Mutex<HashMap<IpAddr, TokenBucket>>,
    capacity: f64,
    refill_per_s: f64,
}

#[derive(Debug, Clone, Copy)]
struct TokenBucket {
    tokens: f64,
    at: Instant,
}

/// Addresses that are remembered; beyond them those with the most tokens are forgotten.
const MOST_ADDRESSES: usize = 4096;

impl RateLimiter {
    pub(super) fn new(capacity: f64, refill_per_s: f64) -> Self {
        Self { buckets: Mutex::default(), capacity, refill_per_s }
    }

    /// Whether connections of this address are not served at present.
    pub(super) fn is_limited(&self, address: IpAddr, now: Instant) -> bool {
        self.buckets().get(&address).is_some_and(|bucket| self.tokens(bucket, now) < 1.0)
    }

    /// Counts a connection that came to nothing.
    pub(super) fn count(&self, address: IpAddr) {
        if self.count_at(address, Instant::now()) {
            tracing::warn!(%address, "too many connections of this address came to nothing: further ones are closed at once for a while");
        }
    }

    /// `true` if this was the address's last token.
    fn count_at(&self, address: IpAddr, now: Instant) -> bool {
        let mut buckets = self.buckets();
        let before = buckets.get(&address).map_or(self.capacity, |bucket| self.tokens(bucket, now));
        let tokens = (before - 1.0).max(0.0);
        buckets.insert(address, TokenBucket { tokens, at: now });
        if buckets.len() > MOST_ADDRESSES {
            let fullest =
                buckets.iter().max_by(|(_, one), (_, other)| self.tokens(one, now).total_cmp(&self.tokens(other, now)));
            if let Some(forgotten) = fullest.map(|(address, _)| *address) {
                buckets.remove(&forgotten);
            }
        }
        before >= 1.0 && tokens < 1.0
    }

    fn tokens(&self, bucket: &TokenBucket, now: Instant) -> f64 {
        let refilled = now.saturating_duration_since(bucket.at).as_secs_f64() * self.refill_per_s;
        (bucket.tokens + refilled).min(self.capacity)
    }

    fn buckets(&self) -> MutexGuard<'_, HashMap<IpAddr, TokenBucket>> {
        self.buckets.lock()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_listed_scanner_may_send_from_its_own_network_under_its_own_name() {
        let scanners = [
            Scanner { ae_title: "CT1".into(), addresses: vec![parse_network("10.0.0.0/24").unwrap()] },
            Scanner { ae_title: "CT2".into(), addresses: vec![parse_network("10.0.1.7").unwrap()] },
        ];
        assert!(may_connect(&scanners, &[], address("10.0.0.9")) && may_connect(&scanners, &[], address("10.0.1.7")));
        assert!(!may_connect(&scanners, &[], address("10.0.1.8")));
        let archives = [Scanner { ae_title: "PACS".into(), addresses: vec![parse_network("10.0.1.8").unwrap()] }];
        assert!(may_connect(&scanners, &archives, address("10.0.1.8")));
        assert!(may_connect(&[], &archives, address("10.0.1.9")));
        assert!(may_send(&scanners, "CT1", address("10.0.0.9")));
        assert!(!may_send(&scanners, "CT2", address("10.0.0.9")));
        assert!(!may_send(&scanners, "ct1", address("10.0.0.9")));
        assert!(may_send(&[], "ANY", address("10.9.9.9")));
    }

    #[test]
    fn an_address_is_taken_for_itself_however_it_is_written() {
        for (written, meant) in [
            ("::ffff:10.0.0.7", "10.0.0.7/32"),
            ("::ffff:10.0.0.0/120", "10.0.0.0/24"),
            ("10.0.0.7", "10.0.0.7/32"),
            ("fd00::/64", "fd00::/64"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(parse_network(written).unwrap().to_string(), meant, "{written}");
        }
    }

    #[test]
    fn one_sender_cannot_take_every_permit() {
        let permits = AssociationPermits::new(3, 2);
        let (one, other) = (address("10.0.0.1"), address("10.0.0.2"));
        let first = permits.take("CT1", one).unwrap();
        let _second = permits.take("CT1", one).unwrap();
        assert!(permits.take("CT1", one).is_none());
        let _third = permits.take("CT1", other).unwrap();
        assert!(permits.take("CT2", other).is_none(), "all permits are taken");
        drop(first);
        assert!(permits.take("CT2", other).is_some());
    }

    #[test]
    fn an_address_whose_connections_come_to_nothing_is_limited_until_its_tokens_come_back() {
        let rate_limiter = RateLimiter::new(3.0, 0.5);
        let (bad, good) = (address("10.0.0.66"), address("10.0.0.1"));
        let start = Instant::now();
        let last: Vec<bool> = (0..4).map(|_| rate_limiter.count_at(bad, start)).collect();
        assert_eq!(last, [false, false, true, false], "the third was the last token");
        assert!(rate_limiter.is_limited(bad, start + Duration::from_secs(1)));
        assert!(!rate_limiter.is_limited(good, start));
        assert!(!rate_limiter.is_limited(bad, start + Duration::from_secs(2)));
        assert!(rate_limiter.count_at(bad, start + Duration::from_secs(2)), "one token had come back");
    }

    #[test]
    fn a_flood_from_ever_new_addresses_takes_no_more_memory_and_does_not_pardon_the_worst() {
        let rate_limiter = RateLimiter::new(2.0, 0.1);
        let (worst, start) = (address("10.9.9.9"), Instant::now());
        rate_limiter.count_at(worst, start);
        rate_limiter.count_at(worst, start);
        for number in 0..MOST_ADDRESSES as u32 + 50 {
            rate_limiter.count_at(std::net::Ipv4Addr::from_bits(number).into(), start);
        }
        assert_eq!(rate_limiter.buckets().len(), MOST_ADDRESSES);
        assert!(rate_limiter.is_limited(worst, start));
    }

    #[test]
    fn the_oldest_of_too_many_pending_connections_is_pushed_out() {
        let pending = PendingConnections::new(2);
        let mut entered: Vec<_> = (0..3).map(|number| pending.enter(number)).collect();
        let mut is_out =
            |number: usize| entered[number].pushed_out.try_recv() == Err(oneshot::error::TryRecvError::Closed);
        assert_eq!([is_out(0), is_out(1), is_out(2)], [true, false, false]);
        drop(entered);
        assert!(pending.connections().is_empty());
    }
}
