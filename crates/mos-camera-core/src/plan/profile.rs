//! Profiles: files that say what a board's ways to NV12 are.
//!
//! Those of this build come first; an integrator's files add to them, one after the other.

use std::collections::BTreeMap;

use super::place::ProfileError;
use super::profile_file;
use super::rules::{Forbidden, Rule, Rules, Trap};
use crate::platform::{Board, Family};

/// What one file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The file, or `built-in` and a name.
    pub origin: String,
    pub(super) machines: Machines,
    pub(super) boards: Vec<Board>,
    pub(super) forbidden: Vec<Forbidden>,
    pub(super) traps: Vec<(Machines, Trap)>,
    pub(super) ways: Vec<Way>,
}

/// A rule, and where it stands among the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) rule: Rule,
    pub(super) place: Place,
}

/// Where a rule stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Behind all others: those of this build.
    Last,
    /// In front of all that were there before.
    First,
    /// In front of this one.
    Before(String),
    /// Behind this one.
    After(String),
    /// Instead of this one.
    InsteadOf(String),
}

impl Place {
    /// The rule that it is relative to.
    pub(super) fn anchor(&self) -> Option<&str> {
        match self {
            Self::Last | Self::First => None,
            Self::Before(anchor) | Self::After(anchor) | Self::InsteadOf(anchor) => Some(anchor),
        }
    }
}

/// The machines that something holds on; what is empty does not count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Machines {
    pub(super) family: Vec<Family>,
    pub(super) compatible: Vec<String>,
}

impl Machines {
    fn include(&self, family: Family, compatible: &[String]) -> bool {
        let has = |word: &String| compatible.contains(word);
        (self.family.is_empty() || self.family.contains(&family))
            && (self.compatible.is_empty() || self.compatible.iter().any(has))
    }
}

/// The profiles that are in force, in the order in which they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profiles {
    all: Vec<Profile>,
    built_in: usize,
}

/// The files of this build, by preference among what costs the same.
const BUILT_IN: [(&str, &str); 5] = [
    ("common", include_str!("../../profiles/common.toml")),
    ("imx8mp", include_str!("../../profiles/imx8mp.toml")),
    ("qcs", include_str!("../../profiles/qcs.toml")),
    ("va", include_str!("../../profiles/va.toml")),
    ("software", include_str!("../../profiles/software.toml")),
];

/// The word for what comes with this build.
pub const BUILT_IN_ORIGIN: &str = "built-in";

impl Profiles {
    /// Those of this build. The tests of this crate see to it that they are good.
    pub fn built_in() -> Result<Self, ProfileError> {
        let mut profiles = Self {
            all: Vec::new(),
            built_in: 0,
        };
        for (name, text) in BUILT_IN {
            let origin = format!("{BUILT_IN_ORIGIN} {name}");
            let profile = profile_file::parse(&origin, text, &Place::Last, &profiles)?;
            profiles.all.push(profile);
        }
        profiles.built_in = profiles.all.len();
        Ok(profiles)
    }

    /// Reads another file; it may refer to what was read before it. `file` is what errors and explanations name.
    pub fn add(&mut self, file: &str, text: &str) -> Result<(), ProfileError> {
        let profile = profile_file::parse(file, text, &Place::First, self)?;
        self.all.push(profile);
        Ok(())
    }

    /// What holds on a machine.
    pub fn rules(&self, family: Family, compatible: &[String]) -> Rules {
        let mut rules = Rules::default();
        for profile in self.holding(family, compatible) {
            place_all(&mut rules.ways, &profile.ways);
            rules.forbidden.extend(profile.forbidden.iter().cloned());
            let traps = profile.traps.iter();
            let traps = traps.filter(|(machines, _)| machines.include(family, compatible));
            rules.traps.extend(traps.map(|(_, trap)| trap.clone()));
        }
        rules
    }

    /// Boards that files tell of, the latest file first.
    pub fn boards(&self) -> Vec<Board> {
        let files = self.all.iter().rev();
        files.flat_map(|profile| &profile.boards).cloned().collect()
    }

    /// All files, without those of this build.
    pub fn all_files(&self) -> Vec<&str> {
        let files = self.all.iter().skip(self.built_in);
        files.map(|profile| profile.origin.as_str()).collect()
    }

    /// The files that hold on a machine, without those of this build.
    pub fn files(&self, family: Family, compatible: &[String]) -> Vec<&str> {
        let files = self.all.iter().skip(self.built_in);
        files
            .filter(|profile| profile.machines.include(family, compatible))
            .map(|profile| profile.origin.as_str())
            .collect()
    }

    fn holding(&self, family: Family, compatible: &[String]) -> impl Iterator<Item = &Profile> {
        self.all
            .iter()
            .filter(move |profile| profile.machines.include(family, compatible))
    }

    /// The file of a rule that was read already.
    pub(super) fn origin_of(&self, rule: &str) -> Option<&str> {
        let mut ways = self.all.iter().flat_map(|profile| &profile.ways);
        ways.find(|way| way.rule.name == rule)
            .map(|way| way.rule.origin.as_str())
    }
}

/// Puts the rules of a file among those that are there. One whose neighbour does not hold on this machine stands in front.
fn place_all(rules: &mut Vec<Rule>, ways: &[Way]) {
    let mut first = 0;
    let mut behind: BTreeMap<&str, usize> = BTreeMap::new();
    for Way { rule, place } in ways {
        let anchor = place
            .anchor()
            .and_then(|anchor| rules.iter().position(|rule| rule.name == anchor));
        let at = match (place, anchor) {
            (Place::Last, _) => rules.len(),
            (Place::InsteadOf(_), Some(at)) => {
                rules[at] = rule.clone();
                continue;
            }
            (Place::Before(_), Some(at)) => at,
            (Place::After(anchor), Some(at)) => {
                let before = behind.entry(anchor).or_default();
                *before += 1;
                at + *before
            }
            (_, _) => first,
        };
        rules.insert(at, rule.clone());
        if at <= first {
            first += 1;
        }
    }
}
