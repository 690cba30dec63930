"""More scenes for strangers.py: what the machines of real switches do to their files.

Rotations of logrotate, savelog, FreeSWITCH and Asterisk, jobs of cron, editors, several writers, disks that fill up or
come late, names, modes and times of files that nobody would think of.
"""

import os
import shutil
import subprocess
import tempfile
import time

from strangers import Elsewhere, Kept, LogrotateCopytruncate, LogrotateCreate, Reopened, Scene


class LogrotateShred(LogrotateCreate):
    """What is deleted is overwritten with noise before, under names of its own: none of that is a row."""

    options = "rotate 40\ncreate 0644\nshred\nshredcycles 1"
    pause = (0.2, 0.6)


class LogrotateShredPacked(LogrotateShred):
    """The same where generations are packed."""

    options = "rotate 20\ncreate 0644\ncompress\nshred\nshredcycles 3"
    halves_may_be_rotated = False
    is_late = False


class LogrotateRenameCopy(LogrotateCreate):
    """Renamed to .tmp, then copied to the name of the generation."""

    options = "rotate 40\nrenamecopy\ncreate 0644"
    halves_may_be_rotated = False
    is_late = False


class LogrotateCreateOlddir(LogrotateCreate):
    options = "rotate 400\ncreate 0644\ncreateolddir 0755 root root\nolddir old\ndateext\ndateformat -%Y%m%d-%s\ncompress\ndelaycompress"
    rotated = "old/cdr.csv-[0-9]*"
    pause = (1.1, 3.0)


class LogrotateMaxage(LogrotateCreate):
    """By size, with a number that begins elsewhere and an ending kept; the writer is told by a script."""

    options = "rotate 60\nsize 1k\nstart 7\naddextension .csv\ncreate 0644\nsu root root\nmaxage 1\nsharedscripts"
    rotated = "cdr.[0-9]*.csv"


class LogrotateXz(LogrotateCreate):
    """Packed by a program that the agent does not undo, one rotation later: by then it has read it, unless it was down."""

    options = "rotate 4000\ncreate 0644\ncompress\ndelaycompress\ncompresscmd /usr/bin/xz\nuncompresscmd /usr/bin/unxz\ncompressext .xz"
    pause = (12, 16)
    halves_may_be_rotated = False


class LogrotateZstd(LogrotateXz):
    needs = "zstd"
    options = "rotate 4000\ncreate 0644\ncompress\ndelaycompress\ncompresscmd /usr/bin/zstd\nuncompresscmd /usr/bin/unzstd\ncompressext .zst\ncompressoptions --rm -q"


class LogrotateEverything(LogrotateCreate):
    """As often as it can be: every rotation renames forty files."""

    options = "rotate 40\ncreate 0644\ncompress\ndelaycompress"
    pause = (0.0, 0.1)


class CopytruncateEverything(LogrotateCopytruncate):
    options = "rotate 40\ncopytruncate"
    pause = (0.0, 0.1)


class Savelog(Reopened):
    """Debian's savelog: a link, a new file, the generation before packed."""

    needs = "savelog"

    def rotate(self):
        if os.path.exists(self.path("cdr.csv")) and os.path.getsize(self.path("cdr.csv")):
            subprocess.run(["savelog", "-q", "-c", "60", self.path("cdr.csv")], check=True, stderr=subprocess.DEVNULL)


class FreeSwitchHup(Kept):
    """mod_cdr_csv: one descriptor for each file, renamed with the second behind its name, then opened anew."""

    files = "*.csv"
    rotated = "*.csv.2*"
    pause = (1.1, 3.0)
    halves_may_be_rotated = False

    def rotate(self):
        if self.is_whole:
            self.file.close()
            os.rename(self.path("cdr.csv"), self.path("cdr.csv." + time.strftime("%Y-%m-%d-%H-%M-%S")))
            self.open()


class FreeSwitchAccounts(Scene):
    """A file for each account beside each other, all of them rotated at once, most of them with a few rows only."""

    files = "*.csv"
    rotated = "*.csv.2*"
    pause = (1.1, 3.0)
    halves_may_be_rotated = False
    at = None

    def begin(self):
        self.open = {}

    def write(self, data):
        self.at = self.at or f"{self.random.randrange(1000, 1040)}.csv"
        if self.at not in self.open:
            self.open[self.at] = open(self.path(self.at), "ab", buffering=0)
        self.open[self.at].write(data)
        if data.endswith(b"\n"):
            self.at = None

    def rotate(self):
        now = time.strftime("%Y-%m-%d-%H-%M-%S")
        for name, file in self.open.items():
            file.close()
            os.rename(self.path(name), self.path(f"{name}.{now}"))
        self.open = {}


