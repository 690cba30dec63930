#!/usr/bin/env python3
"""Programs that are not ours write, rotate, replace and move files; the agent is killed at random; rows are counted.

    tests/strangers.py --binary target/debug/switchhook --seconds 600 --seed 7
    tests/strangers.py --list

Each scene is a directory, a source of its own, and a program that treats the files in it in its own way:
logrotate, the handlers of Python's logging, multilog, svlogd, cronolog, rotatelogs, rsync, sed, ed, tar, mv. A row has
its scene and number in it. In the end every row has to have arrived, with one id; a second time only after
the agent was killed, with the same id; and a row that is missing has to be counted as a gap, which only the scenes
that cut files off or replace them under their writer may have.

A program that is not installed is skipped by name. Exit code 0: the count is exact; 1: it is not.
"""

import argparse
import collections
import gzip
import http.server
import json
import logging
import logging.handlers
import os
import random
import shutil
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
import time

# Rows a second of each scene, on average.
RATE = 25

# Seconds after a start in which a row may come a second time.
EXCUSED = 60


class Receiver:
    """Counts what arrives: per row its ids, and each arrival."""

    def __init__(self):
        self.lock = threading.Lock()
        self.rows = collections.defaultdict(lambda: collections.defaultdict(list))
        self.gaps = collections.Counter()
        self.gaps_unknown = collections.Counter()
        self.gap_rows = collections.Counter()
        self.arrivals = 0
        self.last = time.monotonic()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.take(json.loads(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

            def handle(self):
                # An agent that is killed leaves its connections as they are.
                try:
                    super().handle()
                except ConnectionError:
                    pass

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            request_queue_size = 64

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self.server.server_address[1]

    def take(self, events):
        now = time.monotonic()
        with self.lock:
            self.last = now
            for event in events:
                data = event["data"]
                if event["type"] == "switchhook.source_gap":
                    # While the agent was down another file may have come under an inode it knew: of the one before
                    # it says that rows may be lost, and that it does not know how many.
                    is_known = data["bytes"] is not None or (data["unseen_bytes"] or 0) > 0
                    (self.gaps if is_known else self.gaps_unknown)[data["source"]] += 1
                    self.gap_rows[data["source"]] += data.get("rows") or 0
                    print("gap", json.dumps(data), flush=True)
                    continue
                self.arrivals += 1
                self.rows[data["scene"]][data["n"]].append((data["id"], now))


class Scene:
    """A directory with files, and what is done to them. `write` is called with whole rows, or parts of rows."""

    needs = None          # The program it cannot do without.
    is_root = False       # It mounts something.
    known_limit = None    # Why it cannot be exact.
    may_lose = False      # It loses rows by its nature: they have to be counted as gaps.
    files = "cdr.csv"     # The globs of the source, below the directory.
    rotated = None        # Globs of rotated generations, where they are not derived.
    more = ""             # Further keys of the source.
    pause = (0.3, 3.0)    # Between two rotations, in seconds.

    def __init__(self, base, seed):
        self.name = type(self).__name__.lower()
        self.random = random.Random(f"{seed} {self.name}")
        self.directory = os.path.join(base, self.name)
        os.makedirs(self.directory)
        self.count = 0
        self.rotations = 0
        self.begin()

    def path(self, name):
        return os.path.join(self.directory, name)

    def source(self):
        globs = lambda names: json.dumps([self.path(name) for name in names.split()])
        rotated = "" if self.rotated is None else f"rotated = {globs(self.rotated)}\n"
        return (
            f'[[source]]\nname = "{self.name}"\nfiles = {globs(self.files)}\n{rotated}start = "beginning"\n'
            'format = "delimited"\ndelimiter = ","\nevent = "row"\n'
            'columns = [{ name = "at", type = "time", as = "event_time" }, { name = "scene" }, '
            '{ name = "n", type = "integer" }, { name = "text" }]\n' + self.more + "\n"
        )

    def row(self):
        """The next row, as bytes with its line end."""
        n, self.count = self.count, self.count + 1
        text = "".join(self.random.choices("abcdefgh", k=self.random.choice((0, 5, 40, 300))))
        return f"2026-04-10T14:30:45Z,{self.name},{n},{text}\n".encode()

    def begin(self):
        pass

    def write(self, data):
        raise NotImplementedError

    def rotate(self):
        pass

    def end(self):
        pass

    def leave(self):
        """Takes away what would be left behind, once everything has been counted."""

    def live(self, until):
        """Writes and rotates until then. One thread: what the writer does between two steps is not torn by ours."""
        rotation = time.monotonic() + self.random.uniform(*self.pause)
        while time.monotonic() < until:
            for _ in range(self.random.choice((1, 1, 2, 5, 30))):
                row = self.row()
                if self.may_halve and self.random.random() < 0.15:
                    # Half a row, a pause, perhaps a rotation, and the rest.
                    cut = self.random.randrange(1, len(row))
                    self.write(row[:cut])
                    time.sleep(self.random.choice((0, 0.01, 0.3)))
                    if self.halves_may_be_rotated and self.random.random() < 0.3:
                        self.turn()
                    self.write(row[cut:])
                else:
                    self.write(row)
            time.sleep(self.random.expovariate(RATE / 7))
            if time.monotonic() > rotation:
                self.turn()
                rotation = time.monotonic() + self.random.uniform(*self.pause)
        self.end()

    may_halve = True
    halves_may_be_rotated = False

    def turn(self):
        self.rotations += 1
        self.rotate()


class Kept(Scene):
    """A writer that keeps its file open, and opens it anew when it is told to, once its row is whole."""

    halves_may_be_rotated = True
    is_whole = True
    is_told = False

    def begin(self):
        self.open()

    def open(self):
        if not self.is_whole:
            self.is_told = True
            return
        self.is_told = False
        self.file = open(self.path("cdr.csv"), "ab", buffering=0)

    def write(self, data):
        if self.is_told and self.is_whole:
            self.open()
        self.file.write(data)
        self.is_whole = data.endswith(b"\n")


def logrotate(scene, options):
    config = scene.path(".logrotate.conf")
    with open(config, "w") as out:
        out.write(f"{scene.path('cdr.csv')} {{\n{options}\nmissingok\n}}\n")
    os.chmod(config, 0o644)
    done = subprocess.run(
        ["logrotate", "-f", "-s", scene.path(".logrotate.state"), config], capture_output=True, text=True
    )
    if done.returncode != 0:
        print("logrotate:", scene.name, done.stderr.strip()[-300:], flush=True)


class LogrotateCreate(Kept):
    """Renamed, made anew; the writer goes on in the old file for a while, then opens the new one."""

    needs = "logrotate"
    options = "rotate 40\ncreate 0644"

    def rotate(self):
        logrotate(self, self.options)
        if self.is_whole and self.is_late:
            for _ in range(self.random.choice((0, 0, 1, 9))):
                self.write(self.row())
        self.open()

    is_late = True


class LogrotateCompress(LogrotateCreate):
    """Packed at once, while the writer still has the old file open and idle."""

    options = "rotate 40\ncreate 0644\ncompress"
    halves_may_be_rotated = False
    is_late = False


class LogrotateDelayCompress(LogrotateCreate):
    """Packed one rotation later; the writer finishes its row in the renamed file."""

    options = "rotate 40\ncreate 0644\ncompress\ndelaycompress"


class LogrotateDateext(LogrotateCreate):
    options = "rotate 4000\nnocreate\ndateext\ndateformat -%Y%m%d-%s\ncompress\ndelaycompress"
    pause = (1.1, 4.0)
    halves_may_be_rotated = False


class LogrotateExtension(LogrotateCreate):
    """The date stands before the ending: cdr-20260410-1775800000.csv."""

    options = "rotate 4000\ncreate 0644\ndateext\ndateformat -%Y%m%d-%s\nextension .csv"
    pause = (1.1, 4.0)
    halves_may_be_rotated = False


class LogrotateOlddir(LogrotateCreate):
    options = "rotate 40\ncreate 0644\nolddir old\ncompress\ndelaycompress"
    rotated = "old/cdr.csv.[0-9]*"

    def begin(self):
        os.makedirs(self.path("old"))
        super().begin()


class LogrotateCopytruncate(Kept):
    may_lose = True
    needs = "logrotate"
    options = "rotate 40\ncopytruncate"
    halves_may_be_rotated = False  # Half of the row would be cut off.

    def rotate(self):
        logrotate(self, self.options)


class LogrotateCopytruncateCompress(LogrotateCopytruncate):
    options = "rotate 40\ncopytruncate\ncompress"


class LogrotateCopytruncateDelay(LogrotateCopytruncate):
    options = "rotate 40\ncopytruncate\ncompress\ndelaycompress"


class LogrotateCopy(LogrotateCopytruncate):
    """Copies are made and the file is left alone: it only grows."""

    may_lose = False
    options = "rotate 10\ncopy\ncompress"
    pause = (2, 10)


class Reopened(Scene):
    """A writer that opens the file for each write, as Asterisk does for its CDRs."""

    def write(self, data):
        with open(self.path("cdr.csv"), "ab", buffering=0) as out:
            out.write(data)


class LogrotateReopened(Reopened):
    needs = "logrotate"

    def rotate(self):
        logrotate(self, "rotate 40\nnocreate\ncompress\ndelaycompress")


class RemovedAndMade(Reopened):
    """`mv cdr.csv cdr.csv.1` over the one before: two generations only, and quickly used inodes."""

    pause = (12, 20)  # What is overwritten while the agent is down is gone.

    def rotate(self):
        if os.path.exists(self.path("cdr.csv")):
            os.rename(self.path("cdr.csv"), self.path("cdr.csv.1"))


class PythonRotating(Scene):
    """logging.handlers.RotatingFileHandler."""

    def begin(self):
        self.handler = self.make()
        self.held = b""

    def make(self):
        return logging.handlers.RotatingFileHandler(self.path("cdr.csv"), maxBytes=9000, backupCount=40)

    def write(self, data):
        self.held += data
        if self.held.endswith(b"\n"):
            line, self.held = self.held[:-1].decode(), b""
            before = os.stat(self.path("cdr.csv")).st_ino if os.path.exists(self.path("cdr.csv")) else 0
            self.handler.emit(logging.LogRecord("cdr", logging.INFO, "", 0, line, None, None))
            self.rotations += before != os.stat(self.path("cdr.csv")).st_ino

    def turn(self):
        pass

    def end(self):
        self.handler.close()


class PythonTimed(PythonRotating):
    """TimedRotatingFileHandler, a file for each second."""

    def make(self):
        return logging.handlers.TimedRotatingFileHandler(self.path("cdr.csv"), when="S", interval=1, backupCount=400)


class PythonPacked(PythonRotating):
    """The same handler, with the rotator of Python's own cookbook: generations are packed by the writer."""

    def make(self):
        handler = super().make()
        handler.namer = lambda name: name + ".gz"

        def rotator(source, target):
            with open(source, "rb") as plain, gzip.open(target, "wb") as packed:
                shutil.copyfileobj(plain, packed)
            os.remove(source)

        handler.rotator = rotator
        return handler


class Piped(Scene):
    """A writer whose rows go through a program that writes and rotates the files."""

    def command(self):
        raise NotImplementedError

    def begin(self):
        self.setup()
        self.program = subprocess.Popen(self.command(), stdin=subprocess.PIPE, bufsize=0, start_new_session=True)

    def setup(self):
        pass

    def write(self, data):
        self.program.stdin.write(data)

    def turn(self):
        pass

    def end(self):
        self.program.stdin.close()
        self.program.wait()
        self.rotations = len(os.listdir(self.directory))


class Multilog(Piped):
    needs = "multilog"
    files = "current"
    rotated = "@*"

    def command(self):
        return ["multilog", "s4096", "n5000", self.directory]


class Svlogd(Piped):
    needs = "svlogd"
    files = "current"
    rotated = "@*"

    def setup(self):
        with open(self.path("config"), "w") as out:
            out.write("s4096\nn0\n")

    def command(self):
        return ["svlogd", self.directory]


class SvlogdPacked(Svlogd):
    """The generations go through gzip, and have an ending of svlogd's own."""


    def setup(self):
        with open(self.path("config"), "w") as out:
            out.write("s4096\nn0\n!gzip\n")


class Cronolog(Piped):
    """A file for each second. What it reads at a time goes into one file, so that half a row would end in another."""

    may_halve = False
    needs = "cronolog"
    files = "2*.csv"

    def command(self):
        return ["cronolog", "-S", self.path("current"), self.path("%Y%m%d%H%M%S.csv")]


class Rotatelogs(Piped):
    may_halve = False
    needs = "rotatelogs"
    files = "cdr.[0-9]*"

    def command(self):
        return ["rotatelogs", "-L", self.path("cdr.latest"), self.path("cdr.%s"), "2"]


class RotatelogsSize(Piped):
    """A few files in turn: each is cut off when its turn comes again, after minutes."""

    may_halve = False
    needs = "rotatelogs"
    files = "cdr.csv cdr.csv.[0-9]*"

    def command(self):
        return ["rotatelogs", "-n", "400", self.path("cdr.csv"), "4K"]


class Elsewhere(Scene):
    """Files are written elsewhere, and come when they are whole."""

    files = "cdr_*.csv"
    held = b""
    number = 0

    def begin(self):
        self.elsewhere = self.directory + ".elsewhere"
        os.makedirs(self.elsewhere)

    def write(self, data):
        self.held += data

    def rotate(self):
        if not self.held.endswith(b"\n"):
            return
        self.number += 1
        name = f"cdr_{self.number:06}.csv"
        with open(os.path.join(self.elsewhere, name), "wb") as out:
            out.write(self.held)
        self.held = b""
        self.bring(name)

    def bring(self, name):
        raise NotImplementedError

    def end(self):
        self.turn()


class MovedIn(Elsewhere):
    def bring(self, name):
        subprocess.run(["mv", os.path.join(self.elsewhere, name), self.path(name)], check=True)


class MovedInFromAnotherDisk(Elsewhere):
    """mv copies there: the file grows under its final name."""

    needs = "mv"

    def begin(self):
        self.elsewhere = tempfile.mkdtemp(dir="/dev/shm")

    def bring(self, name):
        subprocess.run(["mv", os.path.join(self.elsewhere, name), self.path(name)], check=True)

    def end(self):
        super().end()
        shutil.rmtree(self.elsewhere)


class Tarred(Elsewhere):
    """Unpacked with the times of years ago."""

    needs = "tar"

    def bring(self, name):
        old = self.random.randrange(1_000_000_000, 1_700_000_000)
        os.utime(os.path.join(self.elsewhere, name), (old, old))
        archive = os.path.join(self.elsewhere, "a.tar")
        subprocess.run(["tar", "-cf", archive, "-C", self.elsewhere, name], check=True)
        subprocess.run(["tar", "-xf", archive, "-C", self.directory], check=True)


class LinkedIn(Elsewhere):
    """Each file gets a second name, in and out of the glob, and loses the first."""

    def bring(self, name):
        there = os.path.join(self.elsewhere, name)
        os.link(there, self.path(name))
        if self.random.random() < 0.5:
            os.link(there, self.path(name.replace(".csv", "_too.csv")))
        if self.random.random() < 0.5:
            os.unlink(there)


class Rsynced(Scene):
    """A file that grows on another machine is copied over again and again: each copy is a new file with the old name."""

    needs = "rsync"
    options = ["-t"]
    pause = (0.3, 1.5)
    halves_may_be_rotated = True

    def begin(self):
        self.elsewhere = self.directory + ".elsewhere"
        os.makedirs(self.elsewhere)
        self.file = open(os.path.join(self.elsewhere, "cdr.csv"), "ab", buffering=0)

    def write(self, data):
        self.file.write(data)

    def rotate(self):
        subprocess.run(["rsync", *self.options, os.path.join(self.elsewhere, "cdr.csv"), self.directory + "/"], check=True)

    def end(self):
        self.turn()


class RsyncedInPlace(Rsynced):
    options = ["-t", "--inplace", "--no-whole-file"]


class RsyncedAppended(Rsynced):
    options = ["-t", "--append"]


class RsyncedDirectory(Rsynced):
    """A directory of hourly files is copied over and over, with what is gone there deleted here later."""

    files = "cdr_*.csv"
    number = 0

    def begin(self):
        self.elsewhere = self.directory + ".elsewhere"
        os.makedirs(self.elsewhere)
        self.next()

    def next(self):
        self.number += 1
        self.file = open(os.path.join(self.elsewhere, f"cdr_{self.number:06}.csv"), "ab", buffering=0)

    def rotate(self):
        subprocess.run(["rsync", "-rt", "--delete", self.elsewhere + "/", self.directory + "/"], check=True)
        if self.random.random() < 0.3 and self.whole:
            self.next()
        if self.number > 30:
            gone = os.path.join(self.elsewhere, f"cdr_{self.number - 30:06}.csv")
            if os.path.exists(gone):
                os.unlink(gone)

    whole = True

    def write(self, data):
        super().write(data)
        self.whole = data.endswith(b"\n")


class SedInPlace(Reopened):
    """`sed -i` makes a new file of the same rows, with the old name; nobody writes meanwhile."""

    needs = "sed"
    pause = (0.5, 4.0)

    def rotate(self):
        if os.path.exists(self.path("cdr.csv")):
            subprocess.run(["sed", "-i", "s/nothing/else/", self.path("cdr.csv")], check=True)
        if os.path.exists(self.path("cdr.csv")) and os.path.getsize(self.path("cdr.csv")) > 200_000:
            os.rename(self.path("cdr.csv"), self.path(f"cdr.csv.{self.rotations}"))


class Edited(Reopened):
    """`ed` reads the file and writes it back, into the same inode."""

    needs = "ed"
    pause = (0.5, 4.0)

    def rotate(self):
        if os.path.exists(self.path("cdr.csv")):
            edit = subprocess.run(["ed", "-s", self.path("cdr.csv")], input=b"w\nq\n", capture_output=True)
            assert edit.returncode == 0, edit
        if os.path.exists(self.path("cdr.csv")) and os.path.getsize(self.path("cdr.csv")) > 200_000:
            os.rename(self.path("cdr.csv"), self.path(f"cdr.csv.{self.rotations}"))


class VimEdited(Edited):
    """vim's way: the old file is renamed to a backup, a new one written, the backup deleted."""

    needs = "vim"

    def rotate(self):
        path, backup = self.path("cdr.csv"), self.path("cdr.csv~")
        if not os.path.exists(path):
            return
        with open(path, "rb") as whole:
            rows = whole.read()
        os.rename(path, backup)
        with open(path, "wb") as new:
            new.write(rows)
        os.unlink(backup)
        if len(rows) > 200_000:
            os.rename(path, self.path(f"cdr.csv.{self.rotations}"))


class Linked(Kept):
    """The file has a second name within the globs."""

    files = "cdr*.csv"

    def open(self):
        super().open()
        os.link(self.path("cdr.csv"), self.path(f"cdr_{self.rotations:06}.csv"))

    def rotate(self):
        if self.is_whole:
            os.unlink(self.path("cdr.csv"))
            self.open()


class ThroughALink(Scene):
    """`current` leads to the file of the hour; the writer writes through it, and leads it on."""

    files = "current"
    rotated = "hour_*"
    halves_may_be_rotated = False

    def begin(self):
        self.rotate()

    def rotate(self):
        target = self.path(f"hour_{self.rotations:06}")
        open(target, "ab").close()
        os.symlink(target, self.path("current.new"))
        os.rename(self.path("current.new"), self.path("current"))

    def write(self, data):
        with open(self.path("current"), "ab", buffering=0) as out:
            out.write(data)


class HalfThroughALink(ThroughALink):
    """The same by a writer that keeps the file open, and leads the link on before it has finished its row."""

    halves_may_be_rotated = True
    file = None

    def rotate(self):
        super().rotate()
        self.next = True

    def write(self, data):
        if self.file is None or (self.next and self.whole):
            self.file, self.next = open(self.path("current"), "ab", buffering=0), False
        self.file.write(data)
        self.whole = data.endswith(b"\n")


class DirectoryMoved(Reopened):
    """The whole directory is moved away, made anew, and moved to where generations are kept."""

    files = "live/cdr.csv"
    rotated = "kept/*/cdr.csv"

    def begin(self):
        os.makedirs(self.path("live"))
        os.makedirs(self.path("kept"))

    def write(self, data):
        with open(self.path("live/cdr.csv"), "ab", buffering=0) as out:
            out.write(data)

    def rotate(self):
        os.rename(self.path("live"), self.path(f"kept/{self.rotations:06}"))
        os.makedirs(self.path("live"))


class Preallocated(Scene):
    """Room is made before rows are written into it, and cut off when the file is full; on a network, too, a file's
    length may come before its bytes."""

    files = "cdr_*.csv"
    number = 0
    file = None
    at = 0

    def begin(self):
        self.rotate()

    def rotate(self):
        if self.file is not None:
            self.file.truncate(self.at)
            self.file.close()
        self.number += 1
        self.file = open(self.path(f"cdr_{self.number:06}.csv"), "wb", buffering=0)
        self.at = 0

    def write(self, data):
        if self.at + len(data) > os.fstat(self.file.fileno()).st_size:
            self.file.truncate(self.at + len(data) + 20_000)
        if self.random.random() < 0.1:
            time.sleep(0.05)
        os.pwrite(self.file.fileno(), data, self.at)
        self.at += len(data)

    def end(self):
        self.rotate()


class LateBytes(Scene):
    """A file's length is there before its bytes are, as on a network file system: zeros first, the rows a moment later."""

    pause = (2, 9)

    def begin(self):
        self.file = open(self.path("cdr.csv"), "wb", buffering=0)
        self.at = 0

    def write(self, data):
        self.file.truncate(self.at + len(data))
        if self.random.random() < 0.2:
            time.sleep(self.random.choice((0.001, 0.01, 0.1)))
        os.pwrite(self.file.fileno(), data, self.at)
        self.at += len(data)

    def rotate(self):
        os.rename(self.path("cdr.csv"), self.path(f"cdr.csv.{self.rotations}"))
        self.begin()


SCENES = [
    LogrotateCreate, LogrotateCompress, LogrotateDelayCompress, LogrotateDateext, LogrotateExtension, LogrotateOlddir,
    LogrotateCopytruncate, LogrotateCopytruncateCompress, LogrotateCopytruncateDelay, LogrotateCopy, LogrotateReopened,
    RemovedAndMade, PythonRotating, PythonTimed, PythonPacked, Multilog, Svlogd, SvlogdPacked, Cronolog, Rotatelogs,
    RotatelogsSize, MovedIn, MovedInFromAnotherDisk, Tarred, LinkedIn, Rsynced, RsyncedInPlace, RsyncedAppended,
    RsyncedDirectory, SedInPlace, Edited, VimEdited, Linked, ThroughALink, HalfThroughALink, DirectoryMoved,
    Preallocated, LateBytes,
]


class Agent:
    """The agent, killed and started again at random."""

    def __init__(self, binary, base, seed):
        self.binary, self.base = binary, base
        self.random = random.Random(f"{seed} agent")
        self.kills, self.stops, self.starts = 0, 0, []
        self.log = open(os.path.join(base, "agent.log"), "ab")
        self.start()

    def start(self):
        self.starts.append(time.monotonic())
        # Without the rights over files that root has: a mode holds for it, as for the user it usually runs as.
        bound = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
        self.process = subprocess.Popen(
            [*bound, self.binary, "run", "--config", os.path.join(self.base, "switchhook.toml")],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log,
        )
        if os.geteuid() == 0:
            # Writers that get more of the machine than the agent delete files it had no chance to open.
            os.setpriority(os.PRIO_PROCESS, self.process.pid, 0)

    def live(self, until, calm):
        while time.monotonic() < until:
            time.sleep(self.random.choice((0.3, 2, 6, 12)) * self.random.random() if not calm else 5)
            if calm:
                continue
            if self.process.poll() is not None:
                raise SystemExit(f"the agent ended by itself with {self.process.returncode}: see {self.log.name}")
            how = self.random.random()
            if how < 0.15:
                self.process.send_signal(signal.SIGSTOP)
                time.sleep(self.random.uniform(0.1, 2))
                self.process.send_signal(signal.SIGCONT)
                continue
            if how < 0.3:
                self.stops += 1
                self.process.terminate()
            else:
                self.kills += 1
                self.process.kill()
            self.process.wait()
            time.sleep(self.random.choice((0, 0, 0.2, 1.5)) * self.random.random())
            self.start()
            if self.random.random() < 0.2:
                # And once more while it starts.
                time.sleep(self.random.choice((0.02, 0.1, 0.3)) * self.random.random())
                self.kills += 1
                self.process.kill()
                self.process.wait()
                self.start()

    def stop(self):
        self.process.terminate()
        return self.process.wait()

    def ask(self, *arguments):
        done = subprocess.run(
            [self.binary, *arguments, "--config", os.path.join(self.base, "switchhook.toml")], capture_output=True, text=True
        )
        return done.stdout


def configure(base, scenes, port):
    with open(os.path.join(base, "switchhook.toml"), "w") as out:
        out.write(
            'node = "strangers"\nstate_dir = "state"\ncontrol_socket = "control.sock"\n'
            '[queue]\nfree_min = "1MiB"\nfree_inodes_min = 0\n[log]\nto = "stderr"\n\n'
        )
        for scene in scenes:
            out.write(scene.source() + "\n")
        out.write(
            f'[[endpoint]]\nname = "count"\nurl = "http://127.0.0.1:{port}/"\nevents = ["*"]\nsignature = "none"\n'
            'batch = { max_events = 200, max_bytes = "1MiB", max_wait = "50ms" }\n'
        )


def ranges(numbers):
    """Sorted numbers as a few ranges: 3-7, 12."""
    found = []
    for n in numbers:
        if found and found[-1][1] == n - 1:
            found[-1][1] = n
        else:
            found.append([n, n])
    told = ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in found[:8])
    return told + (f" and {len(found) - 8} more ranges" if len(found) > 8 else "")


def verdict(scenes, receiver, agent):
    """Prints what became of each scene; whether all of it is as it should be."""
    is_exact = True
    print(f"{'scene':32}{'rows':>8}{'turns':>7}{'missing':>9}{'gaps':>6}{'?':>4}{'about':>7}{'repeats':>9}{'ids':>5}  verdict")
    for scene in scenes:
        rows = receiver.rows[scene.name]
        missing = [n for n in range(scene.count) if n not in rows]
        unknown = [n for n in rows if not 0 <= n < scene.count]
        two_ids = [n for n, came in rows.items() if len({id for id, _ in came}) > 1]
        repeats = sum(len(came) - 1 for came in rows.values())
        # A repeat is excused by a kill shortly before it: until then what was not committed is read again.
        strange = [
            n for n, came in rows.items()
            for _, at in came[1:]
            if not any(0 <= at - start < EXCUSED for start in agent.starts[1:])
        ]
        gaps = receiver.gaps[scene.name]
        faults = []
        unknown_gaps = receiver.gaps_unknown[scene.name]
        if missing and not (scene.may_lose and gaps + unknown_gaps):
            faults.append(f"lost {ranges(missing)}")
        if unknown:
            faults.append(f"unknown {unknown[:5]}")
        if two_ids:
            faults.append(f"two ids {two_ids[:5]}")
        if strange:
            faults.append(f"repeated without a kill {strange[:5]}")
        if not missing and gaps and not scene.may_lose:
            faults.append("gaps told where none was")
        is_exact &= not faults or scene.known_limit is not None
        said = "; ".join(faults) or "exact"
        if faults and scene.known_limit:
            said += f" (known: {scene.known_limit})"
        print(
            f"{scene.name:32}{scene.count:8}{scene.rotations:7}{len(missing):9}{gaps:6}{unknown_gaps:4}"
            f"{receiver.gap_rows[scene.name]:7}{repeats:9}{len(two_ids):5}  {said}"
        )
    return is_exact


def main():
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--binary", default="target/debug/switchhook")
    parse.add_argument("--seconds", type=float, default=60)
    parse.add_argument("--seed", type=int, default=int(time.time()))
    parse.add_argument("--scenes", help="names of scenes, with commas between (default: all)")
    parse.add_argument("--calm", action="store_true", help="the agent is not killed")
    parse.add_argument("--keep", action="store_true", help="the directory is left there")
    parse.add_argument("--more", action="store_true", help="the scenes of strangers_more.py")
    parse.add_argument("--list", action="store_true")
    settings = parse.parse_args()
    chosen = SCENES
    if settings.more:
        import strangers_more

        chosen = strangers_more.SCENES
    if settings.scenes:
        wanted = settings.scenes.lower().split(",")
        chosen = [scene for scene in chosen if scene.__name__.lower() in wanted]
    if settings.list:
        for scene in chosen:
            print(f"{scene.__name__.lower():32}{(scene.__doc__ or '').strip()}")
        return 0
    there = []
    for scene in chosen:
        if scene.needs is not None and not shutil.which(scene.needs):
            print(f"SKIPPED strangers {scene.__name__.lower()}: {scene.needs} is not installed")
        elif scene.is_root and os.geteuid() != 0:
            print(f"SKIPPED strangers {scene.__name__.lower()}: it mounts a file system, which root alone may")
        else:
            there.append(scene)
    print(f"seed {settings.seed}, {settings.seconds:.0f} s, {len(there)} scenes", flush=True)
    base = tempfile.mkdtemp(prefix="strangers-")
    receiver = Receiver()
    scenes = [scene(base, settings.seed) for scene in there]
    configure(base, scenes, receiver.port)
    agent = Agent(os.path.abspath(settings.binary), base, settings.seed)
    until = time.monotonic() + settings.seconds
    threads = [threading.Thread(target=scene.live, args=(until,)) for scene in scenes]
    for thread in threads:
        thread.start()
    agent.live(until, settings.calm)
    for thread in threads:
        thread.join()
    expected = sum(scene.count for scene in scenes)
    patience = time.monotonic() + 120
    while time.monotonic() < patience:
        with receiver.lock:
            arrived = sum(len(rows) for rows in receiver.rows.values())
            quiet = time.monotonic() - receiver.last
        if quiet > (6 if arrived >= expected else 25):
            break
        time.sleep(0.5)
    with open(os.path.join(base, "status.json"), "w") as out:
        out.write(agent.ask("status", "--json"))
    with open(os.path.join(base, "sources.txt"), "w") as out:
        out.write(agent.ask("sources"))
    code = agent.stop()
    for scene in scenes:
        scene.leave()
    is_exact = verdict(scenes, receiver, agent)
    rotations = sum(scene.rotations for scene in scenes)
    print(
        f"{expected} rows, {rotations} rotations, {agent.kills} kills, {agent.stops} stops, "
        f"{receiver.arrivals} arrivals, the agent ended with {code}"
    )
    is_exact &= code == 0
    with open(os.path.join(base, "agent.log"), errors="replace") as log:
        if "panicked" in log.read():
            print("the agent panicked")
            is_exact = False
    if is_exact and not settings.keep:
        shutil.rmtree(base)
    else:
        print(f"kept: {base}; again with --seed {settings.seed}")
    return 0 if is_exact else 1


if __name__ == "__main__":
    # As a module, of which the further scenes are made too.
    import strangers

    sys.exit(strangers.main())
