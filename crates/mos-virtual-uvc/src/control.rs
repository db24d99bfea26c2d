//! Camera controls: what they are, their ranges, their state.
//!
//! Units, selectors and sizes: USB Video Class 1.1, 4.2.2.1 (Camera Terminal), 4.2.2.3 (Processing Unit), A.9.4, A.9.5.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A control of the camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ControlId {
    /// Brightness, signed, no unit.
    Brightness,
    /// Contrast, no unit.
    Contrast,
    /// Hue in hundredths of a degree.
    Hue,
    /// Saturation, no unit.
    Saturation,
    /// Sharpness, no unit.
    Sharpness,
    /// Gain, no unit.
    Gain,
    /// White balance in kelvin.
    WhiteBalance,
    /// Whether the camera sets the white balance by itself, 0 or 1.
    WhiteBalanceAuto,
    /// Backlight compensation, 0 is off.
    Backlight,
    /// Flicker of the light: 0 disabled, 1 for 50 Hz, 2 for 60 Hz.
    PowerLine,
    /// Who sets exposure time and iris: 1 nobody, 2 the camera, 4 the camera the iris, 8 the camera the time.
    AutoExposure,
    /// Exposure time in units of 100 us.
    Exposure,
    /// Distance of the focus in millimetres.
    Focus,
    /// Whether the camera focuses by itself, 0 or 1.
    FocusAuto,
    /// Focal length, no unit.
    Zoom,
}

/// The entity of the video function that has a control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entity {
    CameraTerminal,
    ProcessingUnit,
}

impl Entity {
    /// Number of the entity in the descriptors (`bTerminalID`, `bUnitID`).
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::CameraTerminal => 1,
            Self::ProcessingUnit => 2,
        }
    }
}

/// How a control's values are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A number in a range.
    Number,
    /// 0 or 1; has no range.
    Switch,
    /// One bit of those that `GET_RES` tells; has no range.
    Mode,
}

/// What the specification fixes about a control.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) id: ControlId,
    name: &'static str,
    pub(crate) entity: Entity,
    /// Bit in the entity's `bmControls`.
    pub(crate) bit: u8,
    selector: u8,
    /// Bytes of a value.
    pub(crate) size: usize,
    signed: bool,
    pub(crate) shape: Shape,
    /// The control that has to have the value for this one to be set by hand.
    manual: Option<(ControlId, i32)>,
    /// Minimum, maximum, step, default.
    default: (i32, i32, i32, i32),
}

const fn facts(
    id: ControlId,
    name: &'static str,
    entity: Entity,
    (bit, selector, size): (u8, u8, usize),
    default: (i32, i32, i32, i32),
) -> Facts {
    Facts {
        id,
        name,
        entity,
        bit,
        selector,
        size,
        signed: false,
        shape: Shape::Number,
        manual: None,
        default,
    }
}

use ControlId as Id;
use Entity::{CameraTerminal as CT, ProcessingUnit as PU};

