# SPDX-License-Identifier: Apache-2.0
"""JavaScript frames of Node.js against what the program's own Error().stack says."""
import http.client
import json
import os
import pathlib
import re
import signal
import threading

import pytest

import nodes
from conftest import ROOT, SAN, built, frame_name, functions_of, share_of, state_of, wait_until

WORKLOADS = ROOT / "tests/workloads/node"
PLACES = WORKLOADS / "places.js"
CLASSES = WORKLOADS / "classes.js"
SHARES = WORKLOADS / "shares.js"
WORKERS = WORKLOADS / "workers.mjs"
TIERS = {
    "interpreted": ["--no-opt", "--no-sparkplug"],
    "jitless": ["--jitless"],
    "baseline": ["--no-opt", "--always-sparkplug"],
    "optimized": ["--allow-natives-syntax", "--no-sparkplug"],
    "maglev": ["--allow-natives-syntax", "--no-sparkplug"],
}
MAGLEV = {"24", "26"}  # where it is on


@pytest.fixture(params=nodes.ALL)
def node(request):
    return request.param, nodes.require(request.param)


def arguments(major, tier):
    return TIERS[tier] + (["--no-maglev"] if major in MAGLEV and tier != "maglev" else [])


def of_stack(text):
    return [frame[:3] for frame in nodes.frames_of(text)]


def of_dump(thread):
    frames = []
    for frame in thread["frames"]:
        if frame["kind"] == "javascript":
            function = "(anonymous)" if frame["function"].startswith("(anonymous)") else frame["function"]
            frames.append((re.split(r"[. ]", function)[-1], frame.get("file", "<anonymous>"), frame.get("line", 0)))
    return frames


@pytest.mark.parametrize("major, tier", [(m, t) for m in nodes.ALL for t in TIERS if t != "maglev" or m in MAGLEV])
def test_frames_are_those_of_error_stack(csample, start, major, tier):
    exe = nodes.require(major)
    mode = {"optimized": ["optimize"], "maglev": ["maglev"]}.get(tier, [])
    target = start(exe, *arguments(major, tier), PLACES, *mode)
    stack, optimized = json.loads(target.read_line())
    assert optimized == bool(mode)
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
    if tier == "interpreted":
        line, column = next((f["line"], f["column"]) for f in thread["frames"] if f["function"] == "middle")
        assert f"    middle (places.js:{line}:{column})\n" in csample("dump", "-p", target.pid).out


# What Error().stack says by the receiver alone, wherever the method is from: and what csample does.
RECEIVERS = {("Derived.inherited", 72): "Base.inherited", ("Lender.borrowed", 89): "borrowed",
             ("Local.own", 83): "own", ("Object.ofObject", 67): "ofObject", ("Object.ofNobody", 96): "ofNobody",
             ("Object.next", 38): "next"}


def test_methods_show_with_the_class_that_defines_them(csample, start, node):
    major, exe = node
    target = start(exe, CLASSES)
    stack = json.loads(target.read_line())
    wait_until(lambda: state_of(target.pid) == "S", what="its sleep")
    report = json.loads(csample("dump", "-p", target.pid, "--json").out)
    thread = next(t for t in report["threads"] if t["tid"] == target.pid)
    found = [(f["function"], f["line"]) for f in thread["frames"] if f.get("file") == str(CLASSES)]
    said = re.findall(r"at (?:async )?(.*?) \(" + re.escape(str(CLASSES)) + r":(\d+):", stack)
    expected = []
    for name, line in said:
        name = re.sub(r" \[as .*\]$", "", name)
        if "#" in name:  # private methods are in no property
            name = name[name.index("#"):]
        elif name.startswith(("get ", "set ")):
            name = "Plain." + name
        elif name == "Function.made":  # Node 16
            name = "Plain.made"
        expected.append((RECEIVERS.get((name, int(line)), name), int(line)))
    # Where it sleeps is past where the stack was taken; and what the timer calls, has its own name.
    assert found[1:len(expected) - 1] == expected[1:-1]
    assert {"Plain.last", "Crowded.m250", "Old.walk", "Slow.crawl", "Base.inherited",
            "Derived.inherited"} <= {name for name, _ in found}


def javascript_of(stacks, script):
    """The functions that are shown as being of a script."""
    found = set()
    for stack in stacks:
        found |= {frame_name(f) for f in stack if re.search(rf" \({re.escape(script)}:\d+\)$", f)}
    return found


