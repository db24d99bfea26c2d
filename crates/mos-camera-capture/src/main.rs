//! The binary: command line, signals, exit code. Everything else is in the library.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use mos_camera_capture::cli::Args;
use mos_camera_capture::config::{self, Config, ConfigError};
use mos_camera_capture::exit::Exit;
use mos_camera_capture::log::{self, LogControl};
use mos_camera_capture::machine;
use mos_camera_capture::run::{Hooks, run};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

fn main() -> ExitCode {
    // Before anything that has threads.
    if let Err(error) = gstmos::tls::refuse_old_tls() {
        return complain(&error, Exit::Internal).into();
    }
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage(&error).into(),
    };
    let config = match read_config(&args) {
        Ok(config) => config,
        Err(error) => return complain(&error, config_exit(&error)).into(),
    };
    if args.check_config {
        return show(&config).into();
    }
    if args.print_platform {
        return print_platform(&args, &config).into();
    }
    start(&args, config).into()
}

/// `--help` and `--version` come as errors too.
fn usage(error: &clap::Error) -> Exit {
    // A closed terminal is no reason to fail differently.
    let _ = error.print();
    if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Ok
    }
}

fn complain(error: &dyn std::error::Error, exit: Exit) -> Exit {
    eprintln!("mos-camera-capture: {error}");
    exit
}

fn config_exit(error: &ConfigError) -> Exit {
    if matches!(error, ConfigError::Unreadable { .. }) {
        Exit::NoConfig
    } else {
        Exit::BadConfig
    }
}

/// The file that is read: the one named, else the default one if it is there.
fn config_path(args: &Args) -> Option<PathBuf> {
    let default = || {
        Path::new(config::DEFAULT_PATH)
            .exists()
            .then(|| config::DEFAULT_PATH.into())
    };
    args.config.clone().or_else(default)
}

fn read_config(args: &Args) -> Result<Config, ConfigError> {
    let mut config = match config_path(args) {
        Some(path) => config::load(&path)?,
        None => Config::default(),
    };
    args.override_in(&mut config);
    config.read_profiles()?;
    Ok(config)
}

fn show(config: &Config) -> Exit {
    println!("{config:#?}");
    println!(
        "the configuration is good: {} cameras",
        config.cameras.len()
    );
    Exit::Ok
}

/// One line of JSON for each machine that is asked about.
fn print_platform(args: &Args, config: &Config) -> Exit {
    let service = &config.service;
    if let Err(error) = log::init(service.log_format, &service.log_level) {
        return complain(&error, Exit::Usage);
    }
    let this = [PathBuf::from("/")];
    let roots = if args.sysroot.is_empty() {
        &this[..]
    } else {
        &args.sysroot
    };
    let (boards, out) = (config.profiles.boards(), &mut std::io::stdout().lock());
    match machine::describe(roots, service.platform, &boards, out) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            let exit = error.exit();
            complain(&error, exit)
        }
    }
}

fn start(args: &Args, config: Config) -> Exit {
    let log = match log::init(config.service.log_format, &config.service.log_level) {
        Ok(log) => log,
        Err(error) => return complain(&error, Exit::Usage),
    };
    log::route_gstreamer();
    if let Some(path) = config_path(args) {
        tracing::info!(path = %path.display(), "configuration");
    } else {
        tracing::info!(
            looked_at = config::DEFAULT_PATH,
            "no configuration file: starting with the defaults and no cameras"
        );
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error, Exit::Internal),
    };
    let exit = runtime.block_on(serve(args, config, log));
    // A driver call that hangs must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    exit
}

async fn serve(args: &Args, config: Config, log: LogControl) -> Exit {
    let (reloads, reload) = mpsc::channel(1);
    let shutdown = match shutdown_signal() {
        Ok(shutdown) => shutdown,
        Err(error) => return complain(&error, Exit::Internal),
    };
    if let Err(error) = watch_signals(args.clone(), config.clone(), log, reloads) {
        return complain(&error, Exit::Internal);
    }
    match run(
        config,
        Hooks {
            shutdown,
            reload,
            ready: None,
        },
    )
    .await
    {
        Ok(()) => Exit::Ok,
        Err(error) => {
            tracing::error!("{error}");
            error.exit()
        }
    }
}

/// Completes at SIGTERM or SIGINT.
fn shutdown_signal() -> std::io::Result<impl Future<Output = ()>> {
    let (mut term, mut int) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}

/// Reads the configuration anew at SIGHUP. SIGXFSZ is taken in, so that a file size limit is a failed write and no death.
fn watch_signals(
    args: Args,
    mut current: Config,
    log: LogControl,
    reloads: mpsc::Sender<Config>,
) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut too_large = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(()) = too_large.recv() => tracing::warn!("a file reached the size limit of this process"),
                Some(()) = hangup.recv() => match read_config(&args) {
                    Ok(config) => {
                        warn_of_restart(&current, &config);
                        apply_log_level(&log, &config);
                        current = config.clone();
                        if reloads.send(config).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => tracing::error!(%error, "the configuration was not reloaded; the old one stays"),
                },
                else => return,
            }
        }
    });
    Ok(())
}

/// Paths and permissions are taken at start.
fn warn_of_restart(old: &Config, new: &Config) {
    let live = config::ServiceConfig {
        log_level: new.service.log_level.clone(),
        ..old.service.clone()
    };
    if live != new.service {
        tracing::warn!(
            "[service] has changes other than `log_level`; they take effect at the next start"
        );
    }
}

fn apply_log_level(log: &LogControl, config: &Config) {
    if let Err(error) = log.set_filter(&config.service.log_level) {
        tracing::error!(%error, "the log level was not changed");
    }
}
