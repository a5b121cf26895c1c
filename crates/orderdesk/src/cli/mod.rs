//! The command line: what the operator can say, and what the program answers.
//!
//! Results go to standard output, everything else to standard error. Exit status: 0 done,
//! 1 refused or failed, 2 wrong usage.

mod accounts;
mod audit;
mod backup;
mod check;
mod commands;
mod dev;
mod export;
mod import;
mod output;
mod password;
mod pieces;
mod progress;
mod serve;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use palisade::process::keep_memory_private;
use palisade::secret::legible;
use palisade::service::in_full;

use crate::accounts::Role;

/// An order service: accounts, and orders that go from new to paid to shipped.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service until SIGTERM or SIGINT, then finish what is in flight
    Serve {
        #[command(flatten)]
        config: ConfigFile,
        /// Run for development: everything that is missing is made in ./orderdesk-data, and the
        /// service listens on loopback only
        #[arg(long)]
        dev: bool,
    },
    /// Judge settings, files, secrets, certificate, database and process, and with --url what
    /// answers: numbered findings, exit status 1 on an error
    Check(check::CheckArguments),
    /// Bring the database to this version
    Migrate(ConfigFile),
    /// Write a checked copy of the database to a file, also while the service runs
    ///
    /// The file is readable by its owner only and holds what the database holds; `API_KEY` and
    /// `SECRET_KEY` are not in it. It has its name once it is whole: `-` is refused.
    Backup(backup::BackupArguments),
    /// Judge a backup: whether it is whole and can be restored; exit status 1 if not
    VerifyBackup(backup::VerifyArguments),
    /// Put a backup in the place of the database, while no service runs
    ///
    /// It is judged first, and every session in it is ended. A database that is there is kept.
    Restore(backup::RestoreArguments),
    /// Take a CSV file of orders on, and work it off: exit status 1 if a row was rejected
    ///
    /// The file lies in the database before anything is made of it, so a running service, or the
    /// next one, goes on with it if this command is ended. The same file twice makes nothing twice.
    Import(import::ImportArguments),
    /// Write all orders as a CSV file, a row for each line of an order
    Export(export::ExportArguments),
    /// Look at the audit log: who did what
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Show the settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Make secrets
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Manage accounts
    #[command(subcommand)]
    User(UserCommand),
    /// Print the routes: method, path, who may call it, limits
    Routes(ConfigFile),
    /// Print the OpenAPI 3.1 document
    Openapi(ConfigFile),
    /// Ask the admin listener whether the service is ready: exit status 0 if so
    Health {
        #[command(flatten)]
        config: ConfigFile,
        /// Where to ask, such as `http://127.0.0.1:9443`; without it, what `server.admin_listen`
        /// says
        #[arg(long)]
        url: Option<AdminUrl>,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The settings file; without it, defaults and `ORDERDESK__SECTION__KEY` variables
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Say whether it is as it was written: exit status 1 if a record was changed, removed, put in or
    /// moved
    ///
    /// It needs `SECRET_KEY`, which signs it, and runs beside a service. With the checkpoints that the
    /// log of the service has, or an earlier export, it also finds an end that was cut off.
    Verify(audit::VerifyArguments),
    /// Write it out, one JSON object a line: records, and behind them the checkpoints that sign them
    Export(audit::ExportArguments),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Every effective setting and where its value comes from; secrets are redacted
    Show(ConfigFile),
    /// The whole commented settings file, with defaults
    Example,
}

#[derive(Debug, Subcommand)]
enum SecretCommand {
    /// Print one good value for `API_KEY` or `SECRET_KEY`
    ///
    /// 32 random bytes in base64url. Make one for each: the two must differ. To keep one in a file
    /// that is closed to others from the start: `(umask 077; orderdesk secret new > FILE)`
    New,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Add an account; the password is asked for, or read from standard input
    Add {
        #[command(flatten)]
        config: ConfigFile,
        /// The name to sign in with: 1 to 32 letters and digits
        #[arg(long)]
        username: String,
        /// Where mail for the account goes
        #[arg(long)]
        email: String,
        /// What the account may do
        #[arg(long)]
        role: RoleArgument,
    },
    /// Keep an account from being used: its sessions and API keys end, within a second where a
    /// service runs
    Disable(Account),
    /// Let an account that was disabled sign in again
    Enable(Account),
    /// Print a token by which whoever has it chooses a new password for an account
    ///
    /// It is good once, for an hour, at `POST /password-resets`. The password is the old one until then.
    Reset(Account),
}

