//! The log as a syslog daemon gets it.

use crate::support::{Bench, PATIENCE, receiver, row, wait_until};
use std::fs;
use std::os::unix::net::UnixDatagram;
use switchhook::receiver::Profile;

fn read(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 4_096];
    let bytes = socket.recv(&mut buffer).unwrap();
    String::from_utf8(buffer[..bytes].to_vec()).unwrap()
}

#[test]
fn transitions_and_summaries_reach_the_daemon_also_after_it_was_away() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Standard, &[], 0);
    let log = format!(
        "[log]\nto = \"syslog\"\nsocket = \"{}\"\nfacility = \"local3\"\nsummary_every = \"1s\"\n",
        bench.path("log").display()
    );
    bench.configure_with(&log, &format!("url = \"{}\"", receiver.url()));
    // The daemon is not there yet: the agent works all the same.
    let agent = bench.agent();
    fs::write(bench.path("cdr/cdr_1.csv"), row(1)).unwrap();
    wait_until("the row to arrive without a daemon", || {
        receiver.account().distinct == 1
    });
    let socket = UnixDatagram::bind(bench.path("log")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut lines = String::new();
    while !lines.contains("summary endpoint=billing state=working delivered=1 queued=0") {
        lines.push_str(&read(&socket));
        lines.push('\n');
    }
    let first = lines.lines().next().unwrap();
    assert!(first.contains("log lines dropped count="), "{lines}");
    assert!(
        first.starts_with("<15") && first.contains(&format!(" switchhook[{}]: ", agent.pid())),
        "{first}"
    );
    // The daemon is restarted: its socket is a new one.
    drop(socket);
    fs::remove_file(bench.path("log")).unwrap();
    let socket = UnixDatagram::bind(bench.path("log")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    while !read(&socket).contains("summary source=cdr rows=1 events=1") {}
    assert_eq!(agent.stop(), 0);
}