/// The names are V4L2's, so that what `v4l2-ctl` prints can be compared.
#[rustfmt::skip]
static FACTS: [Facts; 15] = [
    Facts { signed: true, ..facts(Id::Brightness, "brightness", PU, (0, 0x02, 2), (-64, 64, 1, 0)) },
    facts(Id::Contrast, "contrast", PU, (1, 0x03, 2), (0, 95, 1, 32)),
    Facts { signed: true, ..facts(Id::Hue, "hue", PU, (2, 0x06, 2), (-2000, 2000, 100, 0)) },
    facts(Id::Saturation, "saturation", PU, (3, 0x07, 2), (0, 100, 1, 55)),
    facts(Id::Sharpness, "sharpness", PU, (4, 0x08, 2), (1, 7, 1, 2)),
    Facts { manual: Some((Id::WhiteBalanceAuto, 0)), ..facts(Id::WhiteBalance, "white_balance_temperature", PU, (6, 0x0a, 2), (2800, 6500, 10, 4600)) },
    facts(Id::Backlight, "backlight_compensation", PU, (8, 0x01, 2), (0, 3, 1, 1)),
    facts(Id::Gain, "gain", PU, (9, 0x04, 2), (0, 100, 1, 0)),
    facts(Id::PowerLine, "power_line_frequency", PU, (10, 0x05, 1), (0, 2, 1, 1)),
    Facts { shape: Shape::Switch, ..facts(Id::WhiteBalanceAuto, "white_balance_automatic", PU, (12, 0x0b, 1), (0, 1, 1, 1)) },
    Facts { shape: Shape::Mode, ..facts(Id::AutoExposure, "auto_exposure", CT, (1, 0x02, 1), (1, 8, 1 | 8, 8)) },
    Facts { manual: Some((Id::AutoExposure, 1)), ..facts(Id::Exposure, "exposure_time_absolute", CT, (3, 0x04, 4), (1, 5000, 1, 157)) },
    Facts { manual: Some((Id::FocusAuto, 0)), ..facts(Id::Focus, "focus_absolute", CT, (5, 0x06, 2), (0, 1023, 1, 68)) },
    facts(Id::Zoom, "zoom_absolute", CT, (9, 0x0b, 2), (100, 500, 1, 100)),
    Facts { shape: Shape::Switch, ..facts(Id::FocusAuto, "focus_automatic_continuous", CT, (17, 0x08, 1), (0, 1, 1, 1)) },
];

impl ControlId {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        FACTS.iter().map(|facts| facts.id)
    }

    /// Its name in V4L2.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    pub(crate) fn facts(self) -> &'static Facts {
        // The table has every control; a test walks over them.
        FACTS
            .iter()
            .find(|facts| facts.id == self)
            .unwrap_or(&FACTS[0])
    }
}

impl fmt::Display for ControlId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ControlId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::all().find(|id| id.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::all().map(Self::name).collect();
            format!(
                "there is no control {text:?}; there are: {}",
                names.join(", ")
            )
        })
    }
}

/// A control that a camera has, and its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlSpec {
    /// Which.
    pub id: ControlId,
    /// Smallest value.
    pub min: i32,
    /// Largest value.
    pub max: i32,
    /// Distance of two values; for [`ControlId::AutoExposure`] the modes that there are, as bits.
    pub step: i32,
    /// Value after plugging.
    pub default: i32,
}

impl ControlSpec {
    /// The control with a range like that of common cameras.
    pub fn usual(id: ControlId) -> Self {
        let (min, max, step, default) = id.facts().default;
        Self {
            id,
            min,
            max,
            step,
            default,
        }
    }

    fn takes(&self, value: i32) -> bool {
        match self.id.facts().shape {
            Shape::Mode => value.count_ones() == 1 && value & self.step == value,
            Shape::Number | Shape::Switch => (self.min..=self.max).contains(&value),
        }
    }

    /// What is wrong with it, if anything.
    pub(crate) fn fault(&self) -> Option<String> {
        let size = self.id.facts().size as u32 * 8;
        let (low, high) = if self.id.facts().signed {
            (-(1_i64 << (size - 1)), (1_i64 << (size - 1)) - 1)
        } else {
            (0, (1_i64 << size) - 1)
        };
        let fits = |value: i32| (low..=high).contains(&i64::from(value));
        if !fits(self.min) || !fits(self.max) {
            Some(format!(
                "the range of {} has to be within {low} and {high}",
                self.id
            ))
        } else if self.min > self.max || self.step <= 0 || !self.takes(self.default) {
            Some(format!(
                "{} needs min <= default <= max and a step above 0",
                self.id
            ))
        } else {
            None
        }
    }
}

/// A request to a control (UVC 1.1, A.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Set,
    Current,
    Min,
    Max,
    Resolution,
    Length,
    Info,
    Default,
}

impl Ask {
    pub(crate) fn of(request: u8) -> Option<Self> {
        Some(match request {
            0x01 => Self::Set,
            0x81 => Self::Current,
            0x82 => Self::Min,
            0x83 => Self::Max,
            0x84 => Self::Resolution,
            0x85 => Self::Length,
            0x86 => Self::Info,
            0x87 => Self::Default,
            _ => return None,
        })
    }
}

