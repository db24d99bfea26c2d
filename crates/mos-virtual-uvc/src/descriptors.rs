//! The bytes that tell the kernel what the camera is.
//!
//! Standard descriptors: USB 2.0, 9.6. Video function: USB Video Class 1.1, chapter 3; payloads: its MJPEG and Uncompressed documents,
//! 3.1. The camera is one Camera Terminal, a Processing Unit and an output, streaming over a bulk endpoint.

use crate::config::{CameraConfig, FormatKind, FormatSpec};
use crate::control::{Controls, Entity};
use crate::fault::Lie;

/// Bulk endpoint of the pictures, with its direction bit.
pub(crate) const STREAM_ENDPOINT: u8 = 0x81;
/// Number of the streaming interface; that of the control interface is 0.
pub(crate) const STREAM_INTERFACE: u8 = 1;
/// The only packet size of a bulk endpoint at high speed (USB 2.0, 5.8.3).
const PACKET: u16 = 512;
/// Bytes of a payload with its header. The kernel asks for 32 packets at once, so each of its requests takes one payload.
pub(crate) const PAYLOAD: u32 = 32 * PACKET as u32;
/// Ticks a second of the clock that a payload's header could tell the time by; ours have no time.
pub(crate) const CLOCK: u32 = 48_000_000;

const VERSION: u16 = 0x0110;
const CS_INTERFACE: u8 = 0x24;
const OUTPUT_TERMINAL: u8 = 3;

/// All that the kernel can read.
#[derive(Debug)]
pub(crate) struct Descriptors {
    pub(crate) device: Vec<u8>,
    pub(crate) configuration: Vec<u8>,
    /// The strings from index 1.
    strings: Vec<String>,
}

impl Descriptors {
    pub(crate) fn new(config: &CameraConfig, controls: &Controls, lie: Option<Lie>) -> Self {
        let mut strings = vec![config.maker.clone(), config.name.clone()];
        strings.extend(config.serial.clone());
        Self {
            device: device(config),
            configuration: configuration(&config.formats, controls, lie),
            strings,
        }
    }

    /// A string descriptor (USB 2.0, 9.6.7); index 0 tells the languages.
    pub(crate) fn string(&self, index: u8) -> Option<Vec<u8>> {
        const ENGLISH: u16 = 0x0409;
        let units: Vec<u16> = match index {
            0 => vec![ENGLISH],
            _ => self
                .strings
                .get(usize::from(index) - 1)?
                .encode_utf16()
                .collect(),
        };
        let mut bytes = vec![2 + 2 * units.len() as u8, 3];
        bytes.extend(units.into_iter().flat_map(u16::to_le_bytes));
        Some(bytes)
    }
}

/// Puts little-endian fields one after the other.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn u8(mut self, values: &[u8]) -> Self {
        self.0.extend_from_slice(values);
        self
    }

    fn u16(mut self, value: u16) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// The descriptor, with its length put before it.
    fn sized(self) -> Vec<u8> {
        [&[1 + self.0.len() as u8], &self.0[..]].concat()
    }
}

fn device(config: &CameraConfig) -> Vec<u8> {
    let serial = if config.serial.is_some() { 3 } else { 0 };
    Bytes::default()
        .u8(&[1])
        .u16(0x0200)
        // Miscellaneous class, "interface association" (USB ECN on interface association descriptors).
        .u8(&[0xef, 2, 1, 64])
        .u16(config.vendor)
        .u16(config.product)
        .u16(0x0100)
        .u8(&[1, 2, serial, 1])
        .sized()
}

fn configuration(formats: &[FormatSpec], controls: &Controls, lie: Option<Lie>) -> Vec<u8> {
    let body = [
        association(),
        control_interface(controls),
        stream_interface(formats, lie),
    ]
    .concat();
    let head = Bytes::default()
        .u8(&[2])
        .u16(9 + body.len() as u16)
        // Two interfaces, configuration 1, no name, powered by the bus, 500 mA.
        .u8(&[2, 1, 0, 0x80, 250])
        .sized();
    [head, body].concat()
}

