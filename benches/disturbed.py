#!/usr/bin/env python3
"""Drain of a backlog to a receiver that answers 500 to two requests in a hundred, beside the same
receiver undisturbed: pairs in one run, medians and their ratio. Nothing may be lost or repeated.

    cargo build --release && python3 benches/disturbed.py [--rows 100000] [--rounds 5] [--fault status=500,rate=0.02]

Prints one line per pair and a summary; ends with 1 when something was lost or repeated.
"""

import argparse
import base64
import os
import statistics
import sys
import tempfile

import drain


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--fault", default="status=500,rate=0.02", help="of `switchhook receive`")
    parser.add_argument("--concurrency", default="auto")
    parser.add_argument("--profile", default="standard", choices=["standard", "vos3000"])
    parser.add_argument("--tls", action="store_true")
    arguments = parser.parse_args()
    arguments.batch = 0
    fault = arguments.fault
    with tempfile.TemporaryDirectory(prefix="switchhook-disturbed-") as directory:
        secret_file = os.path.join(directory, "secret")
        with open(os.open(secret_file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write("whsec_" + base64.b64encode(os.urandom(32)).decode())
        os.mkdir(os.path.join(directory, "cdr"))
        with open(os.path.join(directory, "cdr", "cdr_1.csv"), "w") as file:
            for row in range(arguments.rows):
                start = 1_775_800_888_533 + row
                file.write(drain.ROW.format(start=start, stop=start + 147_000, flowno=330_000_000 + row))
        ratios = []
        for number in range(1, arguments.rounds + 1):
            told = {}
            # In turn, so that neither is always the first.
            for faults in ([], [fault])[:: 1 if number % 2 else -1]:
                arguments.fault = faults
                told[bool(faults)] = drain.drain(arguments, directory, secret_file)
            ratios.append(told[True]["rate"] / told[False]["rate"])
            for drained in told.values():
                if "duplicates=0" not in drained["account"]:
                    sys.exit(f"repeated: {drained['account']}")
            print(
                f"pair {number}: undisturbed {told[False]['rate']:,.0f}/s, disturbed {told[True]['rate']:,.0f}/s,"
                f" cpu per 100,000 {told[False]['cpu']:.2f} s and {told[True]['cpu']:.2f} s"
                f" ({told[True]['account']}); ratio {ratios[-1]:.2f}",
                flush=True,
            )
    print(f"median ratio {statistics.median(ratios):.2f} (budget 0.80) with {fault}")


if __name__ == "__main__":
    main()
