# SPDX-License-Identifier: Apache-2.0
"""Recordings that keep when samples were: what each format makes of them, and what its readers see."""
import json
import os
import shutil
import subprocess
import sys
import time

import pytest

import browser
from conftest import CSAMPLE
from emitting import emit
from test_convert import convert
from test_formats import HOSTILE
from test_speedscope import from_npm, open_in, speedscope  # noqa: F401: a fixture

MS = 1000000
# main > work for 20 ms, main > rest for 10 ms, nothing for 70 ms, main > work for 10 ms; and another thread.
STACKS = [
    "main;work|n|/bin/app|/src/work.c|20;add|i 1/10000000@20000000,1,main",
    "main;work|n|/bin/app|/src/work.c|21 1/10000000@30000000,1,main",
    "main;idle|p||/srv/app.py|5 1/20000000@40000000,2,worker",
    "main;rest|k 1/10000000@40000000,1,main",
    "main;work|n|/bin/app|/src/work.c|20;add|i 1/10000000@120000000,1,main",
]
PROFILER_CLI = "0.10.0"


def events_of(data):
    """Per tid: (name, category, begin and duration in ms) of complete events; and names of threads."""
    trace = json.loads(data)
    events, names = {}, {}
    for e in trace["traceEvents"]:
        if e["ph"] == "M":
            names[e["name"], e["tid"]] = e["args"]["name"]
        else:
            assert e["ph"] == "X" and e["dur"] > 0
            events.setdefault(e["tid"], []).append((e["name"], e["cat"], e["ts"] / 1000, e["dur"] / 1000))
    return events, names


def test_consecutive_samples_are_one_event():
    events, names = events_of(emit(STACKS, "chrometrace", "--title", "app"))
    assert events == {
        1: [("main", "native", 10, 30), ("work", "native", 10, 20), ("add", "native", 10, 10), ("rest", "kernel", 30, 10),
            ("main", "native", 110, 10), ("work", "native", 110, 10), ("add", "native", 110, 10)],
        2: [("main", "native", 20, 20), ("idle (app.py:5)", "python", 20, 20)],
    }
    assert names == {("process_name", 1): "app", ("thread_name", 1): "main", ("process_name", 2): "app",
                     ("thread_name", 2): "worker"}


def nested(events):
    """Events of a thread lie in one another or apart."""
    open_until = []
    for _, _, begin, duration in events:
        while open_until and open_until[-1] <= begin + 1e-9:
            open_until.pop()
        assert not open_until or begin + duration <= open_until[-1] + 1e-9
        open_until.append(begin + duration)


def test_a_long_thread_and_samples_out_of_order():
    stacks = [f"main;f{i % 7};g{i % 3} 1/{MS}@{(i ^ 1) * MS},1,main" for i in range(1, 70000)]
    events, _ = events_of(emit(stacks, "chrometrace"))
    nested(events[1])
    leaves = sum(duration for name, _, _, duration in events[1] if name[0] == "g")
    assert leaves == pytest.approx(70000, abs=2)


def firefox_samples(data):
    """Per thread's name: (time in ms, weight, stack root first as (function, category, file, line))."""
    file = json.loads(data)
    shared = file["shared"]
    stacks, frames, funcs, strings = (shared[k] for k in ("stackTable", "frameTable", "funcTable", "stringArray"))
    for table in (stacks, frames, funcs, shared["resourceTable"], shared["sources"]):
        assert all(len(column) == table["length"] for name, column in table.items() if name != "length")
    categories = [c["name"] for c in file["meta"]["categories"]]

    def stack(i):
        found = []
        while i is not None:
            f = stacks["frame"][i]
            func = frames["func"][f]
            source = funcs["source"][func]
            found.insert(0, (strings[funcs["name"][func]], categories[frames["category"][f]],
                             None if source is None else strings[shared["sources"]["filename"][source]], frames["line"][f]))
            i = stacks["prefix"][i]
        return found

    return {t["name"]: [(time, weight, stack(s)) for time, weight, s in
                        zip(t["samples"]["time"], t["samples"]["weight"], t["samples"]["stack"])] for t in file["threads"]}


def test_firefox_tables():
    main, work, add = ("main", "Native", None, None), ("work", "Native", "/src/work.c"), ("add", "Native, inlined", None, None)
    assert firefox_samples(emit(STACKS, "firefox")) == {
        "main": [(20, 10, [main, (*work, 20), add]), (30, 10, [main, (*work, 21)]), (40, 10, [main, ("rest", "Kernel", None, None)]),
                 (120, 10, [main, (*work, 20), add])],
        "worker": [(40, 20, [main, ("idle", "Python", "/srv/app.py", 5)])],
    }


