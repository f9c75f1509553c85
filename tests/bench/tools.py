# SPDX-License-Identifier: Apache-2.0
"""csample, the bare floors and the peers: each attached to a process for the length of a with block."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))
import harmlib  # noqa: E402

OUT = ROOT / "build/bench"
BENCH = ROOT / "tests/bench"
VENV = OUT / "venv"
LONG = 100  # seconds that an attached tool would run at most


def program(name, language="c", flags=()):
    return harmlib.build(name, [BENCH / f"{name}.{'cpp' if language == 'c++' else 'c'}"], flags, language)


class Ran:
    """What a run left: csample's stats, what the kernel charged, stderr."""

    def __init__(self):
        self.status = self.stats = self.usage = None
        self.err = ""


@contextlib.contextmanager
def attached(argv, ran=None, keep_err=False):
    """Runs argv; SIGINT at the end. ran.usage is filled."""
    usage = OUT / f"usage.{os.getpid()}.json"
    usage.unlink(missing_ok=True)
    command = [str(a) for a in [program("bench_rusage"), usage, *argv]]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE if keep_err else subprocess.DEVNULL, text=True)
    try:
        yield process
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=60)[1]
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)  # passed on to the tool
            process.wait()
    if ran is not None:
        ran.status, ran.err = process.returncode, err or ""
        ran.usage = json.loads(usage.read_text())


def child_of(process):
    """The pid of the tool that attached() runs."""
    path = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return int(harmlib.wait_until(lambda: path.read_text().split(), "the tool started")[0])


@contextlib.contextmanager
def csample(pid, *options, out="out.collapsed", ran=None):
    stats = OUT / f"stats.{os.getpid()}.json"
    stats.unlink(missing_ok=True)
    argv = harmlib.record_argv(pid, OUT / out, "--stats-json", stats, *options)
    ran = ran or Ran()
    with attached(argv, ran, keep_err=True) as process:
        yield process
    if ran.status or not stats.exists():
        raise RuntimeError(f"csample ended with {ran.status}: {ran.err.strip()}")
    ran.stats = json.loads(stats.read_text())


def run_csample(pid, seconds, *options, out="out.collapsed"):
    """A recording of its own length."""
    ran = Ran()
    with csample(pid, "-d", seconds, *options, out=out, ran=ran) as process:
        process.wait(seconds + 60)
    return ran


def run_floor(way, pid, seconds, rate, *options):
    argv = [harmlib.floor(way), pid, "--seconds", seconds, "--rate", rate, *options]
    return json.loads(subprocess.run([str(a) for a in argv], check=True, capture_output=True, text=True).stdout)


def floor(way, pid, rate):
    return attached([harmlib.floor(way), pid, "--seconds", LONG, "--rate", rate])


def peers(pid, rate, python):
    """{name: factory} of the profilers found here; with python, those of Python too."""
    found = {}
    if python:
        py_spy, austin = peer("py-spy"), peer("austin")
        if py_spy:
            base = [py_spy, "record", "-p", pid, "-r", rate, "-d", LONG, "-f", "raw", "-o", OUT / "py-spy.txt"]
            found["py-spy"] = lambda: attached(base)
            found["py-spy --native"] = lambda: attached([*base, "--native"])
        if austin:
            found["austin"] = lambda: attached([austin, "-i", f"{int(1e6 / rate)}us", "-o", "/dev/null", "-p", pid])
        if austin and austin.with_name("austinp").exists():
            found["austinp"] = lambda: attached([austin.with_name("austinp"), "-i", f"{int(1e6 / rate)}us", "-o",
                                                 "/dev/null", "-p", pid])
    if shutil.which("perf"):
        found["perf dwarf"] = lambda: attached(["perf", "record", "-q", "-F", rate, "-e", "cpu-clock",
                                                "--call-graph", "dwarf,8192", "-p", pid, "-o", "/dev/null"])
    return found


def peer(name):
    """A peer's program from a virtual environment made once, None if pip cannot have it."""
    wanted = {"py-spy": ["py-spy"], "austin": ["austin-dist==3.7.0"]}[name]
    path = VENV / "bin" / name
    if not path.exists():
        if not (VENV / "bin/pip").exists():
            subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True)
        subprocess.run([str(VENV / "bin/pip"), "-q", "install", *wanted], capture_output=True)
    try:
        works = subprocess.run([str(path), "--version"], capture_output=True, timeout=20).returncode == 0
    except OSError:
        works = False
    return path if works else None
