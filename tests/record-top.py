#!/usr/bin/env python3
"""Records a minute of the real program for the picture of `switchhook top` in the README.

An agent reads rows that come in waves and delivers them to three receivers, of which one misbehaves and one
goes down half-way. What `switchhook status --json` says each second is kept in tests/fixtures/top.json; a test
(cli::top::recorded) draws docs/top.svg from it with the program's own view, and compares.

    cargo build && python3 tests/record-top.py && SWITCHHOOK_DRAW=1 cargo test --lib cli::top::recorded
"""

import json
import math
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "target/debug/switchhook")
SECONDS = 62
DOWN_AT = 40
PORTS = {"billing": 18611, "crm": 18612, "archive": 18613}
FAULTS = {"crm": ["status=503,rate=0.05", "delay=40ms"], "archive": ["delay=90ms"]}


def row(number):
    start = 1775800888533 + number * 977
    return (
        f'"12025550117","12025550117","447700900999","900447700900999","192.0.2.12","g729","GW-IN-CLIENT002",'
        f'"Asterisk PBX","12025550117",1,"203.0.113.22","g729","GW-OUT-UK-B","","447700900999",1,1,5,0,{start},{start + 147000},'
        f'8802,8502,147,"",180,0.0368,0.0,0.0,0,0.0,0.0,"CLIENT002","Client Two GmbH","44",0.0,0.0,0.0,0,"","",{number},'
        f'"MBX3000",6288012166477870001,"13b258a1@192.0.2.12","13b258a8@203.0.113.5",1,1,200,0,0,-1\n'
    )


def main():
    with tempfile.TemporaryDirectory() as directory:
        bench = pathlib.Path(directory)
        (bench / "cdr").mkdir()
        secret = bench / "secret"
        secret.touch(mode=0o600)
        secret.write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
        config = f'node = "sw-dhaka-1"\nstate_dir = "state"\ncontrol_socket = "control.sock"\n[log]\nto = "stderr"\n'
        config += f'[[source]]\nname = "cdr"\nformat = "vos3000-csv"\nfiles = ["{bench}/cdr/*.csv"]\nstart = "beginning"\npoll = "200ms"\n'
        receivers = {}
        for name, port in PORTS.items():
            config += f'[[endpoint]]\nname = "{name}"\nurl = "http://127.0.0.1:{port}/webhook"\nevents = ["cdr"]\nsecret_file = "secret"\n'
            command = [PROGRAM, "receive", "--listen", f"127.0.0.1:{port}", "--secret-file", str(secret), "--quiet"]
            for fault in FAULTS.get(name, []):
                command += ["--fault", fault]
            receivers[name] = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        (bench / "switchhook.toml").write_text(config)
        agent = subprocess.Popen([PROGRAM, "run", "--config", str(bench / "switchhook.toml")], stderr=subprocess.DEVNULL)
        looks, number, status = [], 330000000, None
        try:
            began = time.monotonic()
            while time.monotonic() - began < SECONDS:
                second = time.monotonic() - began
                if second > DOWN_AT and "archive" in receivers:
                    receivers.pop("archive").terminate()
                with open(bench / "cdr" / f"cdr_{int(second) // 20}.csv", "a") as file:
                    for _ in range(int(40 + 35 * math.sin(second / 7))):
                        file.write(row(number))
                        number += 1
                asked = subprocess.run(
                    [PROGRAM, "status", "--json", "--config", str(bench / "switchhook.toml")], capture_output=True, text=True
                )
                if asked.stdout:
                    status = json.loads(asked.stdout)
                    latencies = [e["latency_ms"]["p50"] for e in status["endpoints"] if e["latency_ms"]]
                    looks.append({
                        "at_ms": round((time.monotonic() - began) * 1000),
                        "rows": sum(s["rows"] + s["derived"] for s in status["sources"]),
                        "delivered": sum(e["delivered"] for e in status["endpoints"]),
                        "p50_ms": max(latencies, default=0.0),
                    })
                time.sleep(max(0, 1 - (time.monotonic() - began) % 1))
        finally:
            agent.terminate()
            agent.wait()
            for receiver in receivers.values():
                receiver.terminate()
                receiver.wait()
    # Where the recording was made is nobody's business.
    status["disk"]["state_dir"] = "/var/lib/switchhook"
    status["config"]["files"] = ["/etc/switchhook/switchhook.toml"]
    fixture = ROOT / "tests/fixtures/top.json"
    with open(fixture, "w") as file:
        file.write('{\n"looks": [\n')
        file.write(",\n".join(json.dumps(look) for look in looks))
        file.write('\n],\n"status": ' + json.dumps(status, indent=1) + "\n}\n")


main()
