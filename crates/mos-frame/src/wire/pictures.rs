//! Formats and plane layouts in messages.

use super::WireError;
use super::codec::{Reader, Writer};
use crate::format::{Format, FourCc, Layout, MemoryKind, Plane};

pub(super) fn write_format(w: &mut Writer, f: &Format) {
    w.u32(f.width)
        .u32(f.height)
        .u32(f.fourcc.0)
        .u64(f.modifier)
        .u32(f.framerate.0)
        .u32(f.framerate.1);
    w.u8(f.memory as u8)
        .u8(u8::from(f.read_only))
        .text(&f.colorimetry, 64);
}

pub(super) fn read_format(r: &mut Reader<'_>) -> Result<Format, WireError> {
    Ok(Format {
        width: r.u32()?,
        height: r.u32()?,
        fourcc: FourCc(r.u32()?),
        modifier: r.u64()?,
        framerate: (r.u32()?, r.u32()?),
        memory: MemoryKind::from_wire(r.u8()?).ok_or(WireError::Field)?,
        read_only: r.u8()? != 0,
        colorimetry: r.text()?,
    })
}

pub(super) fn write_layout(w: &mut Writer, layout: &Layout) {
    w.u8(layout.planes.len() as u8);
    for p in &layout.planes {
        w.u8(p.fd).u64(p.offset).u32(p.stride).u64(p.size);
    }
}

pub(super) fn read_layout(r: &mut Reader<'_>) -> Result<Layout, WireError> {
    let count = usize::from(r.u8()?);
    if count > Layout::MAX_PLANES {
        return Err(WireError::Field);
    }
    let plane = |r: &mut Reader<'_>| -> Result<Plane, WireError> {
        Ok(Plane {
            fd: r.u8()?,
            offset: r.u64()?,
            stride: r.u32()?,
            size: r.u64()?,
        })
    };
    let layout = Layout {
        planes: (0..count).map(|_| plane(r)).collect::<Result<_, _>>()?,
    };
    if layout.is_valid() {
        Ok(layout)
    } else {
        Err(WireError::Field)
    }
}
