# SPDX-License-Identifier: Apache-2.0
"""Finding CPython in a process: executables and libraries of many builds, programs that embed it,
with and without names in the file, too early and too late."""
import json
import os
import shutil
import subprocess

import pytest

import conftest
import pythons

EMBED = conftest.ROOT / "tests/workloads/embed.c"
# Blocks in a function that has a caller, having said so.
BLOCKED = """
import sys
def inner():
    sys.stdout.write("ready\\n")
    sys.stdout.flush()
    sys.stdin.readline()
def outer():
    inner()
outer()
"""
FUNCTIONS = ["inner", "outer", "<module>"]


def dump(csample, pid):
    result = csample("dump", "-p", pid, "--json")
    assert result.status == 0, result
    return json.loads(result.out), result.err


def python_functions(report):
    """The Python frames of the main thread, leaf first, without what qualifies their names."""
    thread = report["threads"][0]
    return [f["function"] for f in thread["frames"] if f["kind"] == "python"]


def check_found(csample, pid, version):
    report, err = dump(csample, pid)
    assert report["runtimes"] == [{"name": "python", "version": version}], err
    assert python_functions(report) == FUNCTIONS
    assert not err
    return report


@pytest.mark.parametrize("name", pythons.CHOSEN)
def test_interpreters(name, start, csample):
    python = pythons.require(name)
    process = start(python.exe, "-c", BLOCKED)
    process.wait_for("ready")
    check_found(csample, process.pid, python.shown)


def test_python_2_gives_native_frames(start, csample):
    python = pythons.require("2.7")
    process = start(python.exe, "-c", BLOCKED)
    process.wait_for("ready")
    report, err = dump(csample, process.pid)
    assert report["runtimes"] == [] and python_functions(report) == []
    assert any(f.get("function", "").startswith("PyEval_") for f in report["threads"][0]["frames"])
    lines = [line for line in err.splitlines() if "CPython" in line]
    assert len(lines) == 1, err
    assert f"CPython {python.version}: csample knows 3.6 to 3." in lines[0] and "native frames only" in lines[0]


def test_renamed_executable(start, csample, tmp_path):
    """The name of the file does not matter."""
    python = pythons.require("3.11@system")
    copy = tmp_path / "worker"
    shutil.copy(python.exe, copy)
    process = start(copy, "-c", BLOCKED)
    process.wait_for("ready")
    check_found(csample, process.pid, python.version)


def link(output, config, *arguments):
    command = ["gcc", "-O1", *config["compile"], "-o", output, EMBED, *arguments, *config["libs"]]
    if not shutil.which("gcc"):
        pytest.skip("no gcc")
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout


def run_embedded(start, program, python):
    process = start(program, BLOCKED, env=dict(os.environ, PYTHONHOME=str(python.prefix)))
    process.wait_for("ready")
    return process


def remove_section_headers(path):
    """As some packers do: the file still runs, but no tool finds anything by name in it."""
    data = bytearray(path.read_bytes())
    data[0x28:0x30] = bytes(8)  # e_shoff
    data[0x3C:0x40] = bytes(4)  # e_shnum, e_shstrndx
    path.write_bytes(data)


@pytest.mark.parametrize("name", [name for name in pythons.CHOSEN if name in pythons.MINORS])
def test_embedded_library(name, start, csample, tmp_path):
    python = pythons.require(name)
    try:
        config = pythons.embedding(python)
    except pythons.Missing as reason:
        pytest.skip(str(reason))
    program = tmp_path / "server"
    link(program, config, *config["link"])
    check_found(csample, run_embedded(start, program, python).pid, python.version)


# Those that come with an archive.
STRIPPED = [name for name in pythons.CHOSEN if name in pythons.MINORS and name not in ("3.14", "3.15")]


@pytest.mark.parametrize("sections", [True, False], ids=["sections", "nosections"])
@pytest.mark.parametrize("name", STRIPPED)
def test_embedded_without_names(name, sections, start, csample, tmp_path):
    """The interpreter linked in, nothing exported, stripped: only its data tells where it is."""
    python = pythons.require(name)
    try:
        config = pythons.embedding(python)
    except pythons.Missing as reason:
        pytest.skip(str(reason))
    if not os.path.exists(config["archive"]):
        pytest.skip(f"{python} has no {config['archive']}")
    program = tmp_path / "server"
    try:
        link(program, config, config["archive"])
    except AssertionError:
        if str(python).endswith("@pyenv"):
            raise
        pytest.skip(f"{python}'s archive cannot be linked on this release of the system")
    subprocess.run(["strip", "-s", program], check=True)
    if not sections:
        remove_section_headers(program)
    report = check_found(csample, run_embedded(start, program, python).pid, python.version)
    names = {f.get("function", "") for f in report["threads"][0]["frames"] if f["kind"] == "native"}
    assert not any(name.startswith(("Py", "_Py")) for name in names)


def test_finalizing_gives_native_frames(start, csample):
    """Objects are torn down after the interpreter has said that it ends."""
    python = pythons.require("3.12")
    process = start(python.exe, "-c", """
import os, sys
class Late:
    def __del__(self, read=os.read, write=os.write):
        write(1, b"ready\\n")
        read(0, 1)
sys.keep = Late()
""")
    process.wait_for("ready")
    report, err = dump(csample, process.pid)
    assert report["threads"][0]["rooted"] and not err
    assert python_functions(report) == []


PRETENDER = r"""
#include <stdint.h>
#include <stdio.h>
const char *texts[] = {"co_firstlineno", "__build_class__", "<frozen importlib._bootstrap>", "GeneratorExit",
                       "PYTHONHASHSEED"};
struct { char cookie[8]; uint64_t version, free_threaded, words[200]; }
_PyRuntime __attribute__((section(".PyRuntime"))) = {"xdebugpy", VERSION, 0, {WORDS}};
char text[] = "3.8.18 (default, May  9 2026) [GCC 12.2.0]";
char buffer[64];
int main(void)
{
	for (unsigned i = 0; i < sizeof(text); i++)
		buffer[i] = text[i];
	printf("ready %p %p\n", (void *)texts, buffer);
	fflush(stdout);
	return getchar();
}
"""


@pytest.mark.parametrize("strip", [False, True], ids=["named", "stripped"])
@pytest.mark.parametrize("version,words,says", [
    ("0x030e00f0", "8, 16, 24", "CPython 3.14.0: its _Py_DebugOffsets"),
    ("0x030f02f0", "-1, 1, 3, 5, -8", "CPython 3.15.2: its _Py_DebugOffsets"),
    ("0x040000f0", "0", None),
])
def test_pretenders(version, words, says, strip, start, csample, tmp_path):
    """A program that wants to be taken for an interpreter is told at most once, and read as what it is."""
    if not shutil.which("gcc"):
        pytest.skip("no gcc")
    source, program = tmp_path / "pretender.c", tmp_path / "pretender"
    source.write_text(PRETENDER.replace("VERSION", version).replace("WORDS", words))
    subprocess.run(["gcc", "-o", program, source, *(["-s"] if strip else [])], check=True)
    process = start(program)
    process.wait_for("ready")
    report, err = dump(csample, process.pid)
    assert report["runtimes"] == [] and report["threads"][0]["rooted"]
    assert [line for line in err.splitlines() if "CPython" in line] == err.splitlines()
    assert len(err.splitlines()) == (1 if says else 0)
    assert says is None or says in err
