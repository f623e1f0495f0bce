//! Who may send, and how much of the daemon one sender may take.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ipnet::IpNet;
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

/// Reads `10.0.0.7` or `10.0.0.0/24`.
#[must_use]
pub fn parse_network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// Whether any of the scanners may send from this address. Where no scanners are listed everybody may.
pub fn may_connect(scanners: &[Scanner], address: IpAddr) -> bool {
    scanners.is_empty() || scanners.iter().any(|scanner| scanner.has_address(address))
}

/// Whether this caller may send from this address.
pub fn may_send(scanners: &[Scanner], calling_ae_title: &str, address: IpAddr) -> bool {
    let is_caller = |scanner: &Scanner| scanner.ae_title.trim() == calling_ae_title && scanner.has_address(address);
    scanners.is_empty() || scanners.iter().any(is_caller)
}

/// Who sends: the same calling AE title from the same address.
type Sender = (String, IpAddr);

/// Places for open associations, some for each sender.
#[derive(Debug)]
pub struct Places {
    open: Mutex<BTreeMap<Sender, usize>>,
    most: usize,
    most_of_one: usize,
}

/// One association's place, given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    sender: Sender,
}

impl Places {
    pub fn new(most: usize, most_of_one: usize) -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), most, most_of_one })
    }

    /// A place for a sender, if there is one.
    pub fn take(self: &Arc<Self>, calling_ae_title: &str, address: IpAddr) -> Option<Place> {
        let sender = (calling_ae_title.to_owned(), address);
        let mut open = self.open();
        let own = open.get(&sender).copied().unwrap_or(0);
        if own >= self.most_of_one || open.values().sum::<usize>() >= self.most {
            return None;
        }
        open.insert(sender.clone(), own + 1);
        telemetry::associations_open(1.0);
        Some(Place { places: self.clone(), sender })
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<Sender, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.places.open();
        match open.get_mut(&self.sender) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.remove(&self.sender)),
        }
        telemetry::associations_open(-1.0);
    }
}

/// Connections that have not asked for an association yet. A flood of them costs the oldest of them their place: a real
/// scanner asks at once.
#[derive(Debug)]
pub struct Waiting {
    connections: Mutex<BTreeMap<u64, oneshot::Sender<()>>>,
    most: usize,
}

/// A connection's place among those that wait, given back when it is dropped.
#[derive(Debug)]
pub struct WaitingPlace {
    waiting: Arc<Waiting>,
    number: u64,
    /// Ends when the place is lost.
    pub lost: oneshot::Receiver<()>,
}

impl Waiting {
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { connections: Mutex::default(), most })
    }

    /// Takes a place; numbers rise. The oldest connection loses its own if there are too many.
    pub fn enter(self: &Arc<Self>, number: u64) -> WaitingPlace {
        let (keep, lost) = oneshot::channel();
        let mut connections = self.connections();
        while connections.len() >= self.most {
            connections.pop_first();
        }
        connections.insert(number, keep);
        WaitingPlace { waiting: self.clone(), number, lost }
    }

    fn connections(&self) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<()>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        self.waiting.connections().remove(&self.number);
    }
}

/// Addresses whose connections come to nothing. Each such connection costs the address one of a few tries, which come back
/// slowly; without any left its connections are closed as they are accepted, unread and unlogged, so that a flood of them
/// costs the scanners as little as can be.
#[derive(Debug)]
pub struct Offenders {
    tries: Mutex<HashMap<IpAddr, Tries>>,
    most: f64,
    back_per_second: f64,
}

#[derive(Debug, Clone, Copy)]
struct Tries {
    left: f64,
    at: Instant,
}

/// Addresses that are remembered; beyond them those are forgotten that have most tries left.
const MOST_OFFENDERS: usize = 4096;

impl Offenders {
    pub fn new(most: f64, back_per_second: f64) -> Self {
        Self { tries: Mutex::default(), most, back_per_second }
    }

    /// Whether connections of this address are not served at present.
    pub fn is_held_back(&self, address: IpAddr, now: Instant) -> bool {
        self.tries().get(&address).is_some_and(|tries| self.left(tries, now) < 1.0)
    }

