//! `outbox`: what must reach others, and what somebody has to decide on. The daemon may be running.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use tableside::audit::{Decision, Event, person_at_shell};
use tableside::database::{Deliveries, Delivery, DeliveryFilter, DeliveryState};
use tableside::exam::ExamKey;

use super::{DONE, FAILED, Outcome, configuration, print_json, tell_audit};

#[derive(Args)]
pub struct OutboxArgs {
    #[command(subcommand)]
    command: OutboxCommand,
}

#[derive(Subcommand)]
enum OutboxCommand {
    /// List what is not delivered, one object a line
    List {
        #[command(flatten)]
        chosen: ChosenArgs,
        /// List what is delivered, superseded or dropped too
        #[arg(long)]
        all: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Send again what could not be delivered
    Retry(ChosenArgs),
    /// Give up what is not delivered: it is not sent any more
    Drop(ChosenArgs),
}

#[derive(Args)]
struct ChosenArgs {
    /// Numbers of deliveries, as `list` shows them
    #[arg(value_name = "NUMBER")]
    numbers: Vec<i64>,
    /// Those of one exam
    #[arg(long, value_name = "EXAM")]
    exam: Option<String>,
    /// Those to one destination
    #[arg(long, value_name = "NAME")]
    destination: Option<String>,
    /// Configuration file; it says where the daemon keeps its database
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ChosenArgs {
    fn filter(&self, states: &[DeliveryState]) -> Result<DeliveryFilter, String> {
        let exam = self.exam.as_ref().map(|text| ExamKey::parse(text).ok_or(format!("{text} is no key of an exam")));
        Ok(DeliveryFilter {
            ids: self.numbers.clone(),
            exam: exam.transpose()?,
            destination: self.destination.clone(),
            states: states.to_vec(),
        })
    }

    /// Has the audit trail say who decided what.
    fn tell(&self, decision: Decision, count: usize) -> Result<(), Box<dyn std::error::Error>> {
        let (who, chosen) = (person_at_shell(), self.filter(&[])?.to_string());
        let event = Event::DeliveriesDecided { who, decision, chosen, count };
        Ok(tell_audit(&configuration(self.config.as_deref())?, event)?)
    }

    fn deliveries(&self) -> Result<Deliveries, Box<dyn std::error::Error>> {
        let config = configuration(self.config.as_deref())?;
        Ok(Deliveries::open(&config.database())?)
    }
}

pub fn outbox(args: &OutboxArgs) -> Outcome {
    match &args.command {
        OutboxCommand::List { chosen, all, json } => {
            let states = if *all { &[][..] } else { &DeliveryState::UNSETTLED };
            let listed = chosen.deliveries()?.list(&chosen.filter(states)?)?;
            if *json {
                return print_json(&listed);
            }
            print!("{}", table(&listed));
            Ok(DONE)
        }
        OutboxCommand::Retry(chosen) => {
            let count = chosen.deliveries()?.send_again(chosen.filter(&[])?)?;
            chosen.tell(Decision::SendAgain, count)?;
            Ok(told(count, "sent again"))
        }
        OutboxCommand::Drop(chosen) => {
            let filter = chosen.filter(&[])?;
            if !filter.names_some() {
                return Err("say which: numbers of deliveries, --exam or --destination".into());
            }
            let count = chosen.deliveries()?.give_up(filter)?;
            chosen.tell(Decision::GiveUp, count)?;
            Ok(told(count, "not sent any more"))
        }
    }
}

fn told(count: usize, what: &str) -> u8 {
    match count {
        0 => println!("nothing that this could be done with was found: see tableside outbox list"),
        1 => println!("1 object is {what}"),
        _ => println!("{count} objects are {what}"),
    }
    if count == 0 { FAILED } else { DONE }
}

fn table(listed: &[Delivery]) -> String {
    let mut text = String::new();
    let mut by_state: BTreeMap<DeliveryState, usize> = BTreeMap::new();
    for delivery in listed {
        *by_state.entry(delivery.state).or_default() += 1;
        let Delivery { id, exam, revision, destination, state, failures, .. } = delivery;
        let age = age_of(delivery.queued);
        let failed = if *failures > 0 { format!("  failed {failures} times") } else { String::new() };
        let reason = delivery.reason.as_ref().map(|reason| format!("  {reason}")).unwrap_or_default();
        let (state, kind) = (state.as_str(), delivery.kind.as_str());
        let line =
            format!("{id:>6}  {state:<10} {destination:<16} {exam} {revision} {kind:<18} {age:>8}{failed}{reason}");
        text += line.trim_end();
        text.push('\n');
    }
    let sums: Vec<String> = by_state.iter().map(|(state, count)| format!("{count} {}", state.as_str())).collect();
    text + &if sums.is_empty() { "nothing waits\n".to_owned() } else { format!("{}\n", sums.join(", ")) }
}

fn age_of(queued: Timestamp) -> String {
    let seconds = Timestamp::now().duration_since(queued).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
