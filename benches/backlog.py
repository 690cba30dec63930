#!/usr/bin/env python3
"""A backlog on disk: memory while it builds, at a restart, and while it is drained; how soon the first
event goes out after a restart with all of it; how soon the disk comes back.

    cargo build --release && python3 benches/backlog.py [--mib 1024]

A second form keeps the agent busy for long, rows coming in and going out at the same time, and samples
memory and disk meanwhile: both should be flat.

    python3 benches/backlog.py --soak 20000000 [--rate 15000]

Prints figures, with the budget beside them; judges nothing. Everything is written under --dir, the
backlog's rows too: some 2.5 times the backlog are needed there.
"""

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from drain import BINARY, ROW, cpu_seconds, status_kib

MIB = 1 << 20
MEMORY_BUDGET_MIB = 24
DISK_BUDGET_MIB = 32
ROWS_PER_FILE = 100_000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=1024, help="size of the backlog, as measured on disk")
    parser.add_argument("--soak", type=int, metavar="EVENTS", help="soak with so many events instead")
    parser.add_argument("--rate", type=int, default=15_000, help="rows a second of the soak")
    parser.add_argument("--dir", default=None, help="where to write (default: the system's place for such)")
    arguments = parser.parse_args()
    if not os.path.exists(BINARY):
        sys.exit(f"{BINARY} is not there; run cargo build --release first")
    with tempfile.TemporaryDirectory(prefix="switchhook-backlog-", dir=arguments.dir) as directory:
        place = Place(directory)
        soak(arguments, place) if arguments.soak else backlog(arguments, place)


