//! The typed detail of a failed call.
//!
//! A failed call carries a gRPC status, whose message alone is enough for a person, and an [`ErrorDetail`] in the binary
//! trailer [`TRAILER`] for programs: a stable reason, the field at fault, what to do, what is supported.

use prost::Message as _;
use tonic::metadata::{BinaryMetadataValue, MetadataValue};
use tonic::{Code, Status};

use crate::v1::ErrorDetail;

/// Name of the trailer that holds an encoded [`ErrorDetail`].
pub const TRAILER: &str = "mos-error-bin";

/// Largest encoded detail in bytes.
///
/// gRPC peers refuse header blocks above 8 KiB by default, and base64 makes four bytes of three; the rest is left to the
/// status message and the other trailers.
pub const MAX_DETAIL_LEN: usize = 4096;

/// A status with its detail attached.
///
/// What the device supports is cut off at the end where the detail would exceed [`MAX_DETAIL_LEN`].
pub fn status_with_detail(code: Code, message: impl Into<String>, detail: ErrorDetail) -> Status {
    let mut status = Status::new(code, message);
    status.metadata_mut().insert_bin(TRAILER, encode(detail));
    status
}

/// The detail of a failed call; `None` if the peer attached none, or one that can't be read.
pub fn detail_of(status: &Status) -> Option<ErrorDetail> {
    let bytes = status.metadata().get_bin(TRAILER)?.to_bytes().ok()?;
    ErrorDetail::decode(bytes).ok()
}

fn encode(mut detail: ErrorDetail) -> BinaryMetadataValue {
    while detail.encoded_len() > MAX_DETAIL_LEN && detail.supported.pop().is_some() {}
    if detail.encoded_len() > MAX_DETAIL_LEN {
        // Only a text of absurd length is left to blame; the status message has it too.
        detail = ErrorDetail {
            reason: cut(detail.reason, 64),
            state: detail.state,
            ..ErrorDetail::default()
        };
    }
    MetadataValue::from_bytes(&detail.encode_to_vec())
}

fn cut(mut text: String, len: usize) -> String {
    text.truncate(text.floor_char_boundary(len));
    text
}

/// Reading the detail off a [`Status`].
pub trait StatusExt {
    /// As [`detail_of`].
    fn detail(&self) -> Option<ErrorDetail>;
}

impl StatusExt for Status {
    fn detail(&self) -> Option<ErrorDetail> {
        detail_of(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::{Capability, Size, State};

    fn capability(sizes: u32) -> Capability {
        let sizes = (0..sizes)
            .map(|n| Size {
                width: 640 + n,
                height: 480,
            })
            .collect();
        Capability {
            format: "NV12".into(),
            sizes,
            ..Capability::default()
        }
    }

    #[test]
    fn a_detail_comes_back_as_it_was_attached() {
        let detail = ErrorDetail {
            reason: "UNSUPPORTED_SIZE".into(),
            field: "config.size".into(),
            state: State::Idle.into(),
            supported: vec![capability(3)],
            ..ErrorDetail::default()
        };
        let status = status_with_detail(Code::InvalidArgument, "no such size", detail.clone());
        assert_eq!(
            (status.code(), status.message()),
            (Code::InvalidArgument, "no such size")
        );
        assert_eq!(status.detail(), Some(detail));
    }

    #[test]
    fn a_status_of_a_foreign_peer_has_no_detail() {
        assert_eq!(detail_of(&Status::not_found("x")), None);
        let mut garbled = Status::not_found("x");
        garbled
            .metadata_mut()
            .insert_bin(TRAILER, MetadataValue::from_bytes(&[0xff; 3]));
        assert_eq!(detail_of(&garbled), None);
    }

    #[test]
    fn a_long_list_is_cut_and_the_rest_kept() {
        let supported = vec![capability(200); 20];
        let detail = ErrorDetail {
            reason: "UNSUPPORTED_SIZE".into(),
            hint: "see `supported`".into(),
            supported,
            ..ErrorDetail::default()
        };
        let back = status_with_detail(Code::InvalidArgument, "", detail)
            .detail()
            .unwrap();
        assert!(back.encoded_len() <= MAX_DETAIL_LEN);
        assert!(
            (1..20).contains(&back.supported.len()),
            "{} left",
            back.supported.len()
        );
        assert_eq!(
            (back.reason.as_str(), back.hint.as_str()),
            ("UNSUPPORTED_SIZE", "see `supported`")
        );
    }

    #[test]
    fn a_text_of_absurd_length_does_not_break_the_trailer() {
        let detail = ErrorDetail {
            reason: "ä".repeat(100),
            hint: "x".repeat(100_000),
            ..ErrorDetail::default()
        };
        let back = status_with_detail(Code::Internal, "", detail)
            .detail()
            .unwrap();
        assert_eq!((back.reason.chars().count(), back.hint.len()), (32, 0));
    }
}
