//! The engine with cameras that are not there.

use std::pin::pin;
use std::task::Poll;

use mos_camera_backends::{Backend, Source};
use mos_camera_core::{Fault, FaultKind, Health};

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

/// A camera of which only the explanation matters.
#[derive(Debug)]
struct Explained(Result<Explanation, Fault>);

impl Explained {
    fn id() -> DeviceId {
        DeviceId::new(Transport::UsbUvc, "cam")
    }
}

impl Backend for Explained {
    fn transport(&self) -> Transport {
        Transport::UsbUvc
    }

    fn discover(&self) -> Result<Vec<Device>, Fault> {
        Ok(vec![Device {
            id: Self::id(),
            transport: Transport::UsbUvc,
            model: String::new(),
            location: String::new(),
            capabilities: Vec::new(),
            controls: Vec::new(),
            profiles: Vec::new(),
            health: Health::Ready,
        }])
    }

    fn explain(&self, _: &DeviceId, _: &StreamConfig) -> Result<Explanation, Fault> {
        self.0.clone()
    }

    fn source(&self, _: &DeviceId, _: &StreamConfig) -> Result<Source, Fault> {
        Err(Fault::new(FaultKind::Internal, "not built here", ""))
    }

    fn classify(&self, _: &DeviceId, _: &gst::message::Error) -> Fault {
        unreachable!("nothing runs")
    }

    fn reset(&self, _: &DeviceId) -> Result<(), Fault> {
        Ok(())
    }
}

/// What a webcam's offer becomes where nothing is installed.
fn webcam_on_a_bare_machine(build: plan::Build) -> Explanation {
    let (offer, rules) = (
        plan::Offer::unknown("image/jpeg"),
        plan::Profiles::built_in()
            .unwrap()
            .rules(mos_camera_core::platform::Family::Generic, &[]),
    );
    plan::explain(&plan::Request {
        offer: &offer,
        wish: plan::Wish::default(),
        machine: &plan::Machine::default(),
        build,
        rules: &rules,
    })
}

async fn configure_where(
    dir: &std::path::Path,
    explained: Result<Explanation, Fault>,
) -> (Engine, Result<Configured, EngineError>) {
    let store = Store::open(&dir.join("state.json")).unwrap();
    let loaded = store.load().unwrap();
    let mut config = Config::default();
    config.service.frame_dir = dir.join("frames");
    let catalogue = Catalogue::of(Arc::new(Explained(explained)));
    let platform = platform::decide(&Evidence::default(), None);
    let engine = Engine::start_with(config, store, loaded, catalogue, platform).await;
    let done = engine
        .configure(&name("cam"), StreamConfig::new(Explained::id()))
        .await;
    (engine, done)
}

#[tokio::test]
async fn what_can_t_become_nv12_is_refused_when_it_is_configured() {
    for (build, reason, names) in [
        (plan::Build::Development, "NO_PLAN", "jpegdec"),
        (plan::Build::Production, "NEEDS_CPU", "v4l2jpegdec"),
    ] {
        let explanation = webcam_on_a_bare_machine(build);
        let dir = tempfile::tempdir().unwrap();
        let (engine, refused) = configure_where(dir.path(), Ok(explanation)).await;
        let status = tonic::Status::from(refused.unwrap_err());
        assert_eq!(status.code(), tonic::Code::FailedPrecondition, "{status:?}");
        let detail = mos_camera_api::detail_of(&status).unwrap();
        assert_eq!(
            (detail.reason.as_str(), detail.field.as_str()),
            (reason, "config.device")
        );
        assert_eq!(
            (detail.device.as_str(), detail.stream.as_str()),
            ("usb:cam", "cam")
        );
        assert!(
            status.message().contains(names) && !detail.hint.is_empty(),
            "{status:?}"
        );
        assert_eq!(engine.0.roster.config(&name("cam")), None);
        let saved = engine.0.keeper.state().await.streams().count();
        assert_eq!(saved, 0, "nothing was saved");
        assert!(engine.stop().await);
    }
}

