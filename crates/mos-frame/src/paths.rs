//! Where the sockets of the streams live.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Folder of the system-wide service.
const SYSTEM_DIR: &str = "/run/mos-camera/frames";

/// Folder that holds one socket per stream.
///
/// `$MOS_FRAME_DIR` if set; else `/run/mos-camera/frames` if it exists or the caller is root; else
/// `$XDG_RUNTIME_DIR/mos-camera/frames`, so that a user's own service needs no set-up.
pub fn default_dir() -> PathBuf {
    if let Some(dir) = env::var_os("MOS_FRAME_DIR").filter(|d| !d.is_empty()) {
        return dir.into();
    }
    let system = Path::new(SYSTEM_DIR);
    let user = env::var_os("XDG_RUNTIME_DIR").filter(|d| !d.is_empty());
    match user {
        Some(user) if !system.is_dir() && !rustix::process::geteuid().is_root() => {
            Path::new(&user).join("mos-camera/frames")
        }
        _ => system.to_owned(),
    }
}

/// Socket of a stream: `<dir>/<stream>.sock`.
pub fn socket_path(dir: &Path, stream: &str) -> PathBuf {
    dir.join(format!("{stream}.sock"))
}

/// Socket of what a person named: itself if it is a path, with a `/`; else a stream in [`default_dir`].
///
/// `None` if it can be neither: it is empty, `.` or `..`.
pub fn find_socket(stream_or_path: &OsStr) -> Option<PathBuf> {
    let path = Path::new(stream_or_path);
    if stream_or_path.as_encoded_bytes().contains(&b'/') {
        return Some(path.to_owned());
    }
    let mut name = default_dir().join(path.file_name()?).into_os_string();
    name.push(".sock");
    Some(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_one_file_in_the_folder() {
        assert_eq!(
            socket_path(Path::new("/run/x"), "front.left"),
            Path::new("/run/x/front.left.sock")
        );
    }

    #[test]
    fn a_slash_tells_a_path_from_a_stream() {
        let cases = [
            ("./front.sock", Some("./front.sock".into())),
            ("/run/x/front", Some("/run/x/front".into())),
            ("front", Some(default_dir().join("front.sock"))),
            ("", None),
            (".", None),
            ("..", None),
        ];
        for (text, path) in cases {
            assert_eq!(find_socket(OsStr::new(text)), path, "{text}");
        }
    }
}
