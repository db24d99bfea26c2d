//! Whether a buffer holds a whole JPEG picture.
//!
//! Decoders do not tell: libjpeg fills what is missing with grey and only warns. So the markers are walked (ITU-T T.81,
//! B.1 and B.2), from SOI over the frame header to the EOI behind the last scan. What is damaged between two markers is not
//! seen; what a camera or a bus lost at the end of a picture, which is what happens, is.

/// Why a buffer holds no whole picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Why {
    /// It does not begin with SOI.
    #[error("it does not begin as a JPEG picture")]
    NoStart,
    /// It ends before its first scan, or within a marker segment.
    #[error("it is cut off")]
    CutOff,
    /// It ends within a scan, without EOI: it is cut off there, or the camera is one of those that never send EOI.
    #[error("it is cut off within its scan")]
    NoEnd {
        /// Width and height in pixels, from its frame header.
        size: (u32, u32),
    },
    /// Where a marker has to be is none.
    #[error("it is damaged: a marker is missing")]
    NoMarker,
    /// A marker stands where it may not: mostly the beginning of another picture, after this one was cut off.
    #[error("it is damaged: the marker {0:#04x} is out of place")]
    OutOfPlace(u8),
    /// The first scan comes before the frame header, or EOI before any scan.
    #[error("it has no frame header or no scan")]
    NoFrame,
    /// The frame header is too short, or its size is 0 in a direction.
    #[error("its frame header makes no sense")]
    BadFrame,
}

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const TEM: u8 = 0x01;

/// Checks that a whole picture is there, and gives its (width, height) in pixels.
///
/// What follows EOI does not matter: cameras pad their buffers, mostly with zeros. Costs about a look at each byte.
pub fn complete(bytes: &[u8]) -> Result<(u32, u32), Why> {
    if !bytes.starts_with(&[0xff, SOI]) {
        return Err(Why::NoStart);
    }
    let mut walk = Walk { rest: &bytes[2..] };
    let (mut frame, mut scanned) = (None, None);
    loop {
        match walk.marker()? {
            EOI => return scanned.ok_or(Why::NoFrame),
            SOS => {
                let size = frame.ok_or(Why::NoFrame)?;
                walk.segment()?;
                walk.skip_scan().ok_or(Why::NoEnd { size })?;
                scanned = Some(size);
            }
            marker if is_frame(marker) => frame = Some(size_of(walk.segment()?)?),
            TEM => {}
            marker if has_segment(marker) => {
                walk.segment()?;
            }
            marker => return Err(Why::OutOfPlace(marker)),
        }
    }
}

/// SOF0 to SOF15; three codes of that row are DHT, JPG and DAC (table B.1).
const fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

/// Every other marker but the restart markers, SOI, and the reserved ones 0x02 to 0xbf.
const fn has_segment(marker: u8) -> bool {
    matches!(marker, 0xc4 | 0xcc | 0xdb..=0xfe)
}

const fn is_restart(marker: u8) -> bool {
    matches!(marker, 0xd0..=0xd7)
}

/// Lines and samples per line of a frame header (B.2.2).
fn size_of(header: &[u8]) -> Result<(u32, u32), Why> {
    let &[_precision, h1, h0, w1, w0, ..] = header else {
        return Err(Why::BadFrame);
    };
    let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
    if width == 0 || height == 0 {
        Err(Why::BadFrame)
    } else {
        Ok((width.into(), height.into()))
    }
}

struct Walk<'a> {
    rest: &'a [u8],
}

