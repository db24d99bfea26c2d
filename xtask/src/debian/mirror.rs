//! Where Debian's packages come from: whatever mirror this machine's apt uses already.

use std::env;
use std::process::Command;

use crate::error::Error;
use crate::exec::capture;

/// The mirror, from `$MOS_LAB_MIRROR` or apt's own sources.
pub(crate) fn find() -> Result<String, Error> {
    if let Some(given) = env::var("MOS_LAB_MIRROR")
        .ok()
        .filter(|text| !text.is_empty())
    {
        return Ok(given);
    }
    let mut command = Command::new("apt-get");
    command.args([
        "indextargets",
        "--format",
        "$(LABEL) $(REPO_URI)",
        "Created-By: Packages",
    ]);
    let targets = capture("apt's list of sources", &mut command)?;
    from_targets(&targets).ok_or_else(|| Error::Debian {
        why: "Debian's packages are needed, and this machine's apt has no Debian source".to_owned(),
        hint: "Put the URL of a Debian mirror into MOS_LAB_MIRROR".to_owned(),
    })
}

/// The first source whose release file is labelled `Debian` (not security updates, not other projects).
fn from_targets(targets: &str) -> Option<String> {
    targets
        .lines()
        .find_map(|line| line.strip_prefix("Debian "))
        .map(|uri| uri.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_debian_itself_counts() {
        let targets = "Debian-Security http://a/\nTool Vendor http://b/\nDebian http://c/debian/\nDebian http://d/\n";
        assert_eq!(from_targets(targets).as_deref(), Some("http://c/debian/"));
        assert_eq!(from_targets("Ubuntu http://e/ubuntu/\n"), None);
        assert_eq!(from_targets(""), None);
    }
}
