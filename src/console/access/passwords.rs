//! Passwords: Argon2id (RFC 9106) with 19 MiB and 2 passes, as OWASP's password storage cheat sheet has it. It is meant to be dear, so
//! a flood of log-ins could keep slices waiting. One thread of the lowest priority does it all, ten a second, with memory that it takes
//! once: pages that come and go would stop the process's other threads. Few may wait for it; who comes when they are all there is sent away.

use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::{mpsc, oneshot};

use super::secret::{Secret, random, same};
use crate::database::KeptPassword;
use crate::serving::lowest_priority;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;

/// One password in so long, which leaves most of the core to others: a core that is never idle, though of the lowest priority, keeps the
/// kernel from placing there whoever wakes (a slice then waited up to 4 ms behind analysis on another).
const EVERY: Duration = Duration::from_millis(100);

/// Passwords that may wait for their turn.
const MOST_WAITING: usize = 8;

/// Of their places those that strangers do not get: whoever floods the log-in does not keep a technician out.
const KEPT_FOR_KNOWN: usize = 2;

/// A password must have so many characters. No other rule: rules make passwords worse (NIST SP 800-63B-4 section 3.1.1).
pub const SHORTEST_PASSWORD: usize = 12;
/// And at most so many bytes.
pub(super) const LONGEST_PASSWORD: usize = 256;

/// Whether a password may be given to an account.
#[must_use]
pub fn is_acceptable(password: &str) -> bool {
    password.chars().count() >= SHORTEST_PASSWORD && password.len() <= LONGEST_PASSWORD
}

/// A password that nobody has thought of: 20 letters, digits, `-` and `_`, 120 random bits.
#[must_use]
pub fn made_password() -> String {
    let mut text = Secret::new().text();
    text.truncate(20);
    text
}

/// A password as it is to be kept; takes as long as a log-in.
///
/// # Errors
/// If there is no memory for it.
pub fn keep_password(password: &str) -> Result<KeptPassword, argon2::Error> {
    kept(password, &mut Vec::new())
}

/// What is kept where nobody has a password: nothing that can be typed is right.
pub(super) fn unknown_password() -> KeptPassword {
    KeptPassword { salt: random(), hash: random(), memory_kib: MEMORY_KIB, passes: PASSES }
}

fn kept(password: &str, memory: &mut Vec<Block>) -> Result<KeptPassword, argon2::Error> {
    let (salt, memory_kib, passes) = (random(), MEMORY_KIB, PASSES);
    let hash = hash(password, &salt, memory_kib, passes, memory)?;
    Ok(KeptPassword { salt, hash, memory_kib, passes })
}

fn hash(
    password: &str,
    salt: &[u8; 16],
    memory_kib: u32,
    passes: u32,
    memory: &mut Vec<Block>,
) -> Result<[u8; 32], argon2::Error> {
    let params = Params::new(memory_kib, passes, 1, Some(32))?;
    memory.resize(params.block_count(), Block::default());
    let mut hash = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into_with_memory(
        password.as_bytes(),
        salt,
        &mut hash,
        memory,
    )?;
    Ok(hash)
}

/// Too many wait already.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Busy;

enum Work {
    /// Whether a password is the one that is kept; where none is kept, it costs the same.
    Check {
        password: String,
        kept: Option<KeptPassword>,
        answer: oneshot::Sender<bool>,
    },
    Keep {
        password: String,
        answer: oneshot::Sender<Option<KeptPassword>>,
    },
}

/// The thread that computes them.
#[derive(Debug)]
pub(super) struct Passwords {
    work: mpsc::Sender<Work>,
}

/// A place among those who wait. Who has none is sent away before anything is done for them.
pub(super) struct Place(mpsc::OwnedPermit<Work>);

impl Passwords {
    /// # Errors
    /// If the system gives no thread.
    pub(super) fn start() -> std::io::Result<Self> {
        let (work, mut waiting) = mpsc::channel::<Work>(MOST_WAITING);
        std::thread::Builder::new().name("passwords".to_owned()).spawn(move || {
            lowest_priority();
            let mut memory = Vec::new();
            let nobody = unknown_password();
            while let Some(work) = waiting.blocking_recv() {
                let began = Instant::now();
                work.done(&nobody, &mut memory);
                std::thread::sleep(EVERY.saturating_sub(began.elapsed()));
            }
        })?;
        Ok(Self { work })
    }

