//! `control_socket` and `[metrics]` as written → paths; and where a client finds the socket.

use super::file::Loaded;
use super::place::Place;
use super::problem::Problems;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where the agent listens when the configuration says nothing.
pub const SOCKET_DEFAULT: &str = "/run/switchhook/control.sock";

/// Longest path of a socket, in bytes: `sun_path` of Linux has 108, the last of them 0.
const SOCKET_BYTES_MAX: usize = 107;

/// The path of the socket; the default where none is given, or none that can be used.
pub fn socket(loaded: Option<&Loaded>, problems: &mut Problems) -> PathBuf {
    let default = PathBuf::from(SOCKET_DEFAULT);
    let Some(loaded) = loaded else {
        return default;
    };
    let mut place = Place::new(loaded, "", problems);
    let written = &loaded.file.control_socket;
    let Some(path) = place.path("control_socket", written, &format!("{SOCKET_DEFAULT:?}")) else {
        return default;
    };
    if path.as_os_str().as_bytes().len() > SOCKET_BYTES_MAX {
        let what = format!(
            "the path has more than {SOCKET_BYTES_MAX} bytes, which no socket can have; write like {SOCKET_DEFAULT:?}"
        );
        place.problem("control_socket", written, what);
    }
    path
}

/// The file of figures.
pub fn textfile(loaded: &Loaded, problems: &mut Problems) -> Option<PathBuf> {
    let written = &loaded.file.metrics.as_ref()?.textfile;
    let like = "\"/var/lib/node_exporter/switchhook.prom\"";
    Place::new(loaded, "metrics", problems).path("textfile", written, like)
}

/// Where the agent of the configuration at `path` listens, as far as that can be read.
///
/// Who asks the agent something need not be allowed to read its secrets, nor is a mistake
/// elsewhere in the configuration in the way.
pub fn socket_of(path: &Path) -> PathBuf {
    let mut ignored = Problems::default();
    let given = super::files_of(path, &mut ignored)
        .into_iter()
        .find_map(|file| {
            let text = fs::read_to_string(&file).ok()?;
            let table: toml::Table = text.parse().ok()?;
            let socket = table.get("control_socket")?.as_str()?;
            Some(file.parent().unwrap_or(Path::new("")).join(socket))
        });
    given.unwrap_or_else(|| PathBuf::from(SOCKET_DEFAULT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_finds_the_socket_whatever_else_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("switchhook.toml");
        assert_eq!(socket_of(&path), Path::new(SOCKET_DEFAULT));
        fs::write(&path, "control_socket = \"c.sock\"\nnonsense = 5\n").unwrap();
        assert_eq!(socket_of(&path), dir.path().join("c.sock"));
    }
}
