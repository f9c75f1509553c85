# SPDX-License-Identifier: Apache-2.0
"""Every frame of every shape of stack, on every interpreter to be had: function, file and line as Python
itself tells them. tests/workloads/python has the shapes."""
import json

import pytest

import pythons
import pytruth
from conftest import SAN
from emitting import parse_pprof

# The sanitizers' build is for memory errors; a few ways to lay out frames are enough there.
VERSIONS = ("3.8", "3.11", "3.15", "3.14t") if SAN else pythons.ALL


@pytest.fixture(params=VERSIONS)
def python(request):
    return pythons.require(request.param)


def release(python):
    return tuple(int(n) for n in python.version.split(".")[:2])


@pytest.fixture
def frozen(python, tmp_path):
    with pytruth.Frozen(python, tmp_path) as frozen:
        yield frozen


def dump(csample, pid, *options):
    result = csample("dump", "-p", pid, "--json", *options)
    assert result.status == 0, result
    return json.loads(result.out), result.err


def recorded(csample, pid, folder, *options):
    """{tid: {stack of Python frames}} of a recording of all threads."""
    out, stats = folder / "out.pb.gz", folder / "stats.json"
    result = csample("record", "-p", pid, "-e", "wall", "-t", "-d", "1", "-r", "20", "--native=none", "-o", out,
                     "--stats-json", stats, *options)
    assert result.status == 0, result
    stacks = {}
    for stack, _, labels in parse_pprof(out.read_bytes())["samples"]:
        frames = [line for _, _, lines in stack for line in lines]
        stacks.setdefault(labels["tid"], set()).add(tuple((f, file, line) for f, file, line in frames))
    return stacks, json.loads(stats.read_text())


def test_dump(csample, frozen, python):
    """Before anybody asked Python for its frames, and with native frames or without, they are the same."""
    report, err = dump(csample, frozen.pid)
    alone, _ = dump(csample, frozen.pid, "--native=none")
    truth = frozen.truth()
    assert report["runtimes"] == [{"name": "python", "version": report["runtimes"][0]["version"]}]
    assert report["runtimes"][0]["version"].startswith(python.version)
    for seen in report, alone, dump(csample, frozen.pid)[0]:
        stacks = {t["tid"]: pytruth.python_frames(t) for t in seen["threads"]}
        bad = pytruth.compare(release(python), stacks, truth)
        assert not bad, bad
    names = {t["tid"]: t["name"] for t in report["threads"]}
    assert {thread["name"] for thread in truth.values()} >= {"recursion", "await_chain", "main"}
    for tid, thread in truth.items():
        if not thread["name"].startswith("sub-"):
            assert names[tid] == {"main": "MainThread"}.get(thread["name"], thread["name"])
    assert all(t["rooted"] for t in report["threads"] if t["tid"] in truth)
    assert not any(t.get("gil") or t["active"] for t in report["threads"] if t["tid"] in truth)
    assert all(("gil" in t) != python.free_threaded for t in report["threads"] if t["tid"] in truth)
    assert "python" not in err, err


def test_record(csample, frozen, python, tmp_path):
    """Each sample of each thread is the same stack, and it is the true one."""
    stacks, stats = recorded(csample, frozen.pid, tmp_path)
    truth = frozen.truth()
    bad = {}
    for tid, thread in truth.items():
        wrong = [w for seen in stacks.get(tid, [()]) for w in
                 pytruth.differences(release(python), without_process(seen, thread), thread["frames"])]
        if wrong:
            bad[thread["name"]] = wrong[:4]
    assert not bad, bad
    assert not {k: v for k, v in stats["errors"].items() if k.startswith("python") and v}, stats["errors"]


def without_process(stack, thread):
    """Less the thread's own root frame."""
    return [f for f in stack if not (f[1] == "" and f[2] == 0 and thread["name"] in f[0])] if stack else []


