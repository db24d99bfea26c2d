//! What the tests with compiled programs share: the library in a folder of its own, a compiler, a producer.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(unreachable_pub, clippy::unwrap_used, reason = "support of tests")]

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

/// Where cargo puts what it built beside this test: the libraries in `deps`, examples next to it.
fn deps() -> PathBuf {
    env::current_exe().unwrap().parent().unwrap().to_owned()
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", words(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// All that a program printed.
pub fn words(output: &Output) -> String {
    format!(
        "{} {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The library, installed as a user without root would.
pub struct Installed {
    prefix: tempfile::TempDir,
}

impl Installed {
    pub fn new() -> Self {
        let prefix = tempfile::tempdir().unwrap();
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        run(Command::new(cargo)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["xtask", "install", "--only", "library", "--no-setup"])
            .arg("--prefix")
            .arg(prefix.path())
            .arg("--from")
            .arg(deps()));
        Self { prefix }
    }

    pub fn prefix(&self) -> &Path {
        self.prefix.path()
    }

    pub fn libdir(&self) -> PathBuf {
        self.prefix().join("lib")
    }

    pub fn pkg_config(&self, arguments: &[&str]) -> Vec<String> {
        let mut command = Command::new("pkg-config");
        command
            .env("PKG_CONFIG_PATH", self.libdir().join("pkgconfig"))
            .args(arguments)
            .arg("mos-frame");
        let words = run(&mut command);
        words.split_whitespace().map(str::to_owned).collect()
    }

    /// Compiles a program strictly, by what pkg-config says.
    pub fn compile(&self, compiler: &str, options: &[&str], source: &Path) -> PathBuf {
        let program = self.prefix().join(source.file_stem().unwrap());
        let mut command = Command::new(compiler);
        command
            .args(["-Wall", "-Wextra", "-Werror", "-pedantic", "-g"])
            .args(options)
            .arg(source)
            .arg("-o")
            .arg(&program)
            .args(self.pkg_config(&["--cflags", "--libs"]));
        run(&mut command);
        program
    }

    /// A program that finds the library.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("LD_LIBRARY_PATH", self.libdir());
        command
    }
}

/// An example's source.
pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name)
}

/// A source next to the tests.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/programs")
        .join(name)
}

/// Whether a compiler or tool is on this machine.
pub fn has(tool: &str) -> bool {
    let mut command = Command::new(tool);
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.arg("--version").status().is_ok_and(|s| s.success())
}

/// The example `test_publisher`, a producer in a process of its own.
pub struct Publisher {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    folder: tempfile::TempDir,
}

impl Publisher {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("mos-").tempdir().unwrap();
        let program = deps().parent().unwrap().join("examples/test_publisher");
        let mut child = Command::new(program)
            .arg(folder.path().join("front.sock"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut publisher = Self {
            child,
            input,
            output,
            folder,
        };
        assert_eq!(publisher.line(), "ready");
        publisher
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn socket(&self) -> PathBuf {
        self.folder().join("front.sock")
    }

    /// One command, one answer.
    pub fn ask(&mut self, command: &str) -> String {
        writeln!(self.input.as_ref().unwrap(), "{command}").unwrap();
        self.line()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // It ends with its input.
        self.input = None;
        let _ = self.child.wait();
    }
}
