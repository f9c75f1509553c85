# SPDX-License-Identifier: Apache-2.0
"""What a process is called when its main thread has a name of its own: what its user started."""
import json
import os
import re
import signal
import subprocess
import sys

import pytest

import nodes
from conftest import CSAMPLE, parse_collapsed, wait_until

PROGRAM = os.path.basename(sys.executable)
RENAMED = "open('/proc/self/comm', 'w').write('Brain'); print('ready', flush=True)\nwhile True: pass"
NODE = "console.log('ready'); setInterval(() => { for (let i = 0, s = 0; i < 1e7; i++) s += i; }, 1);"


@pytest.fixture
def renamed(start):
    process = start(sys.executable, "-c", RENAMED)
    process.wait_for("ready")
    assert open(f"/proc/{process.pid}/comm", encoding="ascii").read() == "Brain\n"
    return process


def test_it_is_listed_as_what_was_started(csample, renamed):
    row, = json.loads(csample("list", "-j", "-p", renamed.pid).out)
    assert (row["name"], row["comm"]) == (PROGRAM, "Brain")
    # Whoever looks for the thread's name finds it as well.
    for name in "Brain", PROGRAM:
        result = csample("dump", "-j", "--comm", name, "-p", renamed.pid)
        assert result.status == 0 and f'"pid": {renamed.pid}' in result.out, result


def test_roots_and_files_have_its_name(csample, renamed, workload, tmp_path):
    other = workload("split")
    result = csample("record", "-p", f"{renamed.pid},{other.pid}", "-d", "1s", "-o", "-", "-f", "collapsed")
    roots = {stack[0] for stack in parse_collapsed(result.out)}
    assert roots - {"[not sampled]"} == {f"{PROGRAM} ({renamed.pid})", f"split ({other.pid})"}
    assert csample("record", "-p", renamed.pid, "-d", "300ms", cwd=tmp_path).status == 0
    file, = tmp_path.iterdir()
    assert re.fullmatch(rf"{re.escape(PROGRAM)}-{renamed.pid}-[\dT-]+\.svg", file.name)


def test_labels_say_which_of_the_two(renamed, start, tmp_path):
    run = start(CSAMPLE, "record", "-p", renamed.pid, "--loop-any", "200ms", "--store", tmp_path, "--label-from", "comm",
                stderr=subprocess.PIPE)
    wait_until(lambda: len(list(tmp_path.glob("blobs/*/*.pb.gz"))) >= 2, what="two blobs")
    run.signal(signal.SIGTERM)
    assert run.popen.wait(timeout=60) == 0
    rows = json.loads(subprocess.run([CSAMPLE, "store", "ls", "--json", "--store", tmp_path], check=True,
                                     stdout=subprocess.PIPE).stdout)
    labels = rows[1]["labels"]
    assert (labels["service_name"], labels["comm"]) == (PROGRAM, "Brain")


def test_node_is_called_so(csample, start):
    """Its main thread is MainThread since 24."""
    target = start(nodes.require("24"), "-e", NODE)
    target.wait_for("ready")
    row, = json.loads(csample("list", "-j", "-p", target.pid).out)
    assert row["name"] == "node" and row["comm"] != "node"
    result = csample("record", "-s", "-p", target.pid, "-p", os.getpid(), "-d", "500ms", "-o", "-", "-f", "collapsed")
    assert f"node ({target.pid})" in {stack[0] for stack in parse_collapsed(result.out)}
