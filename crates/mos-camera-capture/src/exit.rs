//! Exit codes of the binary, after `sysexits.h`; `docs/configuration.md` lists them for operators.

use std::process::ExitCode;

/// Why the process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It was asked to stop and everything came down in time; or `--check-config` found nothing wrong.
    Ok = 0,
    /// The command line is wrong (`EX_USAGE`).
    Usage = 64,
    /// The configuration file is wrong (`EX_DATAERR`).
    BadConfig = 65,
    /// The configuration file that was named is not there or can't be read (`EX_NOINPUT`).
    NoConfig = 66,
    /// Another copy of the service is running (`EX_UNAVAILABLE`).
    AlreadyRunning = 69,
    /// The media framework or the service's own set-up failed (`EX_SOFTWARE`).
    Internal = 70,
    /// The control socket, the frame folder or the state folder can't be made (`EX_CANTCREAT`).
    CantCreate = 73,
    /// Reading or writing failed (`EX_IOERR`).
    Io = 74,
    /// Asked to stop, but a pipeline did not come down within its time (`EX_TEMPFAIL`).
    UncleanStop = 75,
    /// The service lacks a permission (`EX_NOPERM`).
    NoPermission = 77,
}

impl Exit {
    /// Every code, for the documentation's test.
    pub const ALL: [Self; 10] = [
        Self::Ok,
        Self::Usage,
        Self::BadConfig,
        Self::NoConfig,
        Self::AlreadyRunning,
        Self::Internal,
        Self::CantCreate,
        Self::Io,
        Self::UncleanStop,
        Self::NoPermission,
    ];

    /// The number that the shell sees.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn every_code_is_documented() {
        let docs = include_str!("../../../docs/configuration.md");
        for exit in Exit::ALL {
            let row = format!("| {} |", exit.code());
            assert!(
                docs.contains(&row),
                "docs/configuration.md has no row for exit code {}",
                exit.code()
            );
        }
    }
}