def test_the_judge_sees_differences():
    """It would be no judge otherwise."""
    true = [{"name": "f", "qualname": "A.f", "file": "/x.py", "line": 3}, {"name": "<module>", "qualname": "<module>",
                                                                          "file": "/x.py", "line": 9}]
    good = [("A.f", "/x.py", 3), ("<module>", "/x.py", 9)]
    assert not pytruth.differences((3, 12), good, true)
    assert not pytruth.differences((3, 8), [("f", "/x.py", 3), good[1]], true)
    for bad in ([good[1]], good[:1], good[::-1], [("f", "/x.py", 3), good[1]], [("A.f", "/x.py", 4), good[1]],
                [("A.f", "/y.py", 3), good[1]], [("A.f", "/x.py", None), good[1]], [*good, good[1]], []):
        assert pytruth.differences((3, 12), bad, true), bad
    assert pytruth.differences((3, 8), [("B.f", "/x.py", 3), good[1]], true)
    assert pytruth.compare((3, 12), {}, {1: {"name": "t", "frames": true}})


# From 3.13 on each thread that enters a sub-interpreter has a state of its own there.
CREATOR = """if True:
    import os, sys, threading, time
    import _xxsubinterpreters as interpreters
    created = [interpreters.create() for _ in range(6)]
    there, theirs = os.pipe()
    def runner(n, tell):
        interpreters.run_string(created[n], f'''if True:
            import os, time
            def outer_{n}():
                inner_{n}()
            def inner_{n}():
                os.write({tell}, b"ready\\\\n")
                BODY
            outer_{n}()'''.replace("BODY", "time.sleep(600)" if sys.argv[1] != "run" or n else
                                        "exec('while True: sum(range(1000)); time.sleep(0)')"))
    def creator():
        if sys.argv[1] == "enter":
            runner(5, 1)
        os.write(1, b"ready\\n")
        if sys.argv[1] == "sleep":
            time.sleep(600)
        while True:
            sum(range(1000))
            if sys.argv[1] == "run":
                time.sleep(0)  # who runs another interpreter cannot ask 3.9 for the GIL
    for n in (3, 0):
        threading.Thread(target=runner, args=(n, theirs), daemon=True).start()
        os.read(there, 6)
    creator()"""


def check_creator(stacks, pid, doing):
    """stacks: {tid: functions, innermost first}."""
    stacks = {tid: [f for f in names if not f.startswith("Thread.") and f != "<module>"] for tid, names in stacks.items()}
    expected = ["creator"] if doing != "enter" else ["inner_5", "outer_5", "runner", "creator"]
    assert stacks.pop(pid)[-len(expected):] == expected, stacks
    assert sorted(stacks.values()) == [[f"inner_{n}", f"outer_{n}", "runner"] for n in (0, 3)], stacks


@pytest.mark.parametrize("doing", ("sleep", "spin", "enter"))
@pytest.mark.parametrize("version", ("3.8", "3.12") if SAN else ("3.8", "3.9", "3.10", "3.11", "3.12"))
def test_a_subinterpreter_run_by_another_thread_than_created_it(csample, start, version, doing):
    """Its state names the creator; it shows in the stack of who runs it, and nowhere else."""
    target = start(pythons.require(version).exe, "-c", CREATOR, doing)
    target.wait_for("ready")
    for native in "none", "own":
        report, err = dump(csample, target.pid, f"--native={native}")
        check_creator({t["tid"]: [f["function"] for f in t["frames"] if f["kind"] == "python"]
                       for t in report["threads"]}, target.pid, doing)
        assert "python" not in err, err


@pytest.mark.parametrize("version", ("3.9",) if SAN else ("3.8", "3.9", "3.10", "3.12"))
def test_a_subinterpreter_recorded_in_the_thread_that_runs_it(csample, start, tmp_path, version):
    target = start(pythons.require(version).exe, "-c", CREATOR, "run")
    target.wait_for("ready")
    out, stats = tmp_path / "out.collapsed", tmp_path / "stats.json"
    result = csample("record", "-p", target.pid, "-t", "-F", "-d", 1, "-r", 1000, "--native=none", "-o", out,
                     "--stats-json", stats)
    assert result.status == 0, result
    bad, seen = [], set()
    for stack in map(lambda line: line.rpartition(" ")[0].split(";"), out.read_text().splitlines()):
        runs = [name for name in stack if name in ("creator", "inner_0", "inner_3")]
        seen.update(runs)
        if len(runs) > 1 or runs == ["inner_0"] and "runner" not in stack:
            bad.append(stack)
    assert not bad and {"creator", "inner_0"} <= seen, (bad[:5], seen, result)
    errors = json.loads(stats.read_text())["errors"]
    assert not errors.get("python_torn") and not errors.get("python_unmerged"), errors
