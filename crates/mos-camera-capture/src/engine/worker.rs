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
use mos_camera_core::{DeviceId, Fault, FaultKind, StreamConfig, StreamName};
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
    /// Reset the device.
    ResetDevice {
        /// The device.
        device: DeviceId,
    },
}

/// Gives the thread its orders; when this is dropped the thread ends after its current job.
#[derive(Debug)]
pub(super) struct Worker {
    jobs: sync_mpsc::Sender<Job>,
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
            inbox,
            pipeline: None,
            reset_fault: None,
        };
        // The kernel shows 15 bytes of a thread's name.
        std::thread::Builder::new()
            .name(format!("mos-{name}"))
            .spawn(move || hands.work(&orders))?;
        Ok(Self { jobs })
    }

    /// Orders a job.
    pub(super) fn order(&self, job: Job) {
        if self.jobs.send(job).is_err() {
            tracing::error!("a stream's worker thread is gone");
        }
    }
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
    /// Why the last reset failed, if a pipeline is to be built on it.
    reset_fault: Option<Fault>,
}

impl Hands {
    fn work(mut self, orders: &sync_mpsc::Receiver<Job>) {
        while let Ok(job) = orders.recv() {
            match job {
                Job::Build { generation, config } => self.build(generation, &config),
                Job::TearDown { generation } => self.tear_down(generation),
                Job::ResetDevice { device } => self.reset(&device),
            }
        }
        self.close();
    }

    fn build(&mut self, generation: u64, config: &StreamConfig) {
        let event = match self.try_build(generation, config) {
            Ok(()) => PipelineEvent::Built,
            Err(fault) => PipelineEvent::Fault(fault),
        };
        self.report(generation, event);
    }

    fn try_build(&mut self, generation: u64, config: &StreamConfig) -> Result<(), Fault> {
        if let Some(fault) = self.reset_fault.take() {
            return Err(fault);
        }
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
            pipeline.stop();
        }
    }

    fn reset(&mut self, device: &DeviceId) {
        let done = self
            .catalogue
            .backend(device)
            .and_then(|backend| backend.reset(device));
        if let Err(fault) = &done {
            tracing::warn!(stream = %self.name, %device, %fault, "the device could not be reset");
        }
        self.reset_fault = done.err();
    }

    fn report(&self, generation: u64, event: PipelineEvent) {
        tell(&self.inbox, generation, event);
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
