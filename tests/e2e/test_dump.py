# SPDX-License-Identifier: Apache-2.0
"""csample dump on real programs: each thread, what it waits in, and its stack."""
import json
import os
import pathlib
import re
import shutil
import signal

import pytest

from conftest import built, state_of, wait_until

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
WAITS = {"reader": ("in_read", "read"), "sleeper": ("in_sleep", "nanosleep"), "poller": ("in_poll", "poll"),
         "locker": ("in_lock", "futex")}


@pytest.fixture
def dump(csample):
    def dump(pid, *args):
        result = csample("dump", "-p", pid, "--json", *args)
        assert result.status == 0, result
        return json.loads(result.out)
    return dump


def functions(thread):
    return [frame["function"] for frame in thread["frames"]]


def settled(pid):
    """All threads but the runner of tests/workloads/waits.c sleep."""
    def ready():
        states = [pathlib.Path(f"/proc/{pid}/task/{tid}/stat").read_text().rpartition(")")[2].split()[0]
                  for tid in os.listdir(f"/proc/{pid}/task")]
        return sorted(states) == ["R", "S", "S", "S", "S", "S"]
    wait_until(ready, what="the threads' sleep")


def test_each_thread_with_its_wait_and_stack(dump, workload):
    target = workload("waits")
    settled(target.pid)
    report = dump(target.pid)
    assert report["pid"] == target.pid
    assert report["command"][0].endswith("/waits")
    threads = {t["name"]: t for t in report["threads"]}
    assert set(threads) == {"waits", "reader", "sleeper", "poller", "locker", "runner"}
    for name, (function, wait) in WAITS.items():
        thread = threads[name]
        assert thread["state"] == "sleeping" and wait in thread["wait"] and not thread["active"], thread
        assert function in functions(thread) and thread["rooted"], thread
    runner = threads["runner"]
    assert runner["state"] == "running" and runner["active"] and "wait" not in runner, runner
    assert "running" in functions(runner) and runner["rooted"]
    assert "main" in functions(threads["waits"]) and "pause" in threads["waits"]["wait"]


def test_threads_in_order_the_main_thread_first(dump, workload):
    target = workload("crowd", 100, 2)
    tids = [t["tid"] for t in dump(target.pid)["threads"]]
    assert tids[0] == target.pid and tids[1:] == sorted(tids[1:]) and len(tids) == 101


def assert_schema(report):
    assert set(report) <= {"pid", "command", "runtimes", "threads"} and {"pid", "command", "threads"} <= set(report)
    assert all(isinstance(word, str) for word in report["command"])
    for runtime in report.get("runtimes", []):
        assert set(runtime) <= {"name", "version"}
    for thread in report["threads"]:
        assert {"tid", "name", "state", "active", "rooted", "frames"} <= set(thread), thread
        assert set(thread) <= {"tid", "name", "state", "wait", "active", "gil", "rooted", "frames", "error"}
        assert isinstance(thread["tid"], int) and isinstance(thread["active"], bool)
        assert isinstance(thread["rooted"], bool) and re.fullmatch("[a-z ]+", thread["state"])
        for frame in thread["frames"]:
            assert {"kind", "function"} <= set(frame), frame
            assert set(frame) <= {"kind", "function", "file", "line", "column", "module", "address", "inlined",
                                  "locals"}
            assert all(value != "" and value is not None for value in frame.values()), frame
            assert frame["kind"] in {"native", "inlined", "kernel", "mark"}
            if "line" in frame:
                assert isinstance(frame["line"], int) and frame["line"] > 0
            if "file" in frame:
                assert frame["file"].startswith(("/", ".")) or "/" in frame["file"] or "." in frame["file"]


@pytest.mark.parametrize("name", ["waits", "shapes_cxx", "shapes_rust", "shapes_go", "deep"])
def test_json_has_its_schema(name, dump, workload):
    assert_schema(dump(workload(name).pid))


def test_lines_modules_and_inlined_frames(dump, workload):
    target = workload("split")
    wait_until(lambda: state_of(target.pid) == "R", what="running")

    def look():
        frames = dump(target.pid)["threads"][0]["frames"]
        by_name = {f["function"]: f for f in frames}
        return by_name if "rounds" in by_name else None

    frames = wait_until(look, what="a dump inside of the inlined function")
    rounds = frames["rounds"]
    assert rounds["inlined"] is True and rounds["file"].endswith("/tests/workloads/workload.h") and rounds["line"] > 0
    caller = next(frames[n] for n in ("seventy", "twenty", "ten") if n in frames)
    assert not caller.get("inlined") and caller["file"].endswith("/tests/workloads/split.c")
    assert caller["module"].endswith("/split")
    assert frames["main"]["line"] > 0
    leaf_first = [f["function"] for f in dump(target.pid)["threads"][0]["frames"]]
    assert leaf_first.index("work") < leaf_first.index("main")


