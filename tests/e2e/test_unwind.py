# SPDX-License-Identifier: Apache-2.0
"""Stacks of real programs, stopped at many random points: against the calls they really made, which
unwind_stops keeps account of while it steps them, and against libunwind at the same stop."""
import json
import pathlib
import shutil
import subprocess

import pytest

from conftest import ROOT, SAN, built

TOOL = ROOT / "build" / ("san" if SAN else "rel") / "tools/unwind_stops"
STOPS = 200 if SAN else 500


def stops(*args):
    done = subprocess.run([str(TOOL), *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, errors="replace", timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout)
    print(json.dumps(result, indent=1))
    return result


def assert_true_stacks(result, share=1.0):
    assert result["stops"] >= STOPS / 2  # the program did not end under us
    assert result["true"] >= share * result["stops"]
    # What is missing is missing at the root's end, and said so: no frame is false.
    assert not [f for f in result["failures"] if f.startswith("untrue:") and "false caller" in f]
    assert result["ends"]["root"] <= result["true"]


@pytest.mark.parametrize("variant", ["", "O0", "fp", "nopie", "static", "clang"])
def test_c_by_the_calls_it_made(variant):
    assert_true_stacks(stops("--stops", STOPS, "--shadow", "--", built("unwind_c", variant), "quiet"))


@pytest.mark.parametrize("variant", ["muslstatic", "muslstripped", "musl"])
def test_musl_by_the_calls_it_made(variant):
    """musl has no CFI at all: its code is followed. A stack may end early, where a function is called
    only by pointer and has no symbol."""
    assert_true_stacks(stops("--stops", STOPS, "--shadow", "--", built("unwind_c", variant), "quiet"),
                       0.97)


@pytest.mark.parametrize("name", ["shapes_cxx", "shapes_rust"])
def test_other_languages_by_the_calls_they_made(name):
    """Exceptions leave functions otherwise than they came: while libgcc switches to the handler's
    frame, the stack is neither here nor there."""
    assert_true_stacks(stops("--stops", STOPS, "--shadow", "--", built(name)), 0.99)


def test_interpreter_from_its_first_instruction():
    python = shutil.which("python3", path="/usr/bin")
    if not python:
        pytest.skip("no python3 in /usr/bin")
    result = stops("--stops", STOPS, "--shadow", "--", python, "-c", "import json, re; json.dumps([1] * 10**6)")
    assert result["true"] >= 0.99 * result["stops"]
    assert not [f for f in result["failures"] if "false caller" in f]


@pytest.mark.parametrize("variant", ["", "stripped"])
def test_go_threads_end_at_their_roots(variant):
    result = stops("--stops", STOPS, "--mode", "run", "--after-ms", 50, "--",
                   built("shapes_go", variant))
    assert result["stops"] >= STOPS / 2
    # Not rooted: single instructions where the runtime switches stacks, and signals on their own stack.
    assert result["ends"]["root"] >= 0.99 * result["stops"]


def test_rooted_share_of_cxx_without_frame_pointers():
    """-O2 -fomit-frame-pointer, exceptions, PLT calls, glibc leafs: 99.5% reach the root."""
    source = pathlib.Path(__file__).resolve().parent.parent / "bench/bench_cxx.cpp"
    program = ROOT / "build/workloads/bench_cxx"
    if not shutil.which("g++"):
        pytest.skip("g++ is not installed")
    program.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["g++", "-O2", "-fomit-frame-pointer", "-pthread", "-o", program, source], check=True)
    result = stops("--stops", 5 * STOPS, "--mode", "run", "--after-ms", 50, "--", program)
    assert result["ends"]["root"] >= 0.995 * result["stops"]
    assert result["by_rule"] >= 0.999 * result["steps"]


def test_same_as_libunwind_at_the_same_stop():
    result = stops("--stops", STOPS // 4, "--compare", "--", built("unwind_c"), "quiet")
    assert result["same"] == result["stops"]


def test_signals_on_both_stacks():
    """Through the handler's frame to what it interrupted; on an alternate stack that is not copied."""
    result = stops("--stops", STOPS, "--", built("unwind_c"))
    assert result["ends"]["root"] + result["ends"]["no_memory"] == result["stops"]
    assert result["ends"]["root"] >= 0.5 * result["stops"]


@pytest.mark.parametrize("variant", ["", "fp"])
def test_pc_and_stack_pointer_are_enough(variant):
    """Of sleeping threads no more is known."""
    result = stops("--stops", STOPS, "--mode", "sleep", "--after-ms", 50, "--",
                   built("unwind_c", variant), "quiet")
    assert result["ends"]["root"] >= 0.95 * result["stops"]


def test_two_thousand_frames():
    result = stops("--stops", 100, "--mode", "run", "--after-ms", 50, "--stack", 1 << 20, "--",
                   built("unwind_c"), "deep", "quiet")
    assert result["deepest"] > 1500
    assert result["ends"]["root"] == result["stops"]
    short = stops("--stops", 100, "--mode", "run", "--after-ms", 50, "--stack", 8192, "--",
                  built("unwind_c"), "deep", "quiet")
    assert short["ends"]["root"] + short["ends"]["truncated"] == short["stops"]
    assert short["ends"]["truncated"] > 0
