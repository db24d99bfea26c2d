//! Running a program inside a root folder, in namespaces of its own: whatever it mounts or starts is gone with it, and
//! nothing that it does can reach the machine's processes or cameras.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Prepares the mounts, then hands over. `$1` is the root; then come triples of mode, source and place up to `--`.
const SCRIPT: &str = r#"
root=$1 whole=$2
shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 dev "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for number in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${number%:*}" "$root/dev/${number#*:}"; done
for node in null zero full random urandom tty; do
    : >"$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
while [ "$1" != -- ]; do
    mkdir -p "$root$3"
    mount --bind "$2" "$root$3"
    if [ "$1" = ro ]; then mount -o remount,bind,ro "$root$3"; fi
    shift 3
done
shift
if [ "$whole" = ro ]; then mount -o remount,bind,ro "$root"; fi
exec chroot "$root" /usr/bin/env -i "$@"
"#;

/// How a root folder is entered.
#[derive(Clone, Debug)]
pub(crate) struct Chroot {
    root: PathBuf,
    writable: bool,
    network: bool,
    binds: Vec<[String; 3]>,
    variables: Vec<(String, String)>,
}

impl Chroot {
    /// A root folder that can't be written to, without a network.
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            writable: false,
            network: false,
            binds: Vec::new(),
            variables: Vec::new(),
        }
        .variable("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")
        .variable("HOME", "/tmp")
        .variable("LC_ALL", "C.UTF-8")
    }

    /// Lets programs write into the root.
    pub(crate) fn writable(mut self) -> Self {
        self.writable = true;
        self
    }

    /// Lets programs use the machine's network.
    pub(crate) fn network(mut self) -> Self {
        self.network = true;
        self
    }

    /// Shows a folder of the machine inside, for reading.
    pub(crate) fn read(self, from: &Path, at: &str) -> Self {
        self.bind("ro", from, at)
    }

    /// Shows a folder of the machine inside, for reading and writing.
    pub(crate) fn write(self, from: &Path, at: &str) -> Self {
        self.bind("rw", from, at)
    }

    fn bind(mut self, mode: &str, from: &Path, at: &str) -> Self {
        let from = from.display().to_string();
        self.binds.push([mode.to_owned(), from, at.to_owned()]);
        self
    }

    /// Sets an environment variable; nothing else of the environment goes in.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The command that runs `program` inside; arguments can be added to it.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--ipc"]);
        if !self.network {
            command.arg("--net");
        }
        command.args(["--", "sh", "-eu", "-c", SCRIPT, "sh"]);
        command.arg(&self.root);
        command.arg(if self.writable { "rw" } else { "ro" });
        command.args(self.binds.iter().flatten());
        command.arg("--");
        let variables = self.variables.iter();
        command.args(variables.map(|(name, value)| format!("{name}={value}")));
        command.arg(program);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(command: &Command) -> Vec<&str> {
        let all = command
            .get_args()
            .map(|argument| argument.to_str().unwrap());
        all.collect()
    }

    #[test]
    fn a_root_is_closed_unless_it_is_opened() {
        let closed = Chroot::new(Path::new("/r")).command("true");
        let arguments = arguments(&closed);
        assert!(arguments.contains(&"--net"));
        let root = arguments.iter().position(|word| *word == "/r").unwrap();
        assert_eq!(arguments[root + 1..root + 3], ["ro", "--"]);
        assert_eq!(arguments.last(), Some(&"true"));
    }

    #[test]
    fn what_is_opened_goes_in_with_its_place() {
        let open = Chroot::new(Path::new("/r"))
            .writable()
            .network()
            .read(Path::new("/a"), "/in/a")
            .write(Path::new("/b"), "/in/b")
            .variable("KEY", "value");
        let command = open.command("cat");
        let arguments = arguments(&command);
        assert!(!arguments.contains(&"--net"));
        let root = arguments.iter().position(|word| *word == "/r").unwrap();
        assert_eq!(
            arguments[root + 1..root + 9],
            ["rw", "ro", "/a", "/in/a", "rw", "/b", "/in/b", "--"]
        );
        assert!(arguments.contains(&"KEY=value"));
    }
}
