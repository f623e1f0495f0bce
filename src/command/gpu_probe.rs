//! `gpu-probe`: what the daemon runs in a process of its own to see whether there is a GPU.

use tableside::engine::gpus_here;

use super::{Outcome, print_json};

pub fn gpu_probe() -> Outcome {
    // The process that asked shows the reason; it has no other use for it.
    print_json(&gpus_here().map_err(|reason| reason.to_string()))
}