impl<'a> Walk<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Why> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Why::CutOff)?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Why> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// The code of the next marker; any number of fill bytes 0xff may stand before it (B.1.1.2).
    fn marker(&mut self) -> Result<u8, Why> {
        if self.byte()? != 0xff {
            return Err(Why::NoMarker);
        }
        loop {
            match self.byte()? {
                0xff => {}
                0 => return Err(Why::NoMarker),
                marker => return Ok(marker),
            }
        }
    }

    /// What a marker segment holds behind its length, which counts itself (B.1.1.4).
    fn segment(&mut self) -> Result<&'a [u8], Why> {
        let length = self.take(2)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        self.take(length.checked_sub(2).ok_or(Why::NoMarker)?)
    }

    /// Goes to the marker behind a scan's entropy-coded data, in which 0xff is followed by 0 or is a restart marker; none if
    /// the bytes end before.
    fn skip_scan(&mut self) -> Option<()> {
        loop {
            let next = self.rest.iter().position(|byte| *byte == 0xff)?;
            self.rest = &self.rest[next..];
            match *self.rest.get(1)? {
                stuffed if stuffed == 0 || is_restart(stuffed) => self.rest = &self.rest[2..],
                0xff => self.rest = &self.rest[1..],
                _ => return Some(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
        [&[0xff, marker], &length[..], content].concat()
    }

    fn frame(marker: u8, width: u16, height: u16) -> Vec<u8> {
        let (w, h) = (width.to_be_bytes(), height.to_be_bytes());
        segment(marker, &[8, h[0], h[1], w[0], w[1], 1, 1, 0x11, 0])
    }

    fn scan(data: &[u8]) -> Vec<u8> {
        [&segment(SOS, &[1, 1, 0, 0, 63, 0])[..], data].concat()
    }

    fn picture(parts: &[&[u8]]) -> Vec<u8> {
        [&[&[0xff, SOI][..]], parts].concat().concat()
    }

    /// Tables, a comment with a marker in it, fill bytes, stuffed bytes and restart markers.
    fn good() -> Vec<u8> {
        let data = [1, 2, 0xff, 0, 3, 0xff, 0xd0, 4, 0xff, 0xff, 0xd1, 5];
        picture(&[
            &segment(0xe0, b"JFIF\0"),
            &segment(0xfe, &[0xff, EOI]),
            &segment(0xdb, &[0; 65]),
            &[0xff],
            &frame(0xc0, 640, 480),
            &segment(0xc4, &[0; 20]),
            &scan(&data),
            &[0xff, EOI],
        ])
    }

    #[test]
    fn a_whole_picture_tells_its_size() {
        assert_eq!(complete(&good()), Ok((640, 480)));
        let zeros = [good(), vec![0; 1000]].concat();
        assert_eq!(complete(&zeros), Ok((640, 480)), "padding");
        let progressive = picture(&[
            &frame(0xc2, 16, 8),
            &scan(&[1, 2]),
            &segment(0xc4, &[0; 20]),
            &scan(&[3]),
            &[0xff, EOI],
        ]);
        assert_eq!(complete(&progressive), Ok((16, 8)));
    }

    #[test]
    fn what_is_no_whole_picture_says_why() {
        let cut_then_another = [&good()[..good().len() - 2], &good()[..]].concat();
        let no_end = Why::NoEnd { size: (640, 480) };
        let (size, data, end) = (frame(0xc0, 640, 480), scan(&[1]), [0xff, EOI]);
        for (bytes, why) in [
            (vec![], Why::NoStart),
            (vec![0; 100], Why::NoStart),
            (b"not a picture".to_vec(), Why::NoStart),
            (vec![0xff, SOI], Why::CutOff),
            (good()[..good().len() - 1].to_vec(), no_end),
            (good()[..good().len() - 2].to_vec(), no_end),
            (good()[..60].to_vec(), Why::CutOff),
            (cut_then_another, Why::OutOfPlace(SOI)),
            (picture(&[&[7], &size, &data, &end]), Why::NoMarker),
            (
                picture(&[&[0xff, 0xe0, 0, 1], &size, &data, &end]),
                Why::NoMarker,
            ),
            (
                picture(&[&[0xff, 0xd0], &size, &data, &end]),
                Why::OutOfPlace(0xd0),
            ),
            (picture(&[&data, &size, &end]), Why::NoFrame),
            (picture(&[&end]), Why::NoFrame),
            (picture(&[&size, &end]), Why::NoFrame),
            (picture(&[&frame(0xc0, 0, 480), &data, &end]), Why::BadFrame),
            (
                picture(&[&segment(0xc0, &[8, 1]), &data, &end]),
                Why::BadFrame,
            ),
        ] {
            assert_eq!(complete(&bytes), Err(why), "{bytes:02x?}");
            assert!(!why.to_string().is_empty());
        }
    }

    #[test]
    fn a_picture_that_is_cut_anywhere_is_not_whole() {
        let whole = good();
        for len in 0..whole.len() {
            assert!(
                complete(&whole[..len]).is_err(),
                "{len} of {} bytes",
                whole.len()
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0..200usize) {
            let _ = complete(&bytes);
            // And with a beginning that leads further in.
            let mut mixed = good();
            mixed.truncate(at);
            mixed.extend(bytes);
            let _ = complete(&mixed);
        }
    }
}
