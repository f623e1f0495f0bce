//! `model build`: TensorRT's plan ahead of time.

use std::time::{Duration, Instant};

use clap::Args;
use indicatif::ProgressBar;
use tableside::engine::ModelFolders;
use tableside::serving::choice::{self, EngineOptions};

use crate::command::{DONE, Outcome};

#[derive(Args)]
pub struct BuildArgs {
    #[arg(value_name = "NAME")]
    name: String,
}

pub fn build(args: &BuildArgs, folders: &ModelFolders, options: &EngineOptions) -> Outcome {
    let package = folders.find(&args.name)?;
    let started = Instant::now();
    // How far it is TensorRT does not say: the bar shows that it goes on and for how long.
    let bar = ProgressBar::new_spinner().with_message(format!("TensorRT builds a plan of {}", package.title()));
    bar.enable_steady_tick(Duration::from_millis(200));
    let built = choice::build_plan(&package, options);
    bar.finish_and_clear();
    println!("{} after {:.1} s", built?.display(), started.elapsed().as_secs_f64());
    Ok(DONE)
}
