//! `gpu-probe`: what the daemon runs in a process of its own to see whether there is a GPU.

use tableside::engine::gpus_here;

use super::{Outcome, print_json};

pub fn gpu_probe() -> Outcome {
    print_json(&gpus_here())
}
