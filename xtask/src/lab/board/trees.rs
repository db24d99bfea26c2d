//! The boards whose device trees the tests of the core know, as folders for `mos-camera-capture --sysroot`, and what has to be answered.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde::Deserialize;

use crate::error::Error;
use crate::paths;

const DATA: &str = "crates/mos-camera-core/tests/data";

/// A board of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Board {
    /// Its device tree's file.
    pub(super) file: String,
    /// What its device tree calls it.
    pub(super) model: String,
    /// The words of its root's `compatible`, with blanks between them.
    pub(super) compatible: String,
    /// What it has to be taken for, by its file's name.
    pub(super) family: String,
}

impl Board {
    /// The first word of its `compatible`, which names the board.
    pub(super) fn word(&self) -> &str {
        self.compatible.split(' ').next().unwrap_or_default()
    }

    /// Short, for people and folders.
    pub(super) fn name(&self) -> &str {
        self.word().rsplit(',').next().unwrap_or_default()
    }
}

/// A line that the service answered.
#[derive(Debug, Deserialize)]
struct Answer {
    sysroot: String,
    family: String,
    csi_backend: Option<String>,
    problems: Vec<Problem>,
}

#[derive(Debug, Deserialize)]
struct Problem {
    message: String,
}

/// All boards.
pub(super) fn load() -> Result<Vec<Board>, Error> {
    let read = |name: &str| {
        let path = paths::root().join(DATA).join(name);
        fs::read_to_string(&path).map_err(Error::path("read", path))
    };
    parse(&read("device-trees.txt")?, &read("families.txt")?).map_err(|why| Error::Unexpected {
        what: DATA.to_owned(),
        why,
    })
}

fn parse(trees: &str, families: &str) -> Result<Vec<Board>, String> {
    let families: Vec<_> = lines(families)
        .map(|line| {
            line.split_once(" | ")
                .ok_or_else(|| format!("no family: {line}"))
        })
        .collect::<Result<_, _>>()?;
    lines(trees)
        .map(|line| {
            let fields: Vec<_> = line.split(" | ").collect();
            let [file, model, compatible] = fields[..] else {
                return Err(format!("not three fields: {line}"));
            };
            let name = file.rsplit('/').next().unwrap_or(file);
            let family = families
                .iter()
                .find(|(start, _)| name.starts_with(start))
                .map_or("generic", |(_, family)| family);
            Ok(Board {
                file: file.to_owned(),
                model: model.to_owned(),
                compatible: compatible.to_owned(),
                family: family.to_owned(),
            })
        })
        .collect()
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with('#'))
}

/// What each board's folder has as the socket of Qualcomm's camera service: a link to what is there or not, for all at once.
const SERVICE: &str = "/run/board-camera-service";

/// What the installation that answers has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Installed {
    /// libcamera and no QMMF: where QMMF is wanted, libcamera is the next best, with the reason.
    Libcamera,
    /// An element for QMMF too, and its service.
    Qmmf,
    /// No element of either: the kernel's nodes are what is left, and boards that should have more are told.
    Neither,
}

/// Writes each board as a folder with what the kernel would show, named by its number.
pub(super) fn write(boards: &[Board], folder: &Path) -> Result<(), Error> {
    for (number, board) in boards.iter().enumerate() {
        let tree = folder.join(number.to_string()).join("proc/device-tree");
        fs::create_dir_all(&tree).map_err(Error::path("create", &tree))?;
        for (name, text) in [("compatible", &board.compatible), ("model", &board.model)] {
            let words = if name == "compatible" {
                text.replace(' ', "\0")
            } else {
                text.clone()
            };
            let path = tree.join(name);
            fs::write(&path, words + "\0").map_err(Error::path("write", &path))?;
        }
        let run = folder.join(number.to_string()).join("run/cam_server");
        fs::create_dir_all(&run).map_err(Error::path("create", &run))?;
        let socket = run.join("le_cam_socket");
        symlink(SERVICE, &socket).map_err(Error::path("write", &socket))?;
    }
    Ok(())
}

