//! `mosctl start`, `stop` and `reset`.

use mos_camera_api::v1;
use mos_camera_core::StreamName;

use super::answer;
use crate::cli::Global;
use crate::exit::Result;
use crate::output::Out;
use crate::view::Commanded;

pub(super) async fn start(global: &Global, stream: &StreamName, out: &Out) -> Result<()> {
    let request = v1::StartCaptureRequest {
        stream: stream.to_string(),
    };
    let already = answer(global.control().await?.start_capture(request))
        .await?
        .already_started;
    tell(stream, "started", already, out)
}

pub(super) async fn stop(global: &Global, stream: &StreamName, out: &Out) -> Result<()> {
    let request = v1::StopCaptureRequest {
        stream: stream.to_string(),
    };
    let already = answer(global.control().await?.stop_capture(request))
        .await?
        .already_stopped;
    tell(stream, "stopped", already, out)
}

pub(super) async fn reset(global: &Global, stream: &StreamName, out: &Out) -> Result<()> {
    let request = v1::ResetCaptureRequest {
        stream: stream.to_string(),
    };
    answer(global.control().await?.reset_capture(request)).await?;
    tell(stream, "reset", false, out)
}

fn tell(stream: &StreamName, done: &'static str, already: bool, out: &Out) -> Result<()> {
    let commanded = Commanded {
        stream: stream.to_string(),
        done,
        already,
    };
    out.result(&commanded, |c| {
        let already = if c.already { "was already " } else { "" };
        format!("{} {already}{}\n", c.stream, c.done)
    })
}
