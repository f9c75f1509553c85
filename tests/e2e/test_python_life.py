# SPDX-License-Identifier: Apache-2.0
"""Python processes from their first instruction to their last, with children of every kind."""
import ast
import re
import signal

import pytest

import pythons
from conftest import ROOT, SAN, frame_name, parse_collapsed, share_of
from emitting import parse_pprof
from test_record import finish, recording

PROGRAMS = ROOT / "tests/workloads/python"
VERSIONS = ("3.12",) if SAN else pythons.MINORS
FEW = ("3.12",) if SAN else ("3.7", "3.11", "3.13", "3.15")
COMPREHENSIONS = ("<genexpr>", "<lambda>", "<listcomp>", "<dictcomp>", "<setcomp>")
KINDS = ("fork", "exec", "spawn", "forkserver", "pool", "grandchild")


def functions_in(path):
    """All function and class-qualified names that a source can give to a frame."""
    names = set()

    def visit(node, prefix):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                names.update({child.name, prefix + child.name})
                visit(child, prefix + child.name + (".<locals>." if isinstance(child, ast.FunctionDef) else "."))
            else:
                visit(child, prefix)

    visit(ast.parse(path.read_text()), "")
    names |= {"<module>"}
    return names | {f"{n}.<locals>.{kind}" for n in names for kind in COMPREHENSIONS} | set(COMPREHENSIONS)


def wrong_names(stacks, path):
    """Frames that are said to be of a source but that it has not."""
    known = functions_in(path)
    lines = len(path.read_text().splitlines())
    bad = set()
    for stack in stacks:
        for frame in stack:
            match = re.fullmatch(r"(.*) \(([^()]*):(\d+)\)", frame)
            if match and match[2] == path.name and (match[1] not in known or int(match[3]) > lines):
                bad.add(frame)
    return bad


def command(version, program, *args):
    return [pythons.require(version).exe, PROGRAMS / program, *args]


# Start


@pytest.mark.parametrize("version", VERSIONS)
def test_imports_of_a_short_script(record, version):
    python = pythons.require(version)
    code = "import argparse, decimal, json, email.message, xml.dom.minidom, logging.config"
    stacks, stats, result = record("-r", "2000", "--full-filenames", "--", python.exe, "-I", "-c", code)
    assert stats["samples"] > 5, result
    modules = {frame for stack in stacks for frame in stack if frame.startswith("<module> (")}
    assert sum("/" in m for m in modules) >= 2, modules
    importing = share_of(stacks, "_find_and_load")
    assert importing > 0.05, (importing, stats)
    # All that it ran before it had an interpreter, and after, is native code; on a busy machine it is over
    # before all that it mapped was looked at.
    assert stats["rooted"] > 0.75


@pytest.mark.parametrize("version", FEW)
def test_the_commands_own_status(csample, tmp_path, version):
    python = pythons.require(version)
    for code, status in (("pass", 0), ("import sys; sys.exit(7)", 7), ("import os; os.abort()", 128 + signal.SIGABRT)):
        result = csample("record", "-r", "1000", "-o", tmp_path / "out.svg", "--", python.exe, "-c", code)
        assert result.status == status or (result.status == 1 and "no" in result.err), result


@pytest.mark.parametrize("version", VERSIONS)
def test_the_end_of_an_interpreter(record, version):
    """What runs while it finalizes is shown or counted; what has been freed is not shown."""
    path = PROGRAMS / "storm.py"
    stacks, stats, result = record("-r", "1000", "--", *command(version, "storm.py", "end", 1))
    assert not wrong_names(stacks, path), wrong_names(stacks, path)
    assert share_of(stacks, "at_exit_of_end") > 0.02 and share_of(stacks, "main") > 0.1, stacks.keys()
    assert stats["samples"] > 50


# Children


def pids_and_functions(path):
    found = {}
    for stack, _, labels in parse_pprof(path.read_bytes())["samples"]:
        names = {frame_name(f).rpartition(".")[2] for _, _, lines in stack for f, _, _ in lines}
        found.setdefault(labels.get("pid"), set()).update(names)
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", FEW)
def test_children_are_followed(csample, tmp_path, version, kind):
    out = tmp_path / "out.pb.gz"
    result = csample("record", "-s", "-r", "500", "-o", out, "--", *command(version, "family.py", kind, 0.6))
    assert result.status == 0, result
    found = pids_and_functions(out)
    by_function = {name: {pid for pid, names in found.items() if name in names}
                   for name in ("parent_work", "child_work", "grandchild_work")}
    assert len(by_function["parent_work"]) == 1, (found.keys(), result.err)
    assert by_function["child_work"] and by_function["child_work"].isdisjoint(by_function["parent_work"]), result.err
    assert len(by_function["child_work"]) == (2 if kind == "pool" else 1) or kind == "pool"
    if kind == "grandchild":
        assert len(by_function["grandchild_work"]) == 1
        assert by_function["grandchild_work"].isdisjoint(by_function["child_work"] | by_function["parent_work"])


@pytest.mark.parametrize("version", FEW[:2])
def test_children_are_not_followed_unasked(record, version):
    stacks, _, _ = record("-r", "500", "-F", "--", *command(version, "family.py", "fork", 0.5))
    assert share_of(stacks, "parent_work") > 0.1 and share_of(stacks, "child_work") == 0


@pytest.mark.parametrize("version", FEW)
def test_children_that_are_there_already(start, tmp_path, version):
    """Those of before the recording, and their processes as root frames."""
    target = start(*command(version, "family.py", "grandchild", 8))
    target.wait_for("ready")
    out = tmp_path / "out.collapsed"
    process = recording(start, "-p", target.pid, "-s", "-r", "500", "-F", "-d", "2", "-o", out)
    status, _, err = finish(process)
    assert status == 0, err
    stacks = parse_collapsed(out.read_text())
    assert all(share_of(stacks, name) > 0 for name in ("parent_work", "child_work", "grandchild_work")), (err, stacks)
    assert len({stack[0] for stack in stacks}) == 3, {stack[0] for stack in stacks}


# Storms


@pytest.mark.parametrize("kind", ("fork", "exec", "threads"))
@pytest.mark.parametrize("version", FEW if SAN else ("3.6", "3.10", "3.12", "3.14"))
def test_storms(record, version, kind):
    """Never a crash, never a name that is not there; whatever could not be read is counted."""
    path = PROGRAMS / "storm.py"
    follow = ["--subprocesses"] if kind == "fork" else []
    stacks, stats, result = record("-r", "1000", *follow, "--", *command(version, "storm.py", kind, 1))
    assert not wrong_names(stacks, path), wrong_names(stacks, path)
    names = {frame_name(f) for stack in stacks for f in stack}
    own = {n for n in names & functions_in(path) if "_of_" in n}
    assert own and all(n.endswith("_of_" + kind) for n in own), own
    if kind == "fork":
        assert "child_of_fork" in own or stats["samples"] < 100, (own, result)
    assert stats["samples"] > 10, result
