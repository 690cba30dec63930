#!/usr/bin/env python3
"""Time from a row complete on disk to its request received, durable commit included, at a steady rate;
then for single rows after idle pauses. And the agent's memory and CPU meanwhile, the latter by kind of thread.

    cargo build --release && python3 benches/latency.py [--rate 1000] [--seconds 20] [--idle 10]

Prints figures; judges nothing. The receiver is a bare loop that answers 200 to everything.
"""

import argparse
import asyncio
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from drain import BINARY, ROW, cpu_seconds, status_kib

FLOWNO = 330_000_000


class Receiver(asyncio.Protocol):
    arrived = {}

    def connection_made(self, transport):
        self.transport, self.buffer = transport, b""

    def data_received(self, data):
        now = time.monotonic()
        self.buffer += data
        while True:
            head, mark, rest = self.buffer.partition(b"\r\n\r\n")
            if not mark:
                return
            length = int(re.search(rb"content-length: *(\d+)", head, re.I)[1])
            if len(rest) < length:
                return
            body, self.buffer = rest[:length], rest[length:]
            flowno = int(re.search(rb'"call_id":"(\d+)"', body)[1])
            Receiver.arrived.setdefault(flowno, now)
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


async def write_rows(path, first, count, rate, written):
    began = time.monotonic()
    with open(path, "a", buffering=1) as file:
        for number in range(first, first + count):
            start = 1_775_800_888_533 + number
            file.write(ROW.format(start=start, stop=start + 147_000, flowno=FLOWNO + number))
            written[FLOWNO + number] = time.monotonic()
            due = began + (number - first + 1) / rate
            await asyncio.sleep(max(0, due - time.monotonic()))


def report(name, written):
    missing = [flowno for flowno in written if flowno not in Receiver.arrived]
    if missing:
        sys.exit(f"{len(missing)} rows did not arrive")
    took = sorted((Receiver.arrived[flowno] - at) * 1000 for flowno, at in written.items())
    quantile = lambda share: took[min(len(took) - 1, int(len(took) * share))]
    print(f"{name}: {len(took)} rows, ms p50 {statistics.median(took):.2f} p99 {quantile(0.99):.2f} max {took[-1]:.2f}")


def by_kind(pid):
    """CPU seconds, and how often it gave the processor up, of each kind of thread: `send-billing-3` is a `send-billing`."""
    kinds = {}
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                nanoseconds = int(file.read().split()[0])
            with open(f"/proc/{pid}/task/{thread}/status") as file:
                status = file.read()
        except OSError:
            continue  # it has ended
        kind = re.sub(r"-\d+$", "", re.search(r"^Name:\s+(.*)$", status, re.M)[1])
        switches = sum(map(int, re.findall(r"^(?:non)?voluntary_ctxt_switches:\s+(\d+)$", status, re.M)))
        seconds, before = kinds.get(kind, (0.0, 0))
        kinds[kind] = (seconds + nanoseconds / 1e9, before + switches)
    return kinds


async def measure(arguments, directory):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Receiver, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    os.mkdir(os.path.join(directory, "cdr"))
    config = os.path.join(directory, "switchhook.toml")
    with open(config, "w") as file:
        file.write(
            f'node = "bench"\nstate_dir = "{directory}/state"\n[log]\nto = "stderr"\n'
            f'[[source]]\nname = "cdr"\nformat = "vos3000-csv"\nfiles = ["{directory}/cdr/*.csv"]\nstart = "beginning"\n'
            f'[[endpoint]]\nname = "billing"\nurl = "http://127.0.0.1:{port}/"\nevents = ["cdr"]\nsecret = "bench"\n'
        )
    agent = subprocess.Popen([BINARY, "run", "--config", config], stderr=subprocess.DEVNULL)
    await asyncio.sleep(1)
    print(f"idle: {status_kib(agent.pid, 'VmRSS') / 1024:.1f} MiB resident")
    path, written = os.path.join(directory, "cdr", "cdr_1.csv"), {}
    kinds, cpu, count = by_kind(agent.pid), cpu_seconds(agent.pid), arguments.rate * arguments.seconds
    await write_rows(path, 0, count, arguments.rate, written)
    await asyncio.sleep(1)
    cpu = (cpu_seconds(agent.pid) - cpu) / arguments.seconds * 100
    report(f"at {arguments.rate} rows/s", written)
    print(f"cpu {cpu:.1f} % of one core, {status_kib(agent.pid, 'VmHWM') / 1024:.1f} MiB peak")
    for kind, (seconds, switches) in by_kind(agent.pid).items():
        before = kinds.get(kind, (0.0, 0))
        share, often = (seconds - before[0]) / arguments.seconds * 100, (switches - before[1]) / count
        print(f"  {kind}: {share:.2f} %, {often:.2f} switches a row")
    singles = {}
    for number in range(5):
        await asyncio.sleep(arguments.idle)
        await write_rows(path, count + number, 1, 1_000, singles)
    await asyncio.sleep(1)
    report(f"single rows after {arguments.idle} s of nothing", singles)
    agent.send_signal(signal.SIGTERM)
    agent.wait()
    server.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=1_000)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--idle", type=int, default=10)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="switchhook-latency-") as directory:
        asyncio.run(measure(arguments, directory))


if __name__ == "__main__":
    main()