    /// `is_known`: whether it is for somebody who has logged in before from where they are now.
    ///
    /// # Errors
    /// If too many wait already.
    pub(super) fn place(&self, is_known: bool) -> Result<Place, Busy> {
        if !is_known && self.work.capacity() <= KEPT_FOR_KNOWN {
            return Err(Busy);
        }
        self.work.clone().try_reserve_owned().map(Place).map_err(|_| Busy)
    }
}

impl Place {
    /// Whether a password is the one that is kept. Of `None`, an account that is not there, `false` after the same work.
    pub(super) async fn check(self, password: String, kept: Option<KeptPassword>) -> bool {
        let (answer, answered) = oneshot::channel();
        self.0.send(Work::Check { password, kept, answer });
        // A thread that has ended has let nobody in.
        answered.await.unwrap_or(false)
    }

    /// A password as it is to be kept; `None` where there is no memory for it.
    pub(super) async fn keep(self, password: String) -> Option<KeptPassword> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Work::Keep { password, answer });
        answered.await.unwrap_or(None)
    }
}

impl Work {
    fn done(self, nobody: &KeptPassword, memory: &mut Vec<Block>) {
        // Who does not wait any more is told nothing.
        match self {
            Self::Check { answer, .. } if answer.is_closed() => {}
            Self::Check { password, kept, answer } => {
                let there = kept.is_some();
                let _ = answer.send(matches(&password, kept.as_ref().unwrap_or(nobody), memory) && there);
            }
            Self::Keep { password, answer } => {
                let _ = answer.send(kept(&password, memory).ok());
            }
        }
    }
}

fn matches(password: &str, kept: &KeptPassword, memory: &mut Vec<Block>) -> bool {
    let KeptPassword { salt, hash: right, memory_kib, passes } = kept;
    match hash(password, salt, *memory_kib, *passes, memory) {
        Ok(found) => same(&found, right),
        Err(error) => {
            tracing::error!(%error, "a password cannot be checked");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_right_or_wrong_and_nobodys_costs_the_same() {
        let passwords = Passwords::start().unwrap();
        let kept = passwords.place(false).unwrap().keep("correct horse battery".to_owned()).await.unwrap();
        assert_eq!((kept.memory_kib, kept.passes), (19_456, 2));
        let is_right = |password: &str, kept| passwords.place(false).unwrap().check(password.to_owned(), kept);
        assert!(is_right("correct horse battery", Some(kept.clone())).await);
        assert!(!is_right("correct horse batterx", Some(kept.clone())).await);
        assert_ne!(keep_password("correct horse battery").unwrap(), kept, "each has a salt of its own");
        let mut costs = [Duration::MAX; 2];
        for _ in 0..5 {
            for (cost, kept) in costs.iter_mut().zip([Some(kept.clone()), None]) {
                let began = Instant::now();
                assert!(!is_right("wrong password", kept).await);
                *cost = began.elapsed().min(*cost);
            }
        }
        let [known, unknown] = costs.map(|cost| cost.as_secs_f64());
        assert!(unknown > 0.25 * known && unknown < 4.0 * known, "{costs:?}");
    }

    #[tokio::test]
    async fn who_comes_when_too_many_wait_is_sent_away() {
        let passwords = Passwords::start().unwrap();
        let mut strangers: Vec<_> = std::iter::from_fn(|| passwords.place(false).ok()).collect();
        let known: Vec<_> = std::iter::from_fn(|| passwords.place(true).ok()).collect();
        assert_eq!((strangers.len(), known.len()), (MOST_WAITING - KEPT_FOR_KNOWN, KEPT_FOR_KNOWN));
        drop(known);
        assert!(passwords.place(false).is_err());
        drop(strangers.pop());
        let place = passwords.place(false).expect("one that was given back");
        assert!(!place.check("wrong".to_owned(), None).await);
        assert!(passwords.place(false).is_ok(), "one whose turn has come");
    }

    #[test]
    fn a_password_is_long_and_that_is_all() {
        assert!(is_acceptable(&made_password()) && made_password() != made_password());
        assert!(is_acceptable("aaaaaaaaaaaa") && !is_acceptable("short") && !is_acceptable(&"a".repeat(257)));
    }
}
