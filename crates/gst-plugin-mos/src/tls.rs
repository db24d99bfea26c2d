//! Which versions of TLS GIO speaks, and with it `rtspsrc` and every other element that leaves TLS to it.

/// Read by glib-networking once, before its first connection, as a priority string of `GnuTLS` (its source, `gtlsconnection-gnutls.c`).
const PRIORITY: &str = "G_TLS_GNUTLS_PRIORITY";
/// The defaults of `GnuTLS` without what RFC 8996 forbids; Debian's defaults have it.
const FROM_1_2_ON: &str = "NORMAL:%COMPAT:-VERS-TLS1.1:-VERS-TLS1.0";

/// The process has other threads by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLate;

impl std::fmt::Display for TooLate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("versions of TLS can only be chosen before there are other threads")
    }
}

impl std::error::Error for TooLate {}

/// Has GIO refuse TLS older than 1.2. For the beginning of `main`: it sets an environment variable. One that is set by whoever
/// started the process stays as it is.
///
/// # Errors
///
/// [`TooLate`] if there are other threads; then nothing is changed.
pub fn refuse_old_tls() -> Result<(), TooLate> {
    if std::env::var_os(PRIORITY).is_some() {
        return Ok(());
    }
    let threads = std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    if threads != 1 {
        return Err(TooLate);
    }
    // SAFETY: this thread is the only one (the kernel says so), and none can begin meanwhile, so nobody reads the environment.
    unsafe { std::env::set_var(PRIORITY, FROM_1_2_ON) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_there_are_threads_nothing_is_changed() {
        // The test runner has one for each test.
        if std::env::var_os(PRIORITY).is_none() {
            assert_eq!(refuse_old_tls(), Err(TooLate));
            assert_eq!(std::env::var_os(PRIORITY), None);
        }
    }
}