def test_json_keeps_times():
    data = emit(STACKS, "json", "--title", "app")
    assert [s[0] // MS for s in json.loads(data)["samples"]] == [20, 30, 40, 40, 120]
    assert convert(data, "json") == data
    assert convert(data, "collapsed") == emit(STACKS, "collapsed")
    assert events_of(convert(data, "chrometrace")) == events_of(emit(STACKS, "chrometrace"))
    assert firefox_samples(convert(data, "firefox")) == firefox_samples(emit(STACKS, "firefox"))
    broken = data.replace(b"[120000000,0,", b"[120000000,2,")
    assert broken != data and "sample 4: no such thread" in convert(broken, "json", status=1)


def test_speedscope_in_order_of_time():
    file = json.loads(emit(STACKS, "speedscope"))
    names = [f["name"] for f in file["shared"]["frames"]]
    assert [(p["name"], [[names[f] for f in s] for s in p["samples"]], p["weights"]) for p in file["profiles"]] == [
        ("main (1)", [["main", "work", "add"], ["main", "work"], ["main", "rest"], ["main", "work", "add"]], [10 * MS] * 4),
        ("worker (2)", [["main", "idle (app.py:5)"]], [20 * MS])]


def test_without_times_there_is_nothing_to_write():
    for form in ("chrometrace", "firefox"):
        assert "record it with --timeline" in emit(["main 1"], form, status=1)


@pytest.mark.parametrize("form", ["chrometrace", "firefox"])
def test_hostile_names(form):
    stacks = [f"{name.replace(';', '').replace('|', '')};x 1/1000000@{i + 1}000000,7,{name[:40]}".replace(" ;", ";")
              for i, name in enumerate(HOSTILE) if " " not in name and name]
    data = emit(stacks, form, "--title", HOSTILE[1], "--command", HOSTILE[0])
    (events_of if form == "chrometrace" else firefox_samples)(data)


def test_speedscope_reads_the_trace(speedscope, tmp_path):  # noqa: F811
    page = browser.Chromium()
    try:
        open_in(page, speedscope, tmp_path, "app.trace.json", emit(STACKS, "chrometrace", "--title", "app"))
        page.keys("3")
        page.wait("return document.querySelectorAll('table tr').length > 3")
        rows = page.run("return [...document.querySelectorAll('table tr')].map(r => r.innerText.split(/\\s*[\\n\\t]\\s*/))")
        found = {row[-1]: row[:2] for row in rows}
        assert found["work"][0].startswith("30.00ms") and found["work"][1].startswith("10.00ms"), rows
        assert found["rest"][1].startswith("10.00ms") and found["add"][1].startswith("20.00ms"), rows
        assert [c for c in page.complaints() if "rror" in c or "to end" in c or "still open" in c] == []
    finally:
        page.close()


@pytest.fixture(scope="module")
def profiler_cli(tmp_path_factory):
    """The Firefox Profiler's own code, as it reads files without a browser: run(arguments) gives its JSON."""
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip("npm is not installed")
    script = from_npm("@firefox-devtools/profiler-cli", PROFILER_CLI) / "dist/profiler-cli.js"
    env = dict(os.environ, HOME=str(tmp_path_factory.mktemp("profiler")))

    daemons = []

    def run(*args):
        done = subprocess.run(["node", script, *args, "--session", "it"], env=env, capture_output=True, text=True, timeout=60)
        return done.stdout if done.returncode == 0 else None

    def load(path):
        """What its "load" starts, which gives up after half a second."""
        daemons.append(subprocess.Popen(["node", script, "--daemon", path, "--session", "it"], env=env,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        end = time.monotonic() + 120
        while not run("profile", "info"):
            assert daemons[-1].poll() is None and time.monotonic() < end, "profiler-cli does not load it"
            time.sleep(0.1)

    run.load = load
    yield run
    for daemon in daemons:
        daemon.kill()
        daemon.wait()


def test_firefox_profiler_reads_it(profiler_cli, tmp_path):
    path = tmp_path / "app.firefox.json"
    emit(STACKS, "firefox", "--title", "app", path=path)
    profiler_cli.load(path)
    info = profiler_cli("profile", "info")
    assert "Name: app" in info and "2 threads across 1 processes" in info
    assert "main [tid 1]" in info and "worker [tid 2]" in info
    functions = json.loads(profiler_cli("thread", "functions", "--json"))["functions"]
    assert {f["nameWithLibrary"]: (f["selfSamples"], f["totalSamples"]) for f in functions} == {
        "main": (0, 40), "app!work": (10, 30), "add": (20, 20), "rest": (10, 10)}  # ms
    assert "Kernel" in profiler_cli("thread", "samples")


def test_live_timeline(tmp_path):
    """Two functions in turns, each 300 ms: in the trace they alternate, and their sums are the profile's."""
    program = tmp_path / "turns.py"
    program.write_text("import threading, time\n"
                       "def spin(until):\n    while time.process_time() < until: pass\n"
                       "def first(until): spin(until)\n"
                       "def second(until): spin(until)\n"
                       "for i in range(4): (first, second)[i % 2](0.3 * (i + 1))\n")
    out = tmp_path / "turns.json"
    done = subprocess.run([CSAMPLE, "record", "--timeline", "--native=none", "-r", "199", "-o", out, "--", sys.executable, program],
                          capture_output=True, text=True, timeout=120)
    if done.returncode and "permission" in done.stderr.lower():
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    file = json.loads(out.read_text())
    assert sum(s[3] for s in file["samples"]) == sum(n[2] for n in file["nodes"])
    total = sum(n[3] for n in file["nodes"])
    assert .95 * total <= sum(s[4] for s in file["samples"]) <= total
    times = [s[0] for s in file["samples"]]
    assert times == sorted(times) and times[-1] <= file["meta"]["duration_ns"] + 20 * MS
    events, names = events_of(convert(out.read_bytes(), "chrometrace", "--function"))
    (tid, found), = events.items()
    nested(found)
    turns = [name for name, *_ in found if name in ("first", "second")]
    assert [n for i, n in enumerate(turns) if not i or turns[i - 1] != n] == ["first", "second"] * 2
    assert names["thread_name", tid] == "MainThread"