class AsteriskSequential(Reopened):
    """logger rotate, the strategy `sequential`: the next free number."""

    def next(self):
        return self.rotations

    def write(self, data):
        with open(self.path("queue_log"), "ab", buffering=0) as out:
            out.write(data)

    files = "queue_log"
    pause = (0.1, 0.8)

    def rotate(self):
        if os.path.exists(self.path("queue_log")):
            os.rename(self.path("queue_log"), self.path(f"queue_log.{self.next()}"))


class AsteriskRotate(AsteriskSequential):
    """The strategy `rotate`: the newest is .0, all others are renamed first."""

    def next(self):
        at = [int(name.rpartition(".")[2]) for name in os.listdir(self.directory) if name != "queue_log"]
        for number in sorted(at, reverse=True):
            if number > 60:
                os.unlink(self.path(f"queue_log.{number}"))
            else:
                os.rename(self.path(f"queue_log.{number}"), self.path(f"queue_log.{number + 1}"))
        return 0


class AsteriskTimestamp(AsteriskSequential):
    """The strategy `timestamp`, with `exec_after_rotate` that packs it."""

    pause = (1.1, 3.0)

    def next(self):
        return int(time.time())

    def rotate(self):
        if os.path.exists(self.path("queue_log")):
            to = self.path(f"queue_log.{self.next()}")
            os.rename(self.path("queue_log"), to)
            subprocess.run(["gzip", "-9", to], check=True)


class CronMoved(Reopened):
    """`mv Master.csv Master-$(date +%Y%m%d%H%M%S).csv`, and what is old deleted by find."""

    pause = (1.1, 3.0)

    def rotate(self):
        if os.path.exists(self.path("cdr.csv")):
            os.rename(self.path("cdr.csv"), self.path(time.strftime("cdr-%Y%m%d%H%M%S.csv")))
            for old in sorted(os.listdir(self.directory))[:-60]:
                os.unlink(self.path(old))


class CronCopied(Reopened):
    """`cp -p cdr.csv cdr.csv.$(date +%s) && : > cdr.csv`, with nobody writing meanwhile."""

    pause = (1.1, 3.0)

    def rotate(self):
        if os.path.exists(self.path("cdr.csv")):
            subprocess.run(f"cp -p cdr.csv cdr.csv.{time.time_ns()} && : > cdr.csv", shell=True, check=True, cwd=self.directory)


class CronPacked(Reopened):
    """`gzip -c cdr.csv > cdr.csv-$(date +%s).gz && rm cdr.csv`."""

    pause = (1.1, 3.0)

    def rotate(self):
        if os.path.exists(self.path("cdr.csv")):
            subprocess.run(f"gzip -c cdr.csv > cdr.csv-{time.time_ns()}.gz && rm cdr.csv", shell=True, check=True, cwd=self.directory)


class CronPackedAndCut(Reopened):
    """`gzip -c cdr.csv > cdr.csv-$(date +%s).gz && : > cdr.csv`."""

    pause = (1.1, 3.0)

    def rotate(self):
        if os.path.exists(self.path("cdr.csv")):
            subprocess.run(f"gzip -c cdr.csv > cdr.csv-{time.time_ns()}.gz && : > cdr.csv", shell=True, check=True, cwd=self.directory)


class CronCut(Reopened):
    """`truncate -s 0`: nothing is left."""

    may_lose = True
    pause = (3, 9)

    def rotate(self):
        subprocess.run(["truncate", "-s", "0", self.path("cdr.csv")], check=True)


class CronTrimmed(Reopened):
    """`tail -n 200 cdr.csv > t && cat t > cdr.csv`: the last rows come to stand at the front of the same file."""

    pause = (9, 15)

    def rotate(self):
        if os.path.exists(self.path("cdr.csv")):
            subprocess.run("tail -n 200 cdr.csv > t && cat t > cdr.csv; rm t", shell=True, check=True, cwd=self.directory)


class CronTrimmedAndMoved(CronTrimmed):
    """The same with `mv t cdr.csv`: another file."""

    def rotate(self):
        if os.path.exists(self.path("cdr.csv")):
            subprocess.run("tail -n 200 cdr.csv > t && mv t cdr.csv", shell=True, check=True, cwd=self.directory)