/// How many boards of each family were answered as they have to be; or what is wrong.
pub(super) fn check(
    boards: &[Board],
    installed: Installed,
    answers: &str,
) -> Result<BTreeMap<String, usize>, String> {
    let mut counts = BTreeMap::new();
    let mut seen = vec![false; boards.len()];
    for line in answers.lines() {
        let answer: Answer =
            serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
        let number = answer.sysroot.rsplit('/').next().unwrap_or_default();
        let number: usize = number
            .parse()
            .map_err(|_| format!("no board: {}", answer.sysroot))?;
        let board = boards
            .get(number)
            .ok_or_else(|| format!("no board: {number}"))?;
        check_one(board, installed, &answer).map_err(|why| format!("{}: {why}", board.file))?;
        if std::mem::replace(&mut seen[number], true) {
            return Err(format!("{} was answered twice", board.file));
        }
        *counts.entry(answer.family).or_insert(0) += 1;
    }
    match seen.iter().position(|seen| !seen) {
        None => Ok(counts),
        Some(number) => Err(format!("{} was not answered", boards[number].file)),
    }
}

fn check_one(board: &Board, installed: Installed, answer: &Answer) -> Result<(), String> {
    // A chip of Qualcomm's that is not in the list counts as one of the family where its service and element are.
    let qualcomm = board
        .compatible
        .split(' ')
        .any(|word| word.starts_with("qcom,"));
    let (family, backend) = match installed {
        Installed::Qmmf if qualcomm => ("qcs", Some("qmmf")),
        Installed::Libcamera | Installed::Qmmf => (board.family.as_str(), Some("libcamera")),
        Installed::Neither => (board.family.as_str(), None),
    };
    if answer.family != family {
        return Err(format!("taken for {}, is {family}", answer.family));
    }
    if answer.csi_backend.as_deref() != backend {
        return Err(format!("its cameras by {:?}", answer.csi_backend));
    }
    let best = match family {
        "imx8mp" => Some("libcamera"),
        "qcs" => Some("qmmf"),
        // Whatever drives it is as good as anything.
        _ => backend,
    };
    let problems: Vec<_> = answer
        .problems
        .iter()
        .map(|problem| problem.message.as_str())
        .collect();
    let right = match &problems[..] {
        [] => backend == best,
        [one] => backend != best && is_next_best(one, family, backend),
        _ => false,
    };
    right
        .then_some(())
        .ok_or_else(|| format!("problems {problems:?}"))
}

