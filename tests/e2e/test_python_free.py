# SPDX-License-Identifier: Apache-2.0
"""Free-threaded builds of Python: threads that truly run at the same time, each with bytecode of its own."""
import collections
import json
import os
import re

import pytest

import pythons
from conftest import ROOT, SAN, wait_until
from test_python_samples import CALLS, impossible, parts

PROGRAMS = ROOT / "tests/workloads/python"
VERSIONS = ("3.14t",) if SAN else ("3.13t", "3.14t")
NEWEST = ("3.14t",)

SPINNERS = """
import threading
def spin():
    n = 0
    while True:
        n += 1
for name in "a", "b":
    threading.Thread(target=spin, name=name, daemon=True).start()
print("ready", flush=True)
threading.Event().wait()
"""

# An event loop in a thread that is not the first: the lines of what its tasks await come from bytecode of its own.
TASKS = """
import asyncio, sys, threading
async def leaf():
    before = 1
    await asyncio.sleep(1000)
async def middle():
    for turn in range(3):
        await asyncio.sleep(0)
    await leaf()
async def main():
    tasks = [asyncio.create_task(middle(), name="worker-%d" % i) for i in range(2)]
    for turn in range(10):
        await asyncio.sleep(0)
    print("ready", flush=True)
    await asyncio.gather(*tasks)
thread = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
thread.start()
thread.join()
"""


@pytest.fixture
def program(start):
    """program("3.14t", SOURCE or "name.py", args...): running, and ready."""

    def program(version, source, *args, **env):
        python = pythons.require(version)
        what = [PROGRAMS / source] if source.endswith(".py") else ["-c", source]
        process = start(python.exe, *what, *args, env=dict(os.environ, PYTHONDONTWRITEBYTECODE="1", **env))
        process.wait_for("ready")
        return process

    return program


def chain_of(stack):
    """The part of a stack that is of chains.py, as chains.py itself would have run it."""
    frames = [f"{name} ({file}:{line})" if file else name for name, file, line in parts(stack)
              if file == "chains.py" or not file and "chains.py" in name]
    if frames and re.match("[ab]1 ", frames[0]):
        frames.insert(0, f"run (chains.py:{CALLS['run', frames[0][:2]]})")
    return [f"<module> (chains.py:{CALLS['<module>', 'run']})", *frames] if frames else []


def test_what_is_cut_off_is_judged():
    good = [f"run (chains.py:{CALLS['run', 'a1']})", f"a1 (chains.py:{CALLS['a1', 'a2']})"]
    assert not impossible(chain_of(["Thread.run (threading.py:9)", *good])) and not impossible(chain_of(good[1:]))
    assert impossible(chain_of([good[1].replace("a1", "b1"), "a2 (chains.py:1)"]))
    assert chain_of(["Thread.run (threading.py:9)"]) == [] and chain_of([*good, "a2 (chains.py)"])[-1] == "a2 (chains.py)"


def judge(stacks, least):
    """How many samples each thread has in the chains; none may be impossible, nearly none without a line."""
    bad, lineless, threads = collections.Counter(), 0, collections.Counter()
    for stack, count in stacks.items():
        chain = chain_of(stack)
        if not chain:
            continue
        threads[re.sub(r" \(\d+\)$", "", stack[0])] += count
        if any(not line for _, _, line in parts(chain)):
            lineless += count
        elif why := impossible(chain):
            bad[why, stack] += count
    total = sum(threads.values())
    assert not bad, (bad.most_common(5), f"{sum(bad.values())} of {total}")
    assert total >= least and lineless <= 0.01 * total + 1, (threads, lineless)
    return threads


@pytest.mark.parametrize("version", VERSIONS)
def test_threads_run_at_the_same_time(csample, record, program, version):
    target = program(version, "parallel.py", "two")
    for way, rate in (("preempt", 5000), ("stop", 1000)):
        stacks, stats, _ = record(target.pid, "-t", "-d", "1", "-r", rate, "--capture", way, "--native=none")
        threads = judge(stacks, least=20)
        assert set(threads) == {"one", "two"} and min(threads.values()) > 0.1 * sum(threads.values()), threads
        assert stats["profile_cpu_seconds"] == pytest.approx(stats["target_cpu_seconds"], rel=0.02), stats
        assert not stats["errors"].get("python_torn"), stats
    active = collections.Counter()

    def both_active():
        dumped = json.loads(csample("dump", "-p", target.pid, "--json").out)["threads"]
        assert not any("gil" in thread for thread in dumped), dumped
        active.update(thread["name"] for thread in dumped if thread["active"])
        return active["one"] and active["two"]

    wait_until(both_active, what="both threads active")
    assert not active["MainThread"], active


@pytest.mark.parametrize("version", NEWEST)
def test_threads_that_come_and_go(record, program, version):
    """The next thread takes over their index, and gets copies of the bytecode elsewhere."""
    target = program(version, "parallel.py", "many")
    stacks, stats, _ = record(target.pid, "-d", "1", "-r", "3000", "--native=none")
    judge(stacks, least=5 if SAN else 50)
    # The state of a thread that ends is taken apart, or is another's already: such samples are marked.
    assert stats["errors"].get("python_torn", 0) <= 0.05 * stats["samples"] + 2, stats


@pytest.mark.parametrize("version", NEWEST)
def test_there_is_no_lock_to_hold(csample, program, tmp_path, version):
    target = program(version, SPINNERS)
    result = csample("record", "--gil", "-p", target.pid, "-d", "1", "-o", tmp_path / "x.svg")
    assert result.status == 2 and "free-threaded" in result.err and "--gil" in result.err, result
    assert not (tmp_path / "x.svg").exists()
    assert "gil" not in csample("top", "-p", target.pid, "--batch", "-n", "1").out.lower()


@pytest.mark.parametrize("version", VERSIONS)
def test_unless_it_was_switched_on(csample, record, program, version):
    target = program(version, SPINNERS, PYTHON_GIL="1")
    stacks, _, _ = record(target.pid, "--gil", "-t", "-F", "-d", "1", "-r", "500", "--native=none")
    assert {re.sub(r" \(\d+\)$", "", stack[0]) for stack in stacks} == {"a", "b"}, stacks
    held = collections.Counter()

    def seen_with_the_lock():
        threads = json.loads(csample("dump", "-p", target.pid, "--json").out)["threads"]
        held.update(thread["name"] for thread in threads if thread["gil"])
        return held["a"] or held["b"]

    wait_until(seen_with_the_lock, what="a thread with the lock")
    assert not held["MainThread"], held


@pytest.mark.parametrize("version", VERSIONS)
def test_tasks_of_another_thread(csample, program, version):
    target = program(version, TASKS)
    report = json.loads(csample("dump", "-p", target.pid, "--json").out)
    tasks = {t["name"]: t for t in report["tasks"]}
    source = TASKS.splitlines()
    for name in "worker-0", "worker-1":
        frames = [(f["function"], source[f["line"] - 1].strip()) for f in tasks[name]["frames"]
                  if f["function"] in ("leaf", "middle")]
        assert sorted(frames) == [("leaf", "await asyncio.sleep(1000)"), ("middle", "await leaf()")], tasks[name]
