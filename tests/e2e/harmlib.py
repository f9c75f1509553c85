# SPDX-License-Identifier: Apache-2.0
"""Programs to sample and what is seen of them from outside: for the soundness and the harm tests, and
for the bench."""
import json
import os
import pathlib
import platform
import signal
import struct
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CSAMPLE = pathlib.Path(os.environ.get("CSAMPLE", ROOT / "build/csample"))
SAN = bool(os.environ.get("CSAMPLE_SAN"))
WORKLOADS = ROOT / "tests/workloads"
BENCH = ROOT / "tests/bench"
BUILT = ROOT / "build/workloads"
WAIT = 60 if SAN else 20
X86 = platform.machine() == "x86_64"


def build(name, sources, flags=(), language="c"):
    """Compiles a program once into build/workloads; returns its path."""
    out = BUILT / name
    headers = [h for s in sources for h in pathlib.Path(s).parent.glob("*.h")]
    if out.exists() and all(out.stat().st_mtime >= p.stat().st_mtime for p in [*map(pathlib.Path, sources), *headers]):
        return out
    BUILT.mkdir(parents=True, exist_ok=True)
    compiler = os.environ.get("CXX", "c++") if language == "c++" else os.environ.get("CC", "cc")
    standard = "-std=gnu++17" if language == "c++" else "-std=gnu17"
    fresh = out.with_suffix(f".{os.getpid()}")
    subprocess.run([compiler, standard, "-D_GNU_SOURCE", "-O2", "-g", "-pthread", *flags, "-o", fresh, *sources],
                   check=True)
    fresh.rename(out)
    return out


def floor(way):
    return build(f"floor_{way}", [BENCH / f"floor_{way}.c", BENCH / "floor.c", BENCH / "ring.c"])


def soundness_target():
    return build("soundness_target", [WORKLOADS / "soundness_target.c", WORKLOADS / "soundness_loop.S"],
                 ["-no-pie"])


def harm_target():
    return build("harm_target", [WORKLOADS / "harm_target.c"])


def wait_until(condition, what, timeout=WAIT):
    """The first true value of condition(); AssertionError when there is none in time."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not in {timeout} s: {what}"
        time.sleep(0.005)


class Counters:
    """The file of 64-bit counters that a workload maps and counts in."""

    def __init__(self, path, n=64):
        self.path = pathlib.Path(path)
        self.path.write_bytes(bytes(8 * n))
        self.n = n

    def __getitem__(self, i):
        return self.all()[i]

    def all(self):
        return struct.unpack(f"<{self.n}Q", self.path.read_bytes()[:8 * self.n])

    def total(self):
        return sum(self.all())

    def wait_past(self, i, value, what="the counter"):
        wait_until(lambda: self[i] > value, f"{what} past {value}")

    def wait_advance(self, what="the counters advance"):
        before = self.all()
        wait_until(lambda: self.all() != before, what)


class Program:
    """A child process that ends with the with block, whatever happens in it."""

    def __init__(self, argv, **popen):
        self.process = subprocess.Popen([str(a) for a in argv], **popen)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr, self.process.stdin):
            if stream:
                stream.close()

    def wait(self, timeout=WAIT):
        return self.process.wait(timeout)

    def signal(self, number):
        self.process.send_signal(number)


def thread_states(pid):
    """{tid: state letter} of every thread of pid."""
    states = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            text = (task / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        states[int(task.name)] = text[text.rindex(")") + 2]
    return states


def tracer_of(pid, tid):
    """The pid of who traces a thread; 0: nobody, or the thread has ended."""
    try:
        text = pathlib.Path(f"/proc/{pid}/task/{tid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(text.split("TracerPid:", 1)[1].split(None, 1)[0])


def assert_free(pid, timeout=5):
    """No thread of pid is left stopped or traced. A stop of the kernel's own making passes at once."""
    wait_until(lambda: not any(s in "tT" for s in thread_states(pid).values()), f"no stopped thread in {pid}", timeout)
    assert not any(tracer_of(pid, tid) for tid in thread_states(pid))


def no_sanitizer_report(text):
    assert "Sanitizer" not in text and "runtime error:" not in text, text


def record_argv(pid, out, *options):
    return [CSAMPLE, "record", "--pid", pid, "-o", out, *options]


def record(pid, tmp, seconds, *options, timeout=WAIT, **popen):
    """Runs csample record to its end. Returns (exit status, stats or None, stderr text)."""
    stats = pathlib.Path(tmp) / "stats.json"
    stats.unlink(missing_ok=True)
    argv = record_argv(pid, pathlib.Path(tmp) / "out.collapsed", "-d", seconds, "--stats-json", stats, *options)
    done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, errors="replace", timeout=seconds + timeout, **popen)
    no_sanitizer_report(done.stderr)
    return done.returncode, json.loads(stats.read_text()) if stats.exists() else None, done.stderr


def dump(pid, *options, timeout=WAIT):
    """csample dump --json: (exit status, parsed output or None, stderr text)."""
    done = subprocess.run([str(CSAMPLE), "dump", "--pid", str(pid), "--json", *options], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, errors="replace", timeout=timeout)
    no_sanitizer_report(done.stderr)
    return done.returncode, json.loads(done.stdout) if done.stdout.strip() else None, done.stderr


def interrupt(program, timeout=WAIT):
    """Ends a csample as Ctrl-C does; its exit status."""
    program.signal(signal.SIGINT)
    return program.wait(timeout)
