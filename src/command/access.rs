//! `user`, `kiosk` and `admin`: who may use the console. The daemon may be running; what changes holds at once.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use tableside::audit::{Event, person_at_shell};
use tableside::config::Config;
use tableside::console::access::{
    AccessChange, AccessMode, SETUP_LINK_HOLDS, SHORTEST_PASSWORD, Secret, is_acceptable, keep_password, kiosk_of,
    made_password,
};
use tableside::database::{Account, AccountEdit, Accounts, Changed, Role};

use super::{DONE, Outcome, configuration, print_json, tell_audit};

#[derive(Args)]
pub struct UserArgs {
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Subcommand)]
enum UserCommand {
    /// Add a person; the password is printed once, or read
    Add {
        /// What the person types to log in
        name: String,
        #[arg(long, value_enum)]
        role: PersonRole,
        /// How acknowledgements name the person; without it the name
        #[arg(long, value_name = "NAME")]
        shown_as: Option<String>,
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        daemon: DaemonArgs,
    },
    /// Give a person another password and end all sessions of the person
    Reset {
        name: String,
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        daemon: DaemonArgs,
    },
    /// Let a person not log in any more and end all sessions of the person; the account stays
    Disable {
        name: String,
        #[command(flatten)]
        daemon: DaemonArgs,
    },
    /// Let a person log in again who was disabled
    Enable {
        name: String,
        #[command(flatten)]
        daemon: DaemonArgs,
    },
    /// Remove a person and end all sessions of the person
    Remove {
        name: String,
        #[command(flatten)]
        daemon: DaemonArgs,
    },
    /// List who may log in
    List(ListArgs),
}

/// The roles of people (docs/access.md).
#[derive(Clone, Copy, ValueEnum)]
enum PersonRole {
    Technician,
    Clinic,
    Administrator,
    Reader,
}

impl From<PersonRole> for Role {
    fn from(role: PersonRole) -> Self {
        match role {
            PersonRole::Technician => Self::Technician,
            PersonRole::Clinic => Self::Clinic,
            PersonRole::Administrator => Self::Administrator,
            PersonRole::Reader => Self::Reader,
        }
    }
}

#[derive(Args)]
struct PasswordArgs {
    /// Read the password from standard input, one line, instead of making one
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Args)]
struct DaemonArgs {
    /// Configuration file of the daemon
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Args)]
struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

#[derive(Args)]
pub struct KioskArgs {
    #[command(subcommand)]
    command: KioskCommand,
}

#[derive(Subcommand)]
enum KioskCommand {
    /// Let a screen in that nobody logs in at; its link is printed once
    Add {
        name: String,
        /// An address or network of the screen; its token is worth nothing from elsewhere
        #[arg(long = "address", value_name = "NETWORK", required = true)]
        addresses: Vec<String>,
        #[command(flatten)]
        daemon: DaemonArgs,
    },
    /// Take a screen's token back: what it shows ends at once
    Revoke {
        name: String,
        #[command(flatten)]
        daemon: DaemonArgs,
    },
    /// List the screens
    List(ListArgs),
}

#[derive(Args)]
pub struct AdminArgs {
    #[command(subcommand)]
    command: AdminCommand,
}

#[derive(Subcommand)]
enum AdminCommand {
    /// Print a link by which an administrator makes an account: once, within 15 minutes
    SetupLink {
        #[command(flatten)]
        daemon: DaemonArgs,
    },
}

pub fn user(args: &UserArgs) -> Outcome {
    match &args.command {
        UserCommand::Add { name, role, shown_as, password, daemon } => {
            let name = name_of(name)?;
            let shown_as = Account::shown_as_of(shown_as.as_deref().unwrap_or(&name));
            let shown_as = shown_as.ok_or("--shown-as takes 1 to 32 characters")?;
            let opened = daemon.open()?;
            let (text, is_made) = password.read()?;
            let (role, created) = (Role::from(*role), Timestamp::now());
            let account = Account { name: name.clone(), shown_as, role, created, disabled: None };
            if !opened.accounts.add(&account, &keep_password(&text)?)? {
                return Err(
                    format!("there is a user {name} already: tableside user reset gives another password").into()
                );
            }
            told(&format!("{name} may log in as {}", role.as_str()), &text, is_made);
            opened.tell(&name, &AccessChange::Added(role))
        }
        UserCommand::Reset { name, password, daemon } => {
            let (name, opened) = (name_of(name)?, daemon.open()?);
            let (text, is_made) = password.read()?;
            done(opened.accounts.set_password(&name, &keep_password(&text)?)?, &name)?;
            told(&format!("{name} has another password"), &text, is_made);
            opened.tell(&name, &AccessChange::OtherPassword)
        }
        UserCommand::Disable { name, daemon } => set_may_log_in(name, false, daemon),
        UserCommand::Enable { name, daemon } => set_may_log_in(name, true, daemon),
        UserCommand::Remove { name, daemon } => {
            let (name, opened) = (name_of(name)?, daemon.open()?);
            done(opened.accounts.remove(&name)?, &name)?;
            println!("{name} may not log in any more");
            opened.tell(&name, &AccessChange::Removed)
        }
        UserCommand::List(ListArgs { json, daemon }) => {
            let accounts = daemon.open()?.accounts.accounts()?;
            if *json {
                return print_json(&accounts);
            }
            if accounts.is_empty() {
                println!("nobody may log in: tableside admin setup-link makes the first administrator");
            }
            for Account { name, shown_as, role, created, disabled } in accounts {
                let (role, since) = (role.as_str(), created.strftime("%Y-%m-%d"));
                let disabled = disabled.map(|at| format!(", disabled since {}", at.strftime("%Y-%m-%d")));
                println!("{name:<32} {role:<14} {shown_as:<32} since {since}{}", disabled.unwrap_or_default());
            }
            Ok(DONE)
        }
    }
}

