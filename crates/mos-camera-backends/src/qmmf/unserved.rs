//! Cameras that are configured for the camera service on a machine that does not use it: they are listed, and whoever wants one is told
//! what is missing. A camera that was only not listed would be waited for as if it were unplugged.

use std::sync::Arc;

use mos_camera_core::plan::Explanation;
use mos_camera_core::{
    ControlValues, Device, DeviceId, Fault, FaultKind, Health, QmmfSource, StreamConfig, Transport,
};

use crate::backend::{Backend, Source};
use crate::report::{Report, common};

/// Such cameras of one transport, beside those of whatever drives that transport here.
#[derive(Debug, Clone)]
pub struct Unserved {
    transport: Transport,
    cameras: Vec<(DeviceId, QmmfSource)>,
    why: String,
    beside: Option<Arc<dyn Backend>>,
}

impl Unserved {
    /// Those of `named` that are of the transport; `why` says why the service is not used.
    pub fn new(
        transport: Transport,
        named: &[(String, QmmfSource)],
        why: impl Into<String>,
        beside: Option<Arc<dyn Backend>>,
    ) -> Self {
        let mut cameras: Vec<_> = named
            .iter()
            .map(|(name, source)| (source.device(name), source.clone()))
            .filter(|(id, _)| id.transport() == transport)
            .collect();
        cameras.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self {
            transport,
            cameras,
            why: why.into(),
            beside,
        }
    }

    fn text(&self, device: &DeviceId) -> String {
        let why = &self.why;
        format!(
            "{device} is configured for Qualcomm's camera service, which is not used here: {why}"
        )
    }

    fn missing(&self, device: &DeviceId) -> Fault {
        Fault::new(
            FaultKind::Missing,
            self.text(device),
            "`mosctl platform` says what was found and what to do; the camera's table [cameras.NAME.qmmf] is for a machine with the service",
        )
    }

    /// Of a camera that nobody named, where nobody can look for it: the device tree may have it, which only the service's cameras are
    /// read from.
    fn undriven(&self, device: &DeviceId) -> Fault {
        let why = &self.why;
        Fault::new(
            FaultKind::Missing,
            format!(
                "nothing drives {device} on this machine; Qualcomm's camera service is not used here: {why}"
            ),
            "`mosctl platform` says what was found and what to do",
        )
    }

    fn listed(&self, (id, source): &(DeviceId, QmmfSource)) -> Device {
        Device {
            id: id.clone(),
            transport: self.transport,
            model: id.rest().to_owned(),
            location: format!("camera {} of the camera service", source.camera),
            capabilities: Vec::new(),
            controls: Vec::new(),
            profiles: Vec::new(),
            health: Health::Unusable(self.text(id)),
        }
    }

    /// Who drives a camera; a fault if nobody does.
    fn driver(&self, device: &DeviceId) -> Result<&dyn Backend, Fault> {
        if self.cameras.iter().any(|(id, _)| id == device) {
            return Err(self.missing(device));
        }
        self.beside.as_deref().ok_or_else(|| self.undriven(device))
    }

    fn with_own(&self, mut devices: Vec<Device>) -> Vec<Device> {
        // Nobody else has a camera of the same id: it is what the operator named.
        devices.retain(|device| !self.cameras.iter().any(|(id, _)| *id == device.id));
        devices.extend(self.cameras.iter().map(|camera| self.listed(camera)));
        devices.sort_by(|a, b| a.id.cmp(&b.id));
        devices
    }
}

impl Backend for Unserved {
    fn transport(&self) -> Transport {
        self.transport
    }

    fn discover(&self) -> Result<Vec<Device>, Fault> {
        let others = self.beside.as_ref().map(|beside| beside.discover());
        Ok(self.with_own(others.transpose()?.unwrap_or_default()))
    }

    fn discover_again(&self) -> Result<Vec<Device>, Fault> {
        let others = self.beside.as_ref().map(|beside| beside.discover_again());
        Ok(self.with_own(others.transpose()?.unwrap_or_default()))
    }

    fn certain(&self) -> Vec<Device> {
        self.with_own(Vec::new())
    }

    fn can_look(&self) -> bool {
        self.beside.as_ref().is_some_and(|beside| beside.can_look())
    }

    fn explain(&self, device: &DeviceId, config: &StreamConfig) -> Result<Explanation, Fault> {
        self.driver(device)?.explain(device, config)
    }

    fn source(&self, device: &DeviceId, config: &StreamConfig) -> Result<Source, Fault> {
        self.driver(device)?.source(device, config)
    }

    fn set_controls(&self, device: &DeviceId, values: &ControlValues) -> Result<(), Fault> {
        self.driver(device)?.set_controls(device, values)
    }

    fn classify(&self, device: &DeviceId, error: &gst::message::Error) -> Fault {
        match self.driver(device) {
            Ok(driver) => driver.classify(device, error),
            Err(_) => common(device, &Report::of(error)),
        }
    }

    fn notice(&self, device: &DeviceId, message: &gst::message::Element) -> Option<Fault> {
        self.driver(device).ok()?.notice(device, message)
    }

    fn reset(&self, device: &DeviceId) -> Result<(), Fault> {
        self.driver(device)?.reset(device)
    }
}

#[cfg(test)]
#[cfg(feature = "development")]
mod tests {
    use mos_camera_core::TestSource;

    use super::*;
    use crate::TestBackend;

    /// Whoever drives the transport's other cameras goes on as without it; the test pattern's backend stands for it here.
    #[test]
    fn the_cameras_beside_are_none_of_its_business() {
        crate::init().unwrap();
        let cameras = vec![("pattern".to_owned(), TestSource::default())];
        let beside: Arc<dyn Backend> = Arc::new(TestBackend::new(cameras));
        let source = QmmfSource {
            camera: 2,
            link: None,
        };
        let named = [("mast".to_owned(), source)];
        let csi = Unserved::new(Transport::MipiCsi, &named, "why", Some(beside));
        for listed in [csi.discover().unwrap(), csi.discover_again().unwrap()] {
            let ids: Vec<_> = listed.iter().map(|device| device.id.as_str()).collect();
            assert_eq!(ids, ["csi:mast", "test:pattern"]);
            assert!(matches!(&listed[0].health, Health::Unusable(text) if text.contains("why")));
            assert_eq!(listed[1].health, Health::Ready);
        }
        let id = |text: &str| text.parse::<DeviceId>().unwrap();
        let (own, other) = (id("csi:mast"), id("test:pattern"));
        let stream = |id: &DeviceId| StreamConfig::new(id.clone());
        assert!(csi.explain(&other, &stream(&other)).is_ok());
        assert!(csi.source(&other, &stream(&other)).is_ok());
        assert!(csi.reset(&other).is_ok());
        let fault = csi.source(&own, &stream(&own)).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Missing, "{fault}");
        assert!(csi.can_look(), "by what is beside");
        // Nobody named this one, and nobody can say whether it is there.
        let gmsl = Unserved::new(Transport::Gmsl2, &named, "why", None);
        assert!(!gmsl.can_look());
        assert!(gmsl.discover().unwrap().is_empty());
        let nowhere = id("gmsl:x/link0");
        let fault = gmsl.source(&nowhere, &stream(&nowhere)).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Missing, "{fault}");
        assert!(fault.message.contains("why"), "{fault}");
    }
}
