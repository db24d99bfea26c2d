//! What the camera answers on its control endpoint.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{CameraConfig, FormatSpec};
use crate::control::{Ask, ControlId, Controls, Refusal};
use crate::descriptors::{Descriptors, STREAM_ENDPOINT, STREAM_INTERFACE};
use crate::fault::Lie;
use crate::negotiate::{Agreed, LENGTH, Proposal};

/// A set-up packet (USB 2.0, 9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setup {
    pub(crate) kind: u8,
    pub(crate) request: u8,
    pub(crate) value: u16,
    pub(crate) index: u16,
    pub(crate) length: u16,
}

impl Setup {
    pub(crate) fn decode(bytes: [u8; 8]) -> Self {
        let [kind, request, v0, v1, i0, i1, l0, l1] = bytes;
        Self {
            kind,
            request,
            value: u16::from_le_bytes([v0, v1]),
            index: u16::from_le_bytes([i0, i1]),
            length: u16::from_le_bytes([l0, l1]),
        }
    }
}

/// An answer on the control endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Done; empty for what only sets something.
    Data(Vec<u8>),
    /// No such thing, or not now.
    Stall,
}

/// What a request means for the pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing.
    None,
    /// The host committed to this.
    Commit(Agreed),
    /// The host wants no more pictures.
    Stop,
}

/// The state behind the control endpoint.
#[derive(Debug)]
pub(crate) struct Device {
    descriptors: Descriptors,
    formats: Vec<FormatSpec>,
    controls: Controls,
    lie: Option<Lie>,
    configuration: u8,
    probed: Option<Agreed>,
    /// Why the last class request to each interface was refused, see [`Refusal`].
    refused: [u8; 2],
}

impl Device {
    pub(crate) fn new(config: &CameraConfig, lie: Option<Lie>) -> Self {
        let controls = Controls::new(&config.controls);
        Self {
            descriptors: Descriptors::new(config, &controls, lie),
            formats: config.formats.clone(),
            controls,
            lie,
            configuration: 0,
            probed: Agreed::nearest(&config.formats, Proposal::default()),
            refused: [0; 2],
        }
    }

    pub(crate) fn controls(&self) -> &BTreeMap<ControlId, i32> {
        self.controls.values()
    }

    /// Answers a request; those to the controls in `stalled` get STALL. `data` is what came with it.
    pub(crate) fn control(
        &mut self,
        setup: Setup,
        data: &[u8],
        stalled: &BTreeSet<ControlId>,
    ) -> (Answer, Effect) {
        const TYPE: u8 = 0x60;
        const CLASS: u8 = 0x20;
        let (answer, effect) = match setup.kind & TYPE {
            0 => self.standard(setup),
            CLASS => self.class(setup, data, stalled),
            _ => (Answer::Stall, Effect::None),
        };
        match answer {
            Answer::Data(mut bytes) => {
                bytes.truncate(setup.length.into());
                (Answer::Data(bytes), effect)
            }
            Answer::Stall => (Answer::Stall, effect),
        }
    }

    /// USB 2.0, 9.4.
    fn standard(&mut self, setup: Setup) -> (Answer, Effect) {
        const GET_STATUS: u8 = 0;
        const CLEAR_FEATURE: u8 = 1;
        const GET_DESCRIPTOR: u8 = 6;
        const GET_CONFIGURATION: u8 = 8;
        const SET_CONFIGURATION: u8 = 9;
        const GET_INTERFACE: u8 = 10;
        const SET_INTERFACE: u8 = 11;
        const ENDPOINT: u8 = 2;
        let done = |effect| (Answer::Data(Vec::new()), effect);
        let data = |bytes: &[u8]| (Answer::Data(bytes.to_vec()), Effect::None);
        match setup.request {
            GET_DESCRIPTOR => match self.descriptor(setup.value) {
                Some(bytes) => (Answer::Data(bytes), Effect::None),
                None => (Answer::Stall, Effect::None),
            },
            GET_STATUS => data(&[0, 0]),
            GET_CONFIGURATION => data(&[self.configuration]),
            GET_INTERFACE => data(&[0]),
            SET_CONFIGURATION => {
                self.configuration = setup.value as u8;
                done(Effect::Stop)
            }
            // The interfaces have one setting each.
            SET_INTERFACE if setup.value != 0 => (Answer::Stall, Effect::None),
            SET_INTERFACE if setup.index == u16::from(STREAM_INTERFACE) => done(Effect::Stop),
            // How a host tells a camera with a bulk endpoint that it wants no more: UVC has no request for it, hosts clear the halt.
            CLEAR_FEATURE
                if setup.kind == ENDPOINT && setup.index == u16::from(STREAM_ENDPOINT) =>
            {
                done(Effect::Stop)
            }
            _ => done(Effect::None),
        }
    }

    fn descriptor(&self, value: u16) -> Option<Vec<u8>> {
        let [index, kind] = value.to_le_bytes();
        match kind {
            1 => Some(self.descriptors.device.clone()),
            2 => Some(self.descriptors.configuration.clone()),
            3 => self.descriptors.string(index),
            _ => None,
        }
    }

