//! How host and camera agree on what is streamed: UVC 1.1, 4.3.1.1, video probe and commit controls.

use crate::config::{FormatKind, FormatSpec};
use crate::descriptors::{CLOCK, PAYLOAD, buffer_size};
use crate::fault::Lie;

/// Bytes of the control in UVC 1.1.
pub(crate) const LENGTH: usize = 34;
/// Bytes of it in UVC 1.0, which has no more than that to ask for.
const SHORT: usize = 26;

/// What is asked for; what is answered is [`Agreed`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Proposal {
    /// From 1; 0 is "any".
    pub(crate) format: u8,
    /// From 1; 0 is "any".
    pub(crate) frame: u8,
    /// In units of 100 ns; 0 is "any".
    pub(crate) interval: u32,
}

impl Proposal {
    /// Reads a control; `None` if it is too short.
    pub(crate) fn decode(data: &[u8]) -> Option<Self> {
        let data = data.first_chunk::<SHORT>()?;
        Some(Self {
            format: data[2],
            frame: data[3],
            interval: u32::from_le_bytes([data[4], data[5], data[6], data[7]]),
        })
    }
}

/// What the camera can do that is nearest to a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Agreed {
    pub(crate) proposal: Proposal,
    pub(crate) kind: FormatKind,
    pub(crate) size: (u16, u16),
}

impl Agreed {
    /// The nearest to `wish`; `None` only without formats.
    pub(crate) fn nearest(formats: &[FormatSpec], wish: Proposal) -> Option<Self> {
        let format = clamp(wish.format, formats.len());
        let spec = formats.get(usize::from(format) - 1)?;
        let frame = clamp(wish.frame, spec.sizes.len());
        let interval = match wish.interval {
            0 => spec.intervals.first(),
            wish => spec.intervals.iter().min_by_key(|have| have.abs_diff(wish)),
        };
        Some(Self {
            proposal: Proposal {
                format,
                frame,
                interval: *interval?,
            },
            kind: spec.kind,
            size: *spec.sizes.get(usize::from(frame) - 1)?,
        })
    }

    /// The same with another interval.
    pub(crate) fn with_interval(self, interval: u32) -> Self {
        Self {
            proposal: Proposal {
                interval,
                ..self.proposal
            },
            ..self
        }
    }

    /// The control's bytes.
    pub(crate) fn encode(&self, lie: Option<Lie>) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        // The host's interval is kept, the rest is fitted to it.
        bytes[0] = 1;
        bytes[2] = self.proposal.format;
        bytes[3] = self.proposal.frame;
        bytes[4..8].copy_from_slice(&self.proposal.interval.to_le_bytes());
        let size = buffer_size(self.kind.frame_size(self.size), lie);
        bytes[18..22].copy_from_slice(&size.to_le_bytes());
        bytes[22..26].copy_from_slice(&PAYLOAD.to_le_bytes());
        bytes[26..30].copy_from_slice(&CLOCK.to_le_bytes());
        // Payloads tell frames apart and mark their ends (bmFramingInfo).
        bytes[30] = 3;
        bytes
    }
}

/// A number from 1 to `count`.
fn clamp(number: u8, count: usize) -> u8 {
    number.clamp(1, count.clamp(1, 255) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formats() -> Vec<FormatSpec> {
        vec![
            FormatSpec::new(FormatKind::Mjpeg, &[(640, 480), (320, 240)], &[30, 15]),
            FormatSpec::new(FormatKind::Yuyv, &[(64, 48)], &[10]),
        ]
    }

    #[test]
    fn wishes_become_what_there_is() {
        let wish = |format, frame, interval| Proposal {
            format,
            frame,
            interval,
        };
        let cases = [
            (wish(0, 0, 0), wish(1, 1, 333_333), (640, 480)),
            (wish(1, 2, 666_666), wish(1, 2, 666_666), (320, 240)),
            (wish(1, 2, 600_000), wish(1, 2, 666_666), (320, 240)),
            (wish(1, 9, 1), wish(1, 2, 333_333), (320, 240)),
            (wish(9, 9, u32::MAX), wish(2, 1, 1_000_000), (64, 48)),
        ];
        for (wish, expected, size) in cases {
            let agreed = Agreed::nearest(&formats(), wish).unwrap();
            assert_eq!((agreed.proposal, agreed.size), (expected, size), "{wish:?}");
            // What was agreed on is agreed on again.
            assert_eq!(Agreed::nearest(&formats(), agreed.proposal), Some(agreed));
        }
        assert_eq!(Agreed::nearest(&[], wish(1, 1, 1)), None);
    }

    #[test]
    fn the_control_reads_back() {
        let agreed = Agreed::nearest(
            &formats(),
            Proposal {
                format: 2,
                frame: 1,
                interval: 0,
            },
        )
        .unwrap();
        let bytes = agreed.encode(None);
        assert_eq!(Proposal::decode(&bytes), Some(agreed.proposal));
        assert_eq!(Proposal::decode(&bytes[..26]), Some(agreed.proposal));
        assert_eq!(Proposal::decode(&bytes[..25]), None);
        assert_eq!(bytes[18..22], (64 * 48 * 2_u32).to_le_bytes());
        assert_eq!(bytes[22..26], PAYLOAD.to_le_bytes());
    }

    #[test]
    fn sizes_are_told_as_the_lie_wants() {
        let agreed = Agreed::nearest(&formats(), Proposal::default()).unwrap();
        let size = |lie| {
            let bytes = agreed.encode(lie);
            u32::from_le_bytes([bytes[18], bytes[19], bytes[20], bytes[21]])
        };
        assert_eq!(size(Some(Lie::ZeroBufferSize)), 0);
        assert_eq!(size(Some(Lie::HugeBufferSize)), u32::MAX);
        assert_eq!(size(Some(Lie::ZeroSize)), 640 * 480 * 2);
    }
}
