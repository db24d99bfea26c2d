//! `lab run imx8mp`: the arm64 package on Debian's arm64 kernel, on QEMU's i.MX 8M Plus evaluation kit, with the device tree of that
//! board and of others: what the one binary chooses, that frames arrive, and what it takes.

mod findings;
mod machine;
mod proof;
mod root;
mod tools;
mod trees;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use self::findings::Findings;
use self::machine::Boot;
use self::root::Root;
use self::tools::Tools;
use self::trees::Board;
use crate::dist::{self, ForBoard};
use crate::error::Error;
use crate::exec::{self, capture, run_logged};
use crate::lock::{self, Mode};
use crate::paths;
use crate::ui::{self, Step, say, step};

/// What it is called beside the guest's tests.
pub(crate) const NAME: &str = "imx8mp";
/// What it shows, for the list.
pub(crate) const ABOUT: &str = "The arm64 package on QEMU's i.MX 8M Plus board with Debian's arm64 kernel: what it chooses by the device tree, frames, start, memory.";

/// The board that QEMU plays, by the first word of its device tree.
const OWN: &str = "fsl,imx8mp-evk";
/// Boards whose names its device tree is given, one boot each.
const OTHERS: [&str; 2] = ["fsl,imx8mm-evk", "qcom,qcs6490-rb3gen2"];
/// Package and library of what plays Qualcomm's camera source: an element that is there, so that a board can choose it.
const STAND_IN: (&str, &str) = ("mos-qmmf-standin", "libgstqmmfstandin.so");
/// For a boot with everything, under emulation on a busy machine.
const ALL_LIMIT: Duration = Duration::from_mins(40);
/// For one that only asks what was chosen.
const PROBE_LIMIT: Duration = Duration::from_mins(20);

/// Runs it: builds the packages, boots, judges, prints a table.
pub(crate) fn run() -> Result<(), Error> {
    let boards = trees::load()?;
    let cache = paths::cache().join("board");
    let _lock = hold(&cache)?;
    let tools = step("QEMU 10", |tick| Tools::ready(&cache, tick))?;
    let root = step("the board's root", |tick| Root::ready(&cache, &tools, tick))?;
    remove_others(&cache, &[tools.folder(), root.folder()])?;
    let product = dist::for_board(STAND_IN.0, STAND_IN.1)?;
    let lab = Lab {
        tools: &tools,
        root: &root,
        product: &product,
        folder: paths::artifacts().join("lab/board"),
    };
    let mut findings = Vec::new();
    for word in [OWN].iter().chain(&OTHERS) {
        let board = find(&boards, word)?;
        findings.push((board, lab.boot(board, &boards)?));
    }
    let rows = proof::rows(&findings, &boards)?;
    println!("{}\n", version(&tools)?);
    print!("{}", ui::table(&proof::cells(&rows), 5));
    let missed = rows.iter().filter(|row| !row.holds).count();
    if missed == 0 {
        return Ok(());
    }
    Err(Error::NotMet(format!(
        "{missed} of {} are not so; what the board wrote is in {}",
        rows.len(),
        lab.folder.display()
    )))
}

/// Keeps other runs from the cache's folder.
fn hold(cache: &Path) -> Result<File, Error> {
    fs::create_dir_all(cache).map_err(Error::path("create", cache))?;
    let file = exec::create(&cache.join("lock"))?;
    let mut said = false;
    lock::take(&file, Mode::Exclusive, || {
        if !said {
            say("waiting for another run of the board's lab");
            said = true;
        }
    })?;
    Ok(file)
}

/// What was made of earlier versions of the files is not needed again.
fn remove_others(cache: &Path, keep: &[&Path]) -> Result<(), Error> {
    let entries = fs::read_dir(cache).map_err(Error::path("read", cache))?;
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        if path.is_dir() && !keep.contains(&path.as_path()) {
            crate::debian::remove(&path)?;
        }
    }
    Ok(())
}

fn find<'a>(boards: &'a [Board], word: &str) -> Result<&'a Board, Error> {
    boards
        .iter()
        .find(|board| board.word() == word)
        .ok_or_else(|| Error::Unexpected {
            what: "the list of device trees".to_owned(),
            why: format!("it has no {word}"),
        })
}

/// What every boot has in common.
struct Lab<'a> {
    tools: &'a Tools,
    root: &'a Root,
    product: &'a ForBoard,
    folder: PathBuf,
}

