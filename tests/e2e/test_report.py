# SPDX-License-Identifier: Apache-2.0
"""csample report: its tables hold the numbers that are known, and those of go tool pprof."""
import re
import shutil
import subprocess

import pytest

from conftest import CSAMPLE
from emitting import emit
from test_formats import HOSTILE, SHAPES, random_stacks


def report(data, *options, status=0):
    done = subprocess.run([CSAMPLE, "report", "-", *options], input=data, capture_output=True, timeout=300)
    err = done.stderr.decode(errors="replace")
    assert "Sanitizer" not in err and "runtime error:" not in err, err
    assert done.returncode == status, err
    return err if status else done.stdout.decode()


def rows(text):
    """{name: (own, total)} of a table, as printed; equal names as a list would not be told apart."""
    table = text.splitlines()[3:]
    return {line[45:].strip(): (line.split()[0], line.split()[3]) for line in table}


def test_top():
    text = report(emit(SHAPES, "json", "--title", "app"))
    assert text.splitlines()[:2] == ["app: cpu, 279.00ms in 27 samples over 30.00s", "18 of 18 rows, by own"]
    got = rows(text)
    assert got["onData (page.js)"] == ("60.00ms", "60.00ms")
    assert got["main"] == ("0", "232.00ms")
    assert got["handle (app.py)"] == ("20.00ms", "80.00ms")
    first = report(emit(SHAPES, "json"), "--cum", "-n", "2")
    assert set(rows(first)) == {"_start", "main"}


def test_rows_of_other_kinds():
    data = emit(SHAPES, "pprof")
    assert rows(report(data, "--by", "threads"))["worker (4243)"] == ("30.00ms", "30.00ms")
    assert rows(report(data, "--by", "modules"))["/bin/app"][1] == "272.00ms"
    lines = rows(report(data, "--by", "lines"))
    assert lines["work (work.c:24)"] == ("0", "39.00ms") and lines["handle (app.py:5)"] == ("0", "60.00ms")


def test_callers_and_callees():
    text = report(emit(SHAPES, "json"), "--peek", "^work$")
    block = next(b for b in re.split(r"-{20,}\+-+\n", text) if "91.00ms" in b)
    found = [re.sub(r"\s+", " ", line.strip()) for line in block.splitlines()]
    assert found == ["91.00ms 100.00% | main", "39.00ms 42.86% | work",
                     "39.00ms 13.98% 13.98% 91.00ms 32.62% | work",
                     "52.00ms 57.14% | scale", "39.00ms 42.86% | work"]
    assert "no function" in report(emit(SHAPES, "json"), "--peek", "^nothing$", status=1)
    assert "regular" in report(emit(SHAPES, "json"), "--peek", "(", status=2)
    tree = report(emit(SHAPES, "json"), "--tree")
    assert tree.count("| onData") == tree.count("|   onData") == 1  # its own row, and below render


def test_list_shows_source(tmp_path):
    source = tmp_path / "prog.c"
    source.write_text("".join(f"line{i}();\x1b[31m\n" for i in range(1, 31)))
    data = emit([f"main|n|/bin/app|{source}|5;f|n|/bin/app|{source}|20 3/3000000",
                 f"main|n|/bin/app|{source}|5;f|n|/bin/app|{source}|22 1/1000000"], "json")
    text = report(data, "--list", "^f$")
    assert re.search(r"^ +3.00ms +3.00ms +20: line20\(\);\^\[\[31m$", text, re.M), text
    assert re.search(r"^ +\. +\. +17: line17", text, re.M) and re.search(r"^ +\. +\. +25: line25", text, re.M)
    assert "line16" not in text and "line26" not in text and "\x1b" not in text
    assert text.count("line21") == 1
    source.unlink()
    assert "20: " in report(data, "--list", "^f$")


def test_nothing_steers_the_terminal():
    data = emit([f"{name} 1" for name in HOSTILE], "json")
    for options in [], ["--tree"], ["--list", "."], ["--by", "modules"]:
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", report(data, "-n", "0", *options))


def test_agrees_with_pprof(tmp_path):
    if not shutil.which("go"):
        pytest.skip("go is not installed")
    path = tmp_path / "p.pb.gz"
    path.write_bytes(emit([s for s in random_stacks(4) if "|m|" not in s], "pprof"))
    top = subprocess.run(["go", "tool", "pprof", "-symbolize=none", "-top", "-nodecount=0", "-nodefraction=0",
                          "-unit=ns", path], capture_output=True, text=True, timeout=300)
    if top.returncode:
        pytest.skip(f"go tool pprof: {top.stderr}")
    want = {}
    for line in top.stdout.partition("flat%")[2].splitlines()[1:]:
        flat, _, _, cum, _, name = line.split(None, 5)
        name = name.removesuffix(" (inline)").removesuffix(" (partial-inline)")
        values = want.setdefault(name, [0, 0])
        values[0] += float(flat.rstrip("ns"))
    got = {}
    scale = {"us": 1e3, "ms": 1e6, "s": 1e9, "0": 0}
    for line in report(path.read_bytes(), "-n", "0").splitlines()[3:]:
        number, unit = re.match(r" *([0-9.]+)([a-z]*)", line).groups()
        name = re.sub(r" \(.*\)$", "", line[45:].strip())
        got[name] = got.get(name, 0) + float(number) * scale[unit or "0"]
    assert set(got) == set(want)
    for name, (own, _) in want.items():
        assert got[name] == pytest.approx(own, rel=0.02), name


@pytest.mark.parametrize("options, words", [
    (["--tree", "--peek", "x"], "only one"), (["-n", "x"], "number"), (["--by", "nothing"], "functions"),
])
def test_refused(options, words):
    assert words in report(b"", *options, status=2)
