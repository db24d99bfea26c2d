//! The shape of a profile's file, and what is checked before it is believed.

use std::collections::BTreeSet;

use serde::Deserialize;
use toml::Spanned;

use super::place::{ProfileError, Text};
use super::profile::{Machines, Place, Profile, Profiles, Way};
use super::rules::{Copies, EndsIn, Forbidden, Kind, RAW, Rule, Step, Trap, canonical, is_name};
use super::touch::{Touch, touch};
use crate::platform::{Board, CsiBackend, Family};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    machines: MachinesTable,
    #[serde(default)]
    board: Vec<BoardTable>,
    #[serde(default)]
    forbid: Vec<ForbidTable>,
    #[serde(default)]
    trap: Vec<TrapTable>,
    #[serde(default)]
    rule: Vec<RuleTable>,
}

/// `[machines]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct MachinesTable {
    #[serde(default)]
    family: Vec<Family>,
    #[serde(default)]
    compatible: Vec<Spanned<String>>,
}

/// `[[board]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BoardTable {
    compatible: Spanned<String>,
    family: Family,
    csi: Option<Spanned<Vec<CsiBackend>>>,
}

/// `[[forbid]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ForbidTable {
    element: Spanned<String>,
    reason: Spanned<String>,
}

/// `[[trap]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrapTable {
    element: Spanned<String>,
    text: Spanned<String>,
    #[serde(default)]
    machines: MachinesTable,
}

/// `[[rule]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    name: Spanned<String>,
    before: Option<Spanned<String>>,
    after: Option<Spanned<String>>,
    instead_of: Option<Spanned<String>>,
    input: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    steps: Vec<Spanned<Step>>,
    kind: Spanned<Kind>,
    ends_in: Spanned<EndsIn>,
    copies: Option<Spanned<Copies>>,
    #[serde(default)]
    devices: Vec<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    unless: Vec<Spanned<String>>,
    #[serde(default)]
    hardware: Vec<Spanned<String>>,
    #[serde(default)]
    package: String,
    why: Spanned<String>,
}

/// Reads a file; rules that name no place are put at `usual`.
pub(super) fn parse(
    file: &str,
    text: &str,
    usual: &Place,
    known: &Profiles,
) -> Result<Profile, ProfileError> {
    let source = Text { file, text };
    let table: File = toml::from_str(text).map_err(|error| source.toml(&error))?;
    let mut checked = Checked {
        source,
        usual,
        known,
        own: BTreeSet::new(),
    };
    let empty = table.board.is_empty()
        && table.forbid.is_empty()
        && table.trap.is_empty()
        && table.rule.is_empty();
    if empty {
        let message = "the profile says nothing: expected at least one of [[rule]], [[forbid]], [[trap]], [[board]] (was it cut off while it was written?)";
        return Err(source.invalid(&(0..0), message));
    }
    let traps = table.trap.into_iter().map(|trap| checked.trap(trap));
    let traps = traps.collect::<Result<_, _>>()?;
    let forbidden = table.forbid.into_iter().map(|table| checked.forbid(table));
    let forbidden = forbidden.collect::<Result<_, _>>()?;
    let boards = table.board.into_iter().map(|table| checked.board(table));
    let boards = boards.collect::<Result<_, _>>()?;
    let machines = checked.machines(table.machines)?;
    let mut ways = Vec::new();
    for rule in table.rule {
        ways.push(checked.way(rule)?);
    }
    Ok(Profile {
        origin: file.to_owned(),
        machines,
        boards,
        forbidden,
        traps,
        ways,
    })
}

/// What is checked against.
struct Checked<'a> {
    source: Text<'a>,
    usual: &'a Place,
    known: &'a Profiles,
    /// Rules of this file that were read.
    own: BTreeSet<String>,
}

