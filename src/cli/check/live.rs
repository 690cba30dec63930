//! What `check` shows of a source that is not lines of files.

use super::{Sample, Seen, columns, reading, screen, show};
use crate::config::live::{Folder as FolderConfig, Kind};
use crate::config::{Config, SourceConfig};
use crate::derive::Fate;
use crate::event::filter::Filter;
use crate::folder::{self, Found};
use crate::listen::Protocol;
use crate::source::Start;
use std::fs;
use std::io;
use std::net::{TcpListener, UdpSocket};

/// Shows what there is of `source`; `None` where it is lines of files.
pub(super) fn sample(source: &SourceConfig, config: &Config) -> Option<Sample> {
    match &source.kind {
        Kind::Files => None,
        Kind::Listen(settings) => {
            let bound = match settings.protocol {
                Protocol::Http(_) => TcpListener::bind(settings.listen).map(drop),
                Protocol::Udp => UdpSocket::bind(settings.listen).map(drop),
            };
            let at = format!("{}={}", settings.protocol, settings.listen);
            Some(match bound {
                Ok(()) => {
                    screen::line(format_args!(
                        "{at} can be listened on; what is pushed there is shown by its events only"
                    ));
                    Sample::Fits
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    screen::line(format_args!(
                        "{at} is in use: by the agent itself while it runs, else by another program that has to go"
                    ));
                    Sample::Fits
                }
                Err(error) => {
                    let remedy = match error.kind() {
                        io::ErrorKind::AddrNotAvailable => "; write an address of this machine",
                        io::ErrorKind::PermissionDenied => "; write a port from 1024 on",
                        _ => "",
                    };
                    let what = format!("{at} cannot be listened on: {error}{remedy}");
                    screen::line(screen::styled(screen::BAD, what));
                    Sample::Deaf
                }
            })
        }
        Kind::Recordings { folder, .. } => {
            let (count, sample) = newest(folder, source);
            if let Some(newest) = &sample {
                screen::line(format_args!(
                    "{count} recordings or more; one is {}",
                    newest.path.display()
                ));
            }
            Some(readable(folder, source, count))
        }
        Kind::Directory { folder, .. } => {
            let (count, sample) = newest(folder, source);
            Some(match sample {
                None => readable(folder, source, count),
                Some(found) => document(&found, count, source, config),
            })
        }
    }
}

/// How many files of the folder were found, within its bound, and the youngest of them.
fn newest(folder: &FolderConfig, source: &SourceConfig) -> (usize, Option<Found>) {
    let settings = folder.settings(&source.files.name, Start::Beginning, source.poll);
    let mut found = folder::found_now(settings);
    (found.len(), found.pop())
}

/// Whether the directory itself can be read; says so where nothing was found.
fn readable(folder: &FolderConfig, source: &SourceConfig, count: usize) -> Sample {
    let settings = folder.settings(&source.files.name, Start::Beginning, source.poll);
    let directory = settings.directory.display();
    match fs::read_dir(&settings.directory) {
        Ok(_) => {
            if count == 0 {
                screen::line(format_args!(
                    "no file that the source takes is in {directory} now; it waits for one{}",
                    super::neighbours(&settings.directory)
                ));
            }
            Sample::Fits
        }
        Err(error) => {
            let what = format!("{directory} cannot be read: {}", super::told(&error));
            screen::line(screen::styled(screen::BAD, what));
            Sample::Unreadable
        }
    }
}

/// Shows one document beside its event.
fn document(found: &Found, count: usize, source: &SourceConfig, config: &Config) -> Sample {
    let path = found.path.display();
    screen::line(format_args!(
        "{count} files or more match; sample from {path}"
    ));
    let bytes = match fs::read(&found.path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let what = format!("cannot be read: {}", super::told(&error));
            screen::line(screen::styled(screen::BAD, what));
            return Sample::Unreadable;
        }
    };
    let name = found.path.file_name().unwrap_or_default().to_string_lossy();
    let mut sample = Sample::Fits;
    // A document is shown whether or not it would be told.
    let keep = Filter::default();
    reading::document(
        source,
        &config.node,
        keep,
        &bytes,
        &name,
        |seen| match seen {
            Seen::Record(_, Fate::Misfit(reject), _) | Seen::Rejected(reject) => {
                screen::line(screen::styled(screen::BAD, reject));
                sample = Sample::Misfits;
            }
            Seen::Record(record, _, told) => {
                for row in columns(record) {
                    screen::line(row);
                }
                told.iter().take(1).for_each(show);
            }
            Seen::Unwanted | Seen::Incomplete => {}
        },
    );
    sample
}