    /// UVC 1.1, 4.1 to 4.3.
    fn class(
        &mut self,
        setup: Setup,
        data: &[u8],
        stalled: &BTreeSet<ControlId>,
    ) -> (Answer, Effect) {
        let [interface, entity] = setup.index.to_le_bytes();
        let selector = (setup.value >> 8) as u8;
        let Some(ask) = Ask::of(setup.request) else {
            return self.refuse(interface, Refusal::InvalidRequest);
        };
        if let Some(code) = self.asks_why(interface, entity, selector, ask) {
            return (Answer::Data(vec![code]), Effect::None);
        }
        let result = if interface == STREAM_INTERFACE {
            self.stream_control(selector, ask, data)
        } else {
            self.unit_control(entity, selector, ask, data, stalled)
                .map(|bytes| (bytes, Effect::None))
        };
        match result {
            Ok((bytes, effect)) => (Answer::Data(bytes), effect),
            Err(refusal) => self.refuse(interface, refusal),
        }
    }

    fn refuse(&mut self, interface: u8, refusal: Refusal) -> (Answer, Effect) {
        if let Some(code) = self.refused.get_mut(usize::from(interface)) {
            *code = refusal as u8;
        }
        (Answer::Stall, Effect::None)
    }

    /// The request error code control and the stream error code control (UVC 1.1, 4.2.1.2 and 4.3.1.7), which start anew once read.
    fn asks_why(&mut self, interface: u8, entity: u8, selector: u8, ask: Ask) -> Option<u8> {
        const CONTROL: u8 = 2;
        const STREAM: u8 = 6;
        let wanted = if interface == STREAM_INTERFACE {
            STREAM
        } else {
            CONTROL
        };
        if entity != 0 || selector != wanted || ask != Ask::Current {
            return None;
        }
        self.refused
            .get_mut(usize::from(interface))
            .map(std::mem::take)
    }

    fn unit_control(
        &mut self,
        entity: u8,
        selector: u8,
        ask: Ask,
        data: &[u8],
        stalled: &BTreeSet<ControlId>,
    ) -> Result<Vec<u8>, Refusal> {
        let id = self.controls.find(entity, selector)?;
        if stalled.contains(&id) {
            return Err(Refusal::InvalidRequest);
        }
        self.controls.ask(id, ask, data)
    }