class CronKeptAndTrimmed(Reopened):
    """`cp cdr.csv cdr.csv-$(date +%s) && tail -n 120 cdr.csv > t && mv t cdr.csv`: each copy begins with rows of the one before."""

    pause = (1.1, 4.0)
    keep = "cp cdr.csv cdr.csv-{}"
    trim = "tail -n 120 cdr.csv > t && mv t cdr.csv"

    def rotate(self):
        if os.path.exists(self.path("cdr.csv")):
            keep = self.keep.format(time.time_ns())
            subprocess.run(f"{keep} && {self.trim}", shell=True, check=True, cwd=self.directory)


class CronKeptAndTrimmedInPlace(CronKeptAndTrimmed):
    """The same with `cat t > cdr.csv`."""

    trim = "tail -n 120 cdr.csv > t && cat t > cdr.csv; rm t"


class CronPackedAndTrimmed(CronKeptAndTrimmed):
    """The same with `gzip -c cdr.csv > cdr.csv-$(date +%s).gz`, and another file."""

    keep = "gzip -c cdr.csv > cdr.csv-{}.gz"


class CronPackedAndTrimmedInPlace(CronKeptAndTrimmedInPlace):
    """And with both."""

    keep = "gzip -c cdr.csv > cdr.csv-{}.gz"


class Daily(Reopened):
    """VOS3000: a file for each hour, in a directory for each day."""

    files = "**/cdr_*.txt"
    hour = 0
    whole = True

    def write(self, data):
        at = self.path(f"day_{self.hour // 24:03}/cdr_{self.hour:05}.txt")
        os.makedirs(os.path.dirname(at), exist_ok=True)
        with open(at, "ab", buffering=0) as out:
            out.write(data)
        self.whole = data.endswith(b"\n")

    def rotate(self):
        if self.whole:
            self.hour += 1


class Weekdays(Scene):
    """A ring of names that are used again, each cut off when its turn comes, after minutes."""

    files = "cdr_*.csv"
    number = 0
    file = None

    def begin(self):
        self.rotate()

    def rotate(self):
        if self.file is not None:
            self.file.close()
        self.number = (self.number + 1) % 40
        self.file = open(self.path(f"cdr_{self.number:03}.csv"), "wb", buffering=0)

    def write(self, data):
        self.file.write(data)


class Appenders(Scene):
    """Four processes write to one file, each whole rows, while it is renamed; each goes on where it is for a while."""

    may_halve = False
    pause = (0.2, 1.0)

    def begin(self):
        self.open = [open(self.path("cdr.csv"), "ab", buffering=0) for _ in range(4)]

    def write(self, data):
        at = self.random.randrange(4)
        if self.random.random() < 0.05:
            self.open[at].close()
            self.open[at] = open(self.path("cdr.csv"), "ab", buffering=0)
        self.open[at].write(data)

    def rotate(self):
        at = [int(name.rpartition(".")[2]) for name in os.listdir(self.directory) if name != "cdr.csv"]
        for number in sorted(at, reverse=True):
            os.rename(self.path(f"cdr.csv.{number}"), self.path(f"cdr.csv.{number + 1}"))
        if os.path.exists(self.path("cdr.csv")):
            os.rename(self.path("cdr.csv"), self.path("cdr.csv.1"))


class Buffered(Kept):
    """A writer that buffers 4096 bytes, so that most of what is in the file ends within a row, and reopens at once."""

    def open(self):
        if getattr(self, "file", None):
            self.file.close()
        self.file = open(self.path("cdr.csv"), "ab", buffering=4096)

    def rotate(self):
        if self.is_whole:
            os.rename(self.path("cdr.csv"), self.path(f"cdr.csv.{self.rotations}"))
            for _ in range(9):
                self.write(self.row())
            self.open()

    halves_may_be_rotated = False

    def end(self):
        self.file.close()


class Fallocated(Scene):
    """fallocate makes room of zeros, also behind rows that are there; a full file is cut to its length."""

    files = "cdr_*.csv"
    number = 0
    file = None

    def begin(self):
        self.rotate()

    def rotate(self):
        self.end()
        self.number += 1
        self.file = open(self.path(f"cdr_{self.number:06}.csv"), "wb", buffering=0)
        self.at, self.room = 0, 0

    def write(self, data):
        if self.at + len(data) > self.room:
            self.room = self.at + 65536
            os.posix_fallocate(self.file.fileno(), 0, self.room)
        os.pwrite(self.file.fileno(), data, self.at)
        self.at += len(data)

    def end(self):
        if self.file is not None:
            self.file.truncate(self.at)
            self.file.close()
            self.file = None


