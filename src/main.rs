//! The binary: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    callcenter::cli::main(std::env::args_os()).into()
}
