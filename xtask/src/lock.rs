//! Locks between runs on one machine, over what they keep in the cache; waiting for one can be interrupted.

use std::fs::File;
use std::io;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::Error;
use crate::signals;

const LOOK: Duration = Duration::from_millis(500);

/// Who else may hold the lock.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    /// Others who only read.
    Shared,
    /// Nobody.
    Exclusive,
}

/// Takes the lock, or changes it to `mode`; calls `waiting` now and then while somebody else has it.
pub(crate) fn take(file: &File, mode: Mode, mut waiting: impl FnMut()) -> Result<(), Error> {
    let operation = match mode {
        Mode::Shared => FlockOperation::NonBlockingLockShared,
        Mode::Exclusive => FlockOperation::NonBlockingLockExclusive,
    };
    loop {
        match flock(file, operation) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK | Errno::INTR) => waiting(),
            Err(error) => {
                return Err(Error::io("cannot lock the cache")(io::Error::from(error)));
            }
        }
        if signals::pause(LOOK) {
            return Err(Error::Interrupted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exclusive_lock_is_waited_for() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let open = || File::open(path.path()).unwrap();
        let (first, second) = (open(), open());
        take(&first, Mode::Exclusive, || panic!("nobody has it")).unwrap();
        let mut first = Some(first);
        let mut waited = false;
        let waiting = || {
            waited = true;
            first = None;
        };
        take(&second, Mode::Exclusive, waiting).unwrap();
        assert!(waited);
    }

    #[test]
    fn readers_share() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let open = || File::open(path.path()).unwrap();
        let (first, second) = (open(), open());
        take(&first, Mode::Shared, || panic!("nobody has it")).unwrap();
        take(&second, Mode::Shared, || panic!("a reader has it")).unwrap();
    }
}