pub fn kiosk(args: &KioskArgs) -> Outcome {
    match &args.command {
        KioskCommand::Add { name, addresses, daemon } => {
            let (kiosk, opened) = (kiosk_of(name, addresses)?, daemon.open()?);
            let secret = Secret::new();
            if !opened.accounts.add_kiosk(&kiosk, &secret.hash())? {
                return Err(format!("there is a kiosk {} already: revoke it first", kiosk.name).into());
            }
            let (places, link) = (kiosk.places(), opened.link("kiosk", &secret));
            println!("Open this once on the screen at {places}; it is not shown again:\n{link}");
            opened.tell(&kiosk.name, &AccessChange::KioskAdded(&kiosk))
        }
        KioskCommand::Revoke { name, daemon } => {
            let (name, opened) = (name_of(name)?, daemon.open()?);
            if !opened.accounts.revoke_kiosk(&name)? {
                return Err(format!("there is no kiosk {name}").into());
            }
            println!("kiosk {name} is shown nothing any more");
            opened.tell(&name, &AccessChange::KioskRevoked)
        }
        KioskCommand::List(ListArgs { json, daemon }) => {
            let kiosks = daemon.open()?.accounts.kiosks()?;
            if *json {
                return print_json(&kiosks);
            }
            for kiosk in kiosks {
                let since = kiosk.created.strftime("%Y-%m-%d");
                println!("{:<32} {} since {since}", kiosk.name, kiosk.places());
            }
            Ok(DONE)
        }
    }
}

pub fn admin(args: &AdminArgs) -> Outcome {
    let AdminCommand::SetupLink { daemon } = &args.command;
    let opened = daemon.open()?;
    let secret = Secret::new();
    opened.accounts.put_setup_link(&secret.hash(), Timestamp::now() + SETUP_LINK_HOLDS)?;
    let minutes = SETUP_LINK_HOLDS.as_secs() / 60;
    println!("Open this within {minutes} minutes; it makes one administrator:\n{}", opened.link("setup", &secret));
    opened.tell("setup-link", &AccessChange::SetUpLink)
}

/// The accounts of a daemon, and its configuration.
struct Opened {
    config: Config,
    accounts: Accounts,
}

impl DaemonArgs {
    fn open(&self) -> Result<Opened, Box<dyn std::error::Error>> {
        let config = configuration(self.config.as_deref())?;
        if config.access.mode == AccessMode::Open {
            eprintln!("console.access is open: nobody logs in until it is accounts");
        }
        let accounts = Accounts::open(&config.database())?;
        Ok(Opened { config, accounts })
    }
}

impl Opened {
    fn tell(&self, whose: &str, change: &AccessChange<'_>) -> Outcome {
        let (whose, change) = (whose.to_owned(), change.to_string());
        let event = Event::AccessChanged { who: person_at_shell(), whose, change };
        tell_audit(&self.config, event)?;
        Ok(DONE)
    }

    /// A link whose secret stands behind `#`: browsers send that to nobody, so no log has it.
    fn link(&self, what: &str, secret: &Secret) -> String {
        let Config { access, console_listen, .. } = &self.config;
        let scheme = if access.tls.is_some() { "https" } else { "http" };
        let address = match access.hosts.first() {
            Some(host) => format!("{host}:{}", console_listen.port()),
            None if console_listen.ip().is_unspecified() => format!("localhost:{}", console_listen.port()),
            None => console_listen.to_string(),
        };
        format!("{scheme}://{address}/#{what}={}", secret.text())
    }
}

impl PasswordArgs {
    /// The password, and whether it was made here.
    fn read(&self) -> Result<(String, bool), Box<dyn std::error::Error>> {
        if !self.password_stdin {
            return Ok((made_password(), true));
        }
        let input = std::io::stdin();
        if input.is_terminal() {
            eprintln!("The password, which is shown as it is typed:");
        }
        let mut line = String::new();
        input.lock().read_line(&mut line)?;
        let password = line.trim_end_matches(['\r', '\n']).to_owned();
        if !is_acceptable(&password) {
            return Err(format!("a password has at least {SHORTEST_PASSWORD} characters").into());
        }
        Ok((password, false))
    }
}

fn set_may_log_in(name: &str, may_log_in: bool, daemon: &DaemonArgs) -> Outcome {
    let (name, opened) = (name_of(name)?, daemon.open()?);
    let edit = AccountEdit { may_log_in: Some(may_log_in), ..AccountEdit::default() };
    let (before, now) = done(opened.accounts.edit(&name, &edit, Timestamp::now())?, &name)?;
    println!("{name} {}", if may_log_in { "may log in" } else { "may not log in any more" });
    match AccessChange::between(&before, &now).first() {
        Some(change) => opened.tell(&name, change),
        None => Ok(DONE),
    }
}

fn done<T>(changed: Changed<T>, name: &str) -> Result<T, String> {
    match changed {
        Changed::Done(done) => Ok(done),
        Changed::NoSuchAccount => Err(no_user(name)),
        Changed::LastAdministrator => Err(format!(
            "nobody could administer the console without {name}: give somebody else the role administrator first"
        )),
    }
}

fn name_of(typed: &str) -> Result<String, String> {
    Account::name_of(typed).ok_or_else(|| format!("{typed} is no name: 1 to 32 letters, digits and .-_@"))
}

fn no_user(name: &str) -> String {
    format!("there is no user {name}: see tableside user list")
}

fn told(what: &str, password: &str, is_made: bool) {
    println!("{what}");
    if is_made {
        println!("Password, which is not shown again: {password}");
    }
}