class Place:
    """A directory with a configuration, and the port the receiver has when it is there."""

    def __init__(self, directory):
        self.directory = directory
        self.state = os.path.join(directory, "state")
        self.secret = os.path.join(directory, "secret")
        self.cdr = os.path.join(directory, "cdr")
        self.config = os.path.join(directory, "switchhook.toml")
        self.rows = 0
        os.mkdir(self.cdr)
        with open(os.open(self.secret, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(SECRET)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        with open(self.config, "w") as file:
            file.write(
                f'node = "bench"\nstate_dir = "{self.state}"\n[queue]\ndisk_max = "64GiB"\n[log]\nto = "stderr"\nsummary_every = "1s"\n'
                f'[[source]]\nname = "cdr"\nformat = "vos3000-csv"\nfiles = ["{self.cdr}/*.csv"]\nstart = "beginning"\npoll = "500ms"\n'
                f'[[endpoint]]\nname = "billing"\nurl = "http://127.0.0.1:{self.port}/webhook"\nevents = ["cdr"]\n'
                f'secret_file = "{self.secret}"\nprobe_max = "1s"\n'
            )

    def write_rows(self, count):
        """Adds rows, in files of some ten thousand; those read long ago go, as a switch would have it."""
        while count > 0:
            name = os.path.join(self.cdr, f"cdr_{self.rows // ROWS_PER_FILE:06}.csv")
            here = min(count, ROWS_PER_FILE - self.rows % ROWS_PER_FILE)
            with open(name, "a") as file:
                for number in range(self.rows, self.rows + here):
                    start = 1_775_800_888_533 + number
                    file.write(ROW.format(start=start, stop=start + 147_000, flowno=330_000_000 + number))
            self.rows += here
            count -= here
            old = os.path.join(self.cdr, f"cdr_{self.rows // ROWS_PER_FILE - 3:06}.csv")
            if os.path.exists(old):
                os.remove(old)

    def receiver(self):
        command = [BINARY, "receive", "--quiet", "--listen", f"127.0.0.1:{self.port}", "--secret-file", self.secret]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        process.stdout.readline()
        return process

    def disk_mib(self):
        total = 0
        for parent, _, names in os.walk(self.state):
            for name in names:
                try:
                    total += os.stat(os.path.join(parent, name)).st_blocks * 512
                except OSError:
                    pass
        return total / MIB


class Agent:
    """The agent, its memory sampled ten times a second, its totals as its summaries say them."""

    def __init__(self, place):
        self.read = self.delivered = 0
        self.peak_kib = 0
        self.began = time.monotonic()
        self.process = subprocess.Popen([BINARY, "run", "--config", place.config], stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self.listen, daemon=True).start()
        threading.Thread(target=self.sample, daemon=True).start()

    def listen(self):
        for line in self.process.stderr:
            if "panic" in line or " ERROR " in line:
                print("  agent:", line.strip(), flush=True)
            if found := re.search(r"\bevents=(\d+)", line):
                self.read = int(found[1])
            if found := re.search(r"delivered=(\d+)", line):
                self.delivered = int(found[1])

    def sample(self):
        while self.process.poll() is None:
            self.peak_kib = max(self.peak_kib, status_kib(self.process.pid, "VmRSS"))
            time.sleep(0.1)

    def rss_mib(self):
        return status_kib(self.process.pid, "VmRSS") / 1024

    def take_peak_mib(self):
        peak, self.peak_kib = self.peak_kib / 1024, 0
        return peak

    def cpu(self):
        return cpu_seconds(self.process.pid)

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait()


def wait(what, seconds, is_so, agent):
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > seconds:
            sys.exit(f"waited {seconds} s for {what}")
        if agent.process.poll() is not None:
            sys.exit(f"the agent ended while waiting for {what}")
        time.sleep(0.05)
    return time.monotonic() - began


def backlog(arguments, place):
    agent = Agent(place)
    while place.disk_mib() < arguments.mib:
        place.write_rows(ROWS_PER_FILE)
        # Two files ahead at most: a file must be read before it goes.
        wait("rows to be read", 120, lambda: agent.read >= place.rows - 2 * ROWS_PER_FILE, agent)
    wait("all rows to be read", 120, lambda: agent.read >= place.rows, agent)
    print(f"building: {place.rows:,} events, {place.disk_mib():.0f} MiB on disk, peak {agent.take_peak_mib():.1f} MiB of memory"
          f" (budget {MEMORY_BUDGET_MIB}), {agent.cpu():.1f} s of cpu", flush=True)
    agent.stop(signal.SIGKILL)

    arrived = threading.Event()
    listener = socket.create_server(("127.0.0.1", place.port))
    def take_one():
        connection, _ = listener.accept()
        if connection.recv(4096).startswith(b"POST"):
            arrived.at = time.monotonic()
            arrived.set()
        connection.close()
    threading.Thread(target=take_one, daemon=True).start()
    agent = Agent(place)
    wait("the first event", 60, arrived.is_set, agent)
    first = arrived.at - agent.began
    time.sleep(2)
    print(f"restart after a kill: first event sent after {first:.2f} s (budget 2), peak {agent.take_peak_mib():.1f} MiB", flush=True)
    agent.stop(signal.SIGKILL)
    listener.close()

    receiver = place.receiver()
    agent = Agent(place)
    began = time.monotonic()
    wait("the backlog to be drained", 3_600, lambda: agent.delivered >= place.rows, agent)
    took = time.monotonic() - began
    disk = place.disk_mib()
    back = wait("the disk to come back", 120, lambda: place.disk_mib() < DISK_BUDGET_MIB, agent)
    print(f"draining: {place.rows / took:,.0f} events/s, peak {agent.take_peak_mib():.1f} MiB (budget {MEMORY_BUDGET_MIB}),"
          f" {agent.cpu() / place.rows * 100_000:.2f} s of cpu per 100,000;"
          f" disk {disk:.1f} MiB when the last had gone, below {DISK_BUDGET_MIB} MiB {back:.1f} s later, now {place.disk_mib():.1f}", flush=True)
    agent.stop()
    receiver.send_signal(signal.SIGTERM)
    print("receiver:", receiver.stdout.read().strip().splitlines()[-1])


def soak(arguments, place):
    receiver = place.receiver()
    agent = Agent(place)
    began = said = time.monotonic()
    rss, disks = [], []
    while place.rows < arguments.soak:
        place.write_rows(min(ROWS_PER_FILE, arguments.rate, arguments.soak - place.rows))
        wait("rows to be read", 120, lambda: agent.read >= place.rows - 2 * ROWS_PER_FILE, agent)
        time.sleep(max(0.0, began + place.rows / arguments.rate - time.monotonic()))
        rss.append(agent.rss_mib())
        disks.append(place.disk_mib())
        if time.monotonic() - said > 30:
            said = time.monotonic()
            print(f"{said - began:7.0f} s: {place.rows:,} rows written, {agent.delivered:,} delivered,"
                  f" {rss[-1]:.1f} MiB of memory, {disks[-1]:.1f} MiB of disk", flush=True)
    wait("the last to be delivered", 3_600, lambda: agent.delivered >= place.rows, agent)
    tenth = max(1, len(rss) // 10)
    mean = lambda values: sum(values) / len(values)
    print(f"soaked: {place.rows:,} events in, {agent.delivered:,} delivered in {time.monotonic() - began:.0f} s;"
          f" memory {mean(rss[tenth:2 * tenth] or rss):.1f} MiB early, {mean(rss[-tenth:]):.1f} late, peak {agent.take_peak_mib():.1f};"
          f" disk {mean(disks[tenth:2 * tenth] or disks):.1f} MiB early, {mean(disks[-tenth:]):.1f} late, most {max(disks):.1f};"
          f" {agent.cpu() / place.rows * 100_000:.2f} s of cpu per 100,000")
    agent.stop()
    receiver.send_signal(signal.SIGTERM)
    print("receiver:", receiver.stdout.read().strip().splitlines()[-1])


if __name__ == "__main__":
    main()
