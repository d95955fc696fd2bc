//! Exit codes, the same for every command.

use std::process::ExitCode;

/// How a command ended. The numbers are part of what scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// 0: it did what it was asked.
    Ok = 0,
    /// 1: it failed; the last lines on standard error say why.
    Failed = 1,
    /// 2: wrong usage or a wrong configuration; nothing was started.
    Usage = 2,
    /// 3: `doctor` ran to its end and found something to put right.
    Problems = 3,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
