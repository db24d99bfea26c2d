//! Manual pages (man-pages(7)) of command lines. They are committed, in `dist/man`, since programs for another processor
//! can't be asked while packages are made; a test of each program holds its page to its command line.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

/// Set to 1 to write the pages instead of checking them.
const UPDATE: &str = "MOS_UPDATE_MANUAL";
/// What the command line's help says of exit codes, where the page has a section of them.
const CODES: &str = "Exit codes:";

/// A manual page.
#[derive(Debug)]
pub struct Manual {
    command: Command,
    section: &'static str,
    exits: Vec<(String, String)>,
    files: Vec<(String, String)>,
    see_also: Vec<String>,
}

impl Manual {
    /// The page of a command line, in a section of the manual.
    pub fn new(command: Command, section: &'static str) -> Self {
        Self {
            command,
            section,
            exits: Vec::new(),
            files: Vec::new(),
            see_also: Vec::new(),
        }
    }

    /// What an exit code means.
    #[must_use]
    pub fn exit(mut self, code: u8, meaning: &str) -> Self {
        self.exits.push((code.to_string(), meaning.to_owned()));
        self
    }

    /// What a file or folder is for.
    #[must_use]
    pub fn file(mut self, path: &str, meaning: &str) -> Self {
        self.files.push((path.to_owned(), meaning.to_owned()));
        self
    }

    /// Where else to look: another page, as `NAME(SECTION)`, or a file.
    #[must_use]
    pub fn see_also(mut self, what: &str) -> Self {
        self.see_also.push(what.to_owned());
        self
    }

    /// Panics unless the committed page says the same.
    pub fn hold(self) {
        let (name, package) = (self.file_name(), env::var("CARGO_PKG_NAME"));
        let made = self.render().expect("writing to memory");
        let committed = folder().join(&name);
        if env::var_os(UPDATE).is_some() {
            fs::write(&committed, &made).expect("the manual page can be written");
        }
        assert!(
            fs::read_to_string(&committed).is_ok_and(|text| text == made),
            "dist/man/{name} is out of date; write it anew by {UPDATE}=1 cargo test -p {} manual",
            package.unwrap_or_default()
        );
    }

    fn file_name(&self) -> String {
        format!("{}.{}", self.command.get_name(), self.section)
    }

    fn render(self) -> io::Result<String> {
        let command = self.command.disable_help_subcommand(true);
        let mut command = command.subcommand_value_name("COMMAND");
        command.build();
        let (name, version) = (
            command.get_name().to_uppercase(),
            command.get_version().unwrap_or_default().to_owned(),
        );
        let mut page = Roff::new();
        page.control(
            "TH",
            [
                &name,
                self.section,
                // No date: it would be another one each day.
                r#""""#,
                &format!("mos-camera {version}"),
                "mos-camera",
            ],
        );
        let mut text = page.render();

        let about = command.get_long_about().or_else(|| command.get_about());
        let about = about.map(ToString::to_string).unwrap_or_default();
        let man = Man::new(command.clone().long_about(without_codes(&about)));
        text += &part(|to| man.render_name_section(to), Heading::Keep)?;
        text += &part(|to| man.render_synopsis_section(to), Heading::Keep)?;
        text += &part(|to| man.render_description_section(to), Heading::Keep)?;
        text += &part(|to| man.render_options_section(to), Heading::Keep)?;
        if command.has_subcommands() {
            text += ".SH COMMANDS\n";
            subcommands(&command, &mut text)?;
        }
        text += &entries("EXIT STATUS", &self.exits);
        text += &entries("FILES", &self.files);
        if !self.see_also.is_empty() {
            let mut page = Roff::new();
            page.control("SH", ["SEE ALSO"]);
            page.text([roman(self.see_also.join(", "))]);
            text += &body(&page.render(), Heading::Keep);
        }
        Ok(text)
    }
}

/// Where the pages are.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/man")
}

fn without_codes(about: &str) -> String {
    let paragraphs = about.split("\n\n");
    let kept: Vec<_> = paragraphs.filter(|text| !text.starts_with(CODES)).collect();
    kept.join("\n\n")
}

