# SPDX-License-Identifier: Apache-2.0
"""Samples of Python programs that run: only stacks that can have been, names that were, in true shares."""
import collections
import os
import re
import signal

import pytest

import pythons
from conftest import ROOT, SAN, parse_collapsed, share_of, terminate, wait_until
from test_record import burn, finish, recording

PROGRAMS = ROOT / "tests/workloads/python"
SECONDS = float(os.environ.get("PYTHON_SECONDS", "1"))
# The ways in which releases lay out their frames; what does not depend on that is tested on FEW. Two where
# only memory errors are looked for.
VERSIONS = ("3.8", "3.12") if SAN else ("3.6", "3.8", "3.10", "3.11", "3.12", "3.13", "3.15",
                                                 "3.14t", "3.14@tailcall")
FEW = ("3.12",) if SAN else ("3.8", "3.11", "3.14")
FRAME = re.compile(r"(?s)(.*) \(([^()]*):(\d+)\)")


@pytest.fixture
def program(start):
    """program("3.12", "chains.py", args...): running, and ready."""

    def program(version, name, *args, **options):
        options.setdefault("env", dict(os.environ, PYTHONDONTWRITEBYTECODE="1"))
        process = start(pythons.require(version).exe, PROGRAMS / name, *args, **options)
        process.wait_for("ready")
        return process

    return program


def parts(stack):
    """[(function, file, line)] of a collapsed stack with lines, root first; marks have no line."""
    found = []
    for frame in stack:
        match = FRAME.fullmatch(frame)
        found.append((match[1], match[2], int(match[3])) if match else (frame, None, 0))
    return found


# Chains


SOURCE = (PROGRAMS / "chains.py").read_text().splitlines()
FUNCTIONS = {}  # name -> its lines
CALLS = {}  # (caller, callee) -> line
for number, text in enumerate(SOURCE, 1):
    if match := re.match(r"def (\w+)", text):
        current = match[1]
        FUNCTIONS[current] = {number}
    elif text.startswith("    "):
        FUNCTIONS[current].add(number)
        if match := re.search(r"\b([ab][1-5])\(", text):
            CALLS[current, match[1]] = number
    elif text == "run()":
        CALLS["<module>", "run"] = number


def impossible(stack):
    """Why a stack of chains.py cannot have been; None when it can."""
    frames = parts(stack)
    if not frames or frames[0][0] != "<module>" or len(frames) > 7:
        return "no such root or depth"
    for (caller, file, line), (callee, _, _) in zip(frames, frames[1:]):
        if CALLS.get((caller, callee)) != line or file != "chains.py":
            return f"{caller}:{line} does not call {callee}"
    function, file, line = frames[-1]
    if function != "<module>" and line not in FUNCTIONS.get(function, ()):
        return f"{function} has no line {line}"
    return None


def test_the_check_of_chains_sees_impossible_stacks():
    root = [f"<module> (chains.py:{CALLS['<module>', 'run']})", f"run (chains.py:{CALLS['run', 'a1']})"]
    a1, b2 = f"a1 (chains.py:{CALLS['a1', 'a2']})", f"b2 (chains.py:{CALLS['b2', 'b3']})"
    assert not impossible(root) and not impossible([*root, a1])
    assert impossible([*root, b2]) and impossible([*root, a1, b2]) and impossible([a1]) and impossible([root[0], a1])
    assert impossible([*root, a1.replace("a1", "a2")]) and impossible([root[0], "run (chains.py:1)"])
    assert impossible([root[0], root[1].replace(str(CALLS["run", "a1"]), str(CALLS["run", "b1"])), a1])


def check_chains(record, pid, *options, least):
    stacks, stats, result = record(pid, "-d", SECONDS, "--native=none", *options)
    bad, marked = collections.Counter(), 0
    for stack, count in stacks.items():
        if any(frame.startswith("[") for frame in stack):
            marked += count
        elif why := impossible(stack):
            bad[why, stack] += count
    total = sum(stacks.values())
    assert not bad, (bad.most_common(5), f"{sum(bad.values())} of {total}")
    assert total >= least * SECONDS, result
    assert marked <= 0.02 * total + 2, (marked, total, stats["errors"])


@pytest.mark.parametrize("version", VERSIONS)
def test_two_chains(record, program, version):
    pid = program(version, "chains.py").pid
    check_chains(record, pid, "-r", 10000, "--capture", "preempt", least=20 if SAN else 30)
    check_chains(record, pid, "-r", 1000, "--capture", "stop", least=10)


# Where the evaluation function begins, for most of the time
CALLBACKS = {("main", "mapped"), ("mapped", "mapped_leaf"), ("main", "sorted_"), ("sorted_", "sorted_leaf"),
             ("main", "filtered"), ("filtered", "filtered_leaf"), ("main", "compared"), ("compared", "Unequal.__init__"),
             ("compared", "Unequal.__eq__"), ("Unequal.__eq__", "compared_leaf"), ("main", "generated"),
             ("generated", "generated_leaf"), ("<module>", "main")}


@pytest.mark.parametrize("version", ("3.11",) if SAN else ("3.11", "3.11@system", "3.12"))
def test_a_function_that_is_just_being_entered(record, program, version):
    """Up to 3.12 what the interpreter says of itself is garbage then, and no sample is lost to that."""
    stacks, stats, result = record(program(version, "callbacks.py").pid, "-d", 1.5 * SECONDS, "-r", 10000, "-F",
                                   "--native=none")
    assert not stats["errors"].get("python_torn") and not stats["errors"].get("python_unmerged"), stats["errors"]
    bad = [stack for stack in stacks if stack[0] != "<module>" or not set(zip(stack, stack[1:])) <= CALLBACKS]
    assert not bad and stats["samples"] > 100, (bad[:5], result)