fn association() -> Vec<u8> {
    // Two interfaces from 0, video, SC_VIDEO_INTERFACE_COLLECTION.
    Bytes::default().u8(&[0x0b, 0, 2, 0x0e, 3, 0, 2]).sized()
}

/// An interface of class video (USB 2.0, 9.6.5).
fn interface(number: u8, endpoints: u8, subclass: u8) -> Vec<u8> {
    Bytes::default()
        .u8(&[4, number, 0, endpoints, 0x0e, subclass, 0, 0])
        .sized()
}

/// UVC 1.1, 3.7.
fn control_interface(controls: &Controls) -> Vec<u8> {
    let entities = [
        camera_terminal(controls),
        processing_unit(controls),
        output_terminal(),
    ]
    .concat();
    let header = Bytes::default()
        .u8(&[CS_INTERFACE, 1])
        .u16(VERSION)
        .u16(13 + entities.len() as u16)
        .u32(CLOCK)
        .u8(&[1, STREAM_INTERFACE])
        .sized();
    [interface(0, 0, 1), header, entities].concat()
}

/// UVC 1.1, 3.7.2.3.
fn camera_terminal(controls: &Controls) -> Vec<u8> {
    let mask = controls.mask(Entity::CameraTerminal).to_le_bytes();
    Bytes::default()
        .u8(&[CS_INTERFACE, 2, Entity::CameraTerminal.number()])
        .u16(0x0201)
        // No associated terminal, no name; the lens has no optical zoom factors to tell.
        .u8(&[0; 8])
        .u8(&[3])
        .u8(&mask[..3])
        .sized()
}

/// UVC 1.1, 3.7.2.5.
fn processing_unit(controls: &Controls) -> Vec<u8> {
    let mask = controls.mask(Entity::ProcessingUnit).to_le_bytes();
    Bytes::default()
        .u8(&[
            CS_INTERFACE,
            5,
            Entity::ProcessingUnit.number(),
            Entity::CameraTerminal.number(),
        ])
        .u16(0)
        .u8(&[2])
        .u8(&mask[..2])
        .u8(&[0, 0])
        .sized()
}

/// UVC 1.1, 3.7.2.2.
fn output_terminal() -> Vec<u8> {
    Bytes::default()
        .u8(&[CS_INTERFACE, 3, OUTPUT_TERMINAL])
        .u16(0x0101)
        .u8(&[0, Entity::ProcessingUnit.number(), 0])
        .sized()
}

/// UVC 1.1, 3.9.
fn stream_interface(formats: &[FormatSpec], lie: Option<Lie>) -> Vec<u8> {
    let formats = if lie == Some(Lie::NoFormats) {
        &[]
    } else {
        formats
    };
    let mut described: Vec<u8> = Vec::new();
    for (number, format) in (1..).zip(formats) {
        let last = usize::from(number) == formats.len();
        described.extend(describe(number, format, lie, last));
    }
    let input = input_header(formats.len() as u8, described.len() as u16, lie);
    let endpoint = Bytes::default()
        .u8(&[5, STREAM_ENDPOINT, 2])
        .u16(PACKET)
        .u8(&[0])
        .sized();
    [
        interface(STREAM_INTERFACE, 1, 2),
        input,
        described,
        endpoint,
    ]
    .concat()
}

/// UVC 1.1, 3.9.2.1.
fn input_header(formats: u8, length: u16, lie: Option<Lie>) -> Vec<u8> {
    let told = if lie == Some(Lie::TooManyFormats) {
        255
    } else {
        formats
    };
    Bytes::default()
        .u8(&[CS_INTERFACE, 1, told])
        .u16(13 + u16::from(formats) + length)
        // Not dynamic, no still pictures, no trigger, and formats without controls of their own, one byte each.
        .u8(&[STREAM_ENDPOINT, 0, OUTPUT_TERMINAL, 0, 0, 0, 1])
        .u8(&vec![0; formats.into()])
        .sized()
}

