//! A server on a Unix socket that refuses every status request with a detail.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "support of tests; each file uses a part of it"
)]

use std::path::Path;

use mos_camera_api::status_with_detail;
use mos_camera_api::v1::capture_control_service_server::{
    CaptureControlService, CaptureControlServiceServer,
};
use mos_camera_api::v1::{
    Capability, ConfigureStreamRequest, ConfigureStreamResponse, ErrorDetail, GetStatusRequest,
    GetStatusResponse, ListDevicesRequest, ListDevicesResponse, ResetCaptureRequest,
    ResetCaptureResponse, Size, StartCaptureRequest, StartCaptureResponse, StopCaptureRequest,
    StopCaptureResponse,
};
use tokio::net::UnixListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Code, Request, Response, Status};

type Answer<T> = Result<Response<T>, Status>;

/// Lists no devices; refuses a status with as many capabilities as names are asked for; knows nothing else.
#[derive(Debug)]
struct Refusing;

#[tonic::async_trait]
impl CaptureControlService for Refusing {
    async fn list_devices(&self, _: Request<ListDevicesRequest>) -> Answer<ListDevicesResponse> {
        Ok(Response::new(ListDevicesResponse::default()))
    }

    async fn get_status(&self, request: Request<GetStatusRequest>) -> Answer<GetStatusResponse> {
        let capability = |n: usize| {
            let sizes = vec![
                Size {
                    width: n as u32,
                    height: 2
                };
                10
            ];
            Capability {
                format: "NV12".into(),
                sizes,
                ..Capability::default()
            }
        };
        let supported = (0..request.get_ref().streams.len())
            .map(capability)
            .collect();
        let detail = ErrorDetail {
            reason: "TEST".into(),
            hint: "Größe ändern".into(),
            supported,
            ..ErrorDetail::default()
        };
        Err(status_with_detail(
            Code::InvalidArgument,
            "geht nicht: größer",
            detail,
        ))
    }

    async fn configure_stream(
        &self,
        _: Request<ConfigureStreamRequest>,
    ) -> Answer<ConfigureStreamResponse> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn start_capture(&self, _: Request<StartCaptureRequest>) -> Answer<StartCaptureResponse> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn stop_capture(&self, _: Request<StopCaptureRequest>) -> Answer<StopCaptureResponse> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn reset_capture(&self, _: Request<ResetCaptureRequest>) -> Answer<ResetCaptureResponse> {
        Err(Status::unimplemented("not scripted"))
    }
}

/// A running server.
pub struct Server {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens on `path`.
    pub fn start(path: &Path) -> Self {
        let incoming = UnixListenerStream::new(UnixListener::bind(path).unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tonic::transport::Server::builder()
            .add_service(CaptureControlServiceServer::new(Refusing))
            .serve_with_incoming_shutdown(incoming, async {
                let _ = stopped.await;
            });
        let task = tokio::spawn(async { server.await.unwrap() });
        Self { stop, task }
    }

    /// Ends it and waits until its connections are closed; the socket stays behind, as after a crash.
    pub async fn stop(self) {
        drop(self.stop);
        self.task.await.unwrap();
    }
}