#[tokio::test]
async fn a_camera_that_can_t_be_asked_now_is_configured_all_the_same() {
    let busy = Fault::new(FaultKind::Busy, "another program has it", "");
    let dir = tempfile::tempdir().unwrap();
    let (engine, done) = configure_where(dir.path(), Err(busy.clone())).await;
    assert!(!done.unwrap().unchanged);
    let explained = engine.explain(&StreamConfig::new(Explained::id())).await;
    let Err(EngineError::DeviceUnavailable { fault, .. }) = explained else {
        panic!("{explained:?}");
    };
    assert_eq!(fault, busy);
    assert!(engine.stop().await);
}

/// Of a network camera it is known that it gives H.264.
#[cfg(not(feature = "development"))]
#[tokio::test]
async fn a_production_build_refuses_a_network_camera_that_only_the_cpu_could_decode() {
    let dir = tempfile::tempdir().unwrap();
    let cameras = "[cameras.door]\nstream = false\nrtsp.url = 'rtsp://127.0.0.1:9/x'";
    let engine = engine(dir.path(), cameras).await;
    let config = StreamConfig::new(DeviceId::new(Transport::Rtsp, "door"));
    match engine.configure(&name("door"), config).await {
        Err(EngineError::NoPlan { error, .. }) => {
            assert_eq!(error.reason(), "NEEDS_CPU", "{error}");
            assert!(error.to_string().contains("v4l2slh264dec"), "{error}");
        }
        // On a machine with a decoder in hardware.
        done => assert!(done.is_ok_and(|done| !done.unchanged)),
    }
    assert!(engine.stop().await);
}

