use super::*;

const ALL: [Use; 5] = [
    Use::Closed,
    Use::Parked,
    Use::Streams,
    Use::Falls,
    Use::Lost,
];

fn id(name: &str) -> DeviceId {
    DeviceId::new(mos_camera_core::Transport::MipiCsi, name)
}

/// Any element with one pad will do.
fn source() -> gst::Element {
    gst::init().unwrap();
    gst::ElementFactory::make("fakesrc").build().unwrap()
}

fn cannot_open(_: &gst::Element) -> Result<(), Fault> {
    panic!("opened");
}

#[test]
fn a_camera_has_one_stream_at_a_time_and_one_element() {
    assert_eq!(take(None, false), Ok(()));
    for (now, own, other) in [
        (Use::Closed, Ok(()), Ok(())),
        (Use::Parked, Ok(()), Err(Refusal::Parked)),
        (Use::Streams, Err(Refusal::Streams), Err(Refusal::Streams)),
        (Use::Falls, Err(Refusal::Falls), Err(Refusal::Falls)),
        (Use::Lost, Err(Refusal::Lost), Err(Refusal::Lost)),
    ] {
        assert_eq!(
            (take(Some(now), true), take(Some(now), false)),
            (own, other),
            "{now:?}"
        );
    }
}

#[test]
fn an_element_that_is_open_is_used_again() {
    assert_eq!(choose(None, false), Choice::New);
    for now in ALL {
        let expected = match now {
            Use::Parked => [Choice::Parked, Choice::Ask],
            _ => [Choice::New; 2],
        };
        assert_eq!(
            [false, true].map(|doubt| choose(Some(now), doubt)),
            expected,
            "{now:?}"
        );
    }
}

#[test]
fn what_comes_down_is_parked_unless_it_was_never_open() {
    for (down, state, expected) in [
        (true, gst::State::Ready, Use::Parked),
        (true, gst::State::Null, Use::Closed),
        (false, gst::State::Paused, Use::Lost),
        (false, gst::State::Ready, Use::Lost),
    ] {
        assert_eq!(landed(down, state), expected, "{down} {state:?}");
    }
}

#[test]
fn elements_are_closed_when_nothing_keeps_libcamera_up() {
    for (all, expected) in [
        (&[][..], true),
        (&[(Use::Parked, false)], true),
        (
            &[
                (Use::Parked, false),
                (Use::Parked, false),
                (Use::Closed, false),
            ],
            true,
        ),
        (&[(Use::Parked, true)], false),
        (&[(Use::Parked, false), (Use::Parked, true)], false),
        (&[(Use::Parked, false), (Use::Streams, false)], false),
        (&[(Use::Parked, false), (Use::Falls, false)], false),
        (&[(Use::Parked, false), (Use::Lost, false)], false),
    ] {
        assert_eq!(may_close(all.iter().copied()), expected, "{all:?}");
    }
}

/// Two cameras: one that restarts beside the other keeps its element, and both are closed when none streams.
#[test]
fn an_element_is_parked_while_another_camera_streams() {
    let parking = Arc::new(Parking::default());
    let start = |name: &str| {
        let element = parking
            .element(&id(name), || Ok(source()), cannot_open)
            .unwrap();
        let kept = parking.kept(&id(name), Vec::new(), &element);
        kept.keeper.take(&element).unwrap();
        element.set_state(gst::State::Playing).unwrap();
        kept
    };
    let stop = |kept: &Kept| {
        kept.keeper.falls(&kept.element);
        kept.element.set_state(gst::State::Ready).unwrap();
        kept.keeper.landed(&kept.element, true);
    };
    let (left, right) = (start("left"), start("right"));
    for _ in 0..3 {
        stop(&left);
        assert_eq!(left.element.current_state(), gst::State::Ready);
        assert!(parking.any_open());
        assert!(parking.alone(|| ()).is_none());
        assert_eq!(start("left").element, left.element);
    }
    let other = parking.kept(&id("left"), Vec::new(), &source());
    let fault = other.keeper.take(&other.element).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Busy);
    assert!(fault.message.starts_with("csi:left: "), "{fault}");
    stop(&left);
    stop(&right);
    for kept in [&left, &right] {
        assert_eq!(kept.element.current_state(), gst::State::Null);
    }
    assert!(!parking.any_open());
    assert_eq!(parking.alone(|| 7), Some(7));
    assert_ne!(
        start("left").element,
        left.element,
        "a closed element is not used again"
    );
    let again = parking.slots.lock().unwrap()[&id("left")].element.clone();
    stop(&parking.kept(&id("left"), Vec::new(), &again));
}

