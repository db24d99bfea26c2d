//! A failed call carries its detail through real HTTP/2 trailers.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod common;

use common::Server;
use mos_camera_api::error::MAX_DETAIL_LEN;
use mos_camera_api::v1::GetStatusRequest;
use mos_camera_api::{StatusExt as _, client};
use prost::Message as _;
use tonic::Code;

#[tokio::test]
async fn message_and_detail_arrive_whatever_their_length() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let server = Server::start(&path);
    let mut client = client::connect(&path).await.unwrap();
    for (asked, all_arrive) in [(0, true), (3, true), (1000, false)] {
        let request = GetStatusRequest {
            streams: vec![String::new(); asked],
        };
        let status = client.get_status(request).await.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::InvalidArgument, "geht nicht: größer")
        );
        let detail = status.detail().unwrap();
        assert_eq!(
            (detail.reason.as_str(), detail.hint.as_str()),
            ("TEST", "Größe ändern")
        );
        assert_eq!(
            detail.supported.len() == asked,
            all_arrive,
            "{asked} asked, {} arrived",
            detail.supported.len()
        );
        assert!(detail.encoded_len() <= MAX_DETAIL_LEN);
    }
    drop(client);
    server.stop().await;
}
