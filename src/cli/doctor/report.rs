//! What each step came to, for people and for programs.

use std::io::{IsTerminal, Write};

use serde::Serialize;

/// How a step went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// All is well.
    Ok,
    /// It works, but somebody should look at it.
    Warning,
    /// It must be put right.
    Problem,
    /// It could not be tried.
    Skipped,
}

impl Verdict {
    fn mark(self) -> &'static str {
        match self {
            Self::Ok => "✓",
            Self::Warning => "!",
            Self::Problem => "✗",
            Self::Skipped => "-",
        }
    }

    /// ANSI colour: green, yellow, red, grey.
    fn colour(self) -> &'static str {
        match self {
            Self::Ok => "32",
            Self::Warning => "33",
            Self::Problem => "31",
            Self::Skipped => "90",
        }
    }
}

/// One step of the way.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Step {
    /// Its name; scripts rely on it.
    pub(super) step: &'static str,
    /// The Asterisk that it is about; `None` for this machine's own part.
    pub(super) node: Option<String>,
    /// How it went.
    pub(super) result: Verdict,
    /// What was tried.
    pub(super) tried: String,
    /// What came back.
    pub(super) found: String,
    /// What to do; `None` when there is nothing to do.
    pub(super) advice: Option<String>,
}

impl Step {
    /// A step of this machine's own part.
    pub(super) fn here(step: &'static str, tried: impl Into<String>, outcome: Outcome) -> Self {
        let Outcome { result, found, advice } = outcome;
        Self { step, node: None, result, tried: tried.into(), found, advice }
    }

    /// A step about one Asterisk.
    pub(super) fn of(node: &str, step: &'static str, tried: impl Into<String>, outcome: Outcome) -> Self {
        Self { node: Some(node.to_owned()), ..Self::here(step, tried, outcome) }
    }

    /// For people.
    fn text(&self, colours: bool) -> String {
        let mark = self.result.mark();
        let mark = if colours { format!("\x1b[{}m{mark}\x1b[0m", self.result.colour()) } else { mark.to_owned() };
        let node = self.node.as_ref().map_or(String::new(), |node| format!("[{node}] "));
        let mut text = format!("{mark} {node}{}: {}\n    {}\n", self.step, self.tried, self.found);
        for line in self.advice.iter().flat_map(|advice| advice.lines()) {
            text.push_str("      ");
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) result: Verdict,
    pub(super) found: String,
    pub(super) advice: Option<String>,
}

impl Outcome {
    pub(super) fn ok(found: impl Into<String>) -> Self {
        Self { result: Verdict::Ok, found: found.into(), advice: None }
    }

    pub(super) fn warning(found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { result: Verdict::Warning, found: found.into(), advice: Some(advice.into()) }
    }

    pub(super) fn problem(found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { result: Verdict::Problem, found: found.into(), advice: Some(advice.into()) }
    }

    pub(super) fn skipped(why: impl Into<String>) -> Self {
        Self { result: Verdict::Skipped, found: why.into(), advice: None }
    }
}

/// All steps so far; people see each as it comes.
pub(super) struct Report {
    steps: Vec<Step>,
    json: bool,
    colours: bool,
    /// Nobody reads any more: the walk goes on, for its exit code.
    closed: bool,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        Self { steps: Vec::new(), json, colours, closed: false }
    }

    pub(super) fn add(&mut self, step: Step) {
        if !self.json {
            self.print(&step.text(self.colours));
        }
        self.steps.push(step);
    }

    /// The end of the report; whether it holds no problem.
    pub(super) fn finish(mut self) -> bool {
        let count = |wanted| self.steps.iter().filter(|step| step.result == wanted).count();
        let (problems, warnings) = (count(Verdict::Problem), count(Verdict::Warning));
        let end = if self.json {
            // Strings only: this can't fail.
            serde_json::to_string_pretty(&self.steps).unwrap_or_default() + "\n"
        } else {
            match (problems, warnings) {
                (0, 0) => "\nAll is well.\n".to_owned(),
                (0, _) => format!("\nIt works; warnings: {warnings}.\n"),
                (_, _) => format!("\nTo be put right: {problems}, the first one first; warnings: {warnings}.\n"),
            }
        };
        self.print(&end);
        problems == 0
    }

    fn print(&mut self, text: &str) {
        if !self.closed {
            let mut out = std::io::stdout().lock();
            self.closed = out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_shows_mark_node_and_indented_advice() {
        let step = Step::of("office", "credentials", "GET x", Outcome::problem("401", "do this\nthen that"));
        assert_eq!(step.text(false), "✗ [office] credentials: GET x\n    401\n      do this\n      then that\n");
        assert!(step.text(true).starts_with("\x1b[31m✗\x1b[0m "));
        let json = serde_json::to_value(Step::here("disk", "statvfs", Outcome::ok("much"))).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"step": "disk", "node": null, "result": "ok", "tried": "statvfs", "found": "much",
                               "advice": null})
        );
    }
}