/// All commands below this one, one part each: what they take, then what their help says.
fn subcommands(command: &Command, text: &mut String) -> io::Result<()> {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        // Said once for all of them.
        let own = sub.clone().mut_args(|arg| {
            let everywhere =
                arg.is_global_set() || ["help", "version"].contains(&arg.get_id().as_str());
            arg.hide(everywhere)
        });
        let name = own.get_bin_name().unwrap_or_default().to_owned();
        let has_arguments = own.get_arguments().any(|arg| !arg.is_hide_set());
        let has_more = own.get_after_long_help().is_some() || own.get_after_help().is_some();
        let man = Man::new(own);
        let mut heading = Roff::new();
        heading.control("SS", [name.as_str()]);
        *text += &body(&heading.render(), Heading::Keep);
        *text += &part(|to| man.render_synopsis_section(to), Heading::Drop)?;
        *text += ".PP\n";
        *text += &part(|to| man.render_description_section(to), Heading::Drop)?;
        if has_arguments {
            *text += &part(|to| man.render_options_section(to), Heading::Drop)?;
        }
        if has_more {
            *text += ".PP\n";
            *text += &part(|to| man.render_extra_section(to), Heading::Drop)?;
        }
        subcommands(sub, text)?;
    }
    Ok(())
}

fn entries(heading: &str, all: &[(String, String)]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let mut page = Roff::new();
    page.control("SH", [heading]);
    for (term, meaning) in all {
        page.control("TP", []);
        page.text([bold(term.as_str())]);
        page.text([roman(meaning.as_str())]);
    }
    body(&page.render(), Heading::Keep)
}

/// Whether the heading of a part is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heading {
    Keep,
    Drop,
}

fn part(
    write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    heading: Heading,
) -> io::Result<String> {
    let mut bytes = Vec::new();
    write(&mut bytes)?;
    Ok(body(&String::from_utf8_lossy(&bytes), heading))
}

/// A part without the preamble that every part comes with, with what is between backticks in bold, and with lines that are
/// set in as they are.
fn body(part: &str, heading: Heading) -> String {
    let preamble = Roff::new().render();
    let part = part.strip_prefix(&preamble).unwrap_or(part);
    let lines = part
        .lines()
        .filter(|line| heading == Heading::Keep || !line.starts_with(".SH"));
    let (mut text, mut set_in) = (String::new(), false);
    for line in lines {
        let now = line.starts_with("  ");
        if now != set_in {
            text += if now { ".nf\n" } else { ".fi\n" };
        }
        set_in = now;
        text += &(set_code(line) + "\n");
    }
    if set_in {
        text += ".fi\n";
    }
    text
}

fn set_code(line: &str) -> String {
    if !line.matches('`').count().is_multiple_of(2) {
        return line.replace('`', r"\(ga");
    }
    let mut words = line.split('`');
    let mut text = words.next().unwrap_or_default().to_owned();
    while let (Some(code), Some(rest)) = (words.next(), words.next()) {
        text.extend([r"\fB", code, r"\fR", rest]);
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgAction};

    use super::*;

    #[test]
    fn a_page_has_each_command_once_and_its_own_sections() {
        let add = Command::new("add")
            .about("Add `one`")
            .after_help("Examples:\n  tool add it")
            .arg(Arg::new("it").required(true));
        let json = Arg::new("json")
            .long("json")
            .global(true)
            .action(ArgAction::SetTrue);
        let command = Command::new("tool")
            .version("1.2")
            .about("Does it")
            .long_about("Does it.\n\nExit codes: 0 ok, 7 no")
            .arg(json.help("As JSON"))
            .subcommand(add)
            .subcommand(Command::new("secret").hide(true));
        let manual = Manual::new(command, "1")
            .exit(7, "it can't")
            .file("/run/tool", "its socket")
            .see_also("other(8)");
        assert_eq!(manual.file_name(), "tool.1");
        let text = manual.render().unwrap();
        for wanted in [
            ".TH TOOL 1 \"\" \"mos-camera 1.2\" mos-camera\n.SH NAME\ntool \\- Does it\n",
            ".SS \"tool add\"\n",
            "\nAdd \\fBone\\fR\n",
            "\nExamples:\n.nf\n  tool add it\n.fi\n",
            ".SH \"EXIT STATUS\"\n.TP\n\\fB7\\fR\nit can\\*(Aqt\n.SH FILES\n",
            ".SH \"SEE ALSO\"\nother(8)\n",
        ] {
            assert!(text.contains(wanted), "{wanted:?} in\n{text}");
        }
        assert_eq!(text.matches("As JSON").count(), 1, "{text}");
        for unwanted in ["Exit codes", "secret", "EXTRA", "`"] {
            assert!(!text.contains(unwanted), "{unwanted:?} in\n{text}");
        }
    }
}
