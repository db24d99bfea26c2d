//! The thread of one stream that does what may block: GStreamer and drivers.
//!
//! Jobs are done one after the other. A job that hangs holds up this stream's later jobs, and nothing else; the lifecycle
//! notices by its own deadlines.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc as sync_mpsc;

use gstmos::mosframesink::StreamAccess;
use mos_camera_backends::{self as backends, CapturePipeline};
use mos_camera_core::lifecycle::PipelineEvent;
use mos_camera_core::{ControlValues, DeviceId, Fault, FaultKind, StreamConfig, StreamName};
use tokio::sync::mpsc;

use super::actor::Message;
use super::catalogue::Catalogue;
use super::monitor::Monitor;
use crate::config::ServiceConfig;

/// How streams are put on the frame bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BusSettings {
    /// Folder of the sockets.
    pub(crate) dir: PathBuf,
    /// Who may subscribe.
    pub(crate) access: StreamAccess,
}

impl From<&ServiceConfig> for BusSettings {
    /// Whoever may use the control service may subscribe.
    fn from(service: &ServiceConfig) -> Self {
        let access = StreamAccess {
            uids: service.allow_uids.clone(),
            gids: service.admitted_gids(),
            mode: service.socket_mode,
            gid: service.socket_gid,
        };
        Self {
            dir: service.frame_dir.clone(),
            access,
        }
    }
}

/// Something to do.
#[derive(Debug, Clone)]
pub(super) enum Job {
    /// Build and start a pipeline.
    Build {
        /// Its number.
        generation: u64,
        /// What it is to give.
        config: StreamConfig,
    },
    /// Bring a pipeline down, and say so.
    TearDown {
        /// Its number.
        generation: u64,
    },
    /// Set controls of the camera; a pipeline that is built later sets them by itself.
    SetControls {
        /// The device.
        device: DeviceId,
        /// The controls.
        values: ControlValues,
    },
    /// Reset the device.
    ResetDevice {
        /// The device.
        device: DeviceId,
    },
}

/// Gives the thread its orders; when this is dropped the thread ends after its current job.
#[derive(Debug)]
pub(super) struct Worker {
    name: StreamName,
    jobs: sync_mpsc::Sender<Job>,
    inbox: mpsc::UnboundedSender<Message>,
}

impl Worker {
    /// Starts the thread. What happens is reported to `inbox`.
    pub(super) fn start(
        name: &StreamName,
        catalogue: Arc<Catalogue>,
        bus: Arc<BusSettings>,
        monitor: Arc<Monitor>,
        inbox: mpsc::UnboundedSender<Message>,
    ) -> io::Result<Self> {
        let (jobs, orders) = sync_mpsc::channel();
        let hands = Hands {
            name: name.clone(),
            catalogue,
            bus,
            monitor,
            inbox: inbox.clone(),
            pipeline: None,
        };
        // The kernel shows 15 bytes of a thread's name.
        std::thread::Builder::new()
            .name(format!("mos-{name}"))
            .spawn(move || hands.work(&orders))?;
        Ok(Self {
            name: name.clone(),
            jobs,
            inbox,
        })
    }

    /// Orders a job. If the thread is gone, which only a panic can do, the stream is told so in its place.
    pub(super) fn order(&self, job: Job) {
        let Err(sync_mpsc::SendError(job)) = self.jobs.send(job) else {
            return;
        };
        tracing::error!(stream = %self.name, ?job, "the stream's worker thread is gone: nothing is done");
        match job {
            Job::Build { generation, .. } => {
                let fault = PipelineEvent::Fault(thread_gone(&self.name));
                tell(&self.inbox, generation, fault);
            }
            // The thread brought its pipeline down when it ended.
            Job::TearDown { generation } => tell(&self.inbox, generation, PipelineEvent::Down),
            Job::SetControls { .. } | Job::ResetDevice { .. } => {}
        }
    }
}

fn thread_gone(name: &StreamName) -> Fault {
    Fault::new(
        FaultKind::Internal,
        format!("the worker thread of stream {name} is gone"),
        "restart the service; this is a bug of it: please report it with the log",
    )
}

/// What the thread has in its hands.
#[derive(Debug)]
struct Hands {
    name: StreamName,
    catalogue: Arc<Catalogue>,
    bus: Arc<BusSettings>,
    monitor: Arc<Monitor>,
    inbox: mpsc::UnboundedSender<Message>,
    pipeline: Option<Arc<CapturePipeline>>,
}

