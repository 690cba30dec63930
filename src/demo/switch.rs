//! Switch: a small switch that writes VOS3000 CDR rows into hourly files, as the billing server
//! does: 52 comma-separated columns, a new file each hour, a row when a call ends.
//!
//! Invented calls between numbers kept for fiction; the layout is the one observed by importers.

use crate::clock::UnixMs;
use crate::timestamp::Timestamp;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Customers: account, gateway, price of a minute in ten-thousandths.
const CUSTOMERS: [(&str, &str, u64); 3] = [
    ("CLIENT001", "GW-IN-CLIENT001", 150),
    ("RESELL-07", "GW-IN-RESELL07", 125),
    ("CLIENT003", "GW-IN-CLIENT003", 210),
];

/// Callers, from the ranges kept for fiction.
const CALLERS: [&str; 4] = ["12025550101", "12025550117", "447700900123", "61491570156"];

/// Destinations with their dialled form and the gateway that takes them.
const CALLEES: [(&str, &str, &str); 4] = [
    ("442079460101", "900442079460101", "GW-OUT-UK-A"),
    ("442079460958", "900442079460958", "GW-OUT-UK-B"),
    ("61491570006", "7777#61491570006", "GW-OUT-AU"),
    ("12025550142", "12025550142", "GW-OUT-US"),
];

/// A switch at work.
#[derive(Debug)]
pub struct Switch {
    directory: PathBuf,
    rng: fastrand::Rng,
    hour: i64,
    file: Option<(PathBuf, File)>,
    rows: u64,
}

impl Switch {
    /// A switch that writes into `directory`, its clock showing the hour of `start`. The same
    /// `seed` makes the same calls.
    pub fn new(directory: &Path, start: UnixMs, seed: u64) -> Switch {
        let hour = start.unix_secs().div_euclid(3_600);
        Switch {
            directory: directory.to_owned(),
            rng: fastrand::Rng::with_seed(seed),
            hour,
            file: None,
            rows: 0,
        }
    }

    /// Rows written so far, in all files.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether the next row begins a new file.
    pub fn is_between_files(&self) -> bool {
        self.file.is_none()
    }

    /// The hour turns: the next row goes to a new file.
    pub fn turn_hour(&mut self) {
        self.hour += 1;
        self.file = None;
    }

    /// A call ends: writes its row and returns the file's path.
    ///
    /// # Errors
    ///
    /// When the file cannot be made or written.
    pub fn call_ends(&mut self, now: UnixMs) -> io::Result<&Path> {
        let row = self.row(now);
        let hour = Timestamp::from_secs(self.hour * 3_600);
        let (path, file) = match self.file.take() {
            Some(open) => open,
            None => {
                let digits: String = hour
                    .to_string()
                    .chars()
                    .filter(char::is_ascii_digit)
                    .collect();
                let path = self.directory.join(format!("cdr_{digits}.csv"));
                let file = OpenOptions::new().create(true).append(true).open(&path)?;
                (path, file)
            }
        };
        let (path, file) = self.file.insert((path, file));
        file.write_all(row.as_bytes())?;
        self.rows += 1;
        Ok(path)
    }

    fn row(&mut self, now: UnixMs) -> String {
        let (account, gateway, price) = self.pick(&CUSTOMERS);
        let caller = self.pick(&CALLERS);
        let (callee, dialled, callee_gateway) = self.pick(&CALLEES);
        let answered = self.rng.u8(0..10) < 6;
        let hold_secs = if answered { self.rng.u64(3..600) } else { 0 };
        let fee_secs = hold_secs.div_ceil(60) * 60;
        let fee = price * fee_secs / 60;
        let pdd_ms = self.rng.u64(800..9_000);
        let stop = now.0;
        let start = stop - i64::try_from(hold_secs * 1_000).unwrap_or(0);
        let (reason, direction) = if answered {
            (200, self.rng.u8(0..2))
        } else {
            (self.pick(&[486, 404, 503, -7]), 1)
        };
        let flowno = 330_455_201 + self.rows;
        let mut row = String::with_capacity(600);
        // The columns of the 52-column layout, in order; text quoted, numbers bare.
        let written = writeln!(
            row,
            "\"{caller}\",\"{caller}\",\"{callee}\",\"{dialled}\",\"192.0.2.11\",\"g729\",\"{gateway}\",\"Asterisk PBX\",\
             \"{caller}\",1,\"203.0.113.21\",\"g729\",\"{callee_gateway}\",\"\",\"{callee}\",1,1,5,0,{start},{stop},{pdd_ms},\
             {pdd_ms},{hold_secs},\"\",{fee_secs},{}.{:04},0.0,0.0,0,0.0,0.0,\"{account}\",\"{account}\",\"\",0.0,0.0,0.0,0,\
             \"\",\"\",{flowno},\"MBX3000\",6288012166477870{:03},\"demo{flowno}@192.0.2.11\",\"demo{flowno}@203.0.113.5\",1,\
             {direction},{reason},0,0,-1",
            fee / 10_000,
            fee % 10_000,
            self.rows % 1_000,
        );
        written.expect("a String takes everything");
        row
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        *self
            .rng
            .choice(choices)
            .expect("a switch has customers, callers and destinations")
    }
}
