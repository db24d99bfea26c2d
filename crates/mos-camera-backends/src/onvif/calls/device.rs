//! The device service.

use super::super::soap::{SoapError, shown, xml::Node};
use super::{Call, ns};

/// Where every camera has it.
pub(in crate::onvif) const DEVICE: &str = "/onvif/device_service";

/// The camera's clock; most answer it without a log-in.
pub(in crate::onvif) const fn get_time() -> Call {
    Call::new(
        ns::DEVICE,
        "GetSystemDateAndTime",
        "GetSystemDateAndTimeResponse",
        String::new(),
    )
}

/// Its services.
pub(in crate::onvif) fn get_services() -> Call {
    let content = "<q:IncludeCapability>false</q:IncludeCapability>".to_owned();
    Call::new(ns::DEVICE, "GetServices", "GetServicesResponse", content)
}

/// The same of cameras older than ONVIF 2.1.
pub(in crate::onvif) fn get_capabilities() -> Call {
    let content = "<q:Category>All</q:Category>".to_owned();
    Call::new(
        ns::DEVICE,
        "GetCapabilities",
        "GetCapabilitiesResponse",
        content,
    )
}

/// Maker and model.
pub(in crate::onvif) const fn get_information() -> Call {
    Call::new(
        ns::DEVICE,
        "GetDeviceInformation",
        "GetDeviceInformationResponse",
        String::new(),
    )
}

/// Where the media services are; none if the camera has none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::onvif) struct Services {
    /// Media (ver10).
    pub(in crate::onvif) media: Option<String>,
    /// Media2 (ver20).
    pub(in crate::onvif) media2: Option<String>,
}

impl Services {
    /// Of a `GetServicesResponse`.
    pub(in crate::onvif) fn of_services(answer: &Node) -> Self {
        let url = |namespace: &str| {
            let has = |service: &&Node| {
                let named = service.text_at(&["Namespace"]).unwrap_or_default();
                named.trim_end_matches('/') == namespace
            };
            let service = answer.all("Service").find(has)?;
            service.text_at(&["XAddr"]).map(str::to_owned)
        };
        Self {
            media: url(ns::MEDIA),
            media2: url(ns::MEDIA2),
        }
    }

    /// Of a `GetCapabilitiesResponse`, which knows no Media2.
    pub(in crate::onvif) fn of_capabilities(answer: &Node) -> Self {
        let url = answer.text_at(&["Capabilities", "Media", "XAddr"]);
        Self {
            media: url.map(str::to_owned),
            media2: None,
        }
    }
}

/// What a camera is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::onvif) struct Info {
    /// Maker and model.
    pub(in crate::onvif) model: String,
}

impl Info {
    /// Of a `GetDeviceInformationResponse`.
    pub(in crate::onvif) fn of(answer: &Node) -> Result<Self, SoapError> {
        let text = |name| answer.text_at(&[name]).map(shown).unwrap_or_default();
        let (maker, model) = (text("Manufacturer"), text("Model"));
        // Many repeat the maker in the model's name.
        let model = if model.to_lowercase().starts_with(&maker.to_lowercase()) {
            model
        } else {
            format!("{maker} {model}").trim().to_owned()
        };
        if model.is_empty() {
            return Err(SoapError::Missing("Model"));
        }
        Ok(Self { model })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Node {
        Node::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn services_are_found_by_namespace() {
        let answer = node(
            "<R><Service><Namespace>http://www.onvif.org/ver10/device/wsdl</Namespace><XAddr>d</XAddr></Service><Service><Namespace>http://www.onvif.org/ver20/media/wsdl/</Namespace><XAddr>m2</XAddr></Service><Service/></R>",
        );
        let services = Services::of_services(&answer);
        assert_eq!(services.media, None);
        assert_eq!(services.media2.as_deref(), Some("m2"));
        let answer = node("<R><Capabilities><Media><XAddr>m</XAddr></Media></Capabilities></R>");
        assert_eq!(
            Services::of_capabilities(&answer).media.as_deref(),
            Some("m")
        );
        assert_eq!(
            Services::of_capabilities(&Node::default()),
            Services::default()
        );
    }

    #[test]
    fn the_model_has_its_maker_once() {
        for (maker, model, shown) in [
            ("ACME", "C1", "ACME C1"),
            ("acme", "ACME C1", "ACME C1"),
            ("", "C1", "C1"),
            ("ACME", "", "ACME"),
        ] {
            let text = format!("<R><Manufacturer>{maker}</Manufacturer><Model>{model}</Model></R>");
            assert_eq!(Info::of(&node(&text)).unwrap().model, shown);
        }
        assert_eq!(Info::of(&Node::default()), Err(SoapError::Missing("Model")));
    }
}
