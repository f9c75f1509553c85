# SPDX-License-Identifier: Apache-2.0
"""JavaScript frames of Node.js against what the program's own Error().stack says."""
import json
import re

import pytest

import nodes
from conftest import ROOT, state_of, wait_until

PLACES = ROOT / "tests/workloads/node/places.js"
TIERS = {
    "interpreted": ["--no-opt", "--no-sparkplug"],
    "baseline": ["--no-opt", "--always-sparkplug"],
    "optimized": ["--allow-natives-syntax", "--no-sparkplug"],
}
NO_MAGLEV = {"24", "26"}  # where the flag is known and Maglev is on


@pytest.fixture(params=nodes.ALL)
def node(request):
    return request.param, nodes.require(request.param)


def arguments(major, tier):
    return TIERS[tier] + (["--no-maglev"] if major in NO_MAGLEV else [])


def of_stack(text):
    """[(function, script, line)] of an Error().stack, innermost first."""
    frames = []
    for line in text.splitlines()[1:]:
        match = re.fullmatch(r"\s+at (?:(\S.*?) \()?(.*?)(?::(\d+):(\d+))?\)?", line)
        function, script, number, _ = match.groups()
        if function == "eval":  # code that was a string
            frames.append(("(anonymous)", f"eval at captured in {PLACES.name}", 1))
            continue
        function = re.sub(r" \[as .*\]$", "", function or "")
        if "<anonymous>" in function or not function:
            function = "(anonymous)"
        # "Square.method", "new Shape", "async f", "get size": the function's own name is last.
        frames.append((re.split(r"[. ]", function)[-1], script, int(number or 0)))
    return frames


def of_dump(thread):
    frames = []
    for frame in thread["frames"]:
        if frame["kind"] == "javascript":
            function = "(anonymous)" if frame["function"].startswith("(anonymous)") else frame["function"]
            frames.append((re.split(r"[. ]", function)[-1], frame.get("file", "<anonymous>"), frame.get("line", 0)))
    return frames


@pytest.mark.parametrize("tier", TIERS)
def test_frames_are_those_of_error_stack(csample, start, node, tier):
    major, exe = node
    target = start(exe, *arguments(major, tier), PLACES, *(["optimize"] if tier == "optimized" else []))
    stack, optimized = json.loads(target.read_line())
    assert optimized == (tier == "optimized")
    wait_until(lambda: state_of(target.pid) == "S", what="its sleep")
    result = csample("dump", "-p", target.pid, "--json")
    assert result.status == 0, result
    report = json.loads(result.out)
    assert {"name": "javascript", "version": nodes.VERSIONS[major]} in report["runtimes"]
    thread = next(t for t in report["threads"] if t["tid"] == target.pid)
    # Where it sleeps, and where it is called: past where the stack was taken.
    expected = [("sleepForGood", str(PLACES), 15)] + of_stack(stack)
    expected[1] = ("freeze", str(PLACES), 12)
    found = of_dump(thread)
    assert found == expected, thread
    assert thread["rooted"]
