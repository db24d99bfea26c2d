//! Logs for machines: one JSON object a line, with the stream and the device in fields of their own.

use mos_camera_api::v1::State;
use serde_json::Value;

use crate::harness::{Home, TWO_CAMERAS};

#[tokio::test]
async fn every_line_is_an_object_and_names_stream_and_device() {
    let home = Home::new(TWO_CAMERAS);
    let mut command = home.command();
    command.args(["--log-format", "json", "--log-level", "debug"]);
    let service = home.start_as(command);
    service.wait_state("subject", State::Streaming).await;
    let (status, home) = service.stop();
    assert!(status.success(), "{status}");
    let log = home.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let streaming = lines
        .iter()
        .find(|line| line["to"] == "streaming" && line["stream"] == "subject");
    assert_eq!(
        streaming.expect("a change of state")["device"],
        "test:subject"
    );
}
