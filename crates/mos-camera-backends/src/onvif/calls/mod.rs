//! What cameras are asked, and what their answers mean: bodies of requests as text, answers from trees. No I/O here.

pub(super) mod device;
pub(super) mod encoder;
pub(super) mod media;

pub(super) use device::{DEVICE, Info, Services};

/// Namespaces (ONVIF Core, Media and Media2 service specifications).
pub(super) mod ns {
    pub(in crate::onvif) const DEVICE: &str = "http://www.onvif.org/ver10/device/wsdl";
    pub(in crate::onvif) const MEDIA: &str = "http://www.onvif.org/ver10/media/wsdl";
    pub(in crate::onvif) const MEDIA2: &str = "http://www.onvif.org/ver20/media/wsdl";
    pub(in crate::onvif) const SCHEMA: &str = "http://www.onvif.org/ver10/schema";
}

/// A question to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// Its name, such as `GetProfiles`.
    pub(super) name: &'static str,
    /// The service's namespace.
    pub(super) service: &'static str,
    /// What is in it, as XML; `q` is the service's prefix, `tt` the schema's.
    pub(super) content: String,
    /// The name of its answer.
    pub(super) answer: &'static str,
}

impl Call {
    pub(super) const fn new(
        service: &'static str,
        name: &'static str,
        answer: &'static str,
        content: String,
    ) -> Self {
        Self {
            name,
            service,
            content,
            answer,
        }
    }

    /// The body's element.
    pub(super) fn body(&self) -> String {
        let Self {
            name,
            service,
            content,
            ..
        } = self;
        format!(
            "<q:{name} xmlns:q=\"{service}\" xmlns:tt=\"{}\">{content}</q:{name}>",
            ns::SCHEMA
        )
    }

    /// What `SOAPAction` and the content type's `action` say.
    pub(super) fn action(&self) -> String {
        format!("{}/{}", self.service, self.name)
    }
}