/// Whether a problem says of a board of a family what stands in for what is missing: a backend, or the kernel's nodes.
pub(super) fn is_next_best(problem: &str, family: &str, instead: Option<&str>) -> bool {
    let start = format!("can't be used on this {family} board: ");
    let end = match instead {
        Some(backend) => format!("{backend} is used instead"),
        None => "are driven as V4L2 nodes, if the kernel shows any".to_owned(),
    };
    problem.contains(&start) && problem.ends_with(&end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREES: &str = "# head\nf/imx8mp-evk.dtb | EVK | fsl,imx8mp-evk fsl,imx8mp\nq/qcs6490-a.dtb | RB3 | a qcom,qcm6490\no/x.dtb | X | x\n";
    const FAMILIES: &str = "imx8mp- | imx8mp\nqcs6490- | qcs\n";

    fn answer(number: usize, family: &str, backend: &str, problem: &str) -> String {
        let backend = (!backend.is_empty()).then_some(backend);
        let problems: Vec<_> = [problem]
            .iter()
            .filter(|text| !text.is_empty())
            .map(|text| serde_json::json!({ "message": text, "hint": "" }))
            .collect();
        serde_json::json!({ "sysroot": format!("/host/trees/{number}"), "family": family, "csi_backend": backend, "problems": problems })
            .to_string()
    }

    const NEXT: &str =
        "qmmf can't be used on this qcs board: there is none; libcamera is used instead";
    const NODES: &str = "libcamera can't be used on this imx8mp board: there is none; cameras are driven as V4L2 nodes, if the kernel shows any";

    #[test]
    fn the_shipped_list_has_the_boards_that_the_core_knows() {
        let boards = load().unwrap();
        let count = |family: &str| boards.iter().filter(|b| b.family == family).count();
        assert_eq!(
            [count("imx8mp"), count("qcs"), count("generic")],
            [69, 21, 504]
        );
    }

    #[test]
    fn boards_become_what_the_kernel_shows() {
        let folder = tempfile::tempdir().unwrap();
        write(&parse(TREES, FAMILIES).unwrap(), folder.path()).unwrap();
        let read = |path: &str| fs::read(folder.path().join(path)).unwrap();
        assert_eq!(
            read("0/proc/device-tree/compatible"),
            b"fsl,imx8mp-evk\0fsl,imx8mp\0"
        );
        assert_eq!(read("1/proc/device-tree/model"), b"RB3\0");
    }

    #[test]
    fn where_nothing_drives_a_chip_boards_that_should_have_more_are_told() {
        let boards = parse(TREES, FAMILIES).unwrap();
        let qcs = NODES
            .replace("libcamera can", "qmmf can")
            .replace("imx8mp", "qcs");
        let right = [
            answer(0, "imx8mp", "", NODES),
            answer(1, "qcs", "", &qcs),
            answer(2, "generic", "", ""),
        ];
        let judge = |answers: &[String]| check(&boards, Installed::Neither, &answers.join("\n"));
        assert!(judge(&right).is_ok());
        for (number, wrong) in [
            (0, answer(0, "imx8mp", "", "")),
            (0, answer(0, "imx8mp", "libcamera", "")),
            (1, answer(1, "qcs", "", NODES)),
            (1, answer(1, "qcs", "", NEXT)),
            (2, answer(2, "generic", "", NODES)),
        ] {
            let mut answers = right.clone();
            answers[number] = wrong;
            assert!(judge(&answers).is_err(), "{}", answers[number]);
        }
    }

    #[test]
    fn every_board_has_to_be_answered_right() {
        let boards = parse(TREES, FAMILIES).unwrap();
        let right = [
            answer(0, "imx8mp", "libcamera", ""),
            answer(1, "qcs", "libcamera", NEXT),
            answer(2, "generic", "libcamera", ""),
        ];
        let counts = check(&boards, Installed::Libcamera, &right.join("\n")).unwrap();
        assert_eq!(counts.values().sum::<usize>(), 3);
        // The same answers where QMMF is installed: the second is wrong.
        assert!(check(&boards, Installed::Qmmf, &right.join("\n")).is_err());
        let mut qmmf = right.clone();
        qmmf[1] = answer(1, "qcs", "qmmf", "");
        assert!(check(&boards, Installed::Qmmf, &qmmf.join("\n")).is_ok());
        for (number, wrong, says) in [
            (
                0,
                answer(0, "generic", "libcamera", ""),
                "taken for generic",
            ),
            (0, answer(0, "imx8mp", "qmmf", ""), "its cameras by"),
            (0, answer(0, "imx8mp", "libcamera", NEXT), "problems"),
            (1, answer(1, "qcs", "libcamera", ""), "problems"),
            (2, String::new(), "x.dtb was not answered"),
            (2, answer(1, "qcs", "libcamera", NEXT), "twice"),
            (2, answer(7, "generic", "libcamera", ""), "no board: 7"),
            (2, "half a li".to_owned(), "half a li"),
        ] {
            let mut answers = right.clone();
            answers[number] = wrong;
            let text: Vec<_> = answers
                .iter()
                .filter(|line| !line.is_empty())
                .cloned()
                .collect();
            let error = check(&boards, Installed::Libcamera, &text.join("\n")).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
