//! The publisher and the subscriber.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use iceoryx2::port::notifier::Notifier;
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::{event, publish_subscribe};
use mos_frame::monotonic_ns;

use super::payload::{BLOCKS_OF_FRAME, Block, Descriptor, is_whole};
use super::{BORROWED, BUFFER, IceoryxArgs, Payload, Port};
use crate::contender::Error;
use crate::peers::console::{Console, Meter, sleep_until};

/// How long a subscriber that gets nothing goes without looking whether it is to end.
const LOOK: Duration = Duration::from_secs(1);
const NAME: &str = "mos-bench";

/// Carries frames until the console ends; then lets go of everything in iceoryx2's own way.
pub(super) fn run(args: &IceoryxArgs, console: &Console, meter: &Meter) -> Result<(), Error> {
    set_log_level(LogLevel::Error);
    let (port, payload, fps) = (args.port, args.payload, args.fps);
    let over = Arc::new(AtomicBool::new(false));
    if matches!(port, Port::Pacer) {
        let (told, counter) = (Arc::clone(&over), meter.clone());
        let pacer = thread::spawn(move || {
            let kept = pace(fps, &told, |_| {
                counter.frame_at(monotonic_ns());
                Ok(())
            });
            if let Err(why) = kept {
                counter.failed(&why);
            }
        });
        let served = console.serve(meter);
        over.store(true, Ordering::Relaxed);
        pacer.join().map_err(|_| "the pacing thread panicked")?;
        return served;
    }
    let (config, subscribers) = (config(args)?, args.subscribers as usize);
    let (told, counter) = (Arc::clone(&over), meter.clone());
    let carrier = thread::spawn(move || {
        let work = || -> Result<(), Error> {
            let node = NodeBuilder::new()
                .config(&config)
                .signal_handling_mode(SignalHandlingMode::Disabled)
                .create::<ipc::Service>()?;
            let bell = node
                .service_builder(&NAME.try_into()?)
                .event()
                .max_listeners(subscribers)
                .open_or_create()?;
            let carry = Carry {
                bell,
                meter: &counter,
                over: &told,
            };
            match (port, payload) {
                (Port::Publisher, Payload::Frame) => {
                    carry.publish_frames(&frames(&node, subscribers)?, fps)
                }
                (Port::Publisher, Payload::Descriptor) => {
                    carry.publish_descriptors(&descriptors(&node, subscribers)?, fps)
                }
                (Port::Subscriber, Payload::Frame) => {
                    carry.receive_frames(&frames(&node, subscribers)?)
                }
                (Port::Subscriber, Payload::Descriptor) => {
                    carry.receive_descriptors(&descriptors(&node, subscribers)?)
                }
                (Port::Pacer, _) => Ok(()),
            }
        };
        if let Err(why) = work() {
            counter.failed(&why);
        }
    });
    let served = console.serve(meter);
    over.store(true, Ordering::Relaxed);
    carrier.join().map_err(|_| "iceoryx2's thread panicked")?;
    served
}

type FrameService = publish_subscribe::PortFactory<ipc::Service, [Block], ()>;
type DescriptorService = publish_subscribe::PortFactory<ipc::Service, Descriptor, ()>;

fn frames(node: &Node<ipc::Service>, subscribers: usize) -> Result<FrameService, Error> {
    let service = node
        .service_builder(&NAME.try_into()?)
        .publish_subscribe::<[Block]>()
        .enable_safe_overflow(true)
        .subscriber_max_buffer_size(BUFFER)
        .subscriber_max_borrowed_samples(BORROWED)
        .history_size(0)
        .max_subscribers(subscribers)
        .open_or_create()?;
    Ok(service)
}

fn descriptors(node: &Node<ipc::Service>, subscribers: usize) -> Result<DescriptorService, Error> {
    let service = node
        .service_builder(&NAME.try_into()?)
        .publish_subscribe::<Descriptor>()
        .enable_safe_overflow(true)
        .subscriber_max_buffer_size(BUFFER)
        .subscriber_max_borrowed_samples(BORROWED)
        .history_size(0)
        .max_subscribers(subscribers)
        .open_or_create()?;
    Ok(service)
}

