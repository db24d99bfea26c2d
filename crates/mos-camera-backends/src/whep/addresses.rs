//! How many addresses this machine has.
//!
//! libnice numbers its candidates by the place of their address among all of the machine's, and ends the whole process by an
//! assertion where that is beyond 63 (`NICE_CANDIDATE_MAX_LOCAL_ADDRESSES` in its `agent/candidate-priv.h`; seen with
//! 0.1.21): a host with many containers has as many. A stream is refused rather than that all cameras go.

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

/// Fewer than libnice's limit, since some may come between this count and its own.
const LIMIT: usize = 56;

/// What is wrong, if there are too many.
pub(super) fn check() -> Result<(), String> {
    judge(count())
}

fn judge(count: usize) -> Result<(), String> {
    if count <= LIMIT {
        return Ok(());
    }
    Err(format!(
        "this machine has {count} network addresses, and libnice, which finds the way to the server, breaks down with more than {LIMIT}: run the service in a network namespace that has fewer"
    ))
}

/// As libnice counts: the addresses of interfaces that are up.
fn count() -> usize {
    // Without an answer there is none for libnice either.
    getifaddrs().map_or(0, |all| {
        all.filter(|entry| entry.flags.contains(InterfaceFlags::IFF_UP))
            .filter_map(|entry| entry.address)
            .filter(|address| {
                address.as_sockaddr_in().is_some() || address.as_sockaddr_in6().is_some()
            })
            .count()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_addresses_are_refused_with_what_to_do() {
        for (count, fine) in [(0, true), (LIMIT, true), (LIMIT + 1, false), (1000, false)] {
            let judged = judge(count);
            assert_eq!(judged.is_ok(), fine, "{count}");
            assert!(judged.is_ok() || judged.unwrap_err().contains("network namespace"));
        }
    }
}
