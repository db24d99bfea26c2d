//! `CaptureInspectService`: looks into the service, and changes nothing.

use std::sync::Arc;

use mos_camera_api::v1;
use mos_camera_api::v1::capture_inspect_service_server::CaptureInspectService;
use tokio::sync::Mutex;
use tonic::{Request, Response, Status};

use super::fail::of_device;
use super::{access, convert};
use crate::engine::Engine;

/// The inspection service over an engine.
#[derive(Debug, Clone)]
pub struct Inspect {
    engine: Engine,
    /// The right to look at nodes.
    nodes: Arc<Mutex<()>>,
}

impl Inspect {
    /// Serves an engine.
    pub fn new(engine: Engine) -> Self {
        Self {
            engine,
            nodes: Arc::default(),
        }
    }
}

#[tonic::async_trait]
impl CaptureInspectService for Inspect {
    async fn explain_device(
        &self,
        request: Request<v1::ExplainDeviceRequest>,
    ) -> Result<Response<v1::ExplainDeviceResponse>, Status> {
        let config = convert::explained_from(request.get_ref())?;
        let explanation = self.engine.explain(&config).await.map_err(of_device)?;
        Ok(Response::new(convert::explanation(
            &config.device,
            explanation,
        )))
    }

    async fn record_registry(
        &self,
        _: Request<v1::RecordRegistryRequest>,
    ) -> Result<Response<v1::RecordRegistryResponse>, Status> {
        // Makes every element once, which loads libraries.
        let recorded = tokio::task::spawn_blocking(mos_camera_backends::machine::record);
        let registry = recorded.await.map_err(|error| {
            Status::internal(format!("the look at the registry broke off: {error}"))
        })?;
        Ok(Response::new(v1::RecordRegistryResponse {
            registry: registry.to_string(),
        }))
    }

    async fn check_access(
        &self,
        request: Request<v1::CheckAccessRequest>,
    ) -> Result<Response<v1::CheckAccessResponse>, Status> {
        let paths = access::paths(request.into_inner())?;
        Ok(Response::new(access::check(&self.nodes, paths).await?))
    }
}
