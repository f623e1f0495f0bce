//! Who may send, and how much of the daemon one sender may take.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

#[cfg(test)]
mod tests {
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
    fn the_oldest_of_too_many_waiting_connections_loses_its_place() {
        let waiting = Waiting::new(2);
        let mut places: Vec<_> = (0..3).map(|number| waiting.enter(number)).collect();
        let mut is_lost = |number: usize| places[number].lost.try_recv() == Err(oneshot::error::TryRecvError::Closed);
        assert_eq!([is_lost(0), is_lost(1), is_lost(2)], [true, false, false]);
        drop(places);
        assert!(waiting.connections().is_empty());
    }
}
