//! `CaptureSourceService`: adds and removes cameras that can't be discovered.

use mos_camera_api::v1;
use mos_camera_api::v1::capture_source_service_server::CaptureSourceService;
use tonic::{Request, Response, Status};

use super::convert;
use crate::engine::Engine;

/// The source service over an engine.
#[derive(Debug, Clone)]
pub struct Sources {
    engine: Engine,
}

impl Sources {
    /// Serves an engine.
    pub const fn new(engine: Engine) -> Self {
        Self { engine }
    }
}

#[tonic::async_trait]
impl CaptureSourceService for Sources {
    async fn add_camera(
        &self,
        request: Request<v1::AddCameraRequest>,
    ) -> Result<Response<v1::AddCameraResponse>, Status> {
        let request = request.into_inner();
        let name = convert::stream_name("name", &request.name)?;
        let added = self.engine.add_camera(&name, &request.table).await?;
        Ok(Response::new(v1::AddCameraResponse {
            device: added.device.to_string(),
            unchanged: added.unchanged,
        }))
    }

    async fn remove_camera(
        &self,
        request: Request<v1::RemoveCameraRequest>,
    ) -> Result<Response<v1::RemoveCameraResponse>, Status> {
        let name = convert::stream_name("name", &request.into_inner().name)?;
        self.engine.remove_camera(&name).await?;
        Ok(Response::new(v1::RemoveCameraResponse {}))
    }
}