    /// Counts a connection that came to nothing.
    pub fn count(&self, address: IpAddr) {
        if self.offended(address, Instant::now()) {
            tracing::warn!(%address, "too many connections of this address came to nothing: it is held back");
        }
    }

    /// `true` if this was the address's last try.
    fn offended(&self, address: IpAddr, now: Instant) -> bool {
        let mut tries = self.tries();
        let before = tries.get(&address).map_or(self.most, |tries| self.left(tries, now));
        let left = (before - 1.0).max(0.0);
        tries.insert(address, Tries { left, at: now });
        if tries.len() > MOST_OFFENDERS {
            let most =
                tries.iter().max_by(|(_, one), (_, other)| self.left(one, now).total_cmp(&self.left(other, now)));
            if let Some(forgotten) = most.map(|(address, _)| *address) {
                tries.remove(&forgotten);
            }
        }
        before >= 1.0 && left < 1.0
    }

    fn left(&self, tries: &Tries, now: Instant) -> f64 {
        let back = now.saturating_duration_since(tries.at).as_secs_f64() * self.back_per_second;
        (tries.left + back).min(self.most)
    }

    fn tries(&self) -> MutexGuard<'_, HashMap<IpAddr, Tries>> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert!(may_connect(&scanners, address("10.0.0.9")) && may_connect(&scanners, address("10.0.1.7")));
        assert!(!may_connect(&scanners, address("10.0.1.8")));
        assert!(may_send(&scanners, "CT1", address("10.0.0.9")));
        assert!(!may_send(&scanners, "CT2", address("10.0.0.9")));
        assert!(!may_send(&scanners, "ct1", address("10.0.0.9")));
        assert!(may_send(&[], "ANY", address("10.9.9.9")));
    }

    #[test]
    fn one_sender_cannot_take_every_place() {
        let places = Places::new(3, 2);
        let (one, other) = (address("10.0.0.1"), address("10.0.0.2"));
        let first = places.take("CT1", one).unwrap();
        let _second = places.take("CT1", one).unwrap();
        assert!(places.take("CT1", one).is_none());
        let _third = places.take("CT1", other).unwrap();
        assert!(places.take("CT2", other).is_none(), "all places are taken");
        drop(first);
        assert!(places.take("CT2", other).is_some());
    }

    #[test]
    fn an_address_whose_connections_come_to_nothing_is_held_back_until_its_tries_come_back() {
        let offenders = Offenders::new(3.0, 0.5);
        let (bad, good) = (address("10.0.0.66"), address("10.0.0.1"));
        let start = Instant::now();
        let offences: Vec<bool> = (0..4).map(|_| offenders.offended(bad, start)).collect();
        assert_eq!(offences, [false, false, true, false], "the third was the last try");
        assert!(offenders.is_held_back(bad, start + Duration::from_secs(1)));
        assert!(!offenders.is_held_back(good, start));
        assert!(!offenders.is_held_back(bad, start + Duration::from_secs(2)));
        assert!(offenders.offended(bad, start + Duration::from_secs(2)), "one try had come back");
    }

    #[test]
    fn a_flood_from_ever_new_addresses_takes_no_more_memory_and_does_not_pardon_the_worst() {
        let offenders = Offenders::new(2.0, 0.1);
        let (worst, start) = (address("10.9.9.9"), Instant::now());
        offenders.offended(worst, start);
        offenders.offended(worst, start);
        for number in 0..MOST_OFFENDERS as u32 + 50 {
            offenders.offended(std::net::Ipv4Addr::from_bits(number).into(), start);
        }
        assert_eq!(offenders.tries().len(), MOST_OFFENDERS);
        assert!(offenders.is_held_back(worst, start));
    }

    #[test]
    fn the_oldest_of_too_many_waiting_connections_loses_its_place() {
        let waiting = Waiting::new(2);
        let mut places: Vec<_> = (0..3).map(|number| waiting.enter(number)).collect();
        let mut is_lost = |number: usize| places[number].lost.try_recv() == Err(oneshot::error::TryRecvError::Closed);
        assert_eq!([is_lost(0), is_lost(1), is_lost(2)], [true, false, false]);
        drop(places);
        assert!(waiting.connections().is_empty());
    }
}
