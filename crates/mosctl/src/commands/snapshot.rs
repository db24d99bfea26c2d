//! `mosctl snapshot`.

#[cfg(feature = "development")]
pub(super) use development::run;

/// A production build has no code that reads a frame's pixels.
#[cfg(not(feature = "development"))]
pub(super) fn run(
    _global: &crate::cli::Global,
    _args: &crate::cli::Snapshot,
    _out: &crate::output::Out,
) -> crate::exit::Result<()> {
    let message = "snapshot is not in this build: a production build of mosctl can't read pixels with the CPU";
    let hint = "use a development build on this machine, or take the picture from an encoder on the frame bus";
    Err(crate::exit::Failure::new(
        crate::exit::Exit::NotInThisBuild,
        message,
        hint,
    ))
}

#[cfg(feature = "development")]
mod development {
    use std::path::Path;
    use std::time::Instant;

    use mos_camera_core::StreamName;
    use mos_frame::SubscriberOptions;
    use serde::Serialize;

    use crate::cli::{Global, Snapshot};
    use crate::commands::subscribe::subscribe;
    use crate::exit::{Exit, Failure, Result};
    use crate::output::Out;
    use crate::picture::{self, Rgb, Sheet};

    /// What was written.
    #[derive(Debug, Serialize)]
    struct Written {
        file: String,
        width: u32,
        height: u32,
        streams: Vec<Shot>,
    }

    /// What became of one stream.
    #[derive(Debug, Serialize)]
    struct Shot {
        stream: String,
        /// Sequence number of the frame; `null` if none came.
        seq: Option<u64>,
        /// Why none came.
        error: Option<String>,
    }

    pub(in crate::commands) fn run(global: &Global, args: &Snapshot, out: &Out) -> Result<()> {
        match args.streams.as_slice() {
            [stream] if !args.sheet => single(global, args, stream, out),
            _ if args.sheet => sheet(global, args, out),
            _ => Err(Failure::new(
                Exit::Usage,
                "a picture shows one stream",
                "add --sheet to put several into one picture",
            )),
        }
    }

    fn single(global: &Global, args: &Snapshot, stream: &StreamName, out: &Out) -> Result<()> {
        let (seq, image) = shoot(global, args, stream)?;
        let shot = Shot {
            stream: stream.to_string(),
            seq: Some(seq),
            error: None,
        };
        save(&image, &args.file)?;
        tell(args, &image, vec![shot], out)
    }

    fn sheet(global: &Global, args: &Snapshot, out: &Out) -> Result<()> {
        let mut sheet = Sheet::new(args.streams.len(), args.columns, args.tile).map_err(|e| {
            Failure::new(Exit::Usage, e, "ask for a smaller --tile or fewer streams")
        })?;
        let mut shots = Vec::new();
        let mut first_failure = None;
        for stream in &args.streams {
            let (shot, image, failure) = match shoot(global, args, stream) {
                Ok((seq, image)) => (
                    Shot {
                        stream: stream.to_string(),
                        seq: Some(seq),
                        error: None,
                    },
                    Some(image),
                    None,
                ),
                Err(f) => (
                    Shot {
                        stream: stream.to_string(),
                        seq: None,
                        error: Some(f.message.clone()),
                    },
                    None,
                    Some(f),
                ),
            };
            sheet.add(stream.as_str(), image.as_ref());
            shots.push(shot);
            first_failure = first_failure.or(failure);
        }
        let image = sheet.finish();
        save(&image, &args.file)?;
        tell(args, &image, shots, out)?;
        // The sheet is there, with grey tiles; that it is not complete must not go unnoticed.
        first_failure.map_or(Ok(()), Err)
    }

    /// Takes one frame of a stream and turns it into a picture.
    fn shoot(global: &Global, args: &Snapshot, stream: &StreamName) -> Result<(u64, Rgb)> {
        let deadline = Instant::now() + args.wait;
        let options = SubscriberOptions {
            name: "mosctl-snapshot".into(),
            window: 1,
            timeout: args.wait,
            ..SubscriberOptions::default()
        };
        let mut subscriber = subscribe(
            &global.bus_socket(stream),
            &options,
            deadline.saturating_duration_since(Instant::now()),
        )?;
        let frame = subscriber
            .next_timeout(deadline.saturating_duration_since(Instant::now()))?
            .ok_or_else(|| {
                let message = format!("{stream} gave no frame within {:?}", args.wait);
                Failure::new(
                    Exit::Unavailable,
                    message,
                    format!("see `mosctl status {stream}`"),
                )
            })?;
        let image = picture::from_frame(&frame).map_err(|e| {
            Failure::new(
                Exit::Other,
                format!("frame {} of {stream}: {e}", frame.seq()),
                "",
            )
        })?;
        Ok((frame.seq(), image))
    }

    fn save(image: &Rgb, file: &Path) -> Result<()> {
        picture::write_png(image, file).map_err(|e| {
            Failure::new(
                Exit::Other,
                format!("can't write {}: {e}", file.display()),
                "",
            )
        })
    }

    fn tell(args: &Snapshot, image: &Rgb, streams: Vec<Shot>, out: &Out) -> Result<()> {
        let file = args.file.display().to_string();
        let written = Written {
            file,
            width: image.width(),
            height: image.height(),
            streams,
        };
        out.result(&written, |w| {
            let names: Vec<&str> = w.streams.iter().map(|s| s.stream.as_str()).collect();
            format!(
                "{}: {}x{} of {}\n",
                w.file,
                w.width,
                w.height,
                names.join(", ")
            )
        })
    }
}
