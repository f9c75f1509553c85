# SPDX-License-Identifier: Apache-2.0
"""Ctrl-Z: csample is never suspended while it holds a thread of its target, and what happens meanwhile does
not count."""
import json
import os
import pathlib
import random
import signal
import time

import pytest

from conftest import CSAMPLE

TIMES = 30


def state(pid, tid=None):
    path = f"/proc/{pid}/task/{tid or pid}/stat"
    return pathlib.Path(path).read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]


def wait(condition, what, timeout=30):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.002)


def held(pid):
    """Threads of pid that are stopped, or traced."""
    found = []
    for tid in os.listdir(f"/proc/{pid}/task"):
        tracer = next(line for line in pathlib.Path(f"/proc/{pid}/task/{tid}/status").read_text().splitlines()
                      if line.startswith("TracerPid"))
        if state(pid, tid) in "tT" or tracer.split()[1] != "0":
            found.append((tid, state(pid, tid), tracer))
    return found


def suspend_often(csample, target, times=TIMES):
    for _ in range(times):
        time.sleep(random.uniform(0.002, 0.03))  # at whatever it is doing
        csample.signal(signal.SIGTSTP)
        wait(lambda: state(csample.pid) == "T", "csample is not suspended")
        assert not held(target.pid), "suspended with threads held"
        csample.signal(signal.SIGCONT)
        wait(lambda: state(csample.pid) != "T", "csample is not continued")


@pytest.fixture
def sampled(workload, start):
    """sampled(command...): (csample, target) that samples by stops, as often as it may."""

    def sampled(command, *args):
        target = workload("crowd", 4, 3)
        # A process group that a shell could continue: only such are suspended.
        return start(CSAMPLE, command, "-p", target.pid, "--capture", "stop", "-r", 4000, *args,
                     preexec_fn=os.setpgrp), target

    return sampled


def test_record_is_suspended_with_no_thread_held(sampled, tmp_path):
    csample, target = sampled("record", "-d", "unlimited", "-o", tmp_path / "out.collapsed",
                              "--stats-json", tmp_path / "stats")
    wait(lambda: pathlib.Path(f"/proc/{csample.pid}/status").read_text().count("Threads:\t1\n") == 0, "no sampler")
    time.sleep(0.3)
    suspend_often(csample, target)
    # For a second of which nothing counts.
    csample.signal(signal.SIGTSTP)
    wait(lambda: state(csample.pid) == "T", "csample is not suspended")
    began = time.monotonic()
    time.sleep(1)
    csample.signal(signal.SIGCONT)
    suspended = time.monotonic() - began
    time.sleep(0.2)
    alive = time.monotonic() - began
    csample.signal(signal.SIGINT)
    assert csample.popen.wait(60) == 0
    stats = json.loads((tmp_path / "stats").read_text())
    assert stats["captured"]["stop"] > 50, stats
    assert alive - suspended < stats["duration_seconds"] < 25, stats
    assert abs(stats["profile_cpu_seconds"] / stats["target_cpu_seconds"] - 1) < 0.1, stats
    assert stats["target_cpu_seconds"] < 1.1 * os.cpu_count() * stats["duration_seconds"] + 0.1, stats
    assert not held(target.pid)


def test_top_is_suspended_with_no_thread_held(sampled):
    csample, target = sampled("top", "--json", "--delay", "100ms")
    json.loads(csample.read_line())
    suspend_often(csample, target, 12)
    before = json.loads(csample.read_line())["samples"]
    wait(lambda: json.loads(csample.read_line())["samples"] > before, "it does not go on")
    csample.signal(signal.SIGINT)
    assert csample.popen.wait(60) == 0


def tracer(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("TracerPid")).split()[1])


def unstoppable(target):
    """Lets the target wait where it cannot be stopped, until csample has asked it to: the child to kill."""
    for _ in range(50):
        target.signal(signal.SIGUSR1)
        child = int(target.wait_for("child").split()[1])
        wait(lambda: state(target.pid) == "D", "it does not wait")
        time.sleep(0.05)  # what is under way has been done
        if tracer(target.pid):
            return child
        os.kill(child, signal.SIGKILL)
        target.wait_for("over")
    pytest.skip("csample never happened to ask for a stop while memory was copied")


@pytest.mark.parametrize("command, args", [("record", ["-o", "out.collapsed"]), ("top", ["--json", "--delay", "100ms"])])
def test_it_is_not_suspended_while_a_thread_has_yet_to_stop(workload, start, tmp_path, command, args):
    target = workload("unstoppable")
    with open(tmp_path / "said", "wb") as said:
        csample = start(CSAMPLE, command, "-p", target.pid, "--capture", "stop", "-r", 4000, *args,
                        preexec_fn=os.setpgrp, cwd=tmp_path, stderr=said,
                        **({} if command == "top" else {"stdout": None}))
    wait(lambda: pathlib.Path(f"/proc/{csample.pid}/status").read_text().count("Threads:\t1\n") == 0, "no sampler")
    child = unstoppable(target)
    csample.signal(signal.SIGTSTP)
    refusal = "not suspended: a thread of the target is about to be stopped"
    wait(lambda: refusal in (tmp_path / "said").read_text(), "it says nothing")
    assert state(csample.pid) != "T" and tracer(target.pid)
    os.kill(child, signal.SIGKILL)
    target.wait_for("over")  # it goes on, and is let go of
    wait(lambda: state(target.pid) == "R" and not tracer(target.pid), "it is held")
    csample.signal(signal.SIGTSTP)
    wait(lambda: state(csample.pid) == "T", "csample is not suspended")
    assert not held(target.pid)
    csample.signal(signal.SIGCONT)
    wait(lambda: state(csample.pid) != "T", "csample is not continued")
    csample.signal(signal.SIGINT)
    assert csample.popen.wait(60) == 0, (tmp_path / "said").read_text()
    assert not held(target.pid)


def test_a_loop_is_suspended_with_no_thread_held(sampled, tmp_path):
    csample, target = sampled("record", "--loop", "1h", "-o", tmp_path / "%n.collapsed", "--max-overhead", "off")
    wait(lambda: pathlib.Path(f"/proc/{csample.pid}/status").read_text().count("Threads:\t1\n") == 0, "no sampler")
    time.sleep(0.3)
    suspend_often(csample, target, 10)
    csample.signal(signal.SIGINT)
    assert csample.popen.wait(60) == 0
