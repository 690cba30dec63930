//! The command line: text in, a command out; and all that is printed.

mod apply;
mod ask;
mod bundle;
mod check;
mod dead_letters;
mod deep;
mod demo;
mod endpoints;
mod formats;
mod formats_try;
mod general;
mod messages;
mod no_rows;
mod pages;
mod reading;
mod receive;
mod reload;
mod replay;
mod routes;
mod run;
mod schema;
mod screen;
mod secret;
mod signing;
mod sources;
pub(crate) mod status;
mod store;
mod tail;
mod test;
mod top;
mod verify;

pub use self::pages::{PAGE_MARK, PAGE_VERSION};

use clap::{CommandFactory, Parser, Subcommand};
use std::error::Error;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// How the process ends, for scripts and the unit file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All went well.
    Success = 0,
    /// The command line makes no sense.
    Usage = 64,
    /// A row, a signature or an account is not as it should be.
    Data = 65,
    /// Something needs the operator: an endpoint does not take events, a file cannot be read.
    Unhealthy = 69,
    /// A bug; the service manager may restart.
    Bug = 70,
    /// The queue's store could not be opened or written.
    Store = 74,
    /// An agent runs where none may, or none where one has to, or it does not answer.
    Unavailable = 75,
    /// This user may not speak to the agent.
    NotAllowed = 77,
    /// The configuration stands in the way; a restart would not help.
    Configuration = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Where the configuration is looked for when no `--config` is given.
const CONFIG_DEFAULT: &str = "/etc/switchhook/switchhook.toml";

/// Delivers a softswitch's call records as signed HTTP callbacks.
#[derive(Debug, Parser)]
#[command(name = "switchhook", version, about, long_about = None, arg_required_else_help = true)]
#[command(
    after_help = "Start with `switchhook demo`: it needs nothing and shows the whole path in a few seconds."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Follow the switch's files and deliver what they say, until told to stop.
    #[command(after_help = "Example: switchhook run --config /etc/switchhook/switchhook.toml")]
    Run(ConfigArgument),
    /// Show the configuration in force, and one row of each source beside what becomes of it.
    Check(check::CheckArguments),
    /// How everything stands: sources, endpoints, disk, the ledger.
    Status(status::StatusArguments),
    /// The same as a live view, with keys to pause, resume and look closer.
    Top(top::TopArguments),
    /// Every file the agent remembers, and how far it has read it.
    Sources(sources::SourcesArguments),
    /// Events and attempts as they pass.
    Tail(tail::TailArguments),
    /// Where events go: list, pause, resume, and what to do with a name that is gone.
    #[command(subcommand)]
    Endpoints(endpoints::EndpointsCommand),
    /// Which events go where; and for given rows, with the reasons.
    Routes(routes::RoutesArguments),
    /// Events given up: list, show, replay, purge.
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLettersCommand),
    /// Tell rows of the switch's own files once more, with the same ids.
    Replay(replay::ReplayArguments),
    /// Have the running agent read its configuration again: all of it, or nothing.
    #[command(after_help = "Example: switchhook check && switchhook reload")]
    Reload(ask::AgentArgument),
    /// Put a whole configuration into its file and into force, or neither.
    Apply(apply::ApplyArguments),
    /// Send one signed event to an endpoint, and show everything that is seen of it.
    Test(test::TestArguments),
    /// Write one file with what helps to find out what is wrong, secrets and numbers left out.
    SupportBundle(bundle::BundleArguments),
    /// Play a small switch, deliver its calls to a receiver of its own, and balance the account.
    Demo(demo::DemoArguments),
    /// A receiver for development: verifies, prints, counts, and misbehaves on request.
    Receive(receive::ReceiveArguments),
    /// Judge a saved request: whether its signature is right, and if not, why.
    Verify(verify::VerifyArguments),
    /// The formats of CDR files: which there are, and what each says of its columns.
    #[command(subcommand)]
    Formats(formats::FormatsCommand),
    /// What receivers get, as JSON Schema, by profile and type of event.
    Schema(schema::SchemaArguments),
    /// Every kind of line the log has: its id, who has to act, what to do.
    Messages(messages::MessagesArguments),
    /// Signing secrets.
    #[command(subcommand)]
    Secret(secret::SecretCommand),
    /// The queue on disk: check it, take events out of it, mend it. While no agent runs.
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// The manual page of a command.
    Man(pages::ManArguments),
    /// What completes commands and options in a shell: bash, zsh or fish.
    Completions(pages::CompletionsArguments),
}

/// The one argument of the commands that work with a configuration.
#[derive(Debug, clap::Args)]
struct ConfigArgument {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = CONFIG_DEFAULT)]
    config: PathBuf,
}

/// The whole command line, as `--help` shows it: what manual pages and completions are made from.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Reads the command line and does what it says.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let asked_for = !error.use_stderr();
            // A closed pipe is the reader's own wish to hear no more.
            let _printed = error.print();
            return if asked_for {
                Exit::Success
            } else {
                Exit::Usage
            };
        }
    };
    match arguments.command {
        Command::Run(argument) => run::run(&argument.config),
        Command::Check(arguments) => check::check(&arguments),
        Command::Status(arguments) => status::status(&arguments),
        Command::Top(arguments) => top::top(&arguments),
        Command::Sources(arguments) => sources::sources(&arguments),
        Command::Tail(arguments) => tail::tail(&arguments),
        Command::Endpoints(command) => endpoints::endpoints(&command),
        Command::Routes(arguments) => routes::routes(&arguments),
        Command::DeadLetters(command) => dead_letters::dead_letters(&command),
        Command::Replay(arguments) => replay::replay(&arguments),
        Command::Reload(agent) => reload::reload(&agent),
        Command::Apply(arguments) => apply::apply(&arguments),
        Command::Test(arguments) => test::test(&arguments),
        Command::SupportBundle(arguments) => bundle::bundle(&arguments),
        Command::Demo(arguments) => demo::demo(&arguments),
        Command::Receive(arguments) => receive::receive(&arguments),
        Command::Verify(arguments) => verify::verify(&arguments),
        Command::Formats(command) => formats::formats(&command),
        Command::Schema(arguments) => schema::schema_command(&arguments),
        Command::Messages(arguments) => messages::messages(&arguments),
        Command::Secret(command) => secret::secret(&command),
        Command::Store(command) => store::store(&command),
        Command::Man(arguments) => pages::man(&arguments),
        Command::Completions(arguments) => pages::completions(&arguments),
    }
}

/// An error with its causes, as one text.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
