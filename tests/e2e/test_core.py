# SPDX-License-Identifier: Apache-2.0
"""csample dump --core: core files of real programs, by gcore and by the kernel, native and Python."""
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys

import pytest

import pythons
from conftest import ROOT, built, wait_until

SHAPES = ROOT / "tests/snapshots/shapes.py"


@pytest.fixture
def gcore(tmp_path):
    """gcore(pid): the path of a core of the living process."""
    if not shutil.which("gcore"):
        pytest.skip("gcore (gdb) is not installed")

    def gcore(pid):
        done = subprocess.run(["gcore", "-o", str(tmp_path / "core"), str(pid)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=300)
        path = tmp_path / f"core.{pid}"
        assert path.exists(), done.stdout
        return path
    yield gcore
    for path in tmp_path.glob("core.*"):  # tens of megabytes each
        path.unlink()


@pytest.fixture
def crash(tmp_path):
    """crash(command...): the core that the kernel wrote of it, and its pid. With until, it is killed
    when that has come true."""
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if pattern[0] in "|/" or "/" in pattern:
        pytest.skip(f"the kernel's core_pattern leads elsewhere: {pattern}")

    def unlimited():
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        except ValueError:
            hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
            resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

    def crash(*command, until=None, **options):
        folder = tmp_path / "crash"
        folder.mkdir()
        target = subprocess.Popen([str(c) for c in command], cwd=folder, preexec_fn=unlimited,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
        if until:
            try:
                wait_until(until, what="what the target waits for")
            finally:
                target.send_signal(signal.SIGABRT)  # nobody ignores it, as CI does with SIGQUIT
        assert target.wait(timeout=60) < 0
        cores = list(folder.glob("*core*"))
        if not cores:
            pytest.skip("the kernel wrote no core: its size is limited")
        return cores[0], target.pid
    yield crash
    shutil.rmtree(tmp_path / "crash", ignore_errors=True)


@pytest.fixture
def dump(csample):
    def dump(core, *args):
        result = csample("dump", "--core", core, "--json", *args)
        assert result.status == 0, result
        return json.loads(result.out), result.err
    return dump


def functions(thread):
    return [frame["function"] for frame in thread["frames"]]


def test_each_thread_of_a_living_program(dump, workload, gcore):
    target = workload("waits")
    report, err = dump(gcore(target.pid))
    assert not err
    assert report["pid"] == target.pid and report["core"].endswith(f"core.{target.pid}")
    assert report["command"][0].endswith("/waits") and "signal" not in report
    threads = report["threads"]
    assert len(threads) == 6 and threads[0]["tid"] == target.pid and threads[0]["name"] == "waits"
    assert all("state" not in t and "active" not in t for t in threads)
    for function, wait in (("in_read", "read"), ("in_sleep", "nanosleep"), ("in_poll", "poll"), ("in_lock", "futex")):
        thread = next(t for t in threads if function in functions(t))
        assert wait in thread["wait"] and thread["rooted"], thread
        assert next(f for f in thread["frames"] if f["function"] == function)["file"].endswith("waits.c")
    runner = next(t for t in threads if "running" in functions(t))
    assert "wait" not in runner and runner["rooted"]


def test_the_thread_that_crashed(dump, crash):
    core, pid = crash(built("crash"))
    report, err = dump(core)
    assert not err
    assert report["pid"] == pid and report["signal"] == "SIGSEGV"
    main, crashed = report["threads"]
    assert main["tid"] == pid and "main" in functions(main) and "signal" not in main
    assert crashed["signal"] == "SIGSEGV" and crashed["rooted"]
    assert functions(crashed)[:3] == ["innermost", "middle", "crashing"], crashed


def test_a_handler_on_a_stack_of_its_own(dump, crash):
    core, _ = crash(built("crash"), "alternate")
    report, _ = dump(core)
    assert report["signal"] == "SIGABRT"
    names = functions(report["threads"][1])
    assert names.index("give_up") < names.index("on_fault") < names.index("innermost") < names.index("crashing"), names
    assert report["threads"][1]["rooted"]


def test_text_of_a_crash(csample, crash):
    core, pid = crash(built("crash"))
    text = csample("dump", "--core", core)
    assert text.status == 0 and not text.err, text
    assert re.match(rf"Core of process {pid}, ended by SIGSEGV: .*crash\n", text.out), text
    assert re.search(r"^Thread [0-9]+ \(SIGSEGV\)$", text.out, re.M), text
    assert re.search(r"^    innermost \(crash\.c:[0-9]+\) \[crash\]$", text.out, re.M), text


def test_a_program_that_was_replaced_or_moved(csample, dump, start, gcore, tmp_path):
    program, saved = tmp_path / "program", tmp_path / "saved"
    shutil.copy(built("waits"), program)
    target = start(program)
    target.wait_for("ready")
    core = gcore(target.pid)
    program.rename(saved)
    report, err = dump(core)
    assert f"{program} cannot be opened" in err and "--exe" in err
    assert not any("in_read" in functions(t) for t in report["threads"])
    shutil.copy(built("sleeper"), program)
    report, err = dump(core)
    assert f"{program} has been replaced" in err
    names = {name for t in report["threads"] for name in functions(t)}
    assert not names & {"in_read", "event_loop"}, names
    assert any("read" in functions(t) for t in report["threads"]), "libc still has its names"
    report, err = dump(core, "--exe", saved)
    assert not err and any("in_read" in functions(t) for t in report["threads"])
    wrong = csample("dump", "--core", core, "--exe", built("sleeper"))
    assert wrong.status == 1 and "is not the program" in wrong.err and not wrong.out
    missing = csample("dump", "--core", core, "--exe", tmp_path / "nothing")
    assert missing.status == 1 and "No such file" in missing.err and not missing.out


def test_what_is_no_core_or_only_the_beginning_of_one(csample, workload, gcore, tmp_path):
    for path, why in ((built("waits"), "not a core file"), (tmp_path / "nothing", "No such file"), (tmp_path, "not a core")):
        result = csample("dump", "--core", path)
        assert result.status == 1 and why in result.err and not result.out, result
    packed = tmp_path / "packed"
    packed.write_bytes(b"\x28\xb5\x2f\xfd" + b"x" * 1000)
    result = csample("dump", "--core", packed)
    assert result.status == 1 and "zstd" in result.err
    whole = gcore(workload("waits").pid).read_bytes()
    cut = tmp_path / "cut"
    # gdb writes the notes last, and where they are missing so are the threads.
    cut.write_bytes(whole[:len(whole) // 2])
    result = csample("dump", "--core", cut)
    assert result.status == 1 and "no threads" in result.err, result
    for args in (("-p", "1", "--core", cut), ("--exe", "/bin/true", "-p", "1")):
        result = csample("dump", *args)
        assert result.status == 2 and not result.out, result


def test_a_core_of_the_kernel_that_is_cut(csample, crash, tmp_path):
    whole = crash(built("crash"))[0].read_bytes()
    cut = tmp_path / "cut"
    cut.write_bytes(whole[:len(whole) * 3 // 4])
    result = csample("dump", "--core", cut)
    assert result.status == 0 and "is cut" in result.err, result
    assert "innermost" in result.out  # registers are at the beginning
    cut.write_bytes(whole[:8192])
    result = csample("dump", "--core", cut)
    assert result.status in (0, 1) and "cut" in result.err, result


def frames_of(thread):
    return [[f["function"], f["file"], f["line"]] for f in thread["frames"] if f["kind"] == "python"]


def truth_of(stack, thread):
    """The names that csample chose, where Python has two for the same function."""
    got = frames_of(thread)
    return [[g[0] if g[0] in (plain, qualified) else qualified, file, line]
            for (plain, qualified, file, line), g in zip(stack, got)]


ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


@pytest.mark.parametrize("name", pythons.CHOSEN)
def test_python_of_a_core_is_what_python_said(name, dump, crash, tmp_path):
    python = pythons.require(name)
    report = tmp_path / "report.json"
    core, _ = crash(python.exe, "-s", "-S", SHAPES, report, until=report.exists, env=ENVIRONMENT)
    dumped, err = dump(core, "--native=none")
    assert not err
    assert dumped["runtimes"] == [{"name": "python", "version": python.shown}]
    assert_stacks(dumped, json.loads(report.read_text()))


def test_python_of_a_core_of_a_debugger(dump, start, gcore, tmp_path):
    """gdb leaves out code, and all that files have. (It writes zeros where a mapping has guard pages,
    as thread stacks of glibc 2.42 and later do on Linux 6.13: not the newest interpreters, then.)"""
    python = pythons.require("3.12")
    report = tmp_path / "report.json"
    target = start(python.exe, "-s", "-S", SHAPES, report, env=ENVIRONMENT)
    wait_until(report.exists, what="the report of the target")
    core = gcore(target.pid)
    target.end()  # only the core is left
    assert_stacks(dump(core)[0], json.loads(report.read_text()))


def assert_stacks(dumped, truth):
    threads = {t.get("name"): t for t in dumped["threads"]}
    assert set(truth) <= set(threads), list(threads)
    for thread, stack in truth.items():
        assert len(frames_of(threads[thread])) == len(stack)
        assert frames_of(threads[thread]) == truth_of(stack, threads[thread]), thread


def test_python_that_crashed_in_c(dump, crash):
    """faulthandler has a stack of its own for its handler, and raises the signal there again."""
    code = ("import faulthandler, ctypes, threading; faulthandler.enable()\n\n"
            "def fall(n):\n    return fall(n - 1) if n else ctypes.string_at(1)\nfall(3)\n")
    core, _ = crash(sys.executable, "-c", code)
    report, _ = dump(core, "--locals")
    assert report["signal"] == "SIGSEGV"
    main = report["threads"][0]
    assert main["signal"] == "SIGSEGV" and main["gil"] and main["name"] == "MainThread"
    frames = [f for f in main["frames"] if f["kind"] == "python"]
    assert [f["function"] for f in frames] == ["string_at", "fall", "fall", "fall", "fall", "<module>"]
    assert [f["locals"] for f in frames[1:5]] == [[{"name": "n", "value": str(n), "argument": True}]
                                                  for n in range(4)]
    assert {f["line"] for f in frames[1:5]} == {4} and frames[5]["line"] == 5
    assert "_start" in functions(main) and main["rooted"]


def test_a_deadlock_of_two_locks(dump, start, gcore):
    code = """
import threading
a, b, both = threading.Lock(), threading.Lock(), threading.Barrier(2)
def first():
    with a:
        both.wait()
        with b:
            pass
def second():
    with b:
        both.wait()
        with a:
            pass
ts = [threading.Thread(target=f, name=f.__name__) for f in (first, second)]
for t in ts: t.start()
print("ready", flush=True)
for t in ts: t.join()
"""
    target = start(sys.executable, "-c", code)
    target.wait_for("ready")

    def futexes():
        waits = [pathlib.Path(f"/proc/{target.pid}/task/{t}/wchan").read_text() for t in os.listdir(f"/proc/{target.pid}/task")]
        return len(waits) == 3 and all("futex" in w for w in waits)
    wait_until(futexes, what="the deadlock")
    report, _ = dump(gcore(target.pid))
    leaf = {t["name"]: next(f for f in t["frames"] if f["kind"] == "python") for t in report["threads"]}
    assert (leaf["first"]["function"], leaf["first"]["line"]) == ("first", 7)
    assert (leaf["second"]["function"], leaf["second"]["line"]) == ("second", 12)
    assert all("futex" in t["wait"] for t in report["threads"])