impl Checked<'_> {
    fn refuse<T, V>(
        &self,
        value: &Spanned<V>,
        message: impl Into<String>,
    ) -> Result<T, ProfileError> {
        Err(self.source.invalid(&value.span(), message))
    }

    fn machines(&self, table: MachinesTable) -> Result<Machines, ProfileError> {
        let words = table.compatible.into_iter().map(|word| self.word(word));
        Ok(Machines {
            family: table.family,
            compatible: words.collect::<Result<_, _>>()?,
        })
    }

    /// A word of a device tree's `compatible`.
    fn word(&self, word: Spanned<String>) -> Result<String, ProfileError> {
        let text = word.get_ref();
        let good = text.split_once(',').is_some_and(|(maker, chip)| {
            !maker.is_empty() && !chip.is_empty() && !text.contains(char::is_whitespace)
        });
        if good {
            Ok(word.into_inner())
        } else {
            self.refuse(
                &word,
                "expected a word of the device tree's `compatible`, such as \"fsl,imx8mp\"",
            )
        }
    }

    fn board(&self, table: BoardTable) -> Result<Board, ProfileError> {
        if let Some(csi) = table.csi.as_ref().filter(|csi| csi.get_ref().is_empty()) {
            return self.refuse(
                csi,
                "expected at least one of \"libcamera\", \"qmmf\"; leave it out for what the family prefers",
            );
        }
        Ok(Board {
            compatible: self.word(table.compatible)?,
            family: table.family,
            csi: table.csi.map(Spanned::into_inner),
            origin: self.source.file.to_owned(),
        })
    }

    fn forbid(&self, table: ForbidTable) -> Result<Forbidden, ProfileError> {
        Ok(Forbidden {
            element: self.element(&table.element)?,
            reason: self.words(table.reason)?,
            origin: self.source.file.to_owned(),
        })
    }

    fn trap(&self, table: TrapTable) -> Result<(Machines, Trap), ProfileError> {
        let trap = Trap {
            element: self.element(&table.element)?,
            text: self.words(table.text)?,
        };
        Ok((self.machines(table.machines)?, trap))
    }

    /// An element by the name that its first node has.
    fn element(&self, name: &Spanned<String>) -> Result<String, ProfileError> {
        if is_name(name.get_ref()) {
            Ok(canonical(name.get_ref()))
        } else {
            self.refuse(
                name,
                "expected the name of an element, such as \"v4l2convert\"",
            )
        }
    }

    /// A text for people.
    fn words(&self, text: Spanned<String>) -> Result<String, ProfileError> {
        if text.get_ref().trim().is_empty() {
            self.refuse(
                &text,
                "say it in words: it is shown where the profile takes effect",
            )
        } else {
            Ok(text.into_inner())
        }
    }

    fn way(&mut self, table: RuleTable) -> Result<Way, ProfileError> {
        let place = self.place(&table)?;
        let name = self.name(&table.name, &place)?;
        self.who_works(&table)?;
        let rule = Rule {
            name: name.clone(),
            input: self.input(table.input)?,
            steps: table.steps.into_iter().map(Spanned::into_inner).collect(),
            kind: table.kind.into_inner(),
            ends_in: table.ends_in.into_inner(),
            copies: table.copies.map(Spanned::into_inner).unwrap_or_default(),
            devices: self.devices(table.devices)?,
            unless: table
                .unless
                .iter()
                .map(|element| self.element(element))
                .collect::<Result<_, _>>()?,
            package: table.package,
            why: self.words(table.why)?,
            origin: self.source.file.to_owned(),
        };
        self.own.insert(name);
        Ok(Way { rule, place })
    }

    fn place(&self, table: &RuleTable) -> Result<Place, ProfileError> {
        type Make = fn(String) -> Place;
        let given: [(&Option<Spanned<String>>, Make); 3] = [
            (&table.before, Place::Before),
            (&table.after, Place::After),
            (&table.instead_of, Place::InsteadOf),
        ];
        let mut given = given
            .into_iter()
            .filter_map(|(anchor, make)| Some((anchor.as_ref()?, make)));
        let Some((anchor, make)) = given.next() else {
            return Ok(self.usual.clone());
        };
        if let Some((second, _)) = given.next() {
            return self.refuse(
                second,
                "a rule has one place: give one of `before`, `after`, `instead_of`",
            );
        }
        let name = anchor.get_ref();
        if self.own.contains(name) || self.known.origin_of(name).is_some() {
            Ok(make(name.clone()))
        } else {
            self.refuse(
                anchor,
                format!("there is no rule `{name}` in this build, in files before this one, or above in this one"),
            )
        }
    }

    fn name(&self, name: &Spanned<String>, place: &Place) -> Result<String, ProfileError> {
        let text = name.get_ref();
        if !is_name(text) {
            return self.refuse(name, "expected letters, digits, `-` and `_`");
        }
        let replaced = matches!(place, Place::InsteadOf(other) if other == text);
        let taken = self
            .known
            .origin_of(text)
            .or(self.own.contains(text).then_some(self.source.file));
        match taken.filter(|_| !replaced) {
            Some(origin) => self.refuse(
                name,
                format!("{origin} has a rule of this name; take another, or replace that one by `instead_of = \"{text}\"`"),
            ),
            None => Ok(text.clone()),
        }
    }

    fn input(&self, input: Spanned<Vec<Spanned<String>>>) -> Result<Vec<String>, ProfileError> {
        if input.get_ref().is_empty() {
            return self.refuse(&input, "expected at least one format");
        }
        let mut formats = Vec::new();
        for format in input.into_inner() {
            let text = format.get_ref().as_str();
            let is_format = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/');
            if text == "raw" {
                formats.extend(RAW.iter().map(|&raw| raw.to_owned()));
            } else if !text.is_empty() && text.chars().all(is_format) {
                formats.push(text.to_owned());
            } else {
                return self.refuse(
                    &format,
                    "expected a format as `mosctl devices` lists it, such as \"video/x-h264\" or \"YUY2\", or \"raw\"",
                );
            }
        }
        Ok(formats)
    }

    fn devices(
        &self,
        devices: Vec<Spanned<Vec<Spanned<String>>>>,
    ) -> Result<Vec<Vec<String>>, ProfileError> {
        let mut all = Vec::new();
        for any in devices {
            if any.get_ref().is_empty() {
                return self.refuse(&any, "expected at least one node, such as \"/dev/galcore\"");
            }
            for node in any.get_ref() {
                if !node.get_ref().starts_with("/dev/") {
                    return self.refuse(node, "expected a node, such as \"/dev/galcore\"");
                }
            }
            all.push(
                any.into_inner()
                    .into_iter()
                    .map(Spanned::into_inner)
                    .collect(),
            );
        }
        Ok(all)
    }

    /// Whether what a rule says of itself fits together, and leaves pixels to whom it says.
    fn who_works(&self, table: &RuleTable) -> Result<(), ProfileError> {
        let copies = table
            .copies
            .as_ref()
            .map(|copies| *copies.get_ref())
            .unwrap_or_default();
        let ends_in = *table.ends_in.get_ref();
        if table.steps.is_empty() && ends_in != EndsIn::Source {
            return self.refuse(&table.ends_in, "a rule without steps ends in \"source\"");
        }
        match table.kind.get_ref() {
            Kind::Software if copies.cpu == 0 => self.refuse(
                &table.kind,
                "a software rule costs at least one copy by the CPU: `copies.cpu = 1`",
            ),
            Kind::Software => Ok(()),
            Kind::Hardware if copies.cpu > 0 => self.refuse(
                &table.kind,
                "a hardware rule costs no copy by the CPU; one that does is `kind = \"software\"`, which a production build refuses",
            ),
            Kind::Hardware if matches!(ends_in, EndsIn::Pool | EndsIn::Process) => self.refuse(
                &table.ends_in,
                "frames that hardware wrote end in \"driver\"; what ends there was written by the CPU: `kind = \"software\"`",
            ),
            Kind::Hardware => {
                let said: Vec<_> = table.hardware.iter().map(|e| e.get_ref().as_str()).collect();
                table.steps.iter().try_for_each(|step| self.leaves_pixels(step, &said))
            }
        }
    }

    fn leaves_pixels(&self, step: &Spanned<Step>, said: &[&str]) -> Result<(), ProfileError> {
        let factory = &step.get_ref().factory;
        match touch(factory) {
            Touch::Hardware => Ok(()),
            Touch::Cpu => self.refuse(
                step,
                format!("{factory} works on pixels with the CPU, so this is no hardware rule: `kind = \"software\"`, which a production build refuses"),
            ),
            Touch::Unknown if said.contains(&factory.as_str()) => Ok(()),
            Touch::Unknown => self.refuse(
                step,
                format!("{factory} is not known here; if it leaves pixels to hardware and gives dma-bufs, say so: `hardware = [\"{factory}\"]`"),
            ),
        }
    }
}
