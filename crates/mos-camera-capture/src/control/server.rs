//! The gRPC server on the control socket: the four services, reflection and health, behind the gate.

use std::io;
use std::time::Duration;

use futures::Stream;
use mos_camera_api::FILE_DESCRIPTOR_SET;
use mos_camera_api::v1::capture_control_service_server::CaptureControlServiceServer;
use mos_camera_api::v1::capture_event_service_server::CaptureEventServiceServer;
use mos_camera_api::v1::capture_inspect_service_server::CaptureInspectServiceServer;
use mos_camera_api::v1::capture_source_service_server::CaptureSourceServiceServer;
use tokio::sync::watch;
use tonic::service::InterceptorLayer;
use tonic::transport::Server;
use tonic_health::server::HealthReporter;

use super::events::Events;
use super::gate::Gate;
use super::inspect::Inspect;
use super::peer::PeerStream;
use super::service::Control;
use super::socket::ControlSocket;
use super::sources::Sources;
use crate::engine::Engine;

/// Longest wait after a failed accept; out of descriptors is the usual reason, and trying at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The server broke down.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The contract that was built in can't be read.
    #[error("the contract can't be offered by reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The transport failed.
    #[error("the control server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves until `stopping` turns true and the calls that run then have ended.
pub async fn serve(
    socket: &ControlSocket,
    gate: Gate,
    engine: Engine,
    stopping: watch::Receiver<bool>,
) -> Result<(), ServeError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    report(&health, true).await;
    let mut stop = stopping.clone();
    let end = async move {
        // Fails only when the sender is gone, which is an end too.
        let _ = stop.wait_for(|stopping| *stopping).await;
        report(&health, false).await;
    };
    Server::builder()
        .layer(InterceptorLayer::new(move |request: tonic::Request<()>| {
            gate.check(&request).map(|()| request)
        }))
        .add_service(CaptureControlServiceServer::new(Control::new(
            engine.clone(),
        )))
        .add_service(CaptureInspectServiceServer::new(Inspect::new(
            engine.clone(),
        )))
        .add_service(CaptureSourceServiceServer::new(Sources::new(
            engine.clone(),
        )))
        .add_service(CaptureEventServiceServer::new(Events::new(
            engine, stopping,
        )))
        .add_service(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .serve_with_incoming_shutdown(incoming(socket), end)
        .await?;
    Ok(())
}

/// Says of the service as a whole, and of each of ours, whether they serve.
async fn report(health: &HealthReporter, serving: bool) {
    use tonic_health::ServingStatus::{NotServing, Serving};
    let status = if serving { Serving } else { NotServing };
    for service in ["", CONTROL, EVENTS, INSPECT, SOURCES] {
        health.set_service_status(service, status).await;
    }
}

const CONTROL: &str = mos_camera_api::v1::capture_control_service_server::SERVICE_NAME;
const EVENTS: &str = mos_camera_api::v1::capture_event_service_server::SERVICE_NAME;
const SOURCES: &str = mos_camera_api::v1::capture_source_service_server::SERVICE_NAME;
const INSPECT: &str = mos_camera_api::v1::capture_inspect_service_server::SERVICE_NAME;

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// Connections with their peers, for as long as they are asked for.
fn incoming(socket: &ControlSocket) -> impl Stream<Item = io::Result<PeerStream>> {
    futures::stream::unfold(socket, |socket| async move {
        Some((Ok(accept(socket).await), socket))
    })
}

async fn accept(socket: &ControlSocket) -> PeerStream {
    loop {
        match socket.accept().await.and_then(PeerStream::new) {
            Ok(stream) => return stream,
            Err(error) => {
                tracing::warn!(%error, "a connection to the control socket could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
