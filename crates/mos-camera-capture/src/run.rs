//! The service from start to stop.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::FusedFuture;
use tokio::sync::{mpsc, oneshot, watch};

use crate::config::Config;
use crate::control::gate::Gate;
use crate::control::lock::{LockError, PathLock};
use crate::control::server::{ServeError, serve};
use crate::control::socket::{ControlSocket, SocketAccess, SocketError, make_dir};
use crate::engine::Engine;
use crate::exit::Exit;
use crate::state::Store;
use crate::systemd;

/// Longest wait for calls that still run when everything else is down.
const LAST_CALLS: Duration = Duration::from_secs(2);

/// What reaches the service from outside while it runs.
#[derive(Debug)]
pub struct Hooks<S> {
    /// Ends the service when it completes.
    pub shutdown: S,
    /// New configurations to take over.
    pub reload: mpsc::Receiver<Config>,
    /// Told when the control socket answers.
    pub ready: Option<oneshot::Sender<()>>,
}

/// The service could not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The media framework can't be used.
    #[error(
        "GStreamer can't be used: {what}; is it installed (libgstreamer1.0-0, gstreamer1.0-plugins-base)?"
    )]
    Media {
        /// What failed.
        what: String,
    },
    /// The control socket can't be had.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The folder of the frame bus can't be made.
    #[error("can't make the frame folder {}: {source}; name another `frame_dir`, or make it for the service's user", path.display())]
    FrameDir {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The wanted state's folder can't be made, or its file can't be read at all.
    #[error("can't use the state file {}: {source}; name another `state_file`, or make its folder for the service's user", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another service keeps its wanted state there.
    #[error(transparent)]
    StateLock(LockError),
    /// The server broke down.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A pipeline did not come down.
    #[error("asked to stop, but a pipeline did not come down in time; it ends with the process")]
    UncleanStop,
}

impl RunError {
    /// The exit code for it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Media { .. } | Self::Serve(_) => Exit::Internal,
            Self::Socket(SocketError::Lock(lock)) | Self::StateLock(lock) => lock_exit(lock),
            Self::Socket(SocketError::Foreign { .. }) => Exit::AlreadyRunning,
            Self::Socket(SocketError::NoSocket { .. }) => Exit::CantCreate,
            Self::Socket(SocketError::Dir { source, .. } | SocketError::Bind { source, .. })
            | Self::FrameDir { source, .. } => exit_of(source, Exit::CantCreate),
            Self::State { source, .. } => exit_of(source, Exit::Io),
            Self::UncleanStop => Exit::UncleanStop,
        }
    }
}

fn lock_exit(error: &LockError) -> Exit {
    match error {
        LockError::Held { .. } => Exit::AlreadyRunning,
        LockError::Io { source, .. } => exit_of(source, Exit::CantCreate),
    }
}

fn exit_of(source: &io::Error, other: Exit) -> Exit {
    if source.kind() == io::ErrorKind::PermissionDenied {
        Exit::NoPermission
    } else {
        other
    }
}

/// Runs the service until `hooks.shutdown` completes: takes its paths, starts the streams, answers the control socket, and
/// brings everything down again.
pub async fn run<S: Future<Output = ()>>(
    config: Config,
    mut hooks: Hooks<S>,
) -> Result<(), RunError> {
    init_media()?;
    let socket = take_socket(&config)?;
    let (engine, _state_lock) = start_engine(&config).await?;
    let gate = Gate::new(
        config.service.allow_uids.clone(),
        config.service.admitted_gids(),
    );
    let (stop, stopping) = watch::channel(false);
    let helpers = [
        tokio::spawn(feed_watchdog(engine.clone())),
        tokio::spawn(reloads(engine.clone(), hooks.reload)),
    ];
    let mut server = pin!(serve(&socket, gate, engine.clone(), stopping).fuse());
    announce(&config, hooks.ready.take());
    let mut shutdown = pin!(hooks.shutdown);
    let served = tokio::select! {
        ended = &mut server => Some(ended),
        () = &mut shutdown => None,
    };
    let clean = wind_down(&engine, &stop, server).await;
    helpers.iter().for_each(tokio::task::JoinHandle::abort);
    match served {
        Some(ended) => ended.map_err(RunError::from),
        None if clean => Ok(()),
        None => Err(RunError::UncleanStop),
    }
}