    /// Probe and commit (UVC 1.1, 4.3.1.1).
    fn stream_control(
        &mut self,
        selector: u8,
        ask: Ask,
        data: &[u8],
    ) -> Result<(Vec<u8>, Effect), Refusal> {
        const PROBE: u8 = 1;
        const COMMIT: u8 = 2;
        if selector != PROBE && selector != COMMIT {
            return Err(Refusal::InvalidControl);
        }
        let probed = self.probed.ok_or(Refusal::InvalidRequest)?;
        let intervals = self
            .formats
            .get(usize::from(probed.proposal.format) - 1)
            .map_or(&[][..], |format| &format.intervals);
        let tell = |agreed: Agreed| Ok((agreed.encode(self.lie).to_vec(), Effect::None));
        let limit = |interval: Option<&u32>| {
            probed.with_interval(interval.copied().unwrap_or(probed.proposal.interval))
        };
        match ask {
            Ask::Length => Ok(((LENGTH as u16).to_le_bytes().to_vec(), Effect::None)),
            Ask::Info => Ok((vec![0b11], Effect::None)),
            Ask::Current => tell(probed),
            Ask::Min => tell(limit(intervals.iter().min())),
            Ask::Max => tell(limit(intervals.iter().max())),
            Ask::Default => {
                let default = Agreed::nearest(&self.formats, Proposal::default());
                tell(default.unwrap_or(probed))
            }
            Ask::Resolution => Err(Refusal::InvalidRequest),
            Ask::Set => {
                let wish = Proposal::decode(data).ok_or(Refusal::InvalidRequest)?;
                let agreed = Agreed::nearest(&self.formats, wish).ok_or(Refusal::InvalidRequest)?;
                if selector == COMMIT && agreed.proposal != wish {
                    return Err(Refusal::OutOfRange);
                }
                self.probed = Some(agreed);
                let effect = if selector == COMMIT {
                    Effect::Commit(agreed)
                } else {
                    Effect::None
                };
                Ok((Vec::new(), effect))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Type, request, value, index, data, error code.
    type Refused<'a> = (u8, u8, u16, u16, &'a [u8], u8);

    fn device() -> Device {
        Device::new(&CameraConfig::default(), None)
    }

    fn ask(
        device: &mut Device,
        kind: u8,
        request: u8,
        value: u16,
        index: u16,
        data: &[u8],
    ) -> (Answer, Effect) {
        let setup = Setup {
            kind,
            request,
            value,
            index,
            length: 256,
        };
        device.control(setup, data, &BTreeSet::new())
    }

    #[test]
    fn set_up_packets_are_read() {
        let setup = Setup::decode([0xa1, 0x81, 0x00, 0x02, 0x01, 0x03, 0x22, 0x01]);
        let expected = Setup {
            kind: 0xa1,
            request: 0x81,
            value: 0x0200,
            index: 0x0301,
            length: 0x0122,
        };
        assert_eq!(setup, expected);
    }

    #[test]
    fn enumeration_is_answered() {
        let mut device = device();
        let mut data = |request, value| match ask(&mut device, 0x80, request, value, 0, &[]).0 {
            Answer::Data(bytes) => Some(bytes),
            Answer::Stall => None,
        };
        assert_eq!(data(6, 0x0100).unwrap().len(), 18);
        assert_eq!(
            data(6, 0x0200).unwrap().len(),
            256,
            "as much as was asked for"
        );
        assert_eq!(data(6, 0x0300).unwrap(), [4, 3, 9, 4]);
        // No serial number, no device qualifier.
        assert_eq!(data(6, 0x0303), None);
        assert_eq!(data(6, 0x0600), None);
        assert_eq!(data(8, 0).unwrap(), [0]);
        data(9, 1);
        assert_eq!(data(8, 0).unwrap(), [1]);
    }

    #[test]
    fn what_was_probed_is_committed() {
        let mut device = device();
        let wish = |format: u8, frame: u8, interval: u32| {
            let mut bytes = vec![1, 0, format, frame];
            bytes.extend(interval.to_le_bytes());
            bytes.resize(LENGTH, 0);
            bytes
        };
        let done = Answer::Data(Vec::new());
        let (answer, effect) = ask(&mut device, 0x21, 1, 0x0100, 1, &wish(2, 2, 400_000));
        assert_eq!((answer, effect), (done.clone(), Effect::None));
        let (Answer::Data(probed), _) = ask(&mut device, 0xa1, 0x81, 0x0100, 1, &[]) else {
            panic!("no answer");
        };
        assert_eq!(
            Proposal::decode(&probed).unwrap(),
            Proposal {
                format: 2,
                frame: 2,
                interval: 333_333
            }
        );
        let (answer, effect) = ask(&mut device, 0x21, 1, 0x0200, 1, &probed);
        assert_eq!(answer, done);
        let Effect::Commit(agreed) = effect else {
            panic!("{effect:?}");
        };
        assert_eq!(agreed.size, (160, 120));
        // What the camera can't do is no commitment.
        let (answer, effect) = ask(&mut device, 0x21, 1, 0x0200, 1, &wish(2, 2, 400_000));
        assert_eq!((answer, effect), (Answer::Stall, Effect::None));
        assert_eq!(
            ask(&mut device, 0xa1, 0x81, 0x0600, 1, &[]).0,
            Answer::Data(vec![4])
        );
        assert_eq!(
            ask(&mut device, 0xa1, 0x81, 0x0600, 1, &[]).0,
            Answer::Data(vec![0])
        );
    }

    #[test]
    fn limits_of_the_rate_are_told() {
        let mut device = device();
        let mut interval = |request| match ask(&mut device, 0xa1, request, 0x0100, 1, &[]).0 {
            Answer::Data(bytes) => Proposal::decode(&bytes).unwrap().interval,
            Answer::Stall => panic!("stalled"),
        };
        assert_eq!(
            [0x82, 0x83, 0x87].map(&mut interval),
            [333_333, 666_666, 333_333]
        );
    }

    #[test]
    fn refusals_say_why_when_asked() {
        let mut device = device();
        // Brightness out of range, an unknown selector, an unknown unit, a request that there is not.
        let cases: [Refused<'_>; 4] = [
            (0x21, 0x01, 0x0200, 0x0200, &[0xff, 0x7f], 4),
            (0xa1, 0x81, 0x0900, 0x0200, &[], 6),
            (0xa1, 0x81, 0x0200, 0x0900, &[], 5),
            (0xa1, 0x99, 0x0200, 0x0200, &[], 7),
        ];
        for (kind, request, value, index, data, code) in cases {
            let (answer, _) = ask(&mut device, kind, request, value, index, data);
            assert_eq!(answer, Answer::Stall);
            assert_eq!(
                ask(&mut device, 0xa1, 0x81, 0x0200, 0, &[]).0,
                Answer::Data(vec![code])
            );
        }
    }

    #[test]
    fn a_stalled_control_stalls_alone() {
        let mut device = device();
        let get = |value| Setup {
            kind: 0xa1,
            request: 0x81,
            value,
            index: 0x0200,
            length: 2,
        };
        let stalled = BTreeSet::from([ControlId::Brightness]);
        assert_eq!(device.control(get(0x0200), &[], &stalled).0, Answer::Stall);
        assert_eq!(
            device.control(get(0x0300), &[], &stalled).0,
            Answer::Data(vec![32, 0])
        );
    }

    #[test]
    fn clearing_the_endpoint_stops_the_pictures() {
        let mut device = device();
        assert_eq!(ask(&mut device, 2, 1, 0, 0x81, &[]).1, Effect::Stop);
        assert_eq!(ask(&mut device, 2, 1, 0, 0x80, &[]).1, Effect::None);
        assert_eq!(ask(&mut device, 1, 11, 0, 1, &[]).1, Effect::Stop);
        assert_eq!(ask(&mut device, 1, 11, 1, 1, &[]).0, Answer::Stall);
    }
}
