//! The contract in binary form, as the reflection service hands it out.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use mos_camera_api::FILE_DESCRIPTOR_SET;
use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

fn contract() -> FileDescriptorProto {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let ours = |f: &FileDescriptorProto| f.package() == "mos.services.camera.v1";
    set.file.into_iter().find(ours).unwrap()
}

#[test]
fn it_is_complete_with_its_imports() {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let names: Vec<&str> = set.file.iter().map(FileDescriptorProto::name).collect();
    for file in &set.file {
        assert!(
            file.dependency.iter().all(|d| names.contains(&d.as_str())),
            "{} lacks an import",
            file.name()
        );
    }
}

#[test]
fn the_control_service_has_its_six_methods() {
    let contract = contract();
    let methods = |service: &str| {
        let service = contract
            .service
            .iter()
            .find(|s| s.name() == service)
            .unwrap();
        service
            .method
            .iter()
            .map(|m| m.name().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        methods("CaptureControlService"),
        [
            "ListDevices",
            "ConfigureStream",
            "StartCapture",
            "StopCapture",
            "GetStatus",
            "ResetCapture"
        ]
    );
    assert_eq!(methods("CaptureEventService"), ["WatchEvents"]);
    assert_eq!(
        methods("CaptureInspectService"),
        ["ExplainDevice", "RecordRegistry", "CheckAccess"]
    );
    assert_eq!(
        methods("CaptureSourceService"),
        ["AddCamera", "RemoveCamera"]
    );
}

/// Path of a method in a file's source info: services (6), index, methods (2), index (descriptor.proto).
#[test]
fn every_method_documents_idempotence_and_errors() {
    let contract = contract();
    let info = contract.source_code_info.as_ref().unwrap();
    for (s, service) in contract.service.iter().enumerate() {
        for (m, method) in service.method.iter().enumerate() {
            let path = [6, s as i32, 2, m as i32];
            let comment = info
                .location
                .iter()
                .find(|l| l.path == path)
                .map_or("", |l| l.leading_comments());
            assert!(
                comment.contains("Errors:"),
                "{} does not list its errors",
                method.name()
            );
            let idempotence = comment.contains("dempotent") || method.server_streaming();
            assert!(
                idempotence,
                "{} does not speak of idempotence",
                method.name()
            );
        }
    }
}

/// Messages (4), index, fields (2), index; enums (5), index, values (2), index.
#[test]
fn every_message_and_enum_is_documented() {
    let contract = contract();
    let info = contract.source_code_info.as_ref().unwrap();
    let documented = |path: [i32; 2]| {
        info.location
            .iter()
            .any(|l| l.path == path && !l.leading_comments().is_empty())
    };
    let messages = contract.message_type.iter().map(|m| (4, m.name()));
    for (n, (kind, name)) in messages.enumerate() {
        assert!(
            documented([kind, n as i32]),
            "message {name} has no comment"
        );
    }
    for (n, e) in contract.enum_type.iter().enumerate() {
        assert!(
            documented([5, n as i32]),
            "enum {} has no comment",
            e.name()
        );
    }
}
