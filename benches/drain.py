#!/usr/bin/env python3
"""Drain of a backlog to one endpoint, one signed request per event, beside wrk's rate against the
same receiver with the same body, in one run: rounds of both in turn, medians and their ratio.

    cargo build --release && python3 benches/drain.py [--rows 200000] [--rounds 3] [--tls] [--profile standard] [--batch N]
    python3 benches/drain.py --sweep                 1, 16 and 64 connections, on plain HTTP and on TLS, in one run

Needs wrk on the path. Prints one line per round and a summary; judges nothing.
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
BINARY = os.environ.get("SWITCHHOOK", os.path.join(TARGET, "release", "switchhook"))

ROW = (
    '"12025550117","12025550117","447700900999","900447700900999","192.0.2.12","g729","GW-IN-CLIENT002",'
    '"Asterisk PBX","12025550117",1,"203.0.113.22","g729","GW-OUT-UK-B","","447700900999",1,1,5,0,{start},{stop},'
    '8802,8502,147,"",180,0.0368,0.0,0.0,0,0.0,0.0,"CLIENT002","Client Two GmbH","44",0.0,0.0,0.0,0,"","",{flowno},'
    '"MBX3000",6288012166477870001,"13b258a1@192.0.2.12","13b258a8@203.0.113.5",1,1,200,0,0,-1\n'
)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="length of each of wrk's rounds")
    parser.add_argument("--concurrency", default="auto", help="of the endpoint; wrk has as many connections, and 16 beside auto")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--sweep", action="store_true", help="all of 1, 16, 64 connections with and without TLS")
    parser.add_argument("--batch", type=int, default=0, help="events in one request; wrk still sends one")
    parser.add_argument("--profile", default="standard", choices=["standard", "vos3000"])
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not on the path; it is the yardstick of this measurement")
    if not os.path.exists(BINARY):
        sys.exit(f"{BINARY} is not there; run cargo build --release first")
    kinds = [(arguments.concurrency, arguments.tls)]
    if arguments.sweep:
        kinds = [(connections, tls) for tls in (False, True) for connections in (1, 16, 64)]
    for arguments.concurrency, arguments.tls in kinds:
        if arguments.sweep:
            print(f"{arguments.concurrency} connections, {'TLS' if arguments.tls else 'plain HTTP'}", flush=True)
        with tempfile.TemporaryDirectory(prefix="switchhook-drain-") as directory:
            bench(arguments, directory)


def bench(arguments, directory):
    secret = "whsec_" + base64.b64encode(os.urandom(32)).decode()
    secret_file = os.path.join(directory, "secret")
    with open(os.open(secret_file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(secret)
    os.mkdir(os.path.join(directory, "cdr"))
    with open(os.path.join(directory, "cdr", "cdr_1.csv"), "w") as file:
        for row in range(arguments.rows):
            start = 1_775_800_888_533 + row
            file.write(ROW.format(start=start, stop=start + 147_000, flowno=330_000_000 + row))
    drains, yards, cpus = [], [], []
    for number in range(1, arguments.rounds + 1):
        drained = drain(arguments, directory, secret_file)
        yard = wrk(arguments, directory, secret, secret_file)
        drains.append(drained["rate"])
        yards.append(yard)
        cpus.append(drained["cpu"])
        print(
            f"round {number}: drain {drained['rate']:,.0f}/s, cpu {drained['cpu']:.2f} s per 100,000,"
            f" peak {drained['peak_mib']:.1f} MiB, receiver {drained['account']}; wrk {yard:,.0f}/s;"
            f" ratio {drained['rate'] / yard:.2f}",
            flush=True,
        )
    ratio = statistics.median(drain / yard for drain, yard in zip(drains, yards))
    print(f"median: cpu {statistics.median(cpus):.2f} s per 100,000, drain {statistics.median(drains):,.0f}/s, wrk {statistics.median(yards):,.0f}/s, ratio {ratio:.2f}")


def receiver(arguments, directory, secret_file):
    command = [BINARY, "receive", "--quiet", "--listen", "127.0.0.1:0", "--profile", arguments.profile]
    command += ["--secret-file", secret_file]
    for fault in getattr(arguments, "fault", []):
        command += ["--fault", fault]
    if arguments.tls:
        command += ["--tls", "--certificate-out", os.path.join(directory, "ca.pem")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    url = process.stdout.readline().split()[-1]
    return process, url


def account(process):
    process.send_signal(signal.SIGTERM)
    line = process.stdout.read().strip().splitlines()[-1]
    process.wait()
    return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", line)}


def drain(arguments, directory, secret_file):
    state = os.path.join(directory, "state")
    shutil.rmtree(state, ignore_errors=True)
    receiving, url = receiver(arguments, directory, secret_file)
    config = os.path.join(directory, "switchhook.toml")
    concurrency = '"auto"' if arguments.concurrency == "auto" else arguments.concurrency
    with open(config, "w") as file:
        file.write(
            f'node = "bench"\nstate_dir = "{state}"\n[log]\nto = "stderr"\nsummary_every = "1s"\n'
            f'[[source]]\nname = "cdr"\nformat = "vos3000-csv"\nfiles = ["{directory}/cdr/*.csv"]\nstart = "beginning"\n'
            f'[[endpoint]]\nname = "billing"\nurl = "{url}"\nprofile = "{arguments.profile}"\nevents = ["cdr"]\n'
            f'secret_file = "{secret_file}"\nconcurrency = {concurrency}\n'
        )
        if arguments.batch:
            file.write(f'batch = {{ max_events = {arguments.batch} }}\n')
        if arguments.tls:
            file.write(f'ca_file = "{directory}/ca.pem"\n')
    began = time.monotonic()
    agent = subprocess.Popen([BINARY, "run", "--config", config], stderr=subprocess.PIPE, text=True)
    done = threading.Event()
    tail = []

    def listen():
        for line in agent.stderr:
            tail.append(line)
            found = re.search(r"delivered=(\d+)", line)
            if found and int(found[1]) >= arguments.rows:
                done.set()

    threading.Thread(target=listen, daemon=True).start()
    peak_kib, cpu = 0, 0.0
    finished = None
    # The summary line is said each second only: the receiver's side is what is timed, by the
    # bytes it has taken in from the agent's socket, so look at the agent's own cpu going idle.
    idle = 0
    while finished is None and agent.poll() is None:
        time.sleep(0.05)
        before = cpu
        peak_kib = max(peak_kib, status_kib(agent.pid, "VmHWM"))
        cpu = cpu_seconds(agent.pid)
        idle = idle + 1 if cpu - before < 0.005 else 0
        if idle == 0:
            last_busy = time.monotonic()
        if done.is_set() and idle >= 4:
            finished = last_busy
        if time.monotonic() - began > 300:
            sys.exit("the backlog was not drained in 300 s:\n" + "".join(tail[-5:]))
    agent.send_signal(signal.SIGTERM)
    agent.wait()
    counted = account(receiving)
    if counted["distinct"] != arguments.rows:
        sys.exit(f"{arguments.rows} rows, but the receiver has {counted}")
    short = f"distinct={counted['distinct']} duplicates={counted['duplicates']}"
    return {
        "rate": arguments.rows / (finished - began),
        "cpu": cpu / arguments.rows * 100_000,
        "peak_mib": peak_kib / 1024,
        "account": short,
    }


def wrk(arguments, directory, secret, secret_file):
    receiving, url = receiver(arguments, directory, secret_file)
    data = {
        "call_id": "330000000", "caller_id": "12025550117", "called_id": "447700900999",
        "start_time": "2026-04-10T06:01:19.731Z", "answer_time": "2026-04-10T06:01:28.533Z",
        "end_time": "2026-04-10T06:03:55.533Z", "duration": 155, "bill_duration": 180, "rate": "0.012267",
        "cost": "0.0368", "currency": None, "account_id": "CLIENT002", "gateway_id": "GW-IN-CLIENT002",
        "disconnect_reason": "200", "codec": "g729", "callee_gateway_id": "GW-OUT-UK-B", "end_reason": 200,
        "end_direction": 1, "dialled_id": "900447700900999", "caller_ip": "192.0.2.12", "callee_ip": "203.0.113.22",
        "pdd_ms": 8802, "connected": True,
    }
    event_id = "evt_" + "0" * 32
    if arguments.profile == "standard":
        body = {"type": "cdr", "timestamp": data["end_time"], "data": {"id": event_id, "sequence": 1, **data}}
    else:
        body = {"event": "cdr", "timestamp": data["end_time"], "data": data, "id": event_id, "sequence": 1}
    body = json.dumps(body, separators=(",", ":"))
    headers = {"Content-Type": "application/json"}
    if arguments.profile == "standard":
        stamp = str(int(time.time()))
        key = base64.b64decode(secret.removeprefix("whsec_"))
        mac = hmac.new(key, f"{event_id}.{stamp}.{body}".encode(), hashlib.sha256).digest()
        headers |= {"webhook-id": event_id, "webhook-timestamp": stamp}
        headers["webhook-signature"] = "v1," + base64.b64encode(mac).decode()
    else:
        headers["X-VOS3000-Signature"] = hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()
    script = os.path.join(directory, "wrk.lua")
    with open(script, "w") as file:
        file.write(f"wrk.method = 'POST'\nwrk.body = '{body}'\n")
        for name, value in headers.items():
            file.write(f"wrk.headers['{name}'] = '{value}'\n")
    connections = "16" if arguments.concurrency == "auto" else str(arguments.concurrency)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{arguments.seconds}s", "-s", script, url]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    counted = account(receiving)
    if counted["bad_signatures"] or "Non-2xx" in output:
        sys.exit(f"wrk's requests were not accepted: {counted}\n{output}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])


def status_kib(pid, key):
    try:
        with open(f"/proc/{pid}/status") as file:
            return next((int(line.split()[1]) for line in file if line.startswith(key + ":")), 0)
    except OSError:
        return 0


def cpu_seconds(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return 0.0


if __name__ == "__main__":
    main()