struct Carry<'a> {
    bell: event::PortFactory<ipc::Service>,
    meter: &'a Meter,
    over: &'a AtomicBool,
}

impl Carry<'_> {
    fn publish_frames(&self, service: &FrameService, fps: u32) -> Result<(), Error> {
        let publisher = service
            .publisher_builder()
            .initial_max_slice_len(BLOCKS_OF_FRAME)
            .create()?;
        self.publish(fps, |stamp| {
            let mut sample = publisher.loan_slice(BLOCKS_OF_FRAME)?;
            let blocks = sample.payload_mut();
            blocks[0].stamp = stamp;
            blocks[BLOCKS_OF_FRAME - 1].stamp = stamp;
            let now = monotonic_ns();
            sample.send()?;
            Ok(now)
        })
    }

    fn publish_descriptors(&self, service: &DescriptorService, fps: u32) -> Result<(), Error> {
        let publisher = service.publisher_builder().create()?;
        self.publish(fps, |stamp| {
            let sample = publisher
                .loan_uninit()?
                .write_payload(Descriptor::new(stamp));
            let now = monotonic_ns();
            sample.send()?;
            Ok(now)
        })
    }

    /// `send` sends one frame and tells when it handed it over.
    fn publish(
        &self,
        fps: u32,
        mut send: impl FnMut(u64) -> Result<u64, Error>,
    ) -> Result<(), Error> {
        let bell: Notifier<ipc::Service> = self.bell.notifier_builder().create()?;
        pace(fps, self.over, |frame| {
            let now = send(frame)?;
            bell.notify()?;
            self.meter.frame_at(now);
            Ok(())
        })
    }

    fn receive_frames(&self, service: &FrameService) -> Result<(), Error> {
        let subscriber = service.subscriber_builder().create()?;
        self.receive(|| {
            Ok(subscriber
                .receive()?
                .map(|sample| is_whole(sample.payload())))
        })
    }

    fn receive_descriptors(&self, service: &DescriptorService) -> Result<(), Error> {
        let subscriber = service.subscriber_builder().create()?;
        self.receive(|| {
            Ok(subscriber
                .receive()?
                .map(|sample| sample.payload().is_whole()))
        })
    }

    /// `take` takes one sample, if there is one, and tells whether it was whole.
    fn receive(&self, take: impl Fn() -> Result<Option<bool>, Error>) -> Result<(), Error> {
        let bell = self.bell.listener_builder().create()?;
        while !self.over.load(Ordering::Relaxed) {
            bell.timed_wait(|_| (), LOOK)?;
            let now = monotonic_ns();
            while let Some(whole) = take()? {
                self.meter.frame_at(now);
                self.meter.checked(whole);
            }
        }
        Ok(())
    }
}

/// Calls `each` with the number of each frame when it is due, until `over`.
fn pace(
    fps: u32,
    over: &AtomicBool,
    mut each: impl FnMut(u64) -> Result<(), Error>,
) -> Result<(), Error> {
    let (start, mut frame) = (monotonic_ns(), 0);
    while !over.load(Ordering::Relaxed) {
        frame += 1;
        sleep_until(start + frame * 1_000_000_000 / u64::from(fps));
        each(frame)?;
    }
    Ok(())
}

/// Files of its own for each run, so that nothing meets another run's or another user's iceoryx2.
fn config(args: &IceoryxArgs) -> Result<Config, Error> {
    let mut config = Config::default();
    config.global.prefix = FileName::new(args.prefix.as_bytes())?;
    let folder = args.folder.to_str().ok_or("the folder's name is no text")?;
    config.global.set_root_path(&Path::new(folder.as_bytes())?);
    Ok(config)
}
