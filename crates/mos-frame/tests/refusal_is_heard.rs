//! A refusal that comes before HELLO was sent is told as such.

mod common;

use mos_frame::{
    Access, ConnectError, Publisher, PublisherOptions, Reason, Subscriber, SubscriberOptions,
};

#[test]
fn a_refusal_is_heard_however_early_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    let path = mos_frame::socket_path(dir.path(), "closed");
    let access = Access {
        uids: vec![],
        gids: vec![],
    };
    let options = PublisherOptions {
        access,
        ..Default::default()
    };
    let _publisher = Publisher::<()>::bind(&path, options).unwrap();
    for attempt in 0..3000 {
        match Subscriber::connect(&path, SubscriberOptions::default()) {
            Err(ConnectError::Refused {
                reason: Reason::NotAllowed,
                ..
            }) => {}
            other => panic!("attempt {attempt}: {other:?}"),
        }
    }
}
