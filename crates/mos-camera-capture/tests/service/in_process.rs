//! The service inside another program: the library without the binary.

use mos_camera_api::v1::GetStatusRequest;
use mos_camera_capture::config;
use mos_camera_capture::run::{Hooks, RunError, run};
use tokio::sync::{mpsc, oneshot};

use crate::harness::{Home, TWO_CAMERAS};

/// The configuration of a home, with its paths.
fn config_of(home: &Home) -> config::Config {
    let mut config = config::load(&home.config_file()).unwrap();
    config.service.control_socket = home.control_socket();
    config.service.frame_dir = home.frame_dir();
    config.service.state_file = home.state_file();
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_until_it_is_told_to_stop() {
    let home = Home::new(TWO_CAMERAS);
    let (stop, stopped) = oneshot::channel::<()>();
    let (ready, is_ready) = oneshot::channel();
    let (_reloads, reload) = mpsc::channel(1);
    let hooks = Hooks {
        shutdown: async { stopped.await.unwrap() },
        reload,
        ready: Some(ready),
    };
    let service = tokio::spawn(run(config_of(&home), hooks));
    is_ready.await.unwrap();
    let mut control = mos_camera_api::client::connect(&home.control_socket())
        .await
        .unwrap();
    let status = control
        .get_status(GetStatusRequest::default())
        .await
        .unwrap();
    assert_eq!(status.into_inner().streams.len(), 2);

    let (_unused, reload) = mpsc::channel(1);
    let second = Hooks {
        shutdown: std::future::pending(),
        reload,
        ready: None,
    };
    let refused = run(config_of(&home), second).await.unwrap_err();
    assert!(matches!(refused, RunError::Socket(_)), "{refused}");
    assert_eq!(refused.exit().code(), 69);

    stop.send(()).unwrap();
    service.await.unwrap().unwrap();
    assert!(!home.control_socket().exists());
}
