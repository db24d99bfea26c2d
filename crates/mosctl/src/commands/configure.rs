//! `mosctl configure`.

use std::time::Duration;

use mos_camera_api::v1;
use mos_camera_core::Framerate;

use super::answer;
use crate::cli::{Configure, Global, OnViolation};
use crate::exit::{Exit, Failure, Result};
use crate::output::Out;
use crate::{text, view};

pub(super) async fn run(global: &Global, args: Configure, out: &Out) -> Result<()> {
    let stream = args.stream.to_string();
    let request = v1::ConfigureStreamRequest {
        stream: stream.clone(),
        config: Some(config(&args)?),
    };
    let done = answer(global.control().await?.configure_stream(request)).await?;
    let configured = view::Configured {
        stream,
        unchanged: done.unchanged,
        config: done.config.as_ref().map(view::Config::from),
    };
    out.result(&configured, |c| {
        let verb = if c.unchanged {
            "was configured so already"
        } else {
            "configured"
        };
        let config = done
            .config
            .as_ref()
            .map_or_else(String::new, |c| format!(": {}", text::config(c)));
        format!("{} {verb}{config}\n", c.stream)
    })
}

fn config(args: &Configure) -> Result<v1::StreamConfig> {
    Ok(v1::StreamConfig {
        device: args.device.to_string(),
        size: args.size.map(size),
        framerate: args.framerate.map(framerate),
        first_frame_timeout: args.first_frame_timeout.map(proto_duration).transpose()?,
        steady_timeout: args.steady_timeout.map(proto_duration).transpose()?,
        max_subscribers: args.max_subscribers.unwrap_or_default(),
        controls: args.controls.iter().cloned().collect(),
        on_violation: args.on_violation.map_or(0, |on| on_violation(on).into()),
        profile: args.profile.clone().unwrap_or_default(),
        set_encoder: args.set_encoder,
    })
}

pub(super) const fn size((width, height): (u32, u32)) -> v1::Size {
    v1::Size { width, height }
}

pub(super) const fn framerate(rate: Framerate) -> v1::Framerate {
    v1::Framerate {
        numerator: rate.num(),
        denominator: rate.den(),
    }
}

const fn on_violation(on: OnViolation) -> v1::OnViolation {
    match on {
        OnViolation::Report => v1::OnViolation::Report,
        OnViolation::Stop => v1::OnViolation::Stop,
    }
}

fn proto_duration(duration: Duration) -> Result<prost_types::Duration> {
    duration.try_into().map_err(|_| {
        Failure::new(
            Exit::Usage,
            format!("{duration:?} is too long a time"),
            "use at most 10m",
        )
    })
}
