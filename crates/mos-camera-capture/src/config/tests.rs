use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use mos_camera_core::platform::Family;
use mos_camera_core::{OnViolation, OnvifPlace, QmmfSource, RtspTransport, TestPattern, Transport};
use serde::de::{Deserialize, Deserializer, Visitor};

use super::file::{CameraTable, File, Service};
use super::sources::{Libcamera, Onvif, OnvifCamera, Qmmf, Rtsp, Test, V4l2, Whep};
use super::*;

const DOCS: &str = include_str!("../../../../docs/configuration.md");
const EXAMPLE: &str = include_str!("../../../../dist/mos-camera.toml");
/// What packages put to the default path.
const PACKAGED: &str = include_str!("../../../../dist/mos-camera.packaged.toml");

fn read(text: &str) -> Result<Config, ConfigError> {
    parse(Path::new("/etc/x.toml"), text)
}

/// The error's text for a file that has to be refused.
fn refused(text: &str) -> String {
    read(text).expect_err(text).to_string()
}

fn camera(config: &Config, name: &str) -> Camera {
    config.cameras[&name.parse().unwrap()].clone()
}

#[test]
fn every_key_is_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("door.password"), "s3cret\n").unwrap();
    let text = r#"
        [service]
        control_socket = "/a/control.sock"
        frame_dir = "/a/frames"
        state_file = "/a/state.json"
        allow_uids = [1000]
        allow_gids = [44, 45]
        socket_mode = "0600"
        socket_gid = 44
        log_format = "json"
        log_level = "debug,hyper=warn"
        platform = "qcs"
        [cameras.front]
        width = 1280
        height = 720
        framerate = "30000/1001"
        first_frame_timeout_ms = 1000
        steady_timeout_ms = 2000
        max_subscribers = 3
        on_violation = "stop"
        start = false
        test = { pattern = "smpte" }
        [cameras.door.rtsp]
        url = "rtsp://cam.example:8554/main?x=a@b"
        user = "admin"
        password_file = "door.password"
        transport = "udp"
        track = 1
        latency_ms = 0
        timeout_ms = 700
        [cameras.spare]
        stream = false
        v4l2 = { path = "/dev/video3" }
        [cameras.chip.libcamera]
        camera = 'platform/vimc.0 Sensor B'
        [cameras.mast.qmmf]
        camera = 2
        link = "i2c@1/max96712@29/link3"
    "#;
    let config = parse(&dir.path().join("x.toml"), text).unwrap();
    let service = &config.service;
    assert_eq!(
        (service.socket_mode, service.socket_gid, service.log_format),
        (0o600, Some(44), LogFormat::Json)
    );
    assert_eq!(
        (service.allow_uids.clone(), service.allow_gids.clone()),
        (vec![1000], vec![44, 45])
    );
    assert_eq!(service.control_socket, Path::new("/a/control.sock"));
    assert_eq!(service.platform, Some(Family::Qcs));
    let front = camera(&config, "front").stream.unwrap();
    assert!(!front.start);
    assert_eq!(
        (
            front.config.size,
            front.config.max_subscribers,
            front.config.on_violation
        ),
        (Some((1280, 720)), Some(3), OnViolation::Stop)
    );
    assert_eq!(front.config.framerate.unwrap().to_string(), "30000/1001");
    assert_eq!(front.config.first_frame_timeout, Duration::from_secs(1));
    assert_eq!(front.config.device.to_string(), "test:front");
    let SourceConfig::Test(test) = camera(&config, "front").source else {
        panic!("a test camera")
    };
    assert_eq!(test.pattern, TestPattern::Smpte);
    let SourceConfig::Rtsp(rtsp) = camera(&config, "door").source else {
        panic!("an RTSP camera")
    };
    assert_eq!(
        (rtsp.transport, rtsp.latency, rtsp.timeout, rtsp.track),
        (
            RtspTransport::Udp,
            Duration::ZERO,
            Duration::from_millis(700),
            Some(1)
        )
    );
    assert_eq!(rtsp.password.unwrap().reveal(), "s3cret");
    assert_eq!(camera(&config, "spare").stream, None);
    let chip = camera(&config, "chip");
    assert_eq!(chip.device.as_str(), "csi:platform/vimc.0_Sensor_B");
    let mast = camera(&config, "mast");
    assert_eq!(mast.device.as_str(), "gmsl:i2c@1/max96712@29/link3");
    assert!(matches!(
        mast.source,
        SourceConfig::Qmmf(QmmfSource { camera: 2, .. })
    ));
    assert_eq!(camera(&config, "spare").device.transport(), Transport::V4l2);
}

