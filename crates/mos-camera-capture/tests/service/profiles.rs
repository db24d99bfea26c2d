//! Profiles: a file changes what is planned without recompiling; one that is wrong is refused with its place.

use std::fs;
use std::path::PathBuf;

use mos_camera_api::v1::{
    ExplainDeviceRequest, ExplainDeviceResponse, GetStatusRequest, RecordRegistryRequest, State,
};
use mos_camera_core::plan::Registry;
use rustix::process::Signal;

use crate::bystander::Bystander;
use crate::harness::{Home, PATIENCE, Service, TWO_CAMERAS, end_of};

/// A home whose configuration names a folder of profiles.
fn home(files: &[(&str, &str)]) -> (Home, PathBuf) {
    let home = Home::new(TWO_CAMERAS);
    let dir = home.path().join("profiles.d");
    fs::create_dir(&dir).unwrap();
    home.configure(&format!(
        "[service]\nprofile_dirs = ['/no/such/folder', '{}']\n{TWO_CAMERAS}\n[onvif]\ndiscovery = false\n",
        dir.display()
    ));
    for (name, text) in files {
        fs::write(dir.join(name), text).unwrap();
    }
    (home, dir)
}

/// A rule instead of the one that the test camera follows: nothing to do, said by this file.
fn own(name: &str) -> String {
    format!(
        "[[rule]]\nname = '{name}'\ninstead_of = 'as-is'\ninput = ['NV12']\nkind = 'hardware'\nends_in = 'source'\nwhy = 'It is ours'\n"
    )
}

async fn explain(service: &Service) -> ExplainDeviceResponse {
    let request = ExplainDeviceRequest {
        device: "test:subject".to_owned(),
        ..ExplainDeviceRequest::default()
    };
    let mut inspect = service.inspect().await;
    inspect.explain_device(request).await.unwrap().into_inner()
}

async fn rule(service: &Service) -> (String, String) {
    let plan = explain(service).await.plan.unwrap();
    (plan.rule, plan.origin)
}

async fn files(service: &Service) -> Vec<String> {
    let mut control = service.control().await;
    let status = control.get_status(GetStatusRequest::default()).await;
    let service = status.unwrap().into_inner().service.unwrap();
    service.platform.unwrap().profiles
}

#[tokio::test]
async fn a_file_adds_a_rule_and_a_reload_takes_it_away() {
    let (home, dir) = home(&[("50-own.toml", &own("ours"))]);
    let path = dir.join("50-own.toml").display().to_string();
    let service = home.start();
    let other = Bystander::watch(&service).await;
    assert_eq!(rule(&service).await, ("ours".to_owned(), path.clone()));
    assert_eq!(files(&service).await, [path]);
    let running = service.wait_state("subject", State::Streaming).await;
    assert_eq!(running.plan.unwrap().rule, "ours");

    // Of another family's machines: nothing of it holds here.
    let elsewhere = format!("[machines]\ncompatible = ['acme,x']\n{}", own("theirs"));
    fs::write(dir.join("50-own.toml"), elsewhere).unwrap();
    service.signal(Signal::HUP);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while rule(&service).await != ("as-is".to_owned(), "built-in common".to_owned()) {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{}",
            service.home.log()
        );
    }
    assert!(files(&service).await.is_empty());
    // What runs stays as it was.
    let after = service.status("subject").await;
    assert_eq!(
        (after.restarts, after.plan.unwrap().rule.as_str()),
        (running.restarts, "ours")
    );
    other.did_not_notice();
}

/// Of a network camera, every codec is explained before anybody connects.
#[tokio::test]
async fn a_file_tells_which_elements_not_to_use() {
    let forbid = "[[forbid]]\nelement = 'jpegdec'\nreason = 'it is a test'\n[[trap]]\nelement = 'avdec_h264'\ntext = 'known'\n";
    let (home, dir) = home(&[("10-forbid.toml", forbid)]);
    let path = dir.join("10-forbid.toml").display().to_string();
    let config = fs::read_to_string(home.config_file()).unwrap();
    home.configure(&format!(
        "{config}[cameras.door]\nstream = false\nrtsp.url = 'rtsp://192.0.2.1/'\n"
    ));
    let service = home.start();
    let request = ExplainDeviceRequest {
        device: "rtsp:door".to_owned(),
        ..ExplainDeviceRequest::default()
    };
    let mut inspect = service.inspect().await;
    let explained = inspect.explain_device(request).await.unwrap().into_inner();
    let jpeg: Vec<_> = explained
        .rejected
        .iter()
        .filter(|rejected| rejected.rule == "jpeg-libjpeg")
        .map(|rejected| (rejected.reason.as_str(), rejected.message.clone()))
        .collect();
    let message = format!("jpegdec is forbidden by {path}: it is a test");
    assert_eq!(jpeg, [("FORBIDDEN", message)]);
    let plan = explained.plan.expect("H.264 is decoded here");
    if plan.elements.iter().any(|element| element == "avdec_h264") {
        assert_eq!(plan.traps, ["avdec_h264: known"]);
    }

    // What the machine has is recorded all the same.
    let recorded = inspect.record_registry(RecordRegistryRequest {}).await;
    let text = recorded.unwrap().into_inner().registry;
    let registry: Registry = text.parse().unwrap();
    assert!(registry.machine.elements.contains_key("jpegdec"), "{text}");
}

#[tokio::test]
async fn a_file_that_is_wrong_is_refused_with_file_rule_and_field() {
    let wrong = own("ours").replace("hardware", "magic");
    let (home, dir) = home(&[("50-own.toml", &wrong)]);
    let place = format!(
        "{}:5:8: rule `ours`, `kind`: unknown variant",
        dir.join("50-own.toml").display()
    );
    let (code, said) = end_of(&home.run_to_end());
    assert_eq!(code, 65, "{said}");
    assert!(said.contains(&place), "{said}");
    let (code, said) = end_of(&home.command().arg("--check-config").output().unwrap());
    assert_eq!(code, 65, "{said}");
    assert!(said.contains(&place), "{said}");

    // One that works on pixels with the CPU and says that it does not.
    let liar = "[[rule]]\nname = 'liar'\ninput = ['NV12']\nsteps = ['videoconvert']\nkind = 'hardware'\nends_in = 'driver'\nhardware = ['videoconvert']\nwhy = 'no'\n";
    fs::write(dir.join("50-own.toml"), liar).unwrap();
    let (code, said) = end_of(&home.run_to_end());
    assert_eq!(code, 65, "{said}");
    assert!(
        said.contains("rule `liar`, `steps`: videoconvert works on pixels with the CPU"),
        "{said}"
    );

    // While it runs, the old ones stay.
    fs::write(dir.join("50-own.toml"), own("ours")).unwrap();
    let service = home.start();
    service.wait_state("subject", State::Streaming).await;
    fs::write(dir.join("50-own.toml"), wrong).unwrap();
    service.signal(Signal::HUP);
    mos_testkit::wait_until("a complaint", PATIENCE, || {
        service
            .home
            .log()
            .contains("was not reloaded")
            .then_some(())
    })
    .unwrap();
    assert!(
        service.home.log().contains("`kind`"),
        "{}",
        service.home.log()
    );
    assert_eq!(rule(&service).await.0, "ours");
}
