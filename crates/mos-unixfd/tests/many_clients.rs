//! More clients than the endpoint or the bus can serve: those that are served notice nothing.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use common::{Place, Stream, serve, wait_for};
use mos_frame::Access;
use mos_unixfd::{BindError, Endpoint, Options};

#[test]
fn clients_beyond_the_limit_are_turned_away() {
    let (place, stream, endpoint) = serve(|options| Options {
        max_clients: 5,
        hold: 2,
        ..options
    });
    let mut served: Vec<_> = (0..5).map(|_| place.client()).collect();
    stream.wait_for_subscribers(5);
    for _ in 0..10 {
        assert!(place.client().hear().is_none(), "the server hangs up");
    }
    assert_eq!(endpoint.stats().refused, 10);
    for seq in 1..=20 {
        stream.publish();
        for client in &mut served {
            if seq == 1 {
                client.caps();
            }
            let frame = client.frame();
            assert_eq!(frame.stamp(), seq);
            client.release(&frame);
        }
    }
    // One leaves, one may come.
    served.pop();
    wait_for("the free place", &endpoint, |stats| {
        stats.clients.len() == 4
    });
    stream.wait_for_subscribers(4);
    served.push(place.client());
    stream.wait_for_subscribers(5);
}

#[test]
fn a_client_that_the_buffers_do_not_suffice_for_is_turned_away() {
    let place = Place::new();
    // Room for W 1, N 2 and one hold of 4, not for a second.
    let stream = Stream::new(&place.stream(), 5);
    let endpoint = Endpoint::bind(&Options {
        window: 2,
        ..place.options()
    })
    .unwrap();
    let mut first = place.client();
    stream.wait_for_subscribers(1);
    assert!(place.client().hear().is_none(), "the server hangs up");
    wait_for("the refusal", &endpoint, |stats| {
        stats.refused == 1 && stats.clients.len() == 1
    });
    stream.publish();
    first.caps();
    assert_eq!(first.frame().stamp(), 1);
}

#[test]
fn who_is_not_on_the_list_is_turned_away() {
    let (place, _stream, endpoint) = serve(|options| Options {
        access: Access {
            uids: vec![],
            gids: vec![],
        },
        ..options
    });
    assert!(place.client().hear().is_none());
    wait_for("the refusal", &endpoint, |stats| stats.refused == 1);
    assert_eq!(endpoint.stats().accepted, 0);
}

#[test]
fn more_descriptors_than_the_user_may_have_are_not_put_at_risk() {
    let place = Place::new();
    let bound = Endpoint::bind(&Options {
        max_clients: u32::MAX,
        ..place.options()
    });
    assert!(
        matches!(bound, Err(BindError::TooManyDescriptors { .. })),
        "{bound:?}"
    );
    assert!(!place.socket().exists());
}

#[test]
fn a_client_that_waited_for_a_stream_learns_that_there_is_no_place() {
    let place = Place::new();
    let endpoint = Endpoint::bind(&Options {
        hold: 60,
        linger: std::time::Duration::from_millis(200),
        ..place.options()
    })
    .unwrap();
    let mut client = place.client();
    wait_for("the client", &endpoint, |stats| stats.clients.len() == 1);
    let _stream = Stream::new(&place.stream(), 5);
    assert!(
        client.hear().is_none(),
        "the stream goes on, so there is no end of it"
    );
    wait_for("the refusal", &endpoint, |stats| stats.refused == 1);
}
