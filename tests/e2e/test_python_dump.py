# SPDX-License-Identifier: Apache-2.0
"""What dump shows of Python beside functions and lines: variables, threads' names, asyncio's tasks. Each
release of Python says itself what is right."""
import json

import pytest

import pythons
from conftest import ROOT

PROGRAMS = ROOT / "tests/workloads/python"


def dump(csample, pid, *options):
    result = csample("dump", "-p", pid, "--json", *options)
    assert result.status == 0, result
    return json.loads(result.out)


def variables(frame, arguments):
    return {v["name"]: v["value"] for v in frame.get("locals", []) if v.get("argument", False) == arguments}


def last_part(function):
    return function.rpartition(".")[2]


def own_frames(thread, program):
    return [f for f in thread["frames"] if f.get("file", "").endswith(program) and f["function"] != "<lambda>"]


@pytest.fixture(params=pythons.CHOSEN)
def python(request):
    return pythons.require(request.param)


def test_variables_are_what_python_says(python, start, csample):
    program = start(python.exe, PROGRAMS / "variables.py")
    truth = json.loads(program.read_line())
    threads = {t["name"]: t for t in dump(csample, program.pid, "-l")["threads"]}
    for wanted in truth:
        assert wanted["name"] in threads, f"no thread is called {wanted['name']!r}: {list(threads)}"
        frames = own_frames(threads[wanted["name"]], "variables.py")
        assert [last_part(f["function"]) for f in frames] == [f["function"] for f in wanted["frames"]]
        for frame, expected in zip(frames, wanted["frames"]):
            assert variables(frame, True) == expected["arguments"], frame["function"]
            assert variables(frame, False) == expected["locals"], frame["function"]


def test_methods_are_named_with_their_class(python, start, csample):
    program = start(python.exe, PROGRAMS / "variables.py")
    program.read_line()
    functions = {f["function"] for t in dump(csample, program.pid)["threads"] for f in own_frames(t, "variables.py")}
    assert {"Thing.__init__", "Thing.method", "Thing.made", "closure", "generator"} <= functions
    assert ("inner" if python.version.split(".")[1] in "6 7 8 9 10".split() else "closure.<locals>.inner") in functions


def test_tasks_and_what_they_await(python, start, csample):
    if python.minor == "3.6":
        pytest.skip("asyncio of 3.6 keeps no set of tasks in asyncio.tasks")
    program = start(python.exe, PROGRAMS / "tasks.py")
    program.wait_for("ready")
    tasks = dump(csample, program.pid)["tasks"]
    by_frames = {tuple(f["function"] for f in t["frames"] if f["file"].endswith("tasks.py") and "asyncio" not in
                       f["file"]): t for t in tasks}
    named = python.minor != "3.7"
    assert set(by_frames) == {("main",), ("parent",), ("spin",), ("Service.handle", "numbers", "consume"),
                              ("Service.handle",)}, tasks
    service, consumer = by_frames[("Service.handle",)], by_frames[("Service.handle", "numbers", "consume")]
    main, parent, spin = by_frames[("main",)], by_frames[("parent",)], by_frames[("spin",)]
    assert service["name"] == ("s\u00e9rvice" if named else "Service.handle()")
    assert main["name"] == ("Task-1" if named else "main()")
    for awaited in (service, consumer):
        assert awaited["awaited_by"] == [parent["name"]]
    assert parent["awaited_by"] == [main["name"]]
    assert not main.get("awaited_by")
    assert [t for t in tasks if t["running"]] == [spin]
    assert {t["tid"] for t in tasks} == {program.pid}
    lines = (PROGRAMS / "tasks.py").read_text().splitlines()
    assert "await Service().handle()" in lines[consumer["frames"][-2]["line"] - 1]
    assert "async for" in lines[consumer["frames"][-1]["line"] - 1]
    assert "gather" in lines[parent["frames"][0]["line"] - 1]
