//! A small disk of its own for a test, and files that nobody may write.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::aloud;

fn run(program: &str, arguments: &[&str]) -> bool {
    let done = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success())
}

/// What can't be done here is skipped aloud, or fails where `REQUIRE_ASTERISK=1` says that everything must run.
fn must(done: bool, what: &str) -> bool {
    let required = std::env::var("REQUIRE_ASTERISK").is_ok_and(|value| value == "1");
    assert!(done || !required, "{what} is refused here, but REQUIRE_ASTERISK=1 says that everything must run");
    if !done {
        aloud(&format!("SKIPPED: {what} is refused here"));
    }
    done
}

/// A tmpfs of so many MiB; gone when dropped.
pub(crate) struct Disk(tempfile::TempDir);

impl Disk {
    /// `None`, said aloud, where it can't be mounted.
    pub(crate) fn of_mib(size: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted =
            run("mount", &["-t", "tmpfs", "-o", &format!("size={size}m"), "tmpfs", &folder.path().to_string_lossy()]);
        must(mounted, "mounting a tmpfs").then(|| Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    fn ballast(&self) -> PathBuf {
        self.0.path().join("ballast")
    }

    /// Fills it to the last byte.
    pub(crate) fn fill(&self) {
        let mut file = File::create(self.ballast()).unwrap();
        let block = vec![0; 64 * 1024];
        while file.write_all(&block).is_ok() {}
    }

    /// Makes room again.
    pub(crate) fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    /// Nothing can be written to it, or everything again. Only while nobody has a file of it open for writing.
    #[track_caller]
    pub(crate) fn read_only(&self, read_only: bool) {
        let how = if read_only { "remount,ro" } else { "remount,rw" };
        assert!(run("mount", &["-o", how, &self.0.path().to_string_lossy()]), "{how}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run("umount", &["-l", &self.0.path().to_string_lossy()]);
    }
}

/// Files that nobody may write, root included, also through descriptors that are open; until dropped.
pub(crate) struct Immutable(Vec<PathBuf>);

impl Immutable {
    /// `None`, said aloud, where the file system has no such flag.
    pub(crate) fn make(files: &[PathBuf]) -> Option<Self> {
        let made = Self(files.into());
        let done = files.iter().all(|file| run("chattr", &["+i", &file.to_string_lossy()]));
        must(done, "chattr +i").then_some(made)
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        for file in &self.0 {
            run("chattr", &["-i", &file.to_string_lossy()]);
        }
    }
}

/// Builds the library that makes fsync slow; `None`, said aloud, without a C compiler.
pub(crate) fn slow_fsync(folder: &Path) -> Option<PathBuf> {
    let source = folder.join("slow_fsync.c");
    std::fs::write(&source, include_str!("slow_fsync.c")).unwrap();
    let library = folder.join("slow_fsync.so");
    let (from, to) = (source.to_string_lossy(), library.to_string_lossy());
    must(run("cc", &["-shared", "-fPIC", "-o", &to, &from, "-ldl"]), "compiling with cc").then_some(library)
}