impl Hands {
    fn work(mut self, orders: &sync_mpsc::Receiver<Job>) {
        while let Ok(job) = orders.recv() {
            match job {
                Job::Build { generation, config } => self.build(generation, &config),
                Job::TearDown { generation } => self.tear_down(generation),
                Job::SetControls { device, values } => self.set_controls(&device, &values),
                Job::ResetDevice { device } => self.reset(&device),
            }
        }
    }

    fn build(&mut self, generation: u64, config: &StreamConfig) {
        let event = match self.try_build(generation, config) {
            Ok(()) => PipelineEvent::Built,
            Err(fault) => PipelineEvent::Fault(fault),
        };
        self.report(generation, event);
    }

    fn try_build(&mut self, generation: u64, config: &StreamConfig) -> Result<(), Fault> {
        let backend = self.catalogue.backend(&config.device)?;
        let inbox = self.inbox.clone();
        let events = move |event| tell(&inbox, generation, translate(event));
        let bus = backends::BusSettings {
            directory: self.bus.dir.clone(),
        };
        let pipeline = CapturePipeline::build(&backend, &self.name, config, &bus, events)?;
        pipeline.set_access(self.bus.access.clone());
        let pipeline = Arc::new(pipeline);
        self.monitor.attach(generation, Arc::clone(&pipeline));
        self.pipeline = Some(Arc::clone(&pipeline));
        // A failure comes as an event.
        pipeline.start();
        Ok(())
    }

    fn tear_down(&mut self, generation: u64) {
        self.close();
        self.report(generation, PipelineEvent::Down);
    }

    fn close(&mut self) {
        self.monitor.detach();
        if let Some(pipeline) = self.pipeline.take() {
            pipeline.dump_graph("end");
            pipeline.stop();
        }
    }

    /// A reset that failed is only logged: what it means for the stream, the next pipeline shows.
    fn reset(&self, device: &DeviceId) {
        let done = self
            .catalogue
            .backend(device)
            .and_then(|backend| backend.reset(device));
        if let Err(fault) = done {
            tracing::warn!(stream = %self.name, %device, %fault, "the device could not be reset");
        }
    }

    /// A control that could not be set is only logged: the request that asked for it was refused for it already.
    fn set_controls(&self, device: &DeviceId, values: &ControlValues) {
        let done = self
            .catalogue
            .backend(device)
            .and_then(|backend| backend.set_controls(device, values));
        if let Err(fault) = done {
            tracing::warn!(stream = %self.name, %device, %fault, "the controls could not be set");
        }
    }

    fn report(&self, generation: u64, event: PipelineEvent) {
        tell(&self.inbox, generation, event);
    }
}

/// However the thread ends, nothing of its pipeline stays alive.
impl Drop for Hands {
    fn drop(&mut self) {
        self.close();
    }
}

fn tell(inbox: &mpsc::UnboundedSender<Message>, generation: u64, event: PipelineEvent) {
    // Fails only when the actor has ended, and then nobody needs to know.
    let _ = inbox.send(Message::Pipeline { generation, event });
}

fn translate(event: backends::PipelineEvent) -> PipelineEvent {
    use backends::PipelineEvent as Reported;
    match event {
        Reported::FirstFrame => PipelineEvent::FirstFrame,
        Reported::Fault(fault) => PipelineEvent::Fault(fault),
        Reported::Eos => PipelineEvent::Fault(Fault::new(
            FaultKind::EndOfStream,
            "the camera ended the stream",
            "the service opens it again by itself",
        )),
    }
}

#[cfg(test)]
mod tests {
    use mos_camera_core::Transport;

    use super::*;

    #[test]
    fn a_thread_that_is_gone_is_a_fault_of_its_stream_and_no_hang() {
        let (inbox, mut told) = mpsc::unbounded_channel();
        let (jobs, orders) = sync_mpsc::channel();
        drop(orders);
        let name: StreamName = "door".parse().unwrap();
        let worker = Worker { name, jobs, inbox };
        worker.order(Job::Build {
            generation: 7,
            config: StreamConfig::new(DeviceId::new(Transport::Rtsp, "door")),
        });
        worker.order(Job::TearDown { generation: 7 });
        let mut event = || match told.try_recv().unwrap() {
            Message::Pipeline { generation, event } => (generation, event),
            other => panic!("{other:?}"),
        };
        let (generation, PipelineEvent::Fault(fault)) = event() else {
            panic!("no fault");
        };
        assert_eq!((generation, fault.kind), (7, FaultKind::Internal));
        assert!(fault.message.contains("stream door"), "{fault}");
        assert_eq!(event(), (7, PipelineEvent::Down));
    }
}
