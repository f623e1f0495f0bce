//! What processes use, as the kernel tells it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Kernel's unit of processor time in `/proc`, on every architecture that Linux is used on today.
const TICK: Duration = Duration::from_millis(10);
/// How often a receiver's memory is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// What a receiver has used.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Processor time of all its processes.
    pub cpu: Duration,
    /// The sum of its processes' peaks of resident memory, MB.
    pub peak_mb: f64,
}

/// Looks at a process and its descendants until it is told to stop.
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Usage>,
}

impl Watch {
    pub fn begin(process: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = stop.clone();
        let before = cpu(process);
        let thread = std::thread::spawn(move || {
            let mut peaks_mb: HashMap<u32, f64> = HashMap::new();
            loop {
                let last = stopping.load(Ordering::Relaxed);
                for member in tree(process) {
                    if let Some(peak_mb) = memory_mb(member, "VmHWM") {
                        peaks_mb.insert(member, peak_mb);
                    }
                }
                if last {
                    return Usage { cpu: cpu(process).saturating_sub(before), peak_mb: peaks_mb.values().sum() };
                }
                std::thread::sleep(LOOK);
            }
        });
        Self { stop, thread }
    }

    pub fn end(self) -> Usage {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// A process and its descendants.
pub fn tree(process: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let children: Vec<u32> = threads
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|line| line.split_whitespace().filter_map(|child| child.parse().ok()).collect::<Vec<u32>>())
        .collect();
    std::iter::once(process).chain(children.into_iter().flat_map(tree)).collect()
}

/// Processor time of a process and its descendants, those that have ended included.
fn cpu(process: u32) -> Duration {
    // Fields 14 to 17 of proc(5): own time, and that of children who were waited for. The second field is a name in
    // brackets that may hold spaces.
    let ticks = |member: u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{member}/stat")).ok()?;
        let fields = stat.rsplit_once(')')?.1.split_whitespace();
        Some(fields.skip(11).take(4).filter_map(|field| field.parse::<u32>().ok()).sum())
    };
    TICK * tree(process).into_iter().filter_map(ticks).sum::<u32>()
}

/// A figure of `/proc/PID/status`, MB.
pub fn memory_mb(process: u32, name: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

/// Open file handles of a process.
pub fn handles(process: u32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd")).map_or(0, Iterator::count)
}

/// The load averages over 1, 5 and 15 minutes.
pub fn load_average() -> String {
    let line = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    line.split_whitespace().take(3).collect::<Vec<_>>().join(", ")
}

/// The middle one; of an even number the lower of the two.
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}
