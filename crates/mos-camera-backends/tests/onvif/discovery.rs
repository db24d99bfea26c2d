//! Cameras that are found, move, and go.

use mos_camera_backends::Backend as _;
use mos_camera_core::{DeviceId, Health, OnvifSettings, Secret, StreamConfig, Transport};
use mos_testkit::OnvifCamera;
use serde_json::json;

use super::rig::{Rig, source};
use super::wire::{Wire, possible};

const ENDPOINT: &str = "urn:uuid:00000000-0000-4000-8000-0000000000a1";

fn id() -> DeviceId {
    DeviceId::new(Transport::Rtsp, ENDPOINT)
}

/// Looks for cameras on the wire only, and logs in to whatever is there.
fn settings(wire: &Wire) -> OnvifSettings {
    OnvifSettings {
        interfaces: vec![wire.here.clone()],
        user: Some("admin".to_owned()),
        password: Some(Secret::new("s3cret")),
        ..OnvifSettings::default()
    }
}

/// A camera in the wire's namespace, at the wire's address of `n`.
fn camera(wire: &Wire, n: u32, ipv6: bool, more: &[&str]) -> OnvifCamera {
    let host = if ipv6 { wire.v6(n) } else { wire.v4(n) };
    let shown = if ipv6 {
        format!("[{host}]")
    } else {
        host.clone()
    };
    let announce = format!("http://{shown}:8080/onvif/device_service");
    let mut options = vec![
        "--host",
        &host,
        "--port",
        "8080",
        "--interface",
        "cam",
        "--announce",
        &announce,
        "--endpoint",
        ENDPOINT,
    ];
    if ipv6 {
        options.push("--ipv6");
    }
    options.extend(more);
    OnvifCamera::start_in(&wire.namespace, &options).unwrap()
}

#[test]
fn a_camera_is_the_same_wherever_it_is() {
    if !possible("a_camera_is_the_same_wherever_it_is") {
        return;
    }
    let wire = Wire::name();
    // The network comes later than the service: that it does is an event too.
    let rig = Rig::with(&settings(&wire), Vec::new());
    rig.backend.discover().unwrap();
    assert!(wire.make());
    // It answers probes only.
    let peer = camera(&wire, 2, false, &[]);
    let device = rig.wait_for(&id(), |device| device.health == Health::Ready);
    assert_eq!(device.model, "Peer Scripted");
    assert!(device.location.contains(&wire.v4(2)), "{}", device.location);
    let config = StreamConfig::new(id());
    assert!(rig.backend.source(&id(), &config).is_ok());

    // It gets another address, answers no probe, and says so once.
    drop(peer);
    assert!(wire.address("del", 2) && wire.address("add", 3));
    let mut peer = camera(&wire, 3, false, &["--mute"]);
    let fault = rig.backend.source(&id(), &config);
    peer.change(&json!({"hello": true})).unwrap();
    rig.wait_for(&id(), |device| {
        device.location.contains(&wire.v4(3)) && device.health == Health::Ready
    });
    assert!(fault.is_err());
    peer.told();
    assert!(rig.backend.source(&id(), &config).is_ok());
    assert_eq!(peer.wait_for("stream").unwrap()["stream"], "main");

    // A goodbye in its name while it is there changes nothing; one that it means does.
    peer.change(&json!({"bye": true})).unwrap();
    peer.wait_for("call").unwrap();
    assert!(rig.lists(&id()));
    drop(peer);
    rig.wait_until_gone(&id());
}

#[test]
fn cameras_are_found_over_ipv6() {
    if !possible("cameras_are_found_over_ipv6") {
        return;
    }
    let wire = Wire::name();
    assert!(wire.make());
    let rig = Rig::with(&settings(&wire), Vec::new());
    let _peer = camera(&wire, 2, true, &[]);
    rig.backend.discover().unwrap();
    let device = rig.wait_for(&id(), |device| device.health == Health::Ready);
    assert!(
        device.location.contains(&wire.v6(2).replace(":0:0:", "::"))
            || device.location.contains("[fd77:"),
        "{}",
        device.location
    );
}

/// A table that names a camera by its endpoint says how to log in to it, and discovery where it is.
#[test]
fn a_table_by_endpoint_and_discovery_are_one_device() {
    if !possible("a_table_by_endpoint_and_discovery_are_one_device") {
        return;
    }
    let wire = Wire::name();
    assert!(wire.make());
    let mut named = source("");
    named.place = mos_camera_core::OnvifPlace::Endpoint(ENDPOINT.to_owned());
    let rig = Rig::with(
        &OnvifSettings {
            user: None,
            password: None,
            ..settings(&wire)
        },
        vec![("yard".to_owned(), named)],
    );
    assert!(rig.lists(&id()));
    let fault = rig
        .backend
        .source(&id(), &StreamConfig::new(id()))
        .unwrap_err();
    assert!(fault.message.contains("discovery has not found"), "{fault}");
    let _peer = camera(&wire, 2, false, &[]);
    rig.backend.discover().unwrap();
    rig.wait_for(&id(), |device| device.health == Health::Ready);
    assert_eq!(rig.backend.discover_again().unwrap().len(), 1);
}

/// A camera that a table names by address is not listed a second time by its endpoint.
#[test]
fn a_table_by_address_hides_what_discovery_finds_there() {
    if !possible("a_table_by_address_hides_what_discovery_finds_there") {
        return;
    }
    let wire = Wire::name();
    assert!(wire.make());
    let _peer = camera(&wire, 2, false, &[]);
    let named = source(&format!("{}:8080", wire.v4(2)));
    let rig = Rig::with(&settings(&wire), vec![("yard".to_owned(), named)]);
    rig.backend.discover().unwrap();
    rig.wait_for(&super::rig::yard(), |device| device.health == Health::Ready);
    assert_eq!(rig.backend.discover_again().unwrap().len(), 1);
}
