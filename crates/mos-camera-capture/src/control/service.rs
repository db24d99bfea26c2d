//! `CaptureControlService`: the six methods.

use mos_camera_api::v1;
use mos_camera_api::v1::capture_control_service_server::CaptureControlService;
use tonic::{Request, Response, Status};

use super::convert;
use crate::engine::Engine;

/// The control service over an engine.
#[derive(Debug, Clone)]
pub struct Control {
    engine: Engine,
}

impl Control {
    /// Serves an engine.
    pub const fn new(engine: Engine) -> Self {
        Self { engine }
    }
}

/// `"development"` or `"production"`.
pub const BUILD: &str = if cfg!(feature = "development") {
    "development"
} else {
    "production"
};

#[tonic::async_trait]
impl CaptureControlService for Control {
    async fn list_devices(
        &self,
        request: Request<v1::ListDevicesRequest>,
    ) -> Result<Response<v1::ListDevicesResponse>, Status> {
        let transports = convert::transports(&request.into_inner().transports)?;
        let listing = self.engine.list_devices(&transports).await;
        let devices = listing
            .devices
            .iter()
            .map(|device| convert::device(device, self.engine.stream_of(&device.id).as_ref()));
        let problems = listing.problems.iter().map(|problem| v1::DiscoveryProblem {
            transport: convert::transport(problem.transport).into(),
            message: problem.fault.message.clone(),
            hint: problem.fault.hint.clone(),
        });
        Ok(Response::new(v1::ListDevicesResponse {
            devices: devices.collect(),
            problems: problems.collect(),
        }))
    }

    async fn configure_stream(
        &self,
        request: Request<v1::ConfigureStreamRequest>,
    ) -> Result<Response<v1::ConfigureStreamResponse>, Status> {
        let request = request.into_inner();
        let name = convert::stream_name("stream", &request.stream)?;
        let config = convert::config_from(request.config)?;
        let done = self.engine.configure(&name, config).await?;
        let config = Some(convert::config(&done.config));
        Ok(Response::new(v1::ConfigureStreamResponse {
            config,
            unchanged: done.unchanged,
        }))
    }

    async fn start_capture(
        &self,
        request: Request<v1::StartCaptureRequest>,
    ) -> Result<Response<v1::StartCaptureResponse>, Status> {
        let name = convert::stream_name("stream", &request.into_inner().stream)?;
        let already_started = self.engine.start_capture(&name).await?;
        Ok(Response::new(v1::StartCaptureResponse { already_started }))
    }

    async fn stop_capture(
        &self,
        request: Request<v1::StopCaptureRequest>,
    ) -> Result<Response<v1::StopCaptureResponse>, Status> {
        let name = convert::stream_name("stream", &request.into_inner().stream)?;
        let already_stopped = self.engine.stop_capture(&name).await?;
        Ok(Response::new(v1::StopCaptureResponse { already_stopped }))
    }

    async fn get_status(
        &self,
        request: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        let names = convert::stream_names(&request.into_inner().streams)?;
        let streams = self
            .engine
            .status(&names)?
            .iter()
            .map(convert::stream_status)
            .collect();
        Ok(Response::new(v1::GetStatusResponse {
            service: Some(self.service_status()),
            streams,
        }))
    }

    async fn reset_capture(
        &self,
        request: Request<v1::ResetCaptureRequest>,
    ) -> Result<Response<v1::ResetCaptureResponse>, Status> {
        let name = convert::stream_name("stream", &request.into_inner().stream)?;
        self.engine.reset_capture(&name).await?;
        Ok(Response::new(v1::ResetCaptureResponse {}))
    }
}

impl Control {
    fn service_status(&self) -> v1::ServiceStatus {
        let status = self.engine.service_status();
        let (hotplug, hotplug_detail) = convert::hotplug(status.hotplug);
        v1::ServiceStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            build: BUILD.to_owned(),
            started_at: Some(convert::timestamp(status.started_at)),
            frame_dir: status.frame_dir.display().to_string(),
            state_saved: status.state_problem.is_none(),
            state_problem: status.state_problem.unwrap_or_default(),
            hotplug,
            hotplug_detail,
            stray_mappings: status.stray_mappings,
            platform: Some(convert::platform(&status.platform, status.profiles)),
        }
    }
}
