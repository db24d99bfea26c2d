//! What the demo found.

use std::path::PathBuf;

use serde::Serialize;

use super::cameras::StreamSource;
use super::view::{Row, SubscriberRow, render};
use crate::error::Error;
use crate::rig::ctl::Stream;
use crate::rig::subscriber::Figures;

/// Everything at the end.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    /// How long frames were received.
    pub(crate) seconds: f64,
    /// All streams.
    pub(crate) streams: Vec<StreamResult>,
    /// The picture of all cameras, if it could be made.
    pub(crate) sheet: Option<PathBuf>,
}

/// One stream.
#[derive(Debug, Serialize)]
pub(crate) struct StreamResult {
    stream: String,
    source: String,
    state: String,
    /// Published a second, at the end.
    fps: f64,
    published: u64,
    copied: u64,
    subscribers: Vec<Measured>,
    #[serde(skip)]
    reason: String,
}

/// One subscriber.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    /// Its name.
    pub(crate) name: String,
    /// What it measured in all.
    #[serde(flatten)]
    pub(crate) figures: Figures,
}

impl StreamResult {
    /// A stream with what the service said of it at the end.
    pub(crate) fn new(
        source: StreamSource,
        status: Option<&Stream>,
        subscribers: Vec<Measured>,
    ) -> Self {
        let frames = status.and_then(|stream| stream.frames.as_ref());
        let unknown = || "unknown to the service".to_owned();
        Self {
            stream: source.stream,
            source: source.kind,
            state: status.map_or_else(unknown, |stream| stream.state.clone()),
            fps: frames.map_or(0.0, |frames| frames.fps),
            published: frames.map_or(0, |frames| frames.published),
            copied: frames.map_or(0, |frames| frames.copied),
            subscribers,
            reason: status.map_or_else(unknown, Stream::reason),
        }
    }

    /// Whether a subscriber got a frame.
    fn gave_frames(&self) -> bool {
        self.subscribers
            .iter()
            .any(|subscriber| subscriber.figures.frames > 0)
    }

    fn row(&self) -> Row {
        let subscriber = |measured: &Measured| SubscriberRow {
            name: measured.name.clone(),
            figures: measured.figures.clone(),
        };
        Row {
            source: StreamSource {
                stream: self.stream.clone(),
                kind: self.source.clone(),
            },
            state: self.state.clone(),
            fps: Some(self.fps),
            subscribers: self.subscribers.iter().map(subscriber).collect(),
        }
    }
}

impl Outcome {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let rows: Vec<_> = self.streams.iter().map(StreamResult::row).collect();
        let copied: u64 = self.streams.iter().map(|stream| stream.copied).sum();
        let sheet = self.sheet.as_ref().map_or(String::new(), |sheet| {
            format!("picture of all cameras: {}\n", sheet.display())
        });
        format!(
            "{}frames whose pixels were copied: {copied}\n{sheet}",
            render(&rows)
        )
    }

    /// For programs.
    pub(crate) fn json(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// Fails, with reasons, if a camera gave no frames.
    pub(crate) fn verdict(&self) -> Result<(), Error> {
        let silent = self.streams.iter().filter(|stream| !stream.gave_frames());
        let reasons: Vec<_> = silent
            .map(|stream| format!("{} gave no frames ({})", stream.stream, stream.reason))
            .collect();
        if reasons.is_empty() {
            Ok(())
        } else {
            Err(Error::NotMet(reasons.join("; ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(frames: u64) -> Outcome {
        let source = StreamSource {
            stream: "front".to_owned(),
            kind: "test".to_owned(),
        };
        let figures = Figures {
            frames,
            fps: 30.0,
            ..Figures::default()
        };
        let stream = StreamResult::new(
            source,
            None,
            vec![Measured {
                name: "first".to_owned(),
                figures,
            }],
        );
        Outcome {
            seconds: 1.0,
            streams: vec![stream],
            sheet: None,
        }
    }

    #[test]
    fn the_json_has_the_figures_of_each_subscriber() {
        let json: serde_json::Value = serde_json::from_str(&outcome(30).json()).unwrap();
        let first = &json["streams"][0]["subscribers"][0];
        for key in ["frames", "fps", "age_p50_us", "age_p99_us", "gaps", "drops"] {
            assert!(first.get(key).is_some(), "{key}");
        }
        assert_eq!(
            (&first["name"], &first["frames"]),
            (&"first".into(), &30.into())
        );
    }

    #[test]
    fn a_silent_camera_fails_the_demo() {
        assert!(outcome(1).verdict().is_ok());
        assert!(
            outcome(0)
                .verdict()
                .unwrap_err()
                .to_string()
                .contains("front gave no frames")
        );
    }
}
