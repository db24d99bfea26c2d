//! Decoded and converted video lands in the bus's memory without a further copy, and the counter survives the coding.
#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use common::{Pipeline, next, subscribe};
use mos_testkit::TempBus;

#[test]
fn the_converter_writes_into_bus_memory() {
    let bus = TempBus::new().unwrap();
    let pipeline = Pipeline::play(&format!(
        "videotestsrc is-live=true ! video/x-raw,format=NV12,width=320,height=240,framerate=30/1 ! mostestcounter \
         ! videoconvert ! video/x-raw,format=I420 ! x264enc tune=zerolatency speed-preset=ultrafast bitrate=500 \
         ! h264parse ! avdec_h264 ! videoconvert ! video/x-raw,format=NV12 \
         ! mosnv12contract name=gate ! tee ! mosframesink name=sink stream=decoded directory={}",
        bus.dir().display()
    ));
    let mut subscriber = subscribe(&bus, "decoded", 2, 1);
    let mut last = None;
    for _ in 0..30 {
        let frame = next(&mut subscriber);
        let shown = gstmos::counter::read_frame(&frame)
            .unwrap()
            .expect("a readable counter after H.264");
        assert!(
            last.is_none_or(|last| shown > last),
            "{last:?} then {shown}"
        );
        last = Some(shown);
    }
    let stats = pipeline.sink().stats().unwrap();
    assert_eq!((stats.copied, stats.dropped), (0, 0));
    assert!(
        stats.bus.buffers <= 24,
        "{} buffers: upstream does not reuse the pool's",
        stats.bus.buffers
    );
}
