//! Reads all layers and says what is in force and where it is from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use figment::Figment;
use figment::providers::Serialized;

use super::environment::{self, Given};
use super::{Config, Mistake, Origin, Refused, extract, layer};

/// Where the configuration is looked for without being named; the first that exists is read. The program also runs without any.
const DEFAULT_FILES: [&str; 2] = ["config/default.toml", "/etc/callcenter/callcenter.toml"];

/// What [`load`] reads. Kept, so that SIGHUP reads the same again.
#[derive(Clone)]
pub struct Inputs {
    /// The file of `--config`; it must exist.
    pub config: Option<PathBuf>,
    /// Places of the configuration; the first that exists is read.
    pub default_files: Vec<PathBuf>,
    /// The `.env` file; it need not exist.
    pub dot_env: PathBuf,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// Variables that concern us and are no UTF-8.
    pub unreadable: Vec<String>,
}

impl Inputs {
    /// What this process was given.
    pub fn of_process(config: Option<PathBuf>) -> Self {
        let mut environment = BTreeMap::new();
        let mut unreadable = Vec::new();
        for (name, text) in std::env::vars_os() {
            let Some(name) = name.to_str().filter(|name| environment::concerns(name)) else { continue };
            match text.into_string() {
                Ok(text) => _ = environment.insert(name.to_owned(), text),
                Err(_) => unreadable.push(name.to_owned()),
            }
        }
        let default_files = DEFAULT_FILES.iter().map(PathBuf::from).collect();
        Self { config, default_files, dot_env: PathBuf::from(".env"), environment, unreadable }
    }

    /// The same without the configuration of this machine's service: it has passwords in it, so not everybody may read
    /// it, and may still be unfinished.
    pub fn without_the_machines(mut self) -> Self {
        self.default_files.retain(|path| path.is_relative());
        self
    }
}

impl fmt::Debug for Inputs {
    /// Names only: the environment holds passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inputs")
            .field("config", &self.config)
            .field("default_files", &self.default_files)
            .field("dot_env", &self.dot_env)
            .field("environment", &self.environment.keys())
            .field("unreadable", &self.unreadable)
            .finish()
    }
}

/// A configuration with its history. It may have mistakes: only [`Loaded::accept`] makes sure that it has none.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What is in force; a value that was refused has its default.
    pub config: Config,
    /// Files that were read, in order; later ones win.
    pub files: Vec<PathBuf>,
    /// Variables that were used, of `.env` and of the environment.
    pub variables: Vec<String>,
    /// Where each key's value is from.
    pub origins: BTreeMap<String, Origin>,
    /// Everything that is wrong.
    pub mistakes: Vec<Mistake>,
    /// What looks like a slip of the pen but is not refused.
    pub notes: Vec<String>,
    /// `RUST_LOG`, which overrides `log.level`.
    pub rust_log: Option<String>,
    inputs: Inputs,
}

impl Loaded {
    /// The same, if nothing is wrong.
    ///
    /// # Errors
    /// Every mistake, with its key, its source and what is allowed.
    pub fn accept(self) -> Result<Self, Refused> {
        if self.mistakes.is_empty() { Ok(self) } else { Err(Refused(self.mistakes)) }
    }

    /// Reads the same files again, with the process's environment as it was at the start (SIGHUP).
    pub fn reload(&self) -> Self {
        load(&self.inputs)
    }

    /// Whether a server is configured at all.
    pub fn is_configured(&self) -> bool {
        !self.config.asterisk.is_empty()
    }
}

/// Reads every layer. It never fails: what is wrong is in [`Loaded::mistakes`].
pub fn load(inputs: &Inputs) -> Loaded {
    let mut mistakes = Vec::new();
    let mut files = Vec::new();
    let mut figment = Figment::from(Serialized::defaults(Config::default()));
    let default = inputs.default_files.iter().find(|path| path.exists());
    for path in default.into_iter().chain(&inputs.config) {
        match layer::read_toml(path) {
            Ok(read) => {
                figment = figment.merge(read);
                files.push(path.clone());
            }
            Err(mistake) => mistakes.push(mistake),
        }
    }
    let dot_env = layer::read_dot_env(&inputs.dot_env).unwrap_or_else(|mistake| {
        mistakes.push(mistake);
        None
    });
    if dot_env.is_some() {
        files.push(inputs.dot_env.clone());
    }
    let unreadable = |name| Mistake::of_source(Origin::Environment(name), "Allowed: text in UTF-8.");
    mistakes.extend(inputs.unreadable.iter().cloned().map(unreadable));
    let (given, rust_log) = variables(inputs, dot_env.unwrap_or_default());
    if let Some(text) = &rust_log {
        mistakes.extend(rust_log_mistake(text));
    }
    let mut applied = environment::apply(figment, given, &mut mistakes);
    if layer::is_hidden(&inputs.dot_env) {
        let path = inputs.dot_env.display();
        applied
            .notes
            .push(format!("{path}: this user may not look into the current folder, so it is taken as absent."));
    }
    let extracted = extract::extract(&applied.figment, &mut mistakes);
    mistakes.extend(with_sources(extracted.config.validate(), &extracted.origins));
    Loaded {
        config: extracted.config,
        files,
        variables: applied.used,
        origins: extracted.origins,
        mistakes,
        notes: applied.notes,
        rust_log,
        inputs: inputs.clone(),
    }
}

/// All variables, the environment over `.env`, and `RUST_LOG`.
fn variables(inputs: &Inputs, dot_env: BTreeMap<String, String>) -> (Vec<Given>, Option<String>) {
    let mut given: BTreeMap<String, Given> = dot_env
        .into_iter()
        .map(|(name, text)| (name.clone(), Given { origin: Origin::DotEnv(name.clone()), name, text }))
        .collect();
    for (name, text) in &inputs.environment {
        let origin = Origin::Environment(name.clone());
        given.insert(name.clone(), Given { name: name.clone(), text: text.clone(), origin });
    }
    let rust_log = given.remove("RUST_LOG").map(|variable| variable.text).filter(|text| !text.is_empty());
    (given.into_values().collect(), rust_log)
}

/// `RUST_LOG` follows the log library's own rules, which take more than `log.level` does.
fn rust_log_mistake(text: &str) -> Option<Mistake> {
    let error = tracing_subscriber::EnvFilter::builder().parse(text).err()?;
    let sentence =
        format!("It can't be read ({error}). Allowed: levels as in log.level: info,callcenter::actors=debug.");
    Some(Mistake::of_source("RUST_LOG", sentence))
}

/// Names the file or variable of each mistake.
fn with_sources(found: Vec<Mistake>, origins: &BTreeMap<String, Origin>) -> impl Iterator<Item = Mistake> {
    found.into_iter().map(|mistake| match origins.get(&mistake.key) {
        Some(origin) => mistake.in_source(origin),
        None => mistake,
    })
}