/// A format with its frames and colours.
fn describe(number: u8, format: &FormatSpec, lie: Option<Lie>, last_format: bool) -> Vec<u8> {
    let sizes = format.sizes.len() as u8;
    let mut bytes = match format.kind {
        FormatKind::Mjpeg => mjpeg(number, sizes),
        FormatKind::Nv12 => uncompressed(number, sizes, *b"NV12", 12),
        FormatKind::Yuyv => uncompressed(number, sizes, *b"YUY2", 16),
    };
    for (index, size) in (1..).zip(&format.sizes) {
        let mut described = frame(index, format, *size, lie);
        if last_format && index == sizes {
            match lie {
                Some(Lie::Overrun) => described[0] = 255,
                Some(Lie::ZeroLength) => described[0] = 0,
                _ => {}
            }
        }
        bytes.extend(described);
    }
    // UVC 1.1, 3.9.2.6: BT.709 primaries and transfer, BT.601 matrix.
    bytes.extend(Bytes::default().u8(&[CS_INTERFACE, 0x0d, 1, 1, 4]).sized());
    bytes
}

/// MJPEG payload 1.1, 3.1.1.
fn mjpeg(number: u8, sizes: u8) -> Vec<u8> {
    Bytes::default()
        .u8(&[CS_INTERFACE, 6, number, sizes, 0, 1, 0, 0, 0, 0])
        .sized()
}

/// Uncompressed payload 1.1, 3.1.1.
fn uncompressed(number: u8, sizes: u8, four_cc: [u8; 4], bits: u8) -> Vec<u8> {
    // How a FourCC becomes a GUID: Uncompressed payload 1.1, 2.2.
    const TAIL: [u8; 12] = [0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];
    Bytes::default()
        .u8(&[CS_INTERFACE, 4, number, sizes])
        .u8(&four_cc)
        .u8(&TAIL)
        .u8(&[bits, 1, 0, 0, 0, 0])
        .sized()
}

/// Both payloads' 3.1.2; they differ in the subtype only.
fn frame(index: u8, format: &FormatSpec, size: (u16, u16), lie: Option<Lie>) -> Vec<u8> {
    let subtype = if format.kind == FormatKind::Mjpeg {
        7
    } else {
        5
    };
    let (width, height) = match lie {
        Some(Lie::ZeroSize) => (0, 0),
        Some(Lie::AbsurdSize) => (u16::MAX, u16::MAX),
        _ => size,
    };
    let intervals: Vec<u32> = match lie {
        Some(Lie::ZeroInterval) => vec![0; format.intervals.len()],
        _ => format.intervals.clone(),
    };
    let count = if lie == Some(Lie::TooManyIntervals) {
        255
    } else {
        intervals.len() as u8
    };
    let bytes = format.kind.frame_size(size);
    let rate = |interval: Option<&u32>| {
        let interval = u64::from(*interval.unwrap_or(&1));
        u32::try_from(u64::from(bytes) * 8 * 10_000_000 / interval.max(1)).unwrap_or(u32::MAX)
    };
    let head = Bytes::default()
        .u8(&[CS_INTERFACE, subtype, index, 0])
        .u16(width)
        .u16(height)
        .u32(rate(format.intervals.iter().max()))
        .u32(rate(format.intervals.iter().min()))
        .u32(buffer_size(bytes, lie))
        .u32(intervals[0])
        .u8(&[count]);
    intervals.into_iter().fold(head, Bytes::u32).sized()
}

