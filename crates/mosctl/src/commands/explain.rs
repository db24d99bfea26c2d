//! `mosctl explain`.

use mos_camera_api::v1::{
    CaptureFormat, ExplainDeviceRequest, ExplainDeviceResponse, NormalisePlan, PlanProblem,
    RejectedPlan,
};

use super::answer;
use super::configure::{framerate, size};
use crate::cli::{Explain, Global};
use crate::exit::Result;
use crate::output::Out;
use crate::{text, view};

pub(super) async fn run(global: &Global, args: &Explain, out: &Out) -> Result<()> {
    let request = ExplainDeviceRequest {
        device: args.device.to_string(),
        size: args.size.map(size),
        framerate: args.framerate.map(framerate),
        max_subscribers: args.max_subscribers.unwrap_or_default(),
    };
    let explained = answer(global.inspect().await?.explain_device(request)).await?;
    out.result(&view::Explanation::from(&explained), |_| render(&explained))
}

fn render(explained: &ExplainDeviceResponse) -> String {
    let mut text = match (&explained.plan, &explained.problem) {
        (Some(plan), _) => chosen(&explained.device, plan),
        (None, Some(problem)) => nothing(problem),
        (None, None) => format!("{}: the service gave no plan\n", explained.device),
    };
    if !explained.rejected.is_empty() {
        text.push_str("rejected:\n");
        for (what, why) in grouped(&explained.rejected) {
            text.push_str(&format!("  {what}: {why}\n"));
        }
    }
    text
}

fn chosen(device: &str, plan: &NormalisePlan) -> String {
    let mut text = format!(
        "{device}: {}\n  per frame: {}\n",
        plan.text,
        text::copies(plan)
    );
    if !plan.why.is_empty() {
        text.push_str(&format!("  rule {}: {}\n", plan.rule, plan.why));
    }
    if !plan.origin.is_empty() {
        text.push_str(&format!("  said by: {}\n", plan.origin));
    }
    for trap in &plan.traps {
        text.push_str(&format!("  known trap: {trap}\n"));
    }
    if !plan.limit.is_empty() {
        text.push_str(&format!(
            "  limit: {}; nothing here copies them by hardware\n",
            plan.limit
        ));
    }
    text
}

fn nothing(problem: &PlanProblem) -> String {
    format!("{}\n  {}\n", problem.message, problem.hint)
}

/// What was rejected, formats that share elements and reason in one line, in the order in which they first come.
fn grouped(rejected: &[RejectedPlan]) -> Vec<(String, &str)> {
    let mut groups: Vec<(Vec<String>, String, &str)> = Vec::new();
    for r in rejected {
        let (what, chain) = (
            r.capture.as_ref().map_or_else(String::new, captured),
            r.elements.join(" ! "),
        );
        match groups
            .iter_mut()
            .find(|(_, c, why)| *c == chain && *why == r.message)
        {
            Some((formats, ..)) if formats.contains(&what) => {}
            Some((formats, ..)) => formats.push(what),
            None => groups.push((vec![what], chain, &r.message)),
        }
    }
    let line = |(formats, chain, why): (Vec<String>, String, _)| {
        let formats = formats.join(", ");
        (
            if chain.is_empty() {
                formats
            } else {
                format!("{formats} -> {chain}")
            },
            why,
        )
    };
    groups.into_iter().map(line).collect()
}

fn captured(capture: &CaptureFormat) -> String {
    match &capture.size {
        Some(_) => format!("{} {}", capture.format, text::size(capture.size.as_ref())),
        None => capture.format.clone(),
    }
}

#[cfg(test)]
mod tests {
    use mos_camera_api::v1::{FrameMemory, Size};

    use super::*;

    fn capture(format: &str) -> CaptureFormat {
        CaptureFormat {
            format: format.into(),
            size: Some(Size {
                width: 1280,
                height: 720,
            }),
            ..CaptureFormat::default()
        }
    }

    fn rejected(format: &str, elements: &[&str], message: &str) -> RejectedPlan {
        RejectedPlan {
            capture: Some(capture(format)),
            elements: elements.iter().map(|&e| e.to_owned()).collect(),
            message: message.into(),
            ..RejectedPlan::default()
        }
    }

    #[test]
    fn the_plan_comes_first_and_then_why_nothing_else() {
        let explained = ExplainDeviceResponse {
            device: "usb:046d:0825:4F2A11".into(),
            plan: Some(NormalisePlan {
                capture: Some(capture("image/jpeg")),
                elements: vec!["jpegdec".into(), "videoconvert".into()],
                memory: FrameMemory::Memfd.into(),
                cpu_copies: 1,
                software: true,
                rule: "jpeg-libjpeg".into(),
                why: "It does".into(),
                text: "image/jpeg 1280x720 at 30 fps -> jpegdec ! videoconvert -> NV12 in memfds"
                    .into(),
                ..NormalisePlan::default()
            }),
            rejected: vec![
                rejected("YUY2", &[], "only at 10 fps"),
                rejected(
                    "UYVY",
                    &["v4l2convert"],
                    "v4l2convert is not on this machine",
                ),
                rejected(
                    "RGB",
                    &["v4l2convert"],
                    "v4l2convert is not on this machine",
                ),
                rejected("RGB", &["vapostproc"], "vapostproc is not on this machine"),
            ],
            ..ExplainDeviceResponse::default()
        };
        assert_eq!(
            render(&explained),
            "\
usb:046d:0825:4F2A11: image/jpeg 1280x720 at 30 fps -> jpegdec ! videoconvert -> NV12 in memfds
  per frame: 1 copy by the CPU, software (development build only)
  rule jpeg-libjpeg: It does
rejected:
  YUY2 1280x720: only at 10 fps
  UYVY 1280x720, RGB 1280x720 -> v4l2convert: v4l2convert is not on this machine
  RGB 1280x720 -> vapostproc: vapostproc is not on this machine
"
        );
    }

    #[test]
    fn no_plan_says_what_is_missing_and_what_to_do() {
        let problem = PlanProblem {
            reason: "NEEDS_CPU".into(),
            message: "rtsp:door: only the CPU could".into(),
            hint: "use hardware".into(),
        };
        let explained = ExplainDeviceResponse {
            device: "rtsp:door".into(),
            problem: Some(problem),
            ..ExplainDeviceResponse::default()
        };
        assert_eq!(
            render(&explained),
            "rtsp:door: only the CPU could\n  use hardware\n"
        );
    }
}