def test_text_has_the_same_content(csample, workload):
    target = workload("waits")
    settled(target.pid)
    text = csample("dump", "-p", target.pid)
    assert text.status == 0 and not text.err, text
    head = text.out.splitlines()[0]
    assert str(target.pid) in head and "waits" in head
    for name, (function, wait) in WAITS.items():
        assert re.search(rf"^.*\b{name}\b.*$", text.out, re.M)
        assert function in text.out and wait in text.out
    assert re.search(r"in_read.*waits\.c:[0-9]+", text.out)
    full = csample("dump", "-p", target.pid, "--full-filenames")
    assert re.search(r"/tests/workloads/waits\.c:[0-9]+", full.out)


def test_a_sleeper_that_aborts_on_eintr_survives(dump, workload):
    target = workload("sleeper")
    wait_until(lambda: state_of(target.pid) == "S", what="its sleep")
    for _ in range(20):
        thread = dump(target.pid)["threads"][0]
        assert "wait_for_nothing" in functions(thread) or state_of(target.pid) is not None
    assert target.popen.poll() is None


def test_a_stopped_process_stays_stopped(dump, workload):
    target = workload("split")
    target.signal(signal.SIGSTOP)
    wait_until(lambda: state_of(target.pid) == "T", what="its stop")
    thread = dump(target.pid)["threads"][0]
    assert thread["state"] == "stopped" and "main" in functions(thread), thread
    assert state_of(target.pid) == "T"
    target.signal(signal.SIGCONT)
    wait_until(lambda: state_of(target.pid) == "R", what="its going on")


def test_halted_where_all_registers_are_needed(dump, workload):
    """In the vdso, mostly, whose frames cannot be unwound from program counter and stack pointer alone."""
    target = workload("clocks")
    for _ in range(5):
        target.signal(signal.SIGSTOP)
        wait_until(lambda: state_of(target.pid) == "T", what="its stop")
        thread = dump(target.pid)["threads"][0]
        assert thread["rooted"] and "main" in functions(thread), thread
        assert state_of(target.pid) == "T"
        target.signal(signal.SIGCONT)
        wait_until(lambda: state_of(target.pid) == "R", what="its going on")


def test_nonblocking_never_stops_anything(csample, workload):
    target = workload("waits")
    settled(target.pid)
    result = csample("dump", "-p", target.pid, "--json", "--nonblocking")
    assert result.status == 0, result
    threads = {t["name"]: t for t in json.loads(result.out)["threads"]}
    for name, (function, _) in WAITS.items():
        assert function in functions(threads[name])


def test_deep_recursion(dump, workload):
    names = functions(dump(workload("deep").pid)["threads"][0])
    assert names.count("descend") == 2000 and "main" in names


def test_four_hundred_threads(dump, workload):
    report = dump(workload("crowd", 400, 2).pid)
    assert len(report["threads"]) == 401
    idle = [t for t in report["threads"] if t["name"] == "idle"]
    assert len(idle) == 398 and all("idle_wait" in functions(t) and t["rooted"] for t in idle)


@root_only
def test_in_other_namespaces(dump, start, tmp_path):
    from test_record import namespaced
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    _, pid = namespaced(start, 'mount -t tmpfs none "$1"; cp "$2" "$1/inside"; exec "$1/inside"', hidden, built("sleeper"))
    report = dump(pid)
    assert report["pid"] == pid
    assert "event_loop" in functions(report["threads"][0])


def test_while_another_tool_traces(dump, workload, start):
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    import subprocess
    target = workload("waits")  # whose waits survive what strace does to them
    tracer = start("strace", "-qq", "-e", "trace=none", "-p", target.pid, stderr=subprocess.DEVNULL)
    wait_until(lambda: f"TracerPid:\t{tracer.pid}\n" in pathlib.Path(f"/proc/{target.pid}/status").read_text(),
               what="strace's attachment")
    threads = {t["name"]: t for t in dump(target.pid)["threads"]}
    assert "in_poll" in functions(threads["poller"])