@pytest.mark.skipif(SAN, reason="one flavour is enough")
def test_maglev_without_lines_is_told(csample, start):
    exe = nodes.find_version(nodes.MAGLEV_WITHOUT_LINES)
    if not exe:
        pytest.skip(f"Node.js {nodes.MAGLEV_WITHOUT_LINES} is not to be had from npm here")
    for _ in range(5):  # V8 may have thought better of its code meanwhile
        target = start(exe, *TIERS["maglev"], PLACES, "maglev")
        stack, optimized = json.loads(target.read_line())
        if optimized:
            break
    thread, result = dump_of(csample, target)
    found = [(f["function"], f["line"]) for f in thread["frames"] if f.get("file") == str(PLACES)]
    # The function with the line where it begins, nothing of what was inlined into it.
    assert ("outer [maglev, no lines]", 28) in found, result
    assert not {"inner", "middle"} & {name for name, _ in found}
    others = [f for f in of_stack(stack)[1:] if f[0] not in ("inner", "middle", "outer")]
    assert [f for f in of_dump(thread)[2:] if f[2] != 28] == others


def own_shares(own):
    return {name: count / sum(own.values()) for name, count in own.items()}


def assert_alike(shares, others, samples, points):
    for name, share in shares.items():
        deviation = (share * (1 - share) / samples) ** 0.5
        assert abs(share - others[name]) < points + 3 * deviation, (shares, others, samples)


def cpu_profile(folder):
    """{function: samples it was on top of} of what --cpu-prof wrote."""
    own = {}
    for node in json.loads(next(folder.glob("*.cpuprofile")).read_text())["nodes"]:
        name = node["callFrame"]["functionName"]
        own[name] = own.get(name, 0) + node["hitCount"]
    return own


# A profiler of V8's own charges what is inlined to the outer function: beside it nothing is.
APART = ["--no-turbo-inlining", "--cpu-prof"]


@pytest.mark.parametrize("tier", ["interpreted", "default", "apart"])
def test_shares_are_what_the_program_measured(record, start, node, tmp_path, tier):
    major, exe = node
    if tier == "apart":
        options = [*APART, f"--cpu-prof-dir={tmp_path}"] + (["--no-maglev-inlining"] if major in MAGLEV else [])
    else:
        options = arguments(major, tier) if tier != "default" else []
    target = start(exe, *options, SHARES, "3000")
    target.wait_for("ready")
    stacks, stats, result = record(target.pid, "-d", "1.5", "-r", "1000")
    target.signal(signal.SIGTERM)
    truth = own_shares(json.loads(target.read_line()))
    assert target.popen.wait() == 0
    # Of what the three have together: three deviations of the share's own statistics, and 2 points
    # for what the program's clock reads cost.
    own = {name: share_of(stacks, name, leaf=True) for name in truth}
    assert sum(own.values()) > 0.5, result
    samples = sum(own.values()) * stats["samples"]
    assert_alike(own_shares(own), truth, samples, 0.02)
    if tier == "apart":
        theirs = {name: count for name, count in cpu_profile(tmp_path).items() if name in truth}
        assert_alike(own_shares(own), own_shares(theirs), min(samples, sum(theirs.values())), 0.02)
    assert stats["rooted"] > 0.95
    # Not only the lines of calls and of loops' heads.
    if tier == "interpreted":
        assert {"five (shares.js:7)", "five (shares.js:8)"} <= {stack[-1] for stack in stacks}


def test_no_wrong_name_while_the_heap_is_compacted(record, start, node):
    _, exe = node
    target = start(exe, "--stress-compaction", "--gc-interval=2000", SHARES, "300", "garbage")
    target.wait_for("ready")
    stacks, stats, result = record(target.pid, "-d", "2", "-r", "250")
    # Pages of code are made writable, and given up, between a sample and its unwinding.
    assert stats["rooted"] > 0.97, result
    found = javascript_of(stacks, "shares.js")
    assert "(garbage collector)" in functions_of(stacks)
    assert found and found <= {"five", "three", "two", "run", "round", "loop", "allocate"}, result


@pytest.mark.parametrize("major", [m for m in nodes.ALL if m in ("18", "24")])
def test_categories_are_roots_without_native_frames(record, start, major):
    """As --cpu-prof has them: whatever ran when a collection began."""
    exe = nodes.require(major)
    target = start(exe, "--stress-compaction", "--gc-interval=2000", SHARES, "300", "garbage")
    target.wait_for("ready")
    stacks, _, result = record(target.pid, "-d", "1", "-r", "500", "--native=none")
    assert ("(garbage collector)",) in stacks, result
    workers = start(exe, WORKERS)
    assert {workers.read_line(), workers.read_line()} == {"spin", "sleep"}
    waiting, _, result = record(workers.pid, "-d", "0.5", "-r", "100", "--native=none", "-e", "wall")
    assert ("(idle)",) in waiting, result
    categories = {"(idle)", "(compiler)", "(garbage collector)"}
    assert all(len(stack) == 1 for stack in (*stacks, *waiting) if categories & set(stack)), result


