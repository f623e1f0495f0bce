//! `model promote` and `model rollback`: which package serves from the daemon's next start on.

use clap::Args;
use tableside::audit::{Event, person_at_shell};
use tableside::config::Config;
use tableside::engine::{EngineError, ModelFolders, ModelPackage};
use tableside::promotion::{ModelStore, Switched};
use tableside::serving::choice;

use crate::command::{DONE, Outcome, tell_audit};

#[derive(Args)]
pub struct PromoteArgs {
    #[arg(value_name = "NAME")]
    name: String,
}

pub fn promote(args: &PromoteArgs, folders: &ModelFolders, config: &Config) -> Outcome {
    let package = folders.find(&args.name)?;
    let store = ModelStore::to_change(config.model.as_deref(), &config.data)?;
    tell(config, &store.promote(&package, &self_test(config))?)
}

pub fn rollback(config: &Config) -> Outcome {
    let store = ModelStore::to_change(config.model.as_deref(), &config.data)?;
    tell(config, &store.roll_back(&self_test(config))?)
}

/// On the CPU: a daemon that runs has the GPU, and tests the package there when it starts.
fn self_test(config: &Config) -> impl Fn(&ModelPackage) -> Result<(), EngineError> {
    |package| choice::on_cpu(package, &config.engine).map(drop)
}

fn tell(config: &Config, Switched { serves, before }: &Switched) -> Outcome {
    let named = format!("{} ({})", serves.title(), serves.sha256());
    tell_audit(config, Event::ModelChanged { who: person_at_shell(), serves: named, before: before.clone() })?;
    println!("{} serves from the daemon's next start on: systemctl restart tableside", serves.title());
    println!("before: {before}; tableside model rollback goes back to it");
    Ok(DONE)
}