/// Why a request is answered by STALL; the numbers are `bRequestErrorCode`'s (UVC 1.1, 4.2.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    WrongState = 2,
    OutOfRange = 4,
    InvalidUnit = 5,
    InvalidControl = 6,
    InvalidRequest = 7,
}

/// All controls of a camera with their values.
#[derive(Debug)]
pub(crate) struct Controls {
    specs: Vec<ControlSpec>,
    values: BTreeMap<ControlId, i32>,
}

impl Controls {
    pub(crate) fn new(specs: &[ControlSpec]) -> Self {
        Self {
            specs: specs.to_vec(),
            values: specs.iter().map(|spec| (spec.id, spec.default)).collect(),
        }
    }

    pub(crate) fn values(&self) -> &BTreeMap<ControlId, i32> {
        &self.values
    }

    /// `bmControls` of an entity.
    pub(crate) fn mask(&self, entity: Entity) -> u32 {
        let facts = self.specs.iter().map(|spec| spec.id.facts());
        facts
            .filter(|facts| facts.entity == entity)
            .fold(0, |mask, facts| mask | 1 << facts.bit)
    }

    /// The control behind an entity's number and a selector.
    pub(crate) fn find(&self, entity: u8, selector: u8) -> Result<ControlId, Refusal> {
        let facts = || self.specs.iter().map(|spec| spec.id.facts());
        if ![CT, PU].iter().any(|known| known.number() == entity) {
            return Err(Refusal::InvalidUnit);
        }
        facts()
            .find(|facts| facts.entity.number() == entity && facts.selector == selector)
            .map(|facts| facts.id)
            .ok_or(Refusal::InvalidControl)
    }

    /// Answers a request; `data` is what `SET_CUR` brought.
    pub(crate) fn ask(&mut self, id: ControlId, ask: Ask, data: &[u8]) -> Result<Vec<u8>, Refusal> {
        let spec = *self
            .specs
            .iter()
            .find(|spec| spec.id == id)
            .ok_or(Refusal::InvalidControl)?;
        let facts = id.facts();
        let value = match ask {
            Ask::Set => return self.set(&spec, data).map(|()| Vec::new()),
            Ask::Length => return Ok((facts.size as u16).to_le_bytes().to_vec()),
            Ask::Info => return Ok(vec![self.info(id)]),
            Ask::Current => self.values[&id],
            Ask::Default => spec.default,
            Ask::Min if facts.shape == Shape::Number => spec.min,
            Ask::Max if facts.shape == Shape::Number => spec.max,
            Ask::Resolution if facts.shape != Shape::Switch => spec.step,
            Ask::Min | Ask::Max | Ask::Resolution => return Err(Refusal::InvalidRequest),
        };
        Ok(value.to_le_bytes()[..facts.size].to_vec())
    }

    fn set(&mut self, spec: &ControlSpec, data: &[u8]) -> Result<(), Refusal> {
        let value = decode(spec.id.facts(), data).ok_or(Refusal::InvalidRequest)?;
        if self.is_automatic(spec.id) {
            return Err(Refusal::WrongState);
        }
        if !spec.takes(value) {
            return Err(Refusal::OutOfRange);
        }
        self.values.insert(spec.id, value);
        Ok(())
    }

    /// `GET_INFO` (UVC 1.1, 4.1.2): can be read, can be set, is disabled by an automatic mode.
    fn info(&self, id: ControlId) -> u8 {
        0b011 | u8::from(self.is_automatic(id)) << 2
    }

    /// Whether another control keeps this one from being set.
    fn is_automatic(&self, id: ControlId) -> bool {
        let Some((master, manual)) = id.facts().manual else {
            return false;
        };
        self.values
            .get(&master)
            .is_some_and(|value| *value != manual)
    }
}