def test_workers_and_modules(csample, start, node):
    major, exe = node
    target = start(exe, WORKERS)
    assert {target.read_line(), target.read_line()} == {"spin", "sleep"}

    def frozen():
        result = csample("dump", "-p", target.pid, "--json")
        assert result.status == 0, result
        threads = {t["tid"]: t for t in json.loads(result.out)["threads"]}
        names = {tid: [f["function"] for f in t["frames"] if f["kind"] == "javascript"]
                 for tid, t in threads.items()}
        leaves = {n[0] for n in names.values() if n}  # "(idle)" where a thread waits for events
        return threads if {"spinning", "sleeping"} <= leaves else None

    threads = wait_until(frozen, what="both workers at work")
    for thread in threads.values():
        script = [f for f in thread["frames"] if f.get("file") == str(WORKERS)]
        if not script:
            continue
        assert script[0]["function"] in ("spinning", "sleeping")
        lines = {"spinning": (7, 8), "sleeping": (12,)}[script[0]["function"]]
        assert script[0]["line"] in lines and script[0]["column"] > 0
        assert script[1]["function"].startswith("(anonymous) workers.mjs:") and script[1]["line"] in (22, 23, 24)
        assert thread["rooted"]
    # The main thread waits for events: nothing of JavaScript is on its stack.
    main = threads[target.pid]
    assert [f["function"] for f in main["frames"] if f["kind"] == "javascript"] == ["(idle)"]


@pytest.mark.parametrize("major", ["20", "24"])
def test_hot_handler_of_a_server(record, start, major):
    exe = nodes.require(major)
    express = nodes.package("express", "4.21.2")
    if not express:
        pytest.skip("the npm package express is not to be had here")
    server = start(exe, WORKLOADS / "server.js", env=dict(os.environ, EXPRESS=str(express)))
    port = int(server.wait_for("port").split()[1])
    done = threading.Event()

    def load():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for _ in range(20000):
            for path in ("/hot", "/cold", "/cold"):
                connection.request("GET", path)
                assert connection.getresponse().read()
            if done.is_set():
                return

    client = threading.Thread(target=load)
    client.start()
    try:
        stacks, _, result = record(server.pid, "-d", "3", "-r", "250")
    finally:
        done.set()
        client.join()
    own = {}
    for stack, count in stacks.items():
        own[stack[-1]] = own.get(stack[-1], 0) + count
    hottest = max(own, key=own.get)
    assert re.fullmatch(r"planted \(server\.js:(9|10)\)", hottest), result
    # What the event loop calls is not idle.
    assert not [s for s in stacks if "(idle)" in s and hottest in s]
    # It is called by a method, which is called by a callback of a builtin.
    called = [stack for stack in stacks if frame_name(stack[-1]) == "planted"]
    assert any([frame_name(f) for f in s[-4:-1]][:2] == ["Report.render", "Array.prototype.map"] for s in called), [s[-5:] for s in called]
    assert any(frame_name(f) == "handle" for stack in stacks for f in stack), "Express's own functions"


def in_order(stack, names):
    rest = iter(frame_name(f) for f in stack)
    return all(any(re.search(name, f) for f in rest) for name in names)


THREAD = r"^start_thread$|^_?_?clone3?$|^libc\.so"  # the last: a C library that is stripped
# From the root to the leaf: what an add-on, libuv's pool and V8's own threads run.
NATIVE_STACKS = (
    ("^_start$", "^uv_run$", "^callAddon$", "^addon_work$", "^addon_rounds$", "^addon_mix$"),
    (THREAD, "^worker$", "(?i)pbkdf2|sha512"),
    (THREAD, "^worker$", "deflate"),
    (THREAD, "v8::platform::", r"^\(garbage collector\)$"),
    ("^_start$", r"^\(garbage collector\)$"),
)


@pytest.mark.parametrize("major", [m for m in nodes.ALL if m in ("16", "18", "24", "26")])
def test_native_code_leads_to_its_roots(record, start, tmp_path, major):
    exe = nodes.require(major)
    addon = tmp_path / "addon.node"
    addon.write_bytes(built("node_addon", "shared").read_bytes())
    target = start(exe, "--no-opt", WORKLOADS / "native.js", addon)
    target.wait_for("ready")
    missing, rooted, samples = list(NATIVE_STACKS), 0, 0
    for _ in range(20):  # what a busy machine did not run, it runs later
        stacks, stats, result = record(target.pid, "-d", "1", "-r", "500")
        rooted += stats["rooted"] * stats["samples"]
        samples += stats["samples"]
        missing = [names for names in missing if not any(in_order(s, names) for s in stacks)]
        if not missing:
            break
    assert not missing, result
    assert rooted / samples > 0.95, result


