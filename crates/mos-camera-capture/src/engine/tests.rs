//! The engine with cameras that are not there.

use std::pin::pin;
use std::task::Poll;

use super::*;

/// Cameras whose nodes never exist: their streams are set up and wait for them.
const CAMERAS: &str = r#"
    [cameras.first]
    start = false
    v4l2.path = "/nonexistent/first"
    [cameras.second]
    v4l2.path = "/nonexistent/second"
"#;

fn name(name: &str) -> StreamName {
    name.parse().unwrap()
}

async fn engine(dir: &std::path::Path, cameras: &str) -> Engine {
    gst::init().unwrap();
    let mut config = crate::config::parse("cameras.toml".as_ref(), cameras).unwrap();
    config.service.frame_dir = dir.join("frames");
    let store = Store::open(&dir.join("state.json")).unwrap();
    let loaded = store.load().unwrap();
    Engine::start(config, store, loaded).await
}

/// Runs `meanwhile` after a settle (of a reload) has gone as far as it can without the claim, which is where calls can
/// cross it; then lets the settle finish.
async fn cross_a_settle(engine: &Engine, meanwhile: impl Future<Output = ()>) {
    let claim = engine.0.roster.claim().await;
    let mut settle = pin!(engine.settle(&[]));
    let first = std::future::poll_fn(|cx| Poll::Ready(settle.as_mut().poll(cx))).await;
    assert!(first.is_pending(), "it waits for the claim");
    meanwhile.await;
    drop(claim);
    settle.await;
}

#[tokio::test]
async fn a_start_and_a_stop_that_cross_a_reload_stand() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path(), CAMERAS).await;
    let (first, second) = (name("first"), name("second"));
    let wanted = |name| engine.0.roster.wanted(name);
    assert_eq!((wanted(&first), wanted(&second)), (Some(false), Some(true)));
    cross_a_settle(&engine, async {
        assert!(!engine.start_capture(&first).await.unwrap());
        assert!(!engine.stop_capture(&second).await.unwrap());
    })
    .await;
    assert_eq!((wanted(&first), wanted(&second)), (Some(true), Some(false)));
    assert!(engine.stop().await);
}

#[tokio::test]
async fn a_stream_that_was_configured_just_before_a_reload_took_the_claim_stays() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path(), CAMERAS).await;
    let third = name("third");
    let config = StreamConfig {
        device: DeviceId::new(Transport::V4l2, "third"),
        ..engine.0.roster.config(&name("first")).unwrap()
    };
    // What `configure` does while it has the claim; the test has it.
    cross_a_settle(&engine, async {
        let save = |wanted: &mut crate::state::Wanted| wanted.config = Some(config.clone());
        engine.0.keeper.update(&third, save).await.unwrap();
        let told = engine.0.roster.configure(&third, config.clone(), false);
        told.await.unwrap();
    })
    .await;
    assert_eq!(engine.0.roster.config(&third), Some(config));
    assert!(engine.stop().await);
}

#[cfg(not(feature = "development"))]
#[tokio::test]
async fn a_test_camera_in_a_production_build_fails_and_says_why() {
    use mos_camera_core::FaultKind;
    use mos_camera_core::lifecycle::State;

    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path(), "[cameras.ball]\ntest = {}").await;
    let mut events = engine.events();
    let status = || engine.status(&[name("ball")]).unwrap().remove(0);
    while status().life.state != State::Failed {
        let patience = std::time::Duration::from_mins(1);
        tokio::time::timeout(patience, events.recv())
            .await
            .expect("it fails")
            .unwrap();
    }
    let (fault, _) = status().fault.unwrap();
    assert_eq!(fault.kind, FaultKind::Missing);
    assert!(fault.hint.contains("development build"), "{fault}");
    assert!(engine.stop().await);
}