/// Prepares GStreamer and the project's own elements; more than once does no harm.
fn init_media() -> Result<(), RunError> {
    gst::init().map_err(|e| RunError::Media {
        what: e.to_string(),
    })?;
    gstmos::plugin_register_static().map_err(|e| RunError::Media {
        what: e.to_string(),
    })
}

fn take_socket(config: &Config) -> Result<ControlSocket, RunError> {
    let service = &config.service;
    let access = SocketAccess {
        mode: service.socket_mode,
        gid: service.socket_gid,
    };
    let socket = ControlSocket::bind(&service.control_socket, access)?;
    make_dir(&service.frame_dir, service.socket_gid).map_err(|source| RunError::FrameDir {
        path: service.frame_dir.clone(),
        source,
    })?;
    Ok(socket)
}

async fn start_engine(config: &Config) -> Result<(Engine, PathLock), RunError> {
    let path = &config.service.state_file;
    let failed = |source| RunError::State {
        path: path.clone(),
        source,
    };
    let store = Store::open(path).map_err(failed)?;
    let lock = PathLock::take(path).map_err(RunError::StateLock)?;
    let loaded = store.load().map_err(failed)?;
    if let Some(problem) = &loaded.problem {
        tracing::warn!("{problem}");
    }
    Ok((Engine::start(config.clone(), store, loaded).await, lock))
}

fn announce(config: &Config, ready: Option<oneshot::Sender<()>>) {
    let service = &config.service;
    tracing::info!(control_socket = %service.control_socket.display(), frame_dir = %service.frame_dir.display(),
        state_file = %service.state_file.display(), cameras = config.cameras.len(), "ready");
    systemd::ready(&format!("{} cameras configured", config.cameras.len()));
    // Who started this may not care.
    let _ = ready.map(|ready| ready.send(()));
}

async fn feed_watchdog(engine: Engine) {
    systemd::feed_watchdog(|| engine.alive()).await;
}

/// Takes over new configurations, one after the other, until nobody can send any more.
async fn reloads(engine: Engine, mut configs: mpsc::Receiver<Config>) {
    while let Some(config) = configs.recv().await {
        systemd::reloading();
        let cameras = config.cameras.len();
        engine.reload(config).await;
        tracing::info!(cameras, "the configuration was reloaded");
        systemd::ready(&format!("{cameras} cameras configured"));
    }
}

/// Brings down the streams, then the server if it still runs. True if every pipeline came down.
async fn wind_down<F>(engine: &Engine, stop: &watch::Sender<bool>, server: F) -> bool
where
    F: FusedFuture<Output = Result<(), ServeError>> + Unpin,
{
    tracing::info!("stopping");
    systemd::stopping();
    stop.send_replace(true);
    let (clean, ()) = tokio::join!(engine.stop(), last_calls(engine, server));
    tracing::info!(clean, "stopped");
    clean
}

/// Serves the calls that still run: until they have ended, or for a while after the streams are down.
async fn last_calls<F>(engine: &Engine, mut server: F)
where
    F: FusedFuture<Output = Result<(), ServeError>> + Unpin,
{
    if server.is_terminated() {
        return;
    }
    tokio::select! {
        ended = &mut server => {
            if let Err(error) = ended {
                tracing::warn!(%error, "the control server did not end well");
            }
        }
        () = async { engine.down().await; tokio::time::sleep(LAST_CALLS).await } => {
            tracing::warn!("calls that did not end are cut off");
        }
    }
}
