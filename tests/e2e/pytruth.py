# SPDX-License-Identifier: Apache-2.0
"""Python programs that stand still, and the comparison of what csample says of them with what Python says."""
import json
import os
import pathlib

from conftest import ROOT, Running, wait_until

PROGRAMS = ROOT / "tests/workloads/python"
# From 3.11 on code objects know their qualified names, and they are what is to be shown.
QUALNAMES_SINCE = (3, 11)


class Frozen:
    """tests/workloads/python/shapes.py under some interpreter, all of its threads asleep."""

    def __init__(self, python, folder, *shapes, options=(), env=None, program="shapes.py"):
        self.python, self.path = python, pathlib.Path(folder) / "truth.json"
        environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", PYTHONWARNINGS="ignore", **(env or {}))
        self.process = Running([python.exe, *options, PROGRAMS / program, self.path, *shapes], env=environment)
        self.pid = self.process.pid

    def __enter__(self):
        try:
            line = self.process.read_line()
            assert line and line.startswith("ready"), line
            self.settle()
        except BaseException:
            self.process.end()
            raise
        return self

    def __exit__(self, *_):
        self.process.end()

    def settle(self):
        wait_until(lambda: set(self.states()) == {"S"}, what="all threads' sleep")

    def states(self):
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            yield (task / "stat").read_text().rpartition(")")[2].split()[0]

    def truth(self):
        """{tid: {"name", "frames": [{"name", "file", "line", "qualname"}]}}, innermost first."""
        self.process.tell("go\n")
        self.process.wait_for("written")
        self.settle()
        told = json.loads(self.path.read_text())
        assert told["pid"] == self.pid
        return {thread["tid"]: thread for thread in told["threads"]}


def escaped(text):
    """As csample writes a lone surrogate in UTF-8 output."""
    return "".join(f"\\udc{ord(c) & 0xff:02x}" if 0xdc80 <= ord(c) <= 0xdcff else c for c in text)


def names_allowed(version, frame):
    if version >= QUALNAMES_SINCE:
        return {escaped(frame["qualname"])}
    # Earlier releases: the bare name, or the class it is known to be in before it.
    names = {frame["name"], frame.get("qualname", frame["name"])}
    parts = frame.get("qualname", "").split(".")
    names |= {".".join(parts[i:]) for i in range(len(parts))}
    return {escaped(name) for name in names if name}


def differences(version, seen, true):
    """What is wrong with a stack of (function, file, line), innermost first; lines are exact."""
    wrong = []
    for i, (frame, expected) in enumerate(zip(seen, true)):
        function, file, line = frame
        if function not in names_allowed(version, expected):
            wrong.append(f"frame {i}: function {function!r}, not {expected.get('qualname', expected['name'])!r}")
        if (file or "") != escaped(expected["file"]):
            wrong.append(f"frame {i} ({function}): file {file!r}, not {expected['file']!r}")
        if (line or 0) != (expected["line"] or 0):
            wrong.append(f"frame {i} ({function}): line {line}, not {expected['line']}")
    if len(seen) != len(true):
        wrong.append(f"{len(seen)} frames, not {len(true)}: innermost {seen[:3]}, outermost {seen[-2:]}")
    return wrong[:6]


def python_frames(thread):
    """The Python frames of a thread of dump --json."""
    return [(f["function"], f.get("file"), f.get("line")) for f in thread["frames"] if f["kind"] == "python"]


def compare(version, seen, truth):
    """{shape: what is wrong}. seen: {tid: frames}."""
    bad = {}
    for tid, thread in truth.items():
        if tid not in seen:
            bad[thread["name"]] = ["no such thread"]
            continue
        wrong = differences(version, seen[tid], thread["frames"])
        if wrong:
            bad[thread["name"]] = wrong
    return bad
