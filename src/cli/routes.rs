//! `callcenter routes`: the owner's rules checked and tried, without a service and without a call.

mod dry_run;
mod trial;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::Exit;
use crate::routing::check;
use crate::routing::file::{self, Flaw, RoutingFile};
use crate::routing::step::schema;
pub use dry_run::DryRunArgs;
pub use trial::TestArgs;

/// What it does, for its long help.
pub(super) const ABOUT: &str = "\
    Looks at the owner's rules (routing.toml): finds every mistake in them, and shows what they would do with a call. Asks no \
    Asterisk, starts nothing, changes nothing. No service runs the rules yet.";

/// Where the rules are looked for.
const FILE: &str = "config/routing.toml";
/// Sounds below `--sounds`: an installation with many languages has tens of thousands.
const MAX_SOUNDS: usize = 1_000_000;

/// `callcenter routes`.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  callcenter routes check config/routing.toml\n  callcenter routes check --sounds \
                       /usr/share/asterisk/sounds/en\n  callcenter routes test --from 0301234 --to 100 --at '2026-12-24 10:00' \
                       --answers 1,busy\n  callcenter routes dry-run --rules new.toml --since 2026-12-01\n\nExit codes: 0 done, 1 the file can't be read, 2 there are mistakes in it or in the \
                       command."
)]
pub struct RoutesArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: RoutesCommand,
}

/// The commands about rules.
#[derive(Debug, Subcommand)]
pub enum RoutesCommand {
    /// Find every mistake, with line and column.
    Check(CheckRoutesArgs),
    /// Which rule would take a call, why each earlier one would not, and its steps played out.
    Test(Box<TestArgs>),
    /// Which calls of the past other rules would route otherwise: a list and the counts.
    DryRun(DryRunArgs),
    /// Print the JSON Schema of steps, as a webhook answers them.
    Schema,
}

/// `callcenter routes check`.
#[derive(Debug, Args)]
pub struct CheckRoutesArgs {
    /// The rules.
    #[arg(value_name = "FILE", default_value = FILE)]
    pub file: PathBuf,
    /// A folder of Asterisk's sounds in one language; sounds that rules play and that aren't there are mistakes then.
    #[arg(long, value_name = "DIR")]
    pub sounds: Option<PathBuf>,
    /// Print one JSON object instead.
    #[arg(long)]
    pub json: bool,
}

impl RoutesArgs {
    /// Whether it asks for calls of the database that the configuration names.
    pub(super) fn needs_database(&self) -> bool {
        matches!(&self.command, RoutesCommand::DryRun(args) if args.db.is_none())
    }
}

/// Runs one of them; `database` is the configured one.
pub(super) fn run(args: &RoutesArgs, database: Option<&Path>) -> Exit {
    let done = match &args.command {
        RoutesCommand::Check(args) => check(args),
        RoutesCommand::Test(args) => trial::run(args),
        RoutesCommand::DryRun(args) => dry_run::run(args, database),
        RoutesCommand::Schema => Ok((format!("{:#}\n", schema::steps()), Exit::Ok)),
    };
    match done {
        Ok((text, exit)) => match std::io::stdout().write_all(text.as_bytes()) {
            Ok(()) => exit,
            Err(_) => Exit::Failed,
        },
        Err((message, exit)) => {
            eprintln!("{message}");
            exit
        }
    }
}

/// What a command prints, and how it ends; or why it failed.
type Done = Result<(String, Exit), (String, Exit)>;

fn check(args: &CheckRoutesArgs) -> Done {
    let text = text_of(&args.file)?;
    let sounds = args.sounds.as_deref().map(sounds_below).transpose()?;
    let (rules, flaws) = match file::read(&text) {
        Ok(file) => (Some(file.rules.written().count()), check::check(&file, sounds.as_ref())),
        Err(flaws) => (None, flaws),
    };
    let exit = if flaws.is_empty() { Exit::Ok } else { Exit::Usage };
    let version = file::version(&text);
    let report = if args.json {
        let report =
            json!({ "ok": flaws.is_empty(), "file": args.file, "version": version, "rules": rules, "mistakes": flaws });
        format!("{report:#}\n")
    } else {
        let end = match (rules, flaws.len()) {
            (Some(rules), 0) => format!("{rules} rules, version {version}: no mistake\n"),
            (_, 1) => "One mistake.\n".to_owned(),
            (_, count) => format!("{count} mistakes.\n"),
        };
        format!("{}{end}", lines(&args.file, &flaws))
    };
    Ok((report, exit))
}

/// `file:line:column: message`, one a line.
fn lines(file: &Path, flaws: &[Flaw]) -> String {
    flaws.iter().map(|flaw| format!("{}:{flaw}\n", file.display())).collect()
}

/// The file's text.
fn text_of(path: &Path) -> Result<String, (String, Exit)> {
    std::fs::read_to_string(path).map_err(|error| {
        let hint = "routing.example.toml, which comes with the program, shows every step";
        (format!("the rules in {} can't be read: {error}; {hint}", path.display()), Exit::Failed)
    })
}

/// The rules of a file that has no mistake of its own.
fn rules_of(path: &Path) -> Result<RoutingFile, (String, Exit)> {
    file::read(&text_of(path)?).map_err(|flaws| (lines(path, &flaws).trim_end().to_owned(), Exit::Usage))
}

/// The names of the sounds below a folder: paths from there without the format's extension.
fn sounds_below(folder: &Path) -> Result<BTreeSet<String>, (String, Exit)> {
    let failed = |path: &Path, error: std::io::Error| {
        (format!("the sounds in {} can't be read: {error}", path.display()), Exit::Failed)
    };
    let mut sounds = BTreeSet::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(below) = folders.pop() {
        for entry in std::fs::read_dir(&below).map_err(|error| failed(&below, error))? {
            let path = entry.map_err(|error| failed(&below, error))?.path();
            // A link to a folder is not followed: it may lead in circles.
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if let Ok(name) = path.with_extension("").strip_prefix(folder) {
                sounds.insert(name.to_string_lossy().into_owned());
            }
            if sounds.len() > MAX_SOUNDS {
                let message =
                    format!("more than {MAX_SOUNDS} files below {}; name the folder of the sounds", folder.display());
                return Err((message, Exit::Usage));
            }
        }
    }
    Ok(sounds)
}

#[cfg(test)]
mod tests;