def test_debians_library(csample, start):
    """V8 in a stripped libnode.so: builtins are where unwind information is not."""
    command = nodes.debian()
    if not command:
        pytest.skip("Debian's nodejs and libnode108 are not to be had here")
    target = start(*command, "--no-opt", "--no-sparkplug", PLACES)
    stack, _ = json.loads(target.read_line())
    wait_until(lambda: state_of(target.pid) == "S", what="its sleep")
    report = json.loads(csample("dump", "-p", target.pid, "--json").out)
    assert [r["version"].split(".")[0] for r in report["runtimes"]] == [nodes.DEBIAN_NODE]
    thread = next(t for t in report["threads"] if t["tid"] == target.pid)
    assert of_dump(thread)[2:] == of_stack(stack)[1:]
    assert thread["rooted"]


def dump_of(csample, target):
    """(frames of the main thread, Result) once it sleeps."""
    wait_until(lambda: state_of(target.pid) == "S", what="its sleep")
    result = csample("dump", "-p", target.pid, "--json")
    assert result.status == 0, result
    return next(t for t in json.loads(result.out)["threads"] if t["tid"] == target.pid), result


# Major, what its V8 claims to be, and what is not like that of the release next to it.
UNKNOWN = [("24", "14.2.233", None), ("26", "15.0.202", None), ("24", "13.0.233", "compiled code"),
           ("18", "13.0.154", "functions")]


@pytest.mark.parametrize("major, version, refused", [case for case in UNKNOWN if case[0] in nodes.ALL])
def test_an_unknown_v8_is_proven_or_refused(csample, start, tmp_path, major, version, refused):
    exe = nodes.with_version(nodes.require(major), version, tmp_path / "node")
    if not exe:
        pytest.skip("no readelf")
    target = start(exe, "--no-verify-snapshot-checksum", *arguments(major, "optimized"), PLACES, "optimize")
    stack, _ = json.loads(target.read_line())
    thread, result = dump_of(csample, target)
    found, expected = of_dump(thread)[2:], of_stack(stack)[1:]
    told = re.findall(r"V8 [0-9.]+ is not known to csample, and its (.*) not like those of", result.err)
    if refused != "compiled code":  # of which there is one frame: too little to be sure, and so not used
        assert told == ([refused] if refused else []), result
    if refused == "functions":
        assert not of_dump(thread)
        assert any("AtomicsWait" in f["function"] for f in thread["frames"])
    elif refused:
        # Nothing is said of what was inlined, and nothing wrong.
        assert not {"inner", "middle"} & {frame[0] for frame in found}
        assert {"area", "süß", "later"} <= {frame[0] for frame in found}
        outer = next(frame for frame in found if frame[0] == "outer")
        assert outer[2] == 28  # where it begins
        assert [f for f in found if f[0] != "outer"] == [f for f in expected
                                                         if f[0] not in ("inner", "middle", "outer")]
    else:
        assert found == expected


def without_constants(exe, target):
    """As embedders strip them."""
    target.write_bytes(exe.read_bytes().replace(b"v8dbg_", b"v0dbg_"))
    target.chmod(0o755)
    return target


def test_a_build_without_constants_is_told(csample, start, tmp_path):
    """Native frames, and one clear line why."""
    target = start(without_constants(nodes.require("24"), tmp_path / "node"), PLACES)
    target.read_line()
    thread, result = dump_of(csample, target)
    assert len(re.findall(r"without its constants \(v8dbg_\*\)", result.err)) == 1, result
    assert not of_dump(thread)
    assert any("uv_run" in f["function"] for f in thread["frames"])


def test_a_build_without_constants_has_the_names_of_a_perf_map(csample, start, tmp_path):
    exe = without_constants(nodes.require("24"), tmp_path / "node")
    target = start(exe, "--perf-basic-prof", "--interpreted-frames-native-stack", "--no-opt", "--no-sparkplug",
                   "--no-maglev", PLACES, cwd=tmp_path)
    stack, _ = json.loads(target.read_line())
    try:
        thread, _ = dump_of(csample, target)
    finally:
        target.end()
        pathlib.Path(f"/tmp/perf-{target.pid}.map").unlink()
    named = [match for f in thread["frames"] if (match := re.match(r"JS:\S?(?:[gs]et )?(\w+) (\S*places\.js)", f["function"]))]
    wanted = [name for name, script, _ in of_stack(stack) if script == str(PLACES) and name.isidentifier()]
    # In the same order; not those of the JavaScript that V8 compiled before the map was begun.
    found = [match[1] for match in named]
    assert found[found.index("inner"):][:3] == ["inner", "middle", "outer"], thread
    assert set(wanted) - set(found) <= {"constructor"}, (wanted, found)