impl Lab<'_> {
    /// Boots with the name of `board` in the device tree; answers what came of it.
    fn boot(&self, board: &Board, boards: &[Board]) -> Result<Findings, Error> {
        let name = board.name();
        let folder = self.folder.join(name);
        crate::debian::remove(&folder)?;
        fs::create_dir_all(&folder).map_err(Error::path("create", &folder))?;
        let own = board.word() == OWN;
        let tree = folder.join("board.dtb");
        fs::copy(self.root.device_tree(), &tree).map_err(Error::path("write", &tree))?;
        if !own {
            self.rename(&tree, board)?;
        }
        let card = folder.join("card.img");
        self.card(&card, own.then_some(boards))?;
        let boot = Boot {
            kernel: &self.root.kernel(),
            ramdisk: &self.root.ramdisk(),
            tree: &tree,
            disk: &self.root.disk(),
            card: &card,
        };
        let mut command = self.tools.qemu();
        command.args(machine::board(&boot));
        let limit = if own { ALL_LIMIT } else { PROBE_LIMIT };
        let mut step = Step::begin(format!("boot as {name}"));
        let started = Instant::now();
        let console = folder.join("console.log");
        let done = run_logged(
            "the board",
            &mut command,
            &console,
            limit,
            |_| (),
            |line| {
                step.tick(line);
            },
        )?;
        crate::debian::remove(&card)?;
        let results =
            machine::unpack_results(&exec::read_lossy(&console)?, &folder.join("results"))?;
        let findings = Findings::new(results);
        let fine = done.ok() && findings.done();
        step.end(if fine { "done" } else { "FAILED" });
        if fine {
            return Ok(findings);
        }
        Err(Error::Failed {
            what: format!("the board as {name}"),
            how: format!(
                "QEMU: {}, after {:.0?}; {}",
                done.status,
                started.elapsed(),
                folder.display()
            ),
            tail: exec::tail(&exec::read_lossy(&console)?, 30),
        })
    }

    /// Gives a device tree another board's name; all else of it stays, so that the machine still boots.
    fn rename(&self, tree: &Path, board: &Board) -> Result<(), Error> {
        for (property, values) in [
            ("compatible", board.compatible.split(' ').collect()),
            ("model", vec![board.model.as_str()]),
        ] {
            let mut command = self.tools.fdtput();
            command.args(["-t", "s"]).arg(tree).args(["/", property]);
            command.args(values);
            capture("editing a device tree", &mut command)?;
        }
        Ok(())
    }

    /// What the board is to do: all, and to answer for `boards`; or only to say what it found.
    fn card(&self, target: &Path, boards: Option<&[Board]>) -> Result<(), Error> {
        let folder = tempfile::tempdir().map_err(Error::io("cannot make a temporary folder"))?;
        let at = |name: &str| folder.path().join(name);
        let source = paths::root().join("lab/board");
        for name in ["job", "virtual.yaml"] {
            fs::copy(source.join(name), at(name))
                .map_err(Error::path("copy", source.join(name)))?;
        }
        let packages = at("packages");
        fs::create_dir(&packages).map_err(Error::path("create", &packages))?;
        for package in &self.product.packages {
            let to = packages.join(package.file_name().unwrap_or_default());
            fs::copy(package, to).map_err(Error::path("copy", package))?;
        }
        let plugins = at("plugins");
        fs::create_dir(&plugins).map_err(Error::path("create", &plugins))?;
        fs::copy(&self.product.plugin, plugins.join(STAND_IN.1))
            .map_err(Error::path("copy", &self.product.plugin))?;
        let task = if boards.is_some() { "all" } else { "probe" };
        fs::write(at("task"), task).map_err(Error::path("write", at("task")))?;
        trees::write(boards.unwrap_or_default(), &at("trees"))?;
        machine::card(folder.path(), target)
    }
}

/// The QEMU that plays the board.
fn version(tools: &Tools) -> Result<String, Error> {
    let text = capture("QEMU's version", tools.qemu().arg("--version"))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boards_that_are_booted_are_in_the_list() {
        let boards = trees::load().unwrap();
        let families: Vec<_> = [OWN]
            .iter()
            .chain(&OTHERS)
            .map(|word| find(&boards, word).unwrap().family.clone())
            .collect();
        assert_eq!(families, ["imx8mp", "generic", "qcs"]);
    }

    #[test]
    fn only_what_is_used_is_kept() {
        let cache = tempfile::tempdir().unwrap();
        for name in ["tools-1", "tools-2", "root-1"] {
            fs::create_dir(cache.path().join(name)).unwrap();
        }
        fs::write(cache.path().join("lock"), "").unwrap();
        let keep = [cache.path().join("tools-2"), cache.path().join("root-1")];
        remove_others(cache.path(), &[&keep[0], &keep[1]]).unwrap();
        assert!(keep.iter().all(|path| path.exists()));
        assert!(!cache.path().join("tools-1").exists());
        assert!(cache.path().join("lock").exists());
    }
}
