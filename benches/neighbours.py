#!/usr/bin/env python3
"""How a healthy endpoint fares beside dead ones: the time from a row complete on disk to its request
received, alone and with others that refuse connections, never answer, or answer 503; in turn, in one run.

    cargo build --release && python3 benches/neighbours.py [--dead 32] [--rate 200] [--seconds 10] [--rounds 3]

Prints figures; judges nothing. The budget is a p99 beside them within 10 % of that alone.
"""

import argparse
import asyncio
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile

from drain import BINARY, cpu_seconds, status_kib
from latency import Receiver, write_rows


class Unwell(asyncio.Protocol):
    """Answers 503 to whatever comes."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dead", type=int, default=32)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if not os.path.exists(BINARY):
        sys.exit(f"{BINARY} is not there; run cargo build --release first")
    asyncio.run(bench(arguments))


async def bench(arguments):
    loop = asyncio.get_running_loop()
    healthy = await loop.create_server(Receiver, "127.0.0.1", 0)
    unwell = await loop.create_server(Unwell, "127.0.0.1", 0)
    # Connects, and is never served.
    silent = socket.create_server(("127.0.0.1", 0), backlog=1024)
    refusing = socket.create_server(("127.0.0.1", 0))
    refused = refusing.getsockname()[1]
    refusing.close()
    ports = [refused, silent.getsockname()[1], unwell.sockets[0].getsockname()[1]]
    alone, beside = [], []
    for number in range(1, arguments.rounds + 1):
        for dead, figures in ((0, alone), (arguments.dead, beside)):
            with tempfile.TemporaryDirectory(prefix="switchhook-neighbours-") as directory:
                urls = [ports[index % len(ports)] for index in range(dead)]
                figures.append(await measure(arguments, directory, healthy.sockets[0].getsockname()[1], urls))
            p50, p99, cpu, mib = figures[-1]
            print(f"round {number}: {dead} dead beside: ms p50 {p50:.2f} p99 {p99:.2f}, cpu {cpu:.1f} % of a core, peak {mib:.1f} MiB", flush=True)
    p99 = [statistics.median(figure[1] for figure in figures) for figures in (alone, beside)]
    print(f"median p99: alone {p99[0]:.2f} ms, beside {arguments.dead} dead {p99[1]:.2f} ms, ratio {p99[1] / p99[0]:.2f}")


async def measure(arguments, directory, port, dead):
    Receiver.arrived.clear()
    os.mkdir(os.path.join(directory, "cdr"))
    config = os.path.join(directory, "switchhook.toml")
    endpoint = '[[endpoint]]\nname = "{}"\nurl = "http://127.0.0.1:{}/"\nevents = ["cdr"]\nsecret = "bench"\n'
    with open(config, "w") as file:
        file.write(
            f'node = "bench"\nstate_dir = "{directory}/state"\n[log]\nto = "stderr"\n'
            f'[[source]]\nname = "cdr"\nformat = "vos3000-csv"\nfiles = ["{directory}/cdr/*.csv"]\nstart = "beginning"\n'
        )
        file.write(endpoint.format("healthy", port))
        for index, other in enumerate(dead):
            file.write(endpoint.format(f"dead{index}", other))
    agent = subprocess.Popen([BINARY, "run", "--config", config], stderr=subprocess.DEVNULL)
    path, written = os.path.join(directory, "cdr", "cdr_1.csv"), {}
    # The first seconds are those in which the others are found to be dead.
    warm = arguments.rate * 3
    await asyncio.sleep(1)
    await write_rows(path, 0, warm, arguments.rate, {})
    cpu = cpu_seconds(agent.pid)
    await write_rows(path, warm, arguments.rate * arguments.seconds, arguments.rate, written)
    cpu = (cpu_seconds(agent.pid) - cpu) / arguments.seconds * 100
    await asyncio.sleep(2)
    missing = [flowno for flowno in written if flowno not in Receiver.arrived]
    if missing:
        sys.exit(f"{len(missing)} rows did not arrive")
    took = sorted((Receiver.arrived[flowno] - at) * 1000 for flowno, at in written.items())
    mib = status_kib(agent.pid, "VmHWM") / 1024
    agent.send_signal(signal.SIGTERM)
    await loop_wait(agent)
    return statistics.median(took), took[int(len(took) * 0.99)], cpu, mib


async def loop_wait(process):
    await asyncio.get_running_loop().run_in_executor(None, process.wait)


if __name__ == "__main__":
    main()
