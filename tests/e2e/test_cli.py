# SPDX-License-Identifier: Apache-2.0
"""The command line: help, versions, and mistakes."""
import json
import pathlib
import re
import subprocess

import pytest


def test_without_arguments_prints_help(csample):
    result = csample()
    assert result.status == 0 and not result.err
    assert "Usage: csample COMMAND" in result.out
    for command in ("record", "dump", "doctor", "version", "help"):
        assert re.search(rf"^  {command}\b", result.out, re.M)


@pytest.mark.parametrize("command", ["record", "dump", "doctor", "version", "help"])
def test_each_command_explains_itself(csample, command):
    result = csample(command, "--help")
    assert result.status == 0 and not result.err
    assert f"Usage: csample {command}" in result.out
    assert csample("help", command).out == result.out
    whole = csample(command, "--help=all")
    assert csample("help", command, "--all").out == whole.out
    assert "--no-config" in whole.out and set(result.out.split("\n")[:3]) <= set(whole.out.split("\n"))


def test_version(csample):
    texts = {csample(*args).out for args in (["version"], ["--version"], ["-V"], ["v"])}
    assert len(texts) == 1
    text = texts.pop()
    assert re.match(r"csample [0-9]+\.[0-9]+\.[0-9]+ \((x86_64|aarch64)\)\nCPython 3\.6 to 3\.\d+\nNode\.js 16 to \d+\n", text)
    told = json.loads(csample("version", "--json").out)
    assert text.startswith(f"csample {told['version']} ({told['machine']})\n")
    assert [r["name"] for r in told["runtimes"]] == ["python", "javascript"]
    assert {"svg", "pprof"} <= set(told["formats"])
    for name, version in told["libraries"].items():
        assert re.match(r"\d+\.\d+", version) and f"{name} {version}" in text
    zlib = subprocess.run(["pkg-config", "--modversion", "zlib"], capture_output=True, text=True)
    if zlib.returncode == 0:
        assert told["libraries"]["zlib"] == zlib.stdout.strip()


@pytest.mark.parametrize("line,says", [
    ("recrod -p 1", "did you mean 'record'"),
    ("foo", "csample help\n"),
    ("tpo", "did you mean 'top'"),
    ("1234", "csample record -p 1234"),
    ("record 1234", "csample record -p 1234"),
    ("record --bogus", "csample record --help=all"),
    ("record -p 1 -Z", "csample record --help=all"),
    ("record -p 1 -r 0", "--rate"),
    ("record -p 1 -r 10001", "--rate"),
    ("record -p 1 -d 30x", "--duration"),
    ("record -p 1 -d -5", "--duration"),
    ("record -p 1 -f bogus", "use svg, html, collapsed"),
    ("record -p 1 -f out.bogus", "use svg, html, collapsed"),
    ("record -p 1 -f a.svg -o b.svg", "-o b.svg"),
    ("record -p 1 --loop 1m -o a.%t.trace.json", "chrometrace"),
    ("record -p 1 -e gpu", "cpu|cycles|wall"),
    ("record -p 1 -- true", "only one"),
    ("record", "-p PID"),
    ("dump", "-p PID"),
    ("d", "dump, doctor"),
])
def test_mistakes_are_usage_errors_in_one_line(csample, line, says):
    result = csample(*line.split())
    assert result.status == 2, result
    assert not result.out
    assert result.err.startswith("csample: ") and result.err.count("\n") == 1
    assert says in result.err


def test_control_bytes_in_a_mistake_do_not_reach_the_terminal(csample):
    result = csample("\x1b[31mrecord")
    assert result.status == 2 and "\x1b" not in result.err


def test_results_that_cannot_be_written_are_an_error(csample):
    full = pathlib.Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full")
    import subprocess
    from conftest import CSAMPLE
    with full.open("wb") as out:
        done = subprocess.run([CSAMPLE, "help"], stdout=out, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert "No space left" in done.stderr
