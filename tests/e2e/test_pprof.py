# SPDX-License-Identifier: Apache-2.0
"""What go tool pprof makes of our pprof files: the same numbers, and no complaint."""
import os
import re
import shutil
import subprocess

import pytest

from conftest import parse_collapsed
from emitting import ROOT, emit
from test_formats import HOSTILE, META, SHAPES, random_stacks


@pytest.fixture(scope="module")
def pprof(tmp_path_factory):
    """pprof(options..., file, ...): its standard output; what it says on standard error fails the test."""
    if not shutil.which("go"):
        pytest.skip("go is not installed")
    home = tmp_path_factory.mktemp("pprof")
    probe = subprocess.run(["go", "tool", "pprof", "-h"], capture_output=True, text=True, timeout=300)
    if "usage" not in (probe.stdout + probe.stderr).lower():
        pytest.skip(f"go tool pprof: {probe.stderr.strip()}")

    def pprof(*args):
        done = subprocess.run(["go", "tool", "pprof", "-symbolize=none", *map(str, args)], capture_output=True,
                              text=True, timeout=300, env=dict(os.environ, PPROF_TMPDIR=str(home)))
        assert done.returncode == 0, done.stderr
        assert re.sub(r"Generating report in .*\n", "", done.stderr) == ""
        return done.stdout

    return pprof


@pytest.fixture
def written(tmp_path):
    """written(stacks, options...): a path to them as pprof."""
    paths = []

    def written(stacks, *options):
        path = tmp_path / f"{len(paths)}.pb.gz"
        emit(stacks, "pprof", *options, path=path)
        paths.append(path)
        return path

    return written


def flat_and_cum(top):
    """{function: (flat, cum)} of -top, which ends in five columns and a name."""
    found = {}
    for line in top.splitlines():
        m = re.match(r"\s*(\d+)\S*\s+[\d.]+%\s+[\d.]+%\s+(\d+)\S*\s+[\d.]+%\s+(.*)", line)
        if m:
            found[m[3]] = int(m[1]), int(m[2])
    return found


@pytest.mark.parametrize("seed", [5, 6])
def test_top_agrees_with_collapsed(pprof, written, seed):
    stacks = list(random_stacks(seed))
    path = written(stacks)
    lines = parse_collapsed(emit(stacks, "collapsed", "--functions").decode())
    total = sum(lines.values())
    out = pprof("-top", "-nodecount=10000", "-nodefraction=0", "-edgefraction=0", "-sample_index=samples", "-functions",
                "-noinlines=false", path)
    assert f"of {total} total" in out
    expect = {}
    for stack, count in lines.items():
        for function in set(stack):
            flat, cum = expect.get(function, (0, 0))
            expect[function] = flat + (count if function == stack[-1] else 0), cum + count
    got = {}
    for name, (flat, cum) in flat_and_cum(out).items():
        got[name.removesuffix(" (inline)").removesuffix(" (partial-inline)")] = flat, cum
    assert {k: v for k, v in expect.items() if v[1]} == {k: v for k, v in got.items() if v[1]}
    time = sum(int(s.rpartition("/")[2]) for s in stacks)
    assert f"of {time}ns total" in pprof("-top", "-unit=ns", path), "time is what it shows first"


def test_raw_traces_tags_and_comments(pprof, written):
    path = written(SHAPES, *META)
    raw = pprof("-raw", path)
    assert "PeriodType: cpu nanoseconds\nPeriod: 10000000\n" in raw
    assert "Time: 2023-11-14 " in raw and "Duration: 30s\n" in raw
    assert "samples/count cpu/nanoseconds[dflt]" in raw
    assert re.search(r"M=1 dot<float> /src/vec.h:9(:0)? s=0\n\s+scale /src/vec.h:5(:0)? s=0\n\s+work /src/work.c:20(:0)?", raw)
    assert re.search(r"1: 0x400000/0x500000/0x0 /bin/app 0123456789abcdef0123456789abcdef01234567", raw)
    assert "dot<float> (inline)" in pprof("-traces", path)
    tags = pprof("-tags", path)
    assert re.search(r"thread: .*\n.*worker", tags) and re.search(r"tid: .*\n.*4243", tags)
    assert pprof("-comments", path).splitlines()[0] == "command: /bin/app --serve <all>"


def test_windows_merge(pprof, written, tmp_path):
    one, two = written(SHAPES), written(SHAPES)
    merged = tmp_path / "merged.pb.gz"
    pprof("-proto", f"-output={merged}", one, two)
    assert "of 54 total" in pprof("-top", "-sample_index=samples", merged)


def test_hostile_names(pprof, written):
    names = [name.replace(";", "\\x3b").replace("|", "\\x7c") for name in HOSTILE]
    path = written([f"main;{name}|n|{name}|{name}|3 1" for name in names], "--command", HOSTILE[0])
    assert f"of {len(HOSTILE)} total" in pprof("-top", "-sample_index=samples", path)


def test_nothing_but_time(pprof, written):
    """Time that no sample saw is time all the same."""
    path = written(["[not sampled]|m 0/5000000"])
    assert "of 5000000ns total" in pprof("-top", "-unit=ns", path)