#[test]
fn errors_name_line_column_and_key() {
    // (text, place, key, words)
    let table = [
        (
            "[service]\nlog_levle = 'info'",
            "2:1",
            "service.log_levle",
            "unknown field",
        ),
        (
            "[cameras.front]\nwidth = 'x'\ntest = {}",
            "2:9",
            "cameras.front.width",
            "expected u32",
        ),
        (
            "[cameras.a.test]\n[cameras.b.test]\n[cameras.a.test]",
            "3:12",
            "cameras.a.test",
            "duplicate",
        ),
        (
            "[cameras.a]\ntest = {}\n[cameras.b]\nrtsp.url = 'rtsp://h/'\n[cameras.a]\ntest = {}",
            "5:",
            "cameras.a",
            "duplicate",
        ),
        (
            "[cameras.front]\nstart = true",
            "",
            "cameras.front",
            "no transport",
        ),
        (
            "[cameras.front.test]\n[cameras.front.rtsp]\nurl = 'rtsp://h/p'",
            "2:",
            "cameras.front.rtsp",
            "more than one transport",
        ),
        (
            "[cameras.'../x'.test]",
            "1:10",
            "cameras.../x.test",
            "not a stream name",
        ),
        (
            "[cameras.a]\ntest = {}\nframerate = '0'",
            "3:13",
            "cameras.a.framerate",
            "not a frame rate",
        ),
        (
            "[cameras.a]\ntest = {}\nwidth = 640",
            "3:9",
            "cameras.a.width",
            "go together",
        ),
        (
            "[cameras.a]\ntest = {}\nwidth = 641\nheight = 480",
            "3:9",
            "cameras.a.width",
            "even",
        ),
        (
            "[cameras.a]\ntest = {}\nsteady_timeout_ms = 5",
            "3:21",
            "cameras.a.steady_timeout_ms",
            "from 100 to 600000",
        ),
        (
            "[cameras.a]\ntest = {}\nmax_subscribers = 65",
            "3:19",
            "cameras.a.max_subscribers",
            "1 to 64",
        ),
        (
            "[cameras.a.test]\npattern = 'snow'",
            "2:11",
            "cameras.a.test.pattern",
            "unknown variant",
        ),
        (
            "[cameras.a.rtsp]\nurl = 'http://h/'",
            "2:7",
            "cameras.a.rtsp.url",
            "rtsp://host",
        ),
        (
            "[cameras.a.rtsp]\n",
            "1:",
            "cameras.a.rtsp",
            "missing field `url`",
        ),
        (
            "[cameras.a.v4l2]\npath = 'video0'",
            "2:8",
            "cameras.a.v4l2.path",
            "absolute",
        ),
        (
            "[cameras.a.libcamera]\ncamera = 'csi:/base/i2c@1/ov5640@3c'",
            "2:10",
            "cameras.a.libcamera.camera",
            "after `csi:`",
        ),
        (
            "[cameras.a.libcamera]\ncamera = ''",
            "2:10",
            "cameras.a.libcamera.camera",
            "libcamera's name",
        ),
        (
            "[cameras.a.libcamera]\ncamera = 'Sensor B'\n[cameras.b.libcamera]\ncamera = 'Sensor_B'",
            "",
            "cameras.b.libcamera",
            "same device",
        ),
        (
            "[cameras.a.qmmf]\ncamera = 33",
            "2:10",
            "cameras.a.qmmf.camera",
            "from 0 to 32",
        ),
        (
            "[cameras.a.qmmf]\ncamera = 1\nlink = 'gmsl:max96712@29/link0'",
            "3:8",
            "cameras.a.qmmf.link",
            "after `gmsl:`",
        ),
        (
            "[cameras.a.qmmf]\ncamera = 1\n[cameras.b.qmmf]\ncamera = 1\nlink = 'max96712@29/link0'",
            "",
            "cameras.b.qmmf",
            "same device",
        ),
        (
            "[service]\nsocket_mode = '0444'",
            "2:15",
            "service.socket_mode",
            "octal",
        ),
        (
            "[service]\nlog_level = 'loud'",
            "2:13",
            "service.log_level",
            "expected a level",
        ),
        (
            "[service]\nplatform = 'imx8mm'",
            "2:12",
            "service.platform",
            "expected imx8mp, qcs or generic",
        ),
        (
            "[service]\nstate_file = 'state.json'",
            "2:14",
            "service.state_file",
            "absolute",
        ),
        (
            "[cameras.a.v4l2]\npath = '/dev/video0'\n[cameras.b.v4l2]\npath = '/dev/video0'",
            "",
            "cameras.b.v4l2",
            "same device",
        ),
        ("cameras = 5", "1:11", "cameras", "invalid type"),
        ("[service]\nthis is not TOML", "2:", "", "expected"),
        ("{\"json\": true}", "1:1", "", "expected"),
    ];
    for (text, place, key, words) in table {
        let error = refused(text);
        assert!(
            error.starts_with(&format!("/etc/x.toml:{place}")),
            "{text}\n{error}"
        );
        assert!(error.contains(words), "{text}\n{error}");
        assert!(
            key.is_empty() || error.contains(&format!("`{key}`: ")),
            "{text}\n{error}"
        );
    }
}