#[cfg(not(feature = "development"))]
#[tokio::test]
async fn a_test_camera_in_a_production_build_fails_and_says_why() {
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

#[tokio::test]
async fn a_probe_that_breaks_off_leaves_a_machine_of_which_nothing_is_assumed() {
    let found = platform::decide(&Evidence::default(), Some(Family::Imx8mp));
    let told = found.clone();
    assert_eq!(probed(move || told, None, &[]).await, found);

    for (configured, family, problems) in [
        (None, Family::Generic, 1),
        // The configuration counts all the same, and says what is missing for it.
        (Some(Family::Qcs), Family::Qcs, 2),
    ] {
        let broken = probed(|| panic!("an element broke"), configured, &[]).await;
        assert_eq!(broken.family, family);
        assert_eq!(broken.csi, None, "no element is trusted");
        assert_eq!(broken.problems.len(), problems, "{:?}", broken.problems);
        let last = broken.problems.last().unwrap();
        assert!(last.message.contains("broke off"), "{}", last.message);
        assert!(last.hint.contains("`platform`"), "{}", last.hint);
    }
}

/// A QCS board with both elements, of which nothing is made here.
fn board(camera_service: CameraService) -> Platform {
    let usable = |name: &str| (name.to_owned(), platform::ElementState::Usable);
    let evidence = Evidence {
        compatible: vec!["qcom,qcm6490".to_owned()],
        elements: ["qticamsrc"].map(usable).into(),
        camera_service,
        ..Evidence::default()
    };
    platform::decide(&evidence, None)
}

/// Streams on cameras that no table names, as `mosctl configure` saves them, on a board whose camera service is late.
async fn late_board(dir: &Path) -> Engine {
    gst::init().unwrap();
    let store = Store::open(&dir.join("state.json")).unwrap();
    let mut loaded = store.load().unwrap();
    for (stream, device) in LATE {
        let wanted = crate::state::Wanted {
            config: Some(StreamConfig::new(device.parse().unwrap())),
            started: Some(true),
        };
        loaded.state = loaded.state.with(&name(stream), wanted);
    }
    let mut config = Config::default();
    config.service.frame_dir = dir.join("frames");
    config.onvif.discovery = false;
    let before = board(CameraService::Absent);
    let catalogue = Catalogue::new(&config, &before);
    Engine::start_with(config, store, loaded, catalogue, before).await
}

const LATE: [(&str, &str); 2] = [
    ("mast", "gmsl:i2c@1/max96712@29/link0"),
    ("roof", "csi:imx577@1a"),
];

/// Waits until each stream of [`LATE`] has a fault, or until none has.
async fn late_faults(engine: &Engine, any: bool) -> Vec<Option<mos_camera_core::Fault>> {
    let mut events = engine.events();
    loop {
        let streams = engine
            .status(&LATE.map(|(stream, _)| name(stream)))
            .unwrap();
        let faults: Vec<_> = streams
            .into_iter()
            .map(|s| s.fault.map(|(fault, _)| fault))
            .collect();
        if faults.iter().all(|fault| fault.is_some() == any) {
            return faults;
        }
        let patience = std::time::Duration::from_mins(1);
        let event = tokio::time::timeout(patience, events.recv()).await;
        event.unwrap_or_else(|_| panic!("{faults:?}")).unwrap();
    }
}

#[tokio::test]
async fn streams_that_no_table_names_are_told_of_a_late_camera_service_and_begin_anew_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let engine = late_board(dir.path()).await;
    for fault in late_faults(&engine, true).await.into_iter().flatten() {
        assert_eq!(fault.kind, FaultKind::Missing, "{fault}");
        assert!(fault.message.contains("does not listen"), "{fault}");
        assert!(fault.hint.contains("mosctl platform"), "{fault}");
    }
    // It is on its way: the status follows, and nothing else happens.
    engine.note_camera_service(CameraService::Denied).await;
    let said = &engine.platform().problems[0].message;
    assert!(said.contains("no permission"), "{said}");
    assert!(engine.take_over(board(CameraService::Listens)).await);
    // What was wrong before is over; that their cameras are not on this machine is another matter.
    late_faults(&engine, false).await;
    assert_eq!(engine.platform().csi, Some(platform::CsiBackend::Qmmf));
    assert!(engine.stop().await);
}

/// Another look at the machine may break off, and then nothing is known of it.
#[tokio::test]
async fn only_what_was_awaited_takes_cameras_over() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path(), CAMERAS).await;
    let evidence = Evidence {
        elements: ["qticamsrc", "libcamerasrc"]
            .map(|name| (name.to_owned(), platform::ElementState::Usable))
            .into(),
        ..board(CameraService::Absent).evidence
    };
    let before = Arc::new(platform::decide(&evidence, None));
    assert_eq!(before.csi, Some(platform::CsiBackend::Libcamera));
    engine.set_platform(Arc::clone(&before));
    let broken = probed(|| panic!("an element broke"), None, &[]).await;
    assert!(!engine.take_over(broken).await);
    assert_eq!(engine.platform(), before);
    assert!(engine.stop().await);
    // Neither does what comes while the service ends.
    assert!(!engine.take_over(board(CameraService::Listens)).await);
    assert_eq!(engine.platform(), before);
}

#[tokio::test]
async fn nobody_waits_for_a_camera_service_longer_than_the_engine_lives() {
    for stops in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let engine = late_board(dir.path()).await;
        let waiting = await_camera_service(Arc::downgrade(&engine.0), dir.path().to_owned());
        let mut waiting = pin!(waiting);
        let first = std::future::poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx))).await;
        assert!(first.is_pending(), "it waits");
        if stops {
            assert!(engine.stop().await);
        }
        // The last one to hold it, but for those that only look at it now and then.
        let gone = (!stops).then_some(engine);
        drop(gone);
        let patience = std::time::Duration::from_mins(1);
        let ended = tokio::time::timeout(patience, waiting).await;
        assert!(ended.is_ok(), "stops: {stops}");
    }
}
