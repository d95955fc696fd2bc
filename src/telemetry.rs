//! The log: human lines or JSON on standard error, levels per module, changeable while running; panics go into it too.

use std::fmt;
use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use crate::config::{Log, LogFormat};

/// The log can't be started or changed.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The levels can't be read.
    #[error(
        "{source_name} is '{text}', which can't be read as log levels ({error}); allowed: info,callcenter::actors=debug"
    )]
    Levels {
        /// `log.level` or `RUST_LOG`.
        source_name: &'static str,
        /// What stands there.
        text: String,
        /// The filter's own words.
        error: tracing_subscriber::filter::ParseError,
    },
    /// A log runs in this process already.
    #[error("the log was started twice")]
    Twice,
    /// The log's filter is gone: it is being torn down.
    #[error("the log is no longer there to change its levels")]
    Gone,
}

/// The running log.
#[derive(Clone)]
pub struct Telemetry {
    filter: reload::Handle<EnvFilter, Registry>,
    overridden: bool,
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").field("overridden", &self.overridden).finish_non_exhaustive()
    }
}

/// What became of new levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// They are in force.
    InForce,
    /// `RUST_LOG` is set and stays in force.
    Overridden,
}

/// Starts the log of this process and sends panics into it. `rust_log` overrides `log.level`.
///
/// # Errors
/// Levels that can't be read; a log that runs already.
pub fn start(log: &Log, rust_log: Option<&str>) -> Result<Telemetry, TelemetryError> {
    let (layer, telemetry) = layer(log, rust_log, std::io::stderr, colours())?;
    Registry::default().with(layer).try_init().map_err(|_| TelemetryError::Twice)?;
    log_panics();
    Ok(telemetry)
}

/// Whether standard error is a terminal whose owner wants colours (`NO_COLOR`, no-color.org).
fn colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The log's layer and the handle to its filter.
fn layer<W>(
    log: &Log,
    rust_log: Option<&str>,
    writer: W,
    colours: bool,
) -> Result<(Box<dyn Layer<Registry> + Send + Sync>, Telemetry), TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let levels = match rust_log {
        Some(text) => filter("RUST_LOG", text)?,
        None => filter("log.level", &log.level)?,
    };
    let (levels, handle) = reload::Layer::new(levels);
    let lines = tracing_subscriber::fmt::layer().with_timer(Milliseconds).with_writer(writer);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match log.format {
        LogFormat::Human => lines.with_ansi(colours).with_filter(levels).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_filter(levels).boxed(),
    };
    Ok((lines, Telemetry { filter: handle, overridden: rust_log.is_some() }))
}

/// Levels from their text.
fn filter(source_name: &'static str, text: &str) -> Result<EnvFilter, TelemetryError> {
    let wrong = |error| TelemetryError::Levels { source_name, text: text.to_owned(), error };
    EnvFilter::builder().parse(text).map_err(wrong)
}

impl Telemetry {
    /// Takes new levels (SIGHUP), unless `RUST_LOG` overrides them.
    ///
    /// # Errors
    /// Levels that can't be read: the old ones stay.
    pub fn set_level(&self, level: &str) -> Result<Applied, TelemetryError> {
        let levels = filter("log.level", level)?;
        if self.overridden {
            return Ok(Applied::Overridden);
        }
        self.filter.reload(levels).map_err(|_| TelemetryError::Gone)?;
        Ok(Applied::InForce)
    }
}

/// Times as everywhere else: UTC with milliseconds.
struct Milliseconds;

impl FormatTime for Milliseconds {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", crate::model::Timestamp::from_millis(chrono::Utc::now().timestamp_millis()))
    }
}

/// Panics so far in this process, also those that were caught.
static PANICS: AtomicU64 = AtomicU64::new(0);

/// How many panics there were in this process, also those that stayed in one call.
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// Sends panics into the log instead of to standard error; where the log is off for them, the old way stays.
fn log_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        if tracing::enabled!(target: "callcenter::panic", tracing::Level::ERROR) {
            log_panic(panic);
        } else {
            before(panic);
        }
    }));
}

/// One panic as one line: thread, place, message, and the backtrace where `RUST_BACKTRACE` asks for it.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(a panic without a text)");
    let thread = std::thread::current();
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let trace = std::backtrace::Backtrace::capture();
    let trace = (trace.status() == std::backtrace::BacktraceStatus::Captured).then(|| tracing::field::display(trace));
    tracing::error!(
        target: "callcenter::panic",
        thread = thread.name().unwrap_or("unnamed"),
        place,
        backtrace = trace,
        "panic: {message}"
    );
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What the log wrote.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Written {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn with_log(log: &Log, rust_log: Option<&str>, does: impl FnOnce(&Telemetry)) -> String {
        let written = Written::default();
        let writer = written.clone();
        let (layer, telemetry) = layer(log, rust_log, move || writer.clone(), false).unwrap();
        tracing::subscriber::with_default(Registry::default().with(layer), || does(&telemetry));
        written.text()
    }

    fn log(format: LogFormat, level: &str) -> Log {
        Log { format, level: level.into() }
    }

    #[test]
    fn human_lines_have_no_colours_outside_a_terminal() {
        let text = with_log(&log(LogFormat::Human, "info"), None, |_| tracing::info!(call = 7, "new call"));
        assert!(text.ends_with("INFO callcenter::telemetry::tests: new call call=7\n"), "{text:?}");
        assert_eq!(text.split(' ').next().unwrap().len(), "2026-11-22T12:55:43.350Z".len(), "{text:?}");
    }

    #[test]
    fn json_lines_are_one_object_each() {
        let text = with_log(&log(LogFormat::Json, "info"), None, |_| {
            tracing::info!(call = 7, "new call");
            tracing::warn!("second");
        });
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&lines[0]["message"], &lines[0]["call"]), (&"new call".into(), &7.into()));
        assert_eq!((lines.len(), &lines[1]["level"]), (2, &"WARN".into()));
    }

    #[test]
    fn levels_hold_per_module_and_can_change() {
        let text = with_log(&log(LogFormat::Human, "warn,one=debug"), None, |telemetry| {
            tracing::info!(target: "two", "hidden");
            tracing::debug!(target: "one", "of one");
            assert_eq!(telemetry.set_level("info").unwrap(), Applied::InForce);
            tracing::info!(target: "two", "of two");
            assert!(telemetry.set_level("one=loud").is_err());
            tracing::info!(target: "two", "still");
        });
        let seen: Vec<_> = text.lines().map(|line| line.rsplit(": ").next().unwrap()).collect();
        assert_eq!(seen, ["of one", "of two", "still"]);
    }

    #[test]
    fn rust_log_overrides_and_stays() {
        let text = with_log(&log(LogFormat::Human, "info"), Some("error"), |telemetry| {
            assert_eq!(telemetry.set_level("trace").unwrap(), Applied::Overridden);
            tracing::info!("hidden");
            tracing::error!("seen");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        let error = layer(&Log::default(), Some("a=b=c=loud"), std::io::stderr, false).err().unwrap();
        assert!(error.to_string().contains("RUST_LOG"), "{error}");
    }

    #[test]
    fn a_panic_is_one_line_with_its_place() {
        let text = with_log(&Log::default(), None, |_| {
            log_panics();
            let caught = std::panic::catch_unwind(|| panic!("the {} broke", "call"));
            _ = std::panic::take_hook();
            assert!(caught.is_err());
        });
        assert!(text.contains("ERROR callcenter::panic: panic: the call broke"), "{text}");
        assert!(text.contains("src/telemetry.rs:"), "{text}");
        assert!(panics() > 0);
    }
}