#[derive(Debug, Args)]
struct Account {
    #[command(flatten)]
    config: ConfigFile,
    /// The name of the account
    #[arg(long)]
    username: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleArgument {
    /// Sees and changes everything
    Operator,
    /// Sees and changes what is its own
    Customer,
}

impl From<RoleArgument> for Role {
    fn from(role: RoleArgument) -> Self {
        match role {
            RoleArgument::Operator => Self::Operator,
            RoleArgument::Customer => Self::Customer,
        }
    }
}

/// The address of an admin listener.
#[derive(Debug, Clone, Copy)]
struct AdminUrl(SocketAddr);

impl std::str::FromStr for AdminUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let host = text.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        let host = host.map(|host| host.strip_suffix("/ready").unwrap_or(host));
        let host = host.map(|host| host.replace("localhost", "127.0.0.1"));
        let address = host.and_then(|host| host.parse().ok());
        let expected = "expected an address and port such as http://127.0.0.1:9443";
        address.map(Self).ok_or_else(|| expected.to_owned())
    }
}

/// Runs the program with the arguments it was started with.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to standard output, mistakes to standard error; either may be closed.
            error.print().ok();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match execute(cli.command) {
        Ok(status) => status,
        Err(error) => {
            let said = in_full(error.as_ref());
            writeln!(io::stderr().lock(), "orderdesk: {}", legible(&said)).ok();
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> anyhow::Result<ExitCode> {
    // The service locks itself down as its settings say, and the check judges what a start is given.
    if !matches!(command, Command::Serve { .. } | Command::Check(_)) {
        // A system that refuses this refuses it to the service too, which says so.
        keep_memory_private().ok();
    }
    match command {
        Command::Serve { config, dev } => serve::serve(config.config.as_deref(), dev)?,
        Command::Check(arguments) => return check::check(&arguments),
        Command::Migrate(config) => commands::migrate(config.config.as_deref())?,
        Command::Backup(arguments) => backup::take(&arguments)?,
        Command::VerifyBackup(arguments) => return backup::verify(&arguments),
        Command::Restore(arguments) => backup::restore(&arguments)?,
        Command::Import(arguments) => return import::import(&arguments),
        Command::Export(arguments) => export::export(&arguments)?,
        Command::Audit(AuditCommand::Verify(arguments)) => return audit::verify(&arguments),
        Command::Audit(AuditCommand::Export(arguments)) => audit::export(&arguments)?,
        Command::Config(ConfigCommand::Show(config)) => {
            commands::show_config(config.config.as_deref())?;
        }
        Command::Config(ConfigCommand::Example) => commands::example_config()?,
        Command::Secret(SecretCommand::New) => commands::new_secret()?,
        Command::User(UserCommand::Add { config, username, email, role }) => {
            let new = commands::NewUser { username, email, role: role.into() };
            commands::add_user(config.config.as_deref(), new)?;
        }
        Command::User(UserCommand::Disable(account)) => change(account, accounts::Change::Disable)?,
        Command::User(UserCommand::Enable(account)) => change(account, accounts::Change::Enable)?,
        Command::User(UserCommand::Reset(account)) => change(account, accounts::Change::Reset)?,
        Command::Routes(config) => commands::print_routes(config.config.as_deref())?,
        Command::Openapi(config) => commands::print_openapi(config.config.as_deref())?,
        Command::Health { config, url } => {
            let address = url.map(|AdminUrl(address)| address);
            return commands::health(config.config.as_deref(), address);
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "orderdesk", &mut script);
            print(&String::from_utf8_lossy(&script))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn change(account: Account, change: accounts::Change) -> anyhow::Result<()> {
    accounts::change(account.config.config.as_deref(), &account.username, change)
}

/// Writes to standard output; whoever closed it early has read enough.
fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_admin_url_may_be_written_as_people_write_it() {
        for good in ["http://127.0.0.1:9443", "http://localhost:1/", "http://[::1]:9443/ready"] {
            assert!(good.parse::<AdminUrl>().is_ok(), "{good}");
        }
        for bad in ["https://127.0.0.1:9443", "127.0.0.1:9443", "http://127.0.0.1", "http://x/"] {
            assert!(bad.parse::<AdminUrl>().is_err(), "{bad}");
        }
    }
}