#[test]
fn an_empty_file_is_taken_for_a_lost_one() {
    for text in ["", " \n\t\n"] {
        assert!(
            matches!(read(text), Err(ConfigError::Empty { .. })),
            "{text:?}"
        );
    }
    assert_eq!(read("# nothing wanted\n").unwrap(), Config::default());
}

#[test]
fn what_is_no_text_is_no_toml() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.toml");
    fs::write(&path, b"[service]\n\xff\xfe").unwrap();
    let error = load(&path).unwrap_err().to_string();
    assert!(error.contains("x.toml:2:1: this is not UTF-8"), "{error}");
}

#[test]
fn a_missing_file_is_named() {
    let error = load(Path::new("/no/such/file.toml")).unwrap_err();
    assert!(matches!(error, ConfigError::Unreadable { .. }));
    assert!(error.to_string().contains("/no/such/file.toml"), "{error}");
}

#[test]
fn secrets_come_by_reference_and_never_show() {
    let rtsp = |rest: &str| format!("[cameras.a.rtsp]\nurl = 'rtsp://h/p'\nuser = 'u'\n{rest}");
    let cases = [
        (
            "[cameras.a.rtsp]\nurl = 'rtsp://u:hunter2@h/p'".to_owned(),
            "password_file",
        ),
        (rtsp("password = 'hunter2'"), "password_file"),
        (rtsp("password_file = '/no/such/secret'"), "/no/such/secret"),
        (
            rtsp("password_env = 'MOS_TEST_NO_SUCH_VARIABLE'"),
            "MOS_TEST_NO_SUCH_VARIABLE",
        ),
        (
            rtsp("password_file = 'a'\npassword_env = 'b'"),
            "not several",
        ),
        (
            rtsp("password_env = 'a'\npassword_secret = 'b'"),
            "not several",
        ),
        (rtsp("password_secret = '../door'"), "a secret's name"),
        (
            rtsp("password_secret = 'no-such-secret'"),
            "/no-such-secret",
        ),
        (rtsp("latency_ms = 'hunter2'"), "latency_ms"),
        (rtsp("user = 'hunter2'"), "duplicate key"),
        (
            "[cameras.a.rtsp]\nurl = 'rtsp://h/p'\npassword_env = 'PATH'".to_owned(),
            "without a `user`",
        ),
    ];
    for (text, words) in cases {
        let error = refused(&text);
        assert!(
            error.contains(words) && !error.contains("hunter2"),
            "{text}\n{error}"
        );
    }
    let config = read(&rtsp("password_env = 'PATH'")).unwrap();
    let shown = format!("{config:?}");
    assert!(
        shown.contains("***") && !shown.contains(&std::env::var("PATH").unwrap()),
        "{shown}"
    );
}

#[test]
fn the_example_is_a_good_configuration() {
    let config = read(EXAMPLE).unwrap();
    let names: Vec<_> = config.cameras.keys().map(StreamName::as_str).collect();
    assert_eq!(
        names,
        ["back", "front"],
        "two test cameras for a quick start"
    );
    assert_eq!(config.service, ServiceConfig::default());
}

#[test]
fn packages_start_with_no_camera() {
    let config = read(PACKAGED).unwrap();
    assert!(config.cameras.is_empty());
    assert_eq!(config.service, ServiceConfig::default());
    for key in PACKAGED.lines().filter(|line| line.contains(" = ")) {
        assert!(EXAMPLE.contains(key), "the example has another `{key}`");
    }
}