@pytest.mark.parametrize("version", () if SAN else FEW)
@pytest.mark.parametrize("way,rate", [("preempt", 1000), ("stop", 10000), ("auto", 3000)])
def test_two_chains_other_rates(record, program, version, way, rate):
    check_chains(record, program(version, "chains.py").pid, "-r", rate, "--capture", way, least=10)


# Names


@pytest.mark.parametrize("version,turns,least", [(v, 200, 0) for v in VERSIONS] + [(v, 20000, 5) for v in FEW])
def test_code_that_comes_to_lie_where_other_code_lay(record, program, version, turns, least):
    """Never a name, a file or a line of the code that was there before."""
    target = program(version, "reuse.py", 600, turns)
    stacks, stats, _ = record(target.pid, "-d", SECONDS, "-r", 2000, "--native=none")
    seen, bad = set(), collections.Counter()
    for stack, count in stacks.items():
        frames = parts(stack)
        for (function, file, line), inner in zip(frames, [*frames[1:], None]):
            match = re.fullmatch(r"f(\d+)", function)
            if not match:
                continue
            n = int(match[1])
            seen.add(n)
            right = file == f"{n}.py" and line in (1, 2)
            if inner and not inner[0].startswith("["):
                right = right and inner[0] == "leaf" and inner[1] == "leaf.py" and inner[2] in (9 + n % 500, 10 + n % 500)
            if not right:
                bad[stack] += count
    assert not bad, bad.most_common(5)
    total = sum(stacks.values())
    # Most of the short-lived code has gone by the time that its name could be read: it is then unknown.
    assert len(seen) >= least, (len(seen), total, stats["errors"])


# Shares


@pytest.mark.parametrize("version", () if SAN else [v for v in pythons.ALL if v != "3.13t"])
def test_known_shares(start, program, tmp_path, version):
    target = program(version, "shares.py")
    out = tmp_path / "out.collapsed"
    process = recording(start, "-p", target.pid, "-r", 2000, "-F", "-o", out)
    burn(target.pid, 1.8)
    process.signal(signal.SIGINT)
    status, _, err = finish(process)
    assert status == 0, err
    terminate(target)
    truth = dict(line.split() for line in target.popen.stdout.read().decode().splitlines())
    stacks = parse_collapsed(out.read_text())
    total = sum(stacks.values())
    assert total >= 3000, err
    named = sum(count for stack, count in stacks.items() if set(stack) & set(truth))
    assert named > 0.9 * total
    for name in truth:
        share = share_of(stacks, name) * total / named
        assert abs(share - float(truth[name])) < 0.015, (name, share, truth)


# The lock


@pytest.mark.parametrize("version", FEW if SAN else ("3.6", "3.9", "3.12", "3.15"))
def test_only_the_holder_of_the_lock(csample, record, program, version):
    import json
    target = program(version, "gil.py")
    stacks, stats, _ = record(target.pid, "-d", 2 * SECONDS, "-e", "wall", "-g", "-F", "--native=none")
    total = sum(stacks.values())
    a, b = share_of(stacks, "spin_a"), share_of(stacks, "spin_b")
    assert total > 20 and a > 0.02 and b > 0.02 and a + b > 0.6, (total, a, b)
    assert share_of(stacks, "sleeper") == 0 and share_of(stacks, "without_lock") < 0.3
    assert not any("spin_a" in stack and "spin_b" in stack for stack in stacks)
    every, _, _ = record(target.pid, "-d", SECONDS, "-e", "wall", "-F", "--native=none", "--idle")
    assert share_of(every, "sleeper") > 0 and share_of(every, "without_lock") > 0, every.keys()
    holders = collections.Counter()

    def both_seen():
        report = json.loads(csample("dump", "-p", target.pid, "--json").out)
        holding = [t["name"] for t in report["threads"] if t.get("gil")]
        assert "sleeper" not in holding
        # A dump looks at one thread after the other: the lock may change hands meanwhile.
        holders.update(holding)
        return holders["spin_a"] and holders["spin_b"]

    wait_until(both_seen, what="each spinning thread with the lock")


def test_lock_of_no_python_process_is_a_usage_error(csample, workload):
    result = csample("record", "-p", workload("split").pid, "-g", "-d", "1")
    assert result.status == 2 and "ython" in result.err, result


# Locks held


@pytest.mark.parametrize("version", FEW)
def test_a_deadlock_is_seen_in_a_dump(csample, program, version):
    source = (PROGRAMS / "deadlock.py").read_text().splitlines()
    line = {word: next(i for i, text in enumerate(source, 1) if "# " + word in text)
            for word in ("WAITS", "DEBIT", "CREDIT", "JOINS")}
    target = program(version, "deadlock.py")
    wait_until(lambda: {(ROOT / f"/proc/{target.pid}/task/{t}/stat").read_text().rpartition(")")[2].split()[0]
                        for t in os.listdir(f"/proc/{target.pid}/task")} == {"S"}, what="the deadlock")
    text = csample("dump", "-p", target.pid)
    assert text.status == 0, text
    threads = {m[1]: m[2] for m in re.finditer(r'(?ms)^Thread \d+[^\n]*"([^"]*)"\n(.*?)(?=^Thread |\Z)', text.out)}
    for name, word in (("debit", "DEBIT"), ("credit", "CREDIT")):
        block = threads[name]
        assert f"transfer (deadlock.py:{line['WAITS']})" in block, text
        assert f"{name} (deadlock.py:{line[word]})" in block, text
    assert f"<module> (deadlock.py:{line['JOINS']})" in threads["MainThread"], text