fn decode(facts: &Facts, data: &[u8]) -> Option<i32> {
    if data.len() != facts.size {
        return None;
    }
    let negative = facts.signed && data.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut bytes = [if negative { 0xff } else { 0 }; 4];
    bytes[..data.len()].copy_from_slice(data);
    Some(i32::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Control, request, data, answer.
    type Case<'a> = (Id, Ask, &'a [u8], Result<Vec<u8>, Refusal>);

    fn all() -> Controls {
        Controls::new(&ControlId::all().map(ControlSpec::usual).collect::<Vec<_>>())
    }

    #[test]
    fn every_control_is_in_the_table_and_reads_back_by_name() {
        for id in ControlId::all() {
            assert_eq!(id.facts().id, id);
            assert_eq!(id.name().parse(), Ok(id));
            assert_eq!(ControlSpec::usual(id).fault(), None);
            let facts = id.facts();
            assert_eq!(all().find(facts.entity.number(), facts.selector), Ok(id));
        }
        assert!(
            "warp"
                .parse::<ControlId>()
                .unwrap_err()
                .contains("zoom_absolute")
        );
    }

    #[test]
    fn requests_answer_as_the_specification_says() {
        use Ask::*;
        use Refusal::*;
        let ok = |bytes: &[u8]| Ok(bytes.to_vec());
        #[rustfmt::skip]
        let cases: [Case<'_>; 21] = [
            (Id::Brightness, Min, &[], ok(&[0xc0, 0xff])),
            (Id::Brightness, Max, &[], ok(&[64, 0])),
            (Id::Brightness, Resolution, &[], ok(&[1, 0])),
            (Id::Brightness, Default, &[], ok(&[0, 0])),
            (Id::Brightness, Length, &[], ok(&[2, 0])),
            (Id::Brightness, Info, &[], ok(&[3])),
            (Id::Brightness, Set, &[0xf6, 0xff], ok(&[])),
            (Id::Brightness, Current, &[], ok(&[0xf6, 0xff])),
            (Id::Brightness, Set, &[65, 0], Err(OutOfRange)),
            (Id::Brightness, Set, &[1], Err(InvalidRequest)),
            (Id::PowerLine, Length, &[], ok(&[1, 0])),
            (Id::WhiteBalanceAuto, Max, &[], Err(InvalidRequest)),
            (Id::AutoExposure, Resolution, &[], ok(&[9])),
            (Id::AutoExposure, Min, &[], Err(InvalidRequest)),
            (Id::AutoExposure, Set, &[2], Err(OutOfRange)),
            (Id::Exposure, Info, &[], ok(&[7])),
            (Id::Exposure, Set, &[1, 0, 0, 0], Err(WrongState)),
            (Id::AutoExposure, Set, &[1], ok(&[])),
            (Id::Exposure, Info, &[], ok(&[3])),
            (Id::Exposure, Set, &[1, 0, 0, 0], ok(&[])),
            (Id::Exposure, Current, &[], ok(&[1, 0, 0, 0])),
        ];
        let mut controls = all();
        for (id, ask, data, expected) in cases {
            assert_eq!(
                controls.ask(id, ask, data),
                expected,
                "{id} {ask:?} {data:?}"
            );
        }
        assert_eq!(controls.values()[&Id::Brightness], -10);
    }

    #[test]
    fn only_what_was_asked_for_is_there() {
        let controls = Controls::new(&[ControlSpec::usual(Id::Zoom)]);
        assert_eq!(controls.mask(Entity::CameraTerminal), 1 << 9);
        assert_eq!(controls.mask(Entity::ProcessingUnit), 0);
        assert_eq!(controls.find(2, 2), Err(Refusal::InvalidControl));
        assert_eq!(controls.find(9, 2), Err(Refusal::InvalidUnit));
    }

    #[test]
    fn ranges_have_to_make_sense() {
        let usual = ControlSpec::usual(Id::Contrast);
        let cases = [
            ControlSpec { min: -1, ..usual },
            ControlSpec {
                max: 0x1_0000,
                ..usual
            },
            ControlSpec {
                default: 96,
                ..usual
            },
            ControlSpec { step: 0, ..usual },
            ControlSpec { min: 96, ..usual },
        ];
        for spec in cases {
            assert!(spec.fault().is_some(), "{spec:?}");
        }
    }
}