#[test]
fn what_the_example_has_commented_out_is_right_too() {
    let is_key = |line: &str| {
        line.strip_prefix('#').is_some_and(|l| {
            l.starts_with('[')
                || l.split(" = ").count() == 2 && l.starts_with(|c: char| c.is_ascii_lowercase())
        })
    };
    let uncommented: Vec<&str> = EXAMPLE
        .lines()
        .map(|line| if is_key(line) { &line[1..] } else { line })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("door.password");
    fs::write(&secret, "x").unwrap();
    let text = uncommented
        .join("\n")
        .replace("/etc/mos-camera/door.password", secret.to_str().unwrap())
        .replace("/etc/mos-camera/lobby.token", secret.to_str().unwrap());
    let config = read(&text).unwrap();
    assert_eq!(config.cameras.len(), 8, "{text}");
    // What it shows of [service] are the defaults of an installed service.
    let ServiceConfig {
        control_socket,
        frame_dir,
        state_file,
        ..
    } = config.service.clone();
    assert_eq!(control_socket, Path::new(client::SYSTEM_SOCKET));
    assert_eq!(frame_dir, Path::new("/run/mos-camera/frames"));
    assert_eq!(state_file, Path::new("/var/lib/mos-camera/state.json"));
    let others = ServiceConfig {
        control_socket,
        frame_dir,
        state_file,
        socket_gid: config.service.socket_gid,
        platform: config.service.platform,
        ..ServiceConfig::default()
    };
    assert_eq!(config.service, others);
}

#[test]
fn every_key_is_documented_and_in_the_example() {
    let tables = [
        ("[service]", keys::<Service>()),
        ("[cameras.NAME]", keys::<CameraTable>()),
        ("[cameras.NAME.test]", keys::<Test>()),
        ("[cameras.NAME.rtsp]", keys::<Rtsp>()),
        ("[onvif]", keys::<Onvif>()),
        ("[cameras.NAME.onvif]", keys::<OnvifCamera>()),
        ("[cameras.NAME.v4l2]", keys::<V4l2>()),
        ("[cameras.NAME.libcamera]", keys::<Libcamera>()),
        ("[cameras.NAME.qmmf]", keys::<Qmmf>()),
        ("[cameras.NAME.whep]", keys::<Whep>()),
    ];
    assert_eq!(
        keys::<File>(),
        ["service", "onvif", "cameras"],
        "a table that this test does not know"
    );
    let transports = ["test", "rtsp", "onvif", "v4l2", "libcamera", "qmmf", "whep"];
    for (table, keys) in tables {
        let section = DOCS
            .split("\n## ")
            .find(|s| s.starts_with(&format!("`{table}`")))
            .unwrap_or_else(|| panic!("no section on {table}"));
        for key in keys.into_iter().filter(|key| !transports.contains(key)) {
            assert!(
                section.contains(&format!("| `{key}` |"))
                    || section.contains(&format!("| `{key}`, `"))
                    || section.contains(&format!("`, `{key}` |"))
                    || section.contains(&format!("`, `{key}`, `")),
                "docs/configuration.md: {table} lacks a row for `{key}`"
            );
            assert!(
                EXAMPLE.contains(&format!("{key} = ")),
                "dist/mos-camera.toml lacks `{key}`"
            );
        }
    }
}

/// The keys of a table, as serde knows them.
fn keys<T: for<'de> Deserialize<'de>>() -> Vec<&'static str> {
    let mut keys = Vec::new();
    // It always fails: there is nothing to read.
    let _ = T::deserialize(KeyCollector(&mut keys));
    keys
}

/// A deserializer that only writes down what it is asked for.
struct KeyCollector<'a>(&'a mut Vec<&'static str>);

#[derive(Debug)]
struct Nothing;

impl fmt::Display for Nothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing to read")
    }
}

impl std::error::Error for Nothing {}