class Mounted(Reopened):
    """The disk of the files is away for a while, and back: nothing is written to it meanwhile."""

    files = "disk/cdr.csv"
    pause = (4, 10)
    may_halve = False
    is_root = True

    def begin(self):
        self.image = self.directory + ".img"
        os.makedirs(self.path("disk"))
        subprocess.run(["truncate", "-s", "24M", self.image], check=True)
        subprocess.run(["mkfs.ext4", "-q", "-F", self.image], check=True)
        self.mount()

    def mount(self):
        subprocess.run(["mount", "-o", "loop", self.image, self.path("disk")], check=True)

    def unmount(self):
        subprocess.run(["umount", "-l", self.path("disk")], check=True)

    def write(self, data):
        with open(self.path("disk/cdr.csv"), "ab", buffering=0) as out:
            out.write(data)

    def rotate(self):
        if self.random.random() < 0.5:
            self.unmount()
            time.sleep(self.random.choice((0.1, 1, 4)))
            self.mount()
        elif os.path.exists(self.path("disk/cdr.csv")):
            os.rename(self.path("disk/cdr.csv"), self.path(f"disk/cdr.csv.{self.rotations}"))

    def leave(self):
        self.unmount()
        os.unlink(self.image)


class Overlaid(Reopened):
    """A container's directory: what is rotated was made in a layer below, and is copied up when it is written to."""

    files = "merged/cdr.csv"
    is_root = True
    pause = (0.5, 3)
    may_halve = False

    def begin(self):
        self.layers = tempfile.mkdtemp(dir="/dev/shm")
        for name in ("lower", "merged"):
            os.makedirs(self.path(name))
        for name in ("upper", "work"):
            os.makedirs(os.path.join(self.layers, name))
        with open(self.path("lower/cdr.csv"), "wb") as out:
            for _ in range(20):
                out.write(self.row())
        options = f"lowerdir={self.path('lower')},upperdir={self.layers}/upper,workdir={self.layers}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, self.path("merged")], check=True)
        self.since = time.monotonic()

    def write(self, data):
        if time.monotonic() < self.since + 4:
            time.sleep(4)
        with open(self.path("merged/cdr.csv"), "ab", buffering=0) as out:
            out.write(data)

    def rotate(self):
        if os.path.exists(self.path("merged/cdr.csv")):
            os.rename(self.path("merged/cdr.csv"), self.path(f"merged/cdr.csv.{self.rotations}"))

    def leave(self):
        subprocess.run(["umount", "-l", self.path("merged")], check=True)
        shutil.rmtree(self.layers)


class Uploaded(Elsewhere):
    """scp or ftp: the file grows under its name, piece by piece, and gets a time of long ago in the end."""

    files = "cdr_*.csv"

    def bring(self, name):
        with open(os.path.join(self.elsewhere, name), "rb") as there:
            data = there.read()
        with open(self.path(name), "wb", buffering=0) as out:
            while data:
                cut = self.random.randrange(1, 5000)
                out.write(data[:cut])
                data = data[cut:]
                old = self.random.choice((None, (0, 0), (1e9, 1e9), (3e9, 3e9)))
                if old:
                    os.utime(self.path(name), old)
                time.sleep(self.random.choice((0, 0.01, 0.1)))
        old = self.random.randrange(100_000_000, 1_700_000_000)
        os.utime(self.path(name), (old, old))


class UploadedHidden(Uploaded):
    """The same under a hidden name, or one of another ending, renamed when it is whole."""

    def bring(self, name):
        hidden = self.random.choice((f".{name}.x7Gh2Q", f"{name}.filepart", f"{name}.tmp", f".in.{name}."))
        super_path = self.path(hidden)
        with open(os.path.join(self.elsewhere, name), "rb") as there, open(super_path, "wb", buffering=0) as out:
            for block in iter(lambda: there.read(3000), b""):
                out.write(block)
                time.sleep(0.01)
        os.rename(super_path, self.path(name))


class Touched(Kept):
    """`touch -d` sets times back and forth, also of the file that is written to."""

    def rotate(self):
        if self.is_whole and self.random.random() < 0.3:
            os.rename(self.path("cdr.csv"), self.path(f"cdr.csv.{self.rotations}"))
            self.open()
        for name in os.listdir(self.directory):
            if self.random.random() < 0.1 or name == "cdr.csv":
                at = self.random.choice((0, 1, 1e9, 2e9, time.time() - 3600, time.time() + 86400))
                os.utime(self.path(name), (at, at))