/// Its bin is gone or not: a parked element is in the pipeline that it was built for last.
#[test]
fn a_parked_element_leaves_the_pipeline_that_had_it() {
    let parking = Arc::new(Parking::default());
    let element = source();
    let bin = gst::Bin::new();
    bin.add(&element).unwrap();
    let kept = parking.kept(&id("left"), Vec::new(), &element);
    kept.keeper.take(&element).unwrap();
    // Another camera streams all the while.
    let neighbour = source();
    parking
        .kept(&id("right"), Vec::new(), &neighbour)
        .keeper
        .take(&neighbour)
        .unwrap();
    element.set_state(gst::State::Ready).unwrap();
    kept.keeper.landed(&element, true);
    let again = parking
        .element(&id("left"), || Ok(source()), cannot_open)
        .unwrap();
    assert_eq!((&again, again.parent()), (&element, None));
    parking
        .kept(&id("right"), Vec::new(), &neighbour)
        .keeper
        .landed(&neighbour, true);
    assert_eq!(element.current_state(), gst::State::Null);
}

#[test]
fn a_camera_that_may_be_gone_is_asked_for_with_a_new_element() {
    let busy = || Fault::new(FaultKind::Busy, "taken", "");
    let absent = || Fault::new(FaultKind::Absent, "gone", "");
    for (name, answer, expected) in [
        ("there again", Ok(()), Ok(true)),
        ("there all the time", Err(busy()), Ok(false)),
        ("gone", Err(absent()), Err(FaultKind::Absent)),
    ] {
        let parking = Arc::new(Parking::default());
        let (left, right) = (source(), source());
        for (name, element) in [("left", &left), ("right", &right)] {
            parking
                .kept(&id(name), Vec::new(), element)
                .keeper
                .take(element)
                .unwrap();
            element.set_state(gst::State::Ready).unwrap();
        }
        let keeper = parking.kept(&id("left"), Vec::new(), &left).keeper;
        parking.doubt(&id("left"));
        keeper.landed(&left, true);
        let opened = |element: &gst::Element| {
            if answer.is_ok() {
                element.set_state(gst::State::Ready).unwrap();
            }
            answer.clone()
        };
        let got = parking.element(&id("left"), || Ok(source()), opened);
        let is_new = got.as_ref().map(|element| *element != left);
        assert_eq!(is_new.map_err(|fault| fault.kind), expected, "{name}");
        if let Ok(element) = got {
            assert_eq!(element.current_state(), gst::State::Ready, "{name}");
            // Now it is known.
            let again = parking
                .element(&id("left"), || Ok(source()), cannot_open)
                .unwrap();
            assert_eq!(again, element, "{name}");
        }
        let closed = expected == Ok(true);
        assert_eq!(left.current_state() == gst::State::Null, closed, "{name}");
        parking
            .kept(&id("right"), Vec::new(), &right)
            .keeper
            .landed(&right, true);
    }
}

#[test]
fn who_can_not_be_brought_down_keeps_the_camera() {
    let parking = Arc::new(Parking::default());
    let element = source();
    let kept = parking.kept(&id("left"), Vec::new(), &element);
    kept.keeper.take(&element).unwrap();
    element.set_state(gst::State::Ready).unwrap();
    kept.keeper.falls(&element);
    let next = parking
        .element(&id("left"), || Ok(source()), cannot_open)
        .unwrap();
    let refused = || {
        parking
            .kept(&id("left"), Vec::new(), &next)
            .keeper
            .take(&next)
            .unwrap_err()
    };
    assert_eq!(refused().kind, FaultKind::Busy);
    kept.keeper.landed(&element, false);
    let fault = refused();
    assert_eq!(fault.kind, FaultKind::Internal);
    assert!(fault.hint.contains("restart the service"), "{fault}");
    assert!(parking.any_open());
    element.set_state(gst::State::Null).unwrap();
}