impl serde::de::Error for Nothing {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl<'de> Deserializer<'de> for KeyCollector<'_> {
    type Error = Nothing;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Nothing> {
        self.0.extend(fields);
        Err(Nothing)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Nothing> {
        Err(Nothing)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

const ENDPOINT: &str = "urn:uuid:8F1E";

#[test]
fn onvif_cameras_are_read_by_address_or_endpoint() {
    let config = read(&format!(
        r#"
        [onvif]
        discovery = false
        interfaces = ["eth1"]
        user = "viewer"
        plain_password = true
        tls_insecure = true
        [cameras.yard.onvif]
        address = "192.0.2.12:8080"
        profile = "sub"
        set_encoder = true
        timeout_ms = 700
        [cameras.gate.onvif]
        endpoint = "{ENDPOINT}"
    "#
    ))
    .unwrap();
    let onvif = &config.onvif;
    assert!(!onvif.discovery && onvif.plain_password && onvif.trust.is_insecure());
    assert_eq!(onvif.interfaces, ["eth1"]);
    assert_eq!(camera(&config, "yard").device.as_str(), "rtsp:yard");
    let SourceConfig::Onvif(yard) = camera(&config, "yard").source else {
        panic!("{config:?}");
    };
    assert_eq!(yard.place, OnvifPlace::Url("192.0.2.12:8080".to_owned()));
    assert_eq!(yard.profile.as_deref(), Some("sub"));
    assert!(yard.set_encoder && !yard.plain_password);
    assert_eq!(yard.rtsp.timeout, Duration::from_millis(700));
    // The device is the one that discovery finds.
    assert_eq!(
        camera(&config, "gate").device.as_str(),
        "rtsp:urn:uuid:8f1e"
    );
    assert!(read("[service]").unwrap().onvif.discovery);
}

#[test]
fn onvif_cameras_without_a_place_or_with_a_password_in_it_are_refused() {
    for (table, says) in [
        ("user = \"u\"", "say where the camera is"),
        ("address = \"a\"\nendpoint = \"urn:uuid:1\"", "not both"),
        ("address = \"\"", "expected host"),
        ("address = \"rtsp://s3cret/\"", "expected host"),
        ("address = \"a/b\"", "expected host"),
        ("address = \"http://u:s3cret@cam/\"", "do not belong"),
        ("address = \"u:s3cret@cam\"", "do not belong"),
        ("endpoint = \"a b\"", "endpoint reference"),
        (
            "address = \"a\"\npassword_env = \"HOME\"",
            "without a `user`",
        ),
    ] {
        let error = refused(&format!("[cameras.yard.onvif]\n{table}\n"));
        assert!(error.contains(says), "{table}: {error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
    let twice = format!(
        "[cameras.a.onvif]\nendpoint = \"{ENDPOINT}\"\n[cameras.b.onvif]\nendpoint = \"{}\"\n",
        ENDPOINT.to_lowercase()
    );
    assert!(refused(&twice).contains("is the same device"));
}

#[test]
fn whep_streams_are_read_with_their_servers() {
    let config = read(
        "[cameras.lobby.whep]
        url = 'https://media.example/whep/lobby?x=1'
        token_env = 'PATH'
        stun_servers = ['stun:stun.example']
        turn_servers = [{ url = 'turn:turn.example?transport=tcp', user = 'u', password_env = 'PATH' }]
        link_servers = false
        latency_ms = 0",
    )
    .unwrap();
    let camera = camera(&config, "lobby");
    assert_eq!(camera.device.as_str(), "whep:lobby");
    let SourceConfig::Whep(whep) = camera.source else {
        panic!("{:?}", camera.source);
    };
    assert_eq!(whep.latency, Duration::ZERO);
    assert!(!whep.link_servers && whep.token.is_some());
    let servers: Vec<_> = whep
        .ice_servers
        .iter()
        .map(|server| format!("{} {}", server.address, server.login.is_some()))
        .collect();
    assert_eq!(
        servers,
        [
            "stun:stun.example:3478 false",
            "turn:turn.example:3478?transport=tcp true"
        ]
    );
}

#[test]
fn whep_keys_that_are_wrong_are_told_without_what_may_be_secret() {
    let whep = |rest: &str| format!("[cameras.a.whep]\nurl = 'https://h/w'\n{rest}");
    for (text, expected) in [
        (
            "[cameras.a.whep]\nurl = 'https://u:hunter2@h/w'".to_owned(),
            "token_file",
        ),
        (
            "[cameras.a.whep]\nurl = 'rtsp://hunter2/w'".to_owned(),
            "https://host",
        ),
        (whep("token = 'hunter2'"), "token_file"),
        (whep("token_file = '/no/such/secret'"), "/no/such/secret"),
        (whep("token_env = 'a'\ntoken_file = 'b'"), "not several"),
        (
            whep("stun_servers = ['stun:a', 'stun:b']"),
            "one STUN server",
        ),
        (whep("stun_servers = ['turn:a']"), "STUN server"),
        (
            whep("turn_servers = [{ url = 'stun:a', user = 'u', password_env = 'PATH' }]"),
            "TURN server",
        ),
        (
            whep("turn_servers = [{ url = 'turn:hunter2@a', user = 'u', password_env = 'PATH' }]"),
            "turn:host",
        ),
        (
            whep("turn_servers = [{ url = 'turns:a', user = 'u', password_env = 'PATH' }]"),
            "no TLS to TURN servers",
        ),
        (
            whep("turn_servers = [{ url = 'turn:a', user = 'u' }]"),
            "password_file",
        ),
        (
            whep("tls_insecure = true\ntls_fingerprint = 'x'"),
            "not several",
        ),
    ] {
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
