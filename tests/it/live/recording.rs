//! A scene's stream as a new trace: `RECORD_TO=folder` makes the scene tests play each of their scenes
//! alone (with `SCENE=name` only that one) and keep its journal and Asterisk's own records there. What
//! the calls were is then written by hand into `tests/traces/truth`: from what the scene did, never
//! from the rows.

use std::path::{Path, PathBuf};

use super::scenarios::Scene;
use super::stage::Stage;

/// Where to, if this run shall record.
pub(crate) fn wanted() -> Option<PathBuf> {
    std::env::var_os("RECORD_TO").map(PathBuf::from)
}

/// Plays each scene on a stage of its own; what fails is kept as well.
pub(crate) fn record(scenes: &[&(&str, Scene)], folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    for (name, scene) in scenes {
        let mut stage = Stage::open();
        let right = super::scenarios::timed(name, *scene, &stage).is_ok();
        stage.asterisk.cli("channel request hangup all");
        stage.asterisk.quiet(crate::kit::wait::s(60));
        stage.service.sigterm();
        std::fs::write(folder.join(format!("{name}.jsonl")), stage.service.journal()).unwrap();
        let (cdr, cel) = stage.asterisk.own_records();
        std::fs::write(folder.join(format!("{name}.cdr")), cdr).unwrap();
        std::fs::write(folder.join(format!("{name}.cel")), cel).unwrap();
        let rows = format!("right: {right}\n{:#?}\n", stage.service.rows().calls("1"));
        std::fs::write(folder.join(format!("{name}.rows")), rows).unwrap();
    }
}
