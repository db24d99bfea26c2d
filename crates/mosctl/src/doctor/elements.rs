//! What GStreamer has on the service's machine, in some lines; the whole is in the report for programs.

use std::collections::BTreeSet;

use mos_camera_core::plan::{PoolMemory, Registry};

use super::Answers;
use crate::text;

/// The nodes that the registry's elements and rules need and that are there.
pub(crate) fn nodes(registry: Option<&str>) -> BTreeSet<String> {
    let registry = registry.and_then(|text| text.parse::<Registry>().ok());
    registry.map_or_else(BTreeSet::new, |registry| registry.machine.devices)
}

pub(super) fn render(answers: &Answers) -> String {
    let platform = answers
        .status
        .service
        .as_ref()
        .and_then(|service| service.platform.as_ref());
    let cameras: Vec<_> = platform
        .iter()
        .flat_map(|platform| &platform.elements)
        .map(|element| {
            let unusable = if element.usable { "" } else { " (not usable)" };
            format!("{}{unusable}", element.name)
        })
        .collect();
    let mut lines = vec![("cameras", listed(&cameras))];
    match answers.registry.as_deref().map(str::parse::<Registry>) {
        Some(Ok(registry)) => lines.extend(summary(&registry)),
        Some(Err(error)) => lines.push(("others", format!("not understood: {error}"))),
        None => lines.push(("others", "not known".to_owned())),
    }
    let mut text = String::from("elements\n");
    for (what, value) in lines {
        text.push_str(&format!("  {what:<9} {value}\n"));
    }
    text
}

fn summary(registry: &Registry) -> [(&'static str, String); 4] {
    let machine = &registry.machine;
    let of_nodes: Vec<_> = machine
        .elements
        .iter()
        .filter_map(|(name, facts)| Some(format!("{name} ({})", facts.device.as_ref()?)))
        .collect();
    let pools: Vec<_> = machine.pools.iter().map(|pool| pool_name(*pool)).collect();
    [
        ("gstreamer", registry.gstreamer.clone()),
        (
            "others",
            format!(
                "{} decoders, converters and parsers; `--json` has them with their formats",
                machine.elements.len()
            ),
        ),
        ("by node", listed(&of_nodes)),
        ("pool", listed(&pools)),
    ]
}

const fn pool_name(pool: PoolMemory) -> &'static str {
    match pool {
        PoolMemory::DmaHeap => "dma-heap",
        PoolMemory::Udmabuf => "udmabuf",
        PoolMemory::Memfd => "memfd",
    }
}

fn listed<T: AsRef<str>>(words: &[T]) -> String {
    if words.is_empty() {
        return text::NONE.to_owned();
    }
    let words: Vec<_> = words.iter().map(AsRef::as_ref).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use mos_camera_api::v1::{CameraElement, GetStatusResponse, Platform, ServiceStatus};

    use super::*;

    const BOARD: &str = "gstreamer 1.26.2\nelement jpegdec\nelement v4l2h264dec\n  device /dev/video10\nnode /dev/video10\npool dma-heap\n";

    fn answers(registry: Option<&str>) -> Answers {
        let element = |name: &str, usable| CameraElement {
            name: name.to_owned(),
            usable,
            unusable: String::new(),
        };
        let platform = Platform {
            elements: vec![element("libcamerasrc", true), element("qticamsrc", false)],
            ..Platform::default()
        };
        let service = ServiceStatus {
            platform: Some(platform),
            ..ServiceStatus::default()
        };
        Answers {
            status: GetStatusResponse {
                service: Some(service),
                streams: Vec::new(),
            },
            registry: registry.map(str::to_owned),
            ..Answers::default()
        }
    }

    #[test]
    fn a_registry_is_told_in_some_lines() {
        let text = render(&answers(Some(BOARD)));
        assert_eq!(
            text,
            "elements\n  cameras   libcamerasrc, qticamsrc (not usable)\n  gstreamer 1.26.2\n  others    2 decoders, converters and parsers; `--json` has them with their formats\n  by node   v4l2h264dec (/dev/video10)\n  pool      dma-heap\n"
        );
    }

    #[test]
    fn a_registry_that_is_missing_or_of_a_newer_service_is_told_as_such() {
        assert!(render(&answers(None)).contains("  others    not known"));
        let newer = render(&answers(Some("gstreamer 2\nsomething else\n")));
        assert!(
            newer.contains("  others    not understood: line 2"),
            "{newer}"
        );
        assert!(render(&Answers::default()).contains("  cameras   -\n"));
    }

    #[test]
    fn nodes_are_those_that_the_registry_names() {
        assert_eq!(nodes(Some(BOARD)), ["/dev/video10".to_owned()].into());
        assert!(nodes(None).is_empty() && nodes(Some("?")).is_empty());
    }
}