class Forbidden(Reopened):
    """Modes are taken away and given back, of the file, of its directory."""

    files = "live/cdr.csv"
    pause = (2, 6)

    def begin(self):
        os.makedirs(self.path("live"))

    def write(self, data):
        with open(self.path("live/cdr.csv"), "ab", buffering=0) as out:
            out.write(data)

    def rotate(self):
        at = self.path(self.random.choice(("live", "live/cdr.csv")))
        if not os.path.exists(at):
            return
        mode = os.stat(at).st_mode
        os.chmod(at, self.random.choice((0, 0o100, 0o400)))
        if self.random.random() < 0.5:
            self.write(self.row())
        if self.random.random() < 0.4:
            os.rename(self.path("live/cdr.csv"), self.path(f"live/cdr.csv.{self.rotations}"))
            at = at if at.endswith("live") else self.path(f"live/cdr.csv.{self.rotations}")
        time.sleep(self.random.choice((0.1, 1, 3)))
        os.chmod(at, mode)


class DiskFull(Kept):
    """The disk of the switch is full: a row is torn off, a rotation fails half way; then there is room again."""

    is_root = True
    pause = (2, 6)
    may_halve = False
    files = "disk/cdr.csv"

    def begin(self):
        os.makedirs(self.path("disk"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "none", self.path("disk")], check=True)
        self.open()

    def open(self):
        self.file = open(self.path("disk/cdr.csv"), "ab", buffering=0)

    def write(self, data):
        """As a careful writer does: what did not fit follows when there is room, at the place where it was left."""
        while data:
            try:
                data = data[self.file.write(data) :]
            except OSError:
                self.clean()

    def clean(self):
        for name in sorted(os.listdir(self.path("disk"))):
            if name.startswith("ballast"):
                os.unlink(self.path(f"disk/{name}"))
                time.sleep(self.random.choice((0, 0.3, 2)))
                return
        old = [name for name in os.listdir(self.path("disk")) if name != "cdr.csv"]
        old.sort(key=lambda name: int(name.split(".")[2]))
        # The agent has to have had the time to read what is deleted for want of room.
        time.sleep(4)
        for name in old[: len(old) // 2 + 1]:
            os.unlink(self.path(f"disk/{name}"))

    def rotate(self):
        if self.random.random() < 0.5:
            with open(self.path(f"disk/ballast{self.rotations}"), "wb", buffering=0) as out:
                try:
                    while out.write(bytes(4096)) == 4096:
                        pass
                except OSError:
                    pass
            return
        to = self.path(f"disk/cdr.csv.{self.rotations}")
        os.rename(self.path("disk/cdr.csv"), to)
        self.open()
        with open(to, "rb") as there, open(to + ".gz", "wb", buffering=0) as packed:
            done = subprocess.run(["gzip", "-c"], stdin=there, stdout=packed, stderr=subprocess.DEVNULL)
        os.unlink(to if done.returncode == 0 else to + ".gz")

    def leave(self):
        subprocess.run(["umount", "-l", self.path("disk")], check=True)


class OddNames(Scene):
    """Names that are long, have blanks, quotes, line ends, brackets, bytes that are no UTF-8."""

    files = "*.csv"
    pause = (0.3, 1.5)
    whole = True
    file = None

    def begin(self):
        self.rotate()

    def rotate(self):
        if not self.whole:
            return
        if self.file is not None:
            self.file.close()
            if self.random.random() < 0.5:
                os.rename(self.at, self.at + f".{self.rotations}".encode())
        stem = self.random.choice((
            b"x" * 220, b"two words", b"new\nline", b"[a-c]", b"star*", b"it's \"quoted\"", b"\xb2\xe2\xca\xd4", b"\xff\xfe",
            "通话".encode(), b"-rf", b"tab\there", b"a\\b", b"#", b"%s%n", b"\x1b[31m", b"{b}", b" ",
        ))
        self.at = os.path.join(self.directory.encode(), stem + b"%d.csv" % self.rotations)
        self.file = open(self.at, "ab", buffering=0)

    def write(self, data):
        self.file.write(data)
        self.whole = data.endswith(b"\n")


class FileForEach(Scene):
    """A file for each row, thousands of them in one directory; the older half is deleted now and then."""

    files = "cdr_*.csv"
    pause = (60, 90)
    file = None

    def write(self, data):
        self.file = self.file or open(self.path(f"cdr_{self.count:07}.csv"), "ab", buffering=0)
        self.file.write(data)
        if data.endswith(b"\n"):
            self.file.close()
            self.file = None

    def rotate(self):
        names = sorted(os.listdir(self.directory))
        for name in names[: len(names) // 2]:
            os.unlink(self.path(name))


class DayDirectories(Reopened):
    """Moved by a job into a directory of the day, and packed there later."""

    files = "cdr.csv"
    rotated = "old_*/*"
    pause = (0.5, 2)

    def rotate(self):
        if os.path.exists(self.path("cdr.csv")):
            day = self.path(f"old_{self.rotations // 20:04}")
            os.makedirs(day, exist_ok=True)
            for name in os.listdir(day):
                if not name.endswith(".gz"):
                    subprocess.run(["gzip", "-n", os.path.join(day, name)], check=True)
            os.rename(self.path("cdr.csv"), os.path.join(day, f"cdr.csv.{self.rotations}"))


class DirectoryAway(Reopened):
    """The directory is deleted with all in it, once it is read, and made anew by the writer."""

    files = "live/*.csv"
    pause = (14, 20)

    def write(self, data):
        os.makedirs(self.path("live"), exist_ok=True)
        with open(self.path("live/cdr.csv"), "ab", buffering=0) as out:
            out.write(data)

    whole = True

    def rotate(self):
        # Rows of the last moments would be lost, and counted.
        time.sleep(10)
        shutil.rmtree(self.path("live"), ignore_errors=True)


class Snapshots(Kept):
    """`cp -al` makes a directory of links to all files, over and over, below a glob of all directories."""

    files = "**/cdr*.csv"
    halves_may_be_rotated = False

    def begin(self):
        os.makedirs(self.path("live"))
        super().begin()

    def open(self):
        self.file = open(self.path(f"live/cdr_{self.rotations:05}.csv"), "ab", buffering=0)

    def rotate(self):
        if self.is_whole:
            self.open()
        subprocess.run(["cp", "-al", self.path("live"), self.path(f"daily.{self.rotations}")], check=True)
        if self.rotations > 6:
            shutil.rmtree(self.path(f"daily.{self.rotations - 6}"), ignore_errors=True)
        for old in sorted(os.listdir(self.path("live")))[:-8]:
            os.unlink(self.path(f"live/{old}"))


class Corrected(Reopened):
    """A row that was read is written over in its place, with as many bytes."""

    pause = (0.5, 3)

    def rotate(self):
        path = self.path("cdr.csv")
        if os.path.exists(path):
            with open(path, "rb") as whole:
                rows = whole.read().split(b"\n")
            if len(rows) > 60:
                at = self.random.randrange(1, len(rows) - 50)
                text = b"".join(self.random.choice((b"x", b"y")) for _ in rows[at].rpartition(b",")[2])
                changed = rows[at].rpartition(b",")[0] + b"," + text
                offset = sum(len(row) + 1 for row in rows[:at])
                with open(path, "r+b", buffering=0) as out:
                    out.seek(offset)
                    out.write(changed)


class Exchanged(Kept):
    """Two files take turns: each rotation exchanges their names, and the one that is written to is cut off first."""

    pause = (13, 18)
    halves_may_be_rotated = False

    def rotate(self):
        if not self.is_whole:
            return
        # What is in the other one was read long ago, unless the agent was away for so long.
        other, now = self.path("cdr.csv.1"), self.path("cdr.csv")
        open(other, "wb").close()
        os.rename(now, now + ".x")
        os.rename(other, now)
        os.rename(now + ".x", other)
        self.open()


SCENES = [
    LogrotateShred, LogrotateShredPacked, LogrotateRenameCopy, LogrotateCreateOlddir, LogrotateMaxage, LogrotateXz,
    LogrotateZstd,
    LogrotateEverything, CopytruncateEverything, Savelog, FreeSwitchHup, FreeSwitchAccounts, AsteriskSequential,
    AsteriskRotate, AsteriskTimestamp, CronMoved, CronCopied, CronPacked, CronPackedAndCut, CronCut, CronTrimmed,
    CronTrimmedAndMoved, CronKeptAndTrimmed, CronKeptAndTrimmedInPlace, CronPackedAndTrimmed, CronPackedAndTrimmedInPlace,
    Daily, Weekdays, Appenders, Buffered, Fallocated, Mounted, Overlaid, Uploaded, UploadedHidden, Touched, Forbidden,
    DiskFull, OddNames, FileForEach, DayDirectories, DirectoryAway, Snapshots, Corrected, Exchanged,
]