/// The size of a frame that is told for its real one.
pub(crate) fn buffer_size(real: u32, lie: Option<Lie>) -> u32 {
    match lie {
        Some(Lie::ZeroBufferSize) => 0,
        Some(Lie::HugeBufferSize) => u32::MAX,
        _ => real,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptors(lie: Option<Lie>) -> Descriptors {
        let config = CameraConfig::default();
        Descriptors::new(&config, &Controls::new(&config.controls), lie)
    }

    /// The descriptors in a configuration, by their own lengths.
    fn walk(mut bytes: &[u8]) -> Vec<&[u8]> {
        let mut all = Vec::new();
        while let Some(&length) = bytes.first() {
            let (one, rest) = bytes.split_at(length.into());
            all.push(one);
            bytes = rest;
        }
        all
    }

    fn u16_at(bytes: &[u8], at: usize) -> u16 {
        u16::from_le_bytes([bytes[at], bytes[at + 1]])
    }

    #[test]
    fn the_device_is_a_composite_video_device() {
        let device = descriptors(None).device;
        assert_eq!(device.len(), 18);
        assert_eq!(device[0], 18);
        assert_eq!((u16_at(&device, 8), u16_at(&device, 10)), (0x1d6b, 0x0102));
        assert_eq!(device[14..], [1, 2, 0, 1]);
    }

    #[test]
    fn lengths_add_up() {
        let bytes = descriptors(None).configuration;
        assert_eq!(usize::from(u16_at(&bytes, 2)), bytes.len());
        let all = walk(&bytes);
        let start = |subtype: u8, class: u8| {
            let interface = all
                .iter()
                .position(|one| one[1] == 4 && one[6] == class)
                .unwrap();
            let found = all[interface..]
                .iter()
                .position(|one| one[1] == CS_INTERFACE && one[2] == subtype);
            interface + found.unwrap()
        };
        let specific = |from: usize| -> usize {
            all[from..]
                .iter()
                .take_while(|one| one[1] == CS_INTERFACE)
                .map(|one| one.len())
                .sum()
        };
        let control = start(1, 1);
        assert_eq!(usize::from(u16_at(all[control], 5)), specific(control));
        let stream = start(1, 2);
        assert_eq!(usize::from(u16_at(all[stream], 4)), specific(stream));
        // bNumFormats, and a byte of bmaControls for each.
        assert_eq!((all[stream][3], all[stream].len()), (3, 16));
    }

    #[test]
    fn formats_and_frames_read_back() {
        let bytes = descriptors(None).configuration;
        let all = walk(&bytes);
        let formats: Vec<_> = all
            .iter()
            .filter(|one| one[1] == CS_INTERFACE && matches!(one[2], 4 | 6) && one[0] != 18)
            .map(|one| (one[2], one[3], one[4], one.len()))
            .collect();
        assert_eq!(formats, [(6, 1, 2, 11), (4, 2, 2, 27), (4, 3, 2, 27)]);
        let frames: Vec<_> = all
            .iter()
            .filter(|one| one[1] == CS_INTERFACE && matches!(one[2], 5 | 7) && one.len() == 34)
            .map(|one| (one[3], u16_at(one, 5), u16_at(one, 7), one[25]))
            .collect();
        let sizes = [(1, 320, 240, 2), (2, 160, 120, 2)];
        assert_eq!(frames, [sizes, sizes, sizes].concat());
    }

    #[test]
    fn strings_are_there_as_far_as_the_device_names_them() {
        let text = |units: &[u8]| {
            String::from_utf16(
                &units
                    .chunks(2)
                    .map(|pair| u16_at(pair, 0))
                    .collect::<Vec<_>>(),
            )
        };
        let plain = descriptors(None);
        assert_eq!(plain.string(0), Some(vec![4, 3, 9, 4]));
        let name = plain.string(2).unwrap();
        assert_eq!(usize::from(name[0]), name.len());
        assert_eq!(text(&name[2..]).unwrap(), "mos virtual camera");
        assert_eq!(plain.string(3), None);

        let config = CameraConfig {
            serial: Some("Nº1".to_owned()),
            ..CameraConfig::default()
        };
        let numbered = Descriptors::new(&config, &Controls::new(&[]), None);
        assert_eq!(numbered.device[16], 3);
        assert_eq!(text(&numbered.string(3).unwrap()[2..]).unwrap(), "Nº1");
    }

    /// Where each lie differs from the truth, and that it does.
    #[test]
    fn lies_change_what_they_say() {
        let truth = descriptors(None).configuration;
        for lie in Lie::all() {
            let told = descriptors(Some(lie)).configuration;
            assert_ne!(told, truth, "{lie}");
            // The configuration's own length stays right: it is what the kernel reads by.
            assert_eq!(usize::from(u16_at(&told, 2)), told.len(), "{lie}");
        }
    }
}
