//! Who receives each camera: programs of ours, a GStreamer pipeline, and a Python program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cargo::{Profile, program};
use crate::error::Error;
use crate::paths;
use crate::rig::ctl::Ctl;
use crate::rig::subscriber::Subscriber;
use crate::test::python;
use crate::ui::say;

/// Name and further arguments of each subscriber that is `mosctl frames`.
const OURS: [(&str, &[&str]); 3] = [
    ("first", &[]),
    ("second", &[]),
    ("slow", &["--work-ms", "200"]),
];

/// What the consumers need.
#[derive(Debug)]
pub(crate) struct Consumers {
    /// A folder with the GStreamer plugin and nothing else, since GStreamer looks into every library of it.
    plugins: PathBuf,
    /// Interpreter and module path; none where the package could not be built.
    python: Option<(PathBuf, PathBuf)>,
}

impl Consumers {
    /// Makes what they need, below `folder`. Without the means for the Python package the demo says so and goes on.
    pub(crate) fn ready(folder: &Path) -> Result<Self, Error> {
        let plugins = folder.join("plugins");
        fs::create_dir_all(&plugins).map_err(Error::path("create", &plugins))?;
        let link = plugins.join("libgstmos.so");
        std::os::unix::fs::symlink(program(Profile::Dev, "libgstmos.so"), &link)
            .map_err(Error::path("create", &link))?;
        say("building the Python package");
        let log = paths::artifacts().join("demo/python.log");
        let python = match python::package(&log, &mut |_| ()) {
            Ok(python) => Some(python),
            Err(why) => {
                say(format!("no Python consumer: {why}"));
                None
            }
        };
        Ok(Self { plugins, python })
    }

    /// Starts all consumers of a stream.
    pub(crate) fn start(&self, ctl: &Ctl, stream: &str) -> Result<Vec<Subscriber>, Error> {
        let ours = OURS
            .iter()
            .map(|(name, options)| Subscriber::start(ctl, stream, name, options));
        let socket = ctl.stream_socket(stream);
        let pipeline = Subscriber::run(stream, "gstreamer", self.pipeline(&socket));
        let python = self
            .python_program(&socket)
            .map(|command| Subscriber::run(stream, "python", command));
        ours.chain([pipeline]).chain(python).collect()
    }

    /// Debian's Python, which has the bindings of GStreamer.
    fn pipeline(&self, socket: &Path) -> Command {
        let mut command = Command::new("/usr/bin/python3");
        command
            .arg("-B")
            .arg(example("gstreamer_frames.py"))
            .arg(socket)
            .env("GST_PLUGIN_PATH", &self.plugins)
            .env("GST_REGISTRY", self.plugins.with_file_name("registry"));
        command
    }

    fn python_program(&self, socket: &Path) -> Option<Command> {
        let (interpreter, site) = self.python.as_ref()?;
        let mut command = Command::new(interpreter);
        command
            .arg("-B")
            .arg(example("frames.py"))
            .arg(socket)
            .env("PYTHONPATH", site);
        Some(command)
    }
}

fn example(file: &str) -> PathBuf {
    paths::root().join("examples/python").join(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_are_there() {
        for file in ["gstreamer_frames.py", "frames.py", "figures.py"] {
            assert!(example(file).is_file(), "{file}");
        }
    }
}
