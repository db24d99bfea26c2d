//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::config::{Config, LogFormat};

/// The capture service of mos-camera: puts every configured camera on the frame bus and answers the control service.
///
/// Exit codes: 0 ok, 64 wrong command line, 65 wrong configuration, 66 no such configuration file, 69 already running,
/// 70 internal error, 73 a socket or folder can't be made, 74 input/output error, 75 a pipeline did not stop in time,
/// 77 no permission.
#[derive(Debug, Clone, Parser)]
#[command(name = "mos-camera-capture", version)]
pub struct Args {
    /// Configuration file (TOML) [default: /etc/mos-camera/mos-camera.toml if it is there, else the built-in defaults]
    #[arg(long, short, value_name = "PATH")]
    pub config: Option<PathBuf>,

    /// Check the configuration, print what it comes to, and end
    #[arg(long)]
    pub check_config: bool,

    /// Print which machine this is, what drives the cameras on its chip, and why, as JSON, and end
    #[arg(long)]
    pub print_platform: bool,

    /// With --print-platform: say it of the machine whose files are below DIR, of which `proc/device-tree/compatible` is enough;
    /// may be repeated, one line is printed for each. Which elements there are is always asked of this installation.
    #[arg(long, value_name = "DIR", requires = "print_platform")]
    pub sysroot: Vec<PathBuf>,

    /// Path of the control socket; overrides the file
    #[arg(long, value_name = "PATH")]
    pub control_socket: Option<PathBuf>,

    /// Folder of the frame bus's sockets; overrides the file
    #[arg(long, value_name = "DIR")]
    pub frame_dir: Option<PathBuf>,

    /// File of the wanted state; overrides the file
    #[arg(long, value_name = "PATH")]
    pub state_file: Option<PathBuf>,

    /// How log lines look; overrides the file
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,

    /// What is logged: a level, or `module=level` pairs; overrides the file
    #[arg(long, value_name = "FILTER")]
    pub log_level: Option<String>,
}

impl Args {
    /// Lays the flags over what the file says.
    pub fn override_in(&self, config: &mut Config) {
        let service = &mut config.service;
        set(&mut service.control_socket, self.control_socket.as_ref());
        set(&mut service.frame_dir, self.frame_dir.as_ref());
        set(&mut service.state_file, self.state_file.as_ref());
        set(&mut service.log_format, self.log_format.as_ref());
        set(&mut service.log_level, self.log_level.as_ref());
    }
}

fn set<T: Clone>(target: &mut T, flag: Option<&T>) {
    if let Some(value) = flag {
        target.clone_from(value);
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use mos_testkit::manual::Manual;

    use super::*;
    use crate::exit::Exit;

    /// What the documentation says of an exit code.
    fn meaning(exit: Exit) -> String {
        let docs = include_str!("../../../docs/configuration.md");
        let start = format!("| {} | ", exit.code());
        let row = docs.lines().find_map(|line| line.strip_prefix(&start));
        row.unwrap().trim_end_matches(" |").to_owned()
    }

    #[test]
    fn the_manual_page_is_fresh() {
        let manual = Manual::new(Args::command(), "8");
        let manual = Exit::ALL.into_iter().fold(manual, |manual, exit| {
            manual.exit(exit.code(), &meaning(exit))
        });
        manual
            .file("/etc/mos-camera/mos-camera.toml", "Configuration.")
            .file(
                "/etc/mos-camera/secrets",
                "Passwords and tokens that the configuration names, a file each, for the service's user alone.",
            )
            .file(
                "/usr/share/mos-camera/profiles.d, /etc/mos-camera/profiles.d",
                "Profiles: files that tell of boards. Of two with the same name the one in /etc counts.",
            )
            .file("/run/mos-camera/control.sock", "Socket of the control service.")
            .file("/run/mos-camera/frames", "Folder of the frame bus: a socket for each stream.")
            .file("/var/lib/mos-camera/state.json", "The wanted state.")
            .see_also("mosctl(1)")
            .see_also("mos-unixfd(1)")
            .see_also("/usr/share/doc/mos-camera-capture/configuration.md")
            .hold();
    }
}
