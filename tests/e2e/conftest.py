# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests: csample itself, and targets that know what they do."""
import json
import os
import pathlib
import re
import selectors
import signal
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/workloads"))
import build as workloads  # noqa: E402

CSAMPLE = os.environ.get("CSAMPLE") or str(ROOT / "build/csample")
os.environ["CSAMPLE_CONFIG"] = ""  # whatever the user has set
SAN = bool(os.environ.get("CSAMPLE_SAN"))
# Where time is short, the sanitizers are left out of what looks at timing, at the system, or at pages.
SLOW_WITH_SAN = {"test_unwind", "test_soundness", "test_harm", "test_svg_browser", "test_speedscope",
                 "test_completion", "test_html", "test_top_screen", "test_perfetto"}


# Nothing else of ours runs beside these.
ALONE = {"test_soundness", "test_harm"}


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: no other test runs beside it")


def file_of(item):
    """Without .py. (Before pytest 7, which Ubuntu 22.04 has not, an item has no path.)"""
    return pathlib.PurePath(item.nodeid.partition("::")[0]).stem


def pytest_collection_modifyitems(config, items):
    for item in items:
        if file_of(item) in ALONE:
            item.add_marker("alone")
    if SAN and os.environ.get("CI") == "true":
        left_out = [item for item in items if file_of(item) in SLOW_WITH_SAN]
        items[:] = [item for item in items if file_of(item) not in SLOW_WITH_SAN]
        config.hook.pytest_deselected(items=left_out)


class Result:
    """What a run of csample said and left."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def __repr__(self):
        return f"status {self.status}\n-- stdout\n{self.out[:4000]}\n-- stderr\n{self.err[-4000:]}"


class Running:
    """A process we started, read line by line; always ended by its test."""

    def __init__(self, command, **options):
        options.setdefault("stdin", subprocess.PIPE)
        options.setdefault("stdout", subprocess.PIPE)
        self.popen = subprocess.Popen([str(c) for c in command], **options)
        self.pid = self.popen.pid
        self.pending = b""

    def read_line(self, timeout=60, stream=None):
        """The next line of its output, without the newline; None at the end of it."""
        stream = stream or self.popen.stdout
        end = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while b"\n" not in self.pending:
                if not selector.select(max(0, end - time.monotonic())):
                    raise TimeoutError(f"no line within {timeout} s; so far {self.pending!r}")
                chunk = os.read(stream.fileno(), 65536)
                if not chunk:
                    return None
                self.pending += chunk
        line, _, self.pending = self.pending.partition(b"\n")
        return line.decode(errors="replace")

    def wait_for(self, word, timeout=60, stream=None):
        while (line := self.read_line(timeout, stream)) is not None:
            if word in line:
                return line
        raise AssertionError(f"ended without saying {word!r}, status {self.popen.wait()}")

    def tell(self, text):
        self.popen.stdin.write(text.encode())
        self.popen.stdin.flush()

    def signal(self, number):
        self.popen.send_signal(number)

    def end(self):
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()
        for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if stream:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass


@pytest.fixture
def start():
    """start(command...): a Running that ends with the test."""
    running = []

    def start(*command, **options):
        process = Running(command, **options)
        running.append(process)
        return process

    yield start
    for process in reversed(running):
        process.end()


def built(name, variant=""):
    try:
        return workloads.build(name, variant)
    except workloads.MissingTool as missing:
        pytest.skip(f"workload {name} {variant}: {missing}")


@pytest.fixture
def workload(start):
    """workload("split", "30", variant="static"): the running program, which has said "ready"."""

    def workload(name, *args, variant="", **options):
        process = start(built(name, variant), *args, **options)
        process.wait_for("ready")
        return process

    return workload


@pytest.fixture
def csample():
    """csample("record", "-p", pid, ...): a Result. Text unless binary=True."""

    def csample(*args, timeout=120, binary=False, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        try:
            done = subprocess.run([CSAMPLE, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  timeout=timeout, **options)
        except PermissionError:
            if "preexec_fn" not in options:
                raise
            pytest.skip(f"the user it should run as may not enter {ROOT}")
        err = done.stderr.decode(errors="replace")
        assert "Sanitizer" not in err and "runtime error:" not in err, err
        return Result(done.returncode, done.stdout if binary else done.stdout.decode(errors="replace"), err)

    return csample


def parse_collapsed(text):
    """{("root", ..., "leaf"): samples}."""
    stacks = {}
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        assert re.fullmatch(r"[0-9]+", count), f"not a collapsed line: {line!r}"
        stacks[tuple(stack.split(";"))] = stacks.get(tuple(stack.split(";")), 0) + int(count)
    return stacks


def share_of(stacks, function, leaf=False):
    """Share of the samples that have a function (its name without file:line) in their stack."""
    total = sum(stacks.values())
    hits = 0
    for stack, count in stacks.items():
        frames = stack[-1:] if leaf else stack
        hits += count if any(frame_name(f) == function for f in frames) else 0
    return hits / total if total else 0.0


def frame_name(frame):
    """A frame without " (file:line)" and without the suffix of its kind."""
    return re.sub(r"_\[[a-z]\]$", "", re.sub(r" \([^()]*\)$", "", frame))


def functions_of(stacks):
    return {frame_name(f) for stack in stacks for f in stack}


@pytest.fixture
def record(csample, tmp_path):
    """record(pid or [options...], "-d", "1", ...): (stacks, stats, Result) of a run that went well."""

    def record(*args, status=0, **options):
        stats = tmp_path / "stats.json"
        where = ("-p", args[0], *args[1:]) if isinstance(args[0], int) else args
        where = list(where)
        extra = ["-o", "-", "-f", "collapsed", "--stats-json", stats]
        at = where.index("--") if "--" in where else len(where)
        result = csample("record", *where[:at], *extra, *where[at:], **options)
        assert result.status == status, result
        return parse_collapsed(result.out), json.loads(stats.read_text()), result

    return record


def state_of(pid):
    """R, S, T, t, Z ...; None when it is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def wait_until(condition, timeout=60, what="the condition"):
    """Polls until it holds; the time limit is for a test that hangs, not a claim about speed."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < end, f"{what} did not come true within {timeout} s"
        time.sleep(0.01)
    return value


def terminate(process):
    process.signal(signal.SIGTERM)
    return process.popen.wait()
