# SPDX-License-Identifier: Apache-2.0
"""The live view as text and JSON. Shares are compared with one another: how much of a CPU the target
gets is not ours to say."""
import json
import os
import signal

import pytest

import nodes
import pythons
from conftest import CSAMPLE


def tables(text):
    """Each table as {name: [cells]}, with its head's lines."""
    found = []
    for block in text.strip().split("\n\n"):
        lines = block.split("\n")
        at = next(i for i, line in enumerate(lines) if line.split()[:2] == ["own%", "total%"])
        rows = {}
        for line in lines[at + 1:]:
            own, total, own_time, total_time, name = line.split(None, 4)
            rows[name] = (float(own), float(total), own_time, total_time)
        found.append((lines[:at], rows))
    return found


def test_batch_has_a_table_for_each_interval_with_the_shares_of_its_functions(workload, csample):
    process = workload("split", 30)
    done = csample("top", "-p", process.pid, "--batch", "-n", 3, "--delay", "1s", "--cum")
    assert done.status == 0, done
    found = tables(done.out)
    assert len(found) == 3
    for head, rows in found:
        assert f"pid {process.pid} " in head[1]
        assert "threads " in head[2] and "CPU " in head[2] and "GIL" not in head[2]
        assert "samples" in head[3] and "errors" in head[3] and "rate" in head[3]
    assert "pause" in found[-1][0][3]  # once there is a sample
    rows = found[-1][1]
    seconds = {name: float(rows[f"{name} (split)"][3].rstrip("ms")) for name in ("seventy", "twenty", "ten")}
    seconds = {name: s * (1000 if "ms" not in rows[f"{name} (split)"][3] else 1) for name, s in seconds.items()}
    all_of_it = sum(seconds.values())
    assert abs(seconds["seventy"] / all_of_it - 0.7) < 0.15, done
    assert rows["main (split)"][0] == 0 and rows["main (split)"][1] > 0


def test_json_is_a_line_for_each_interval(workload, csample):
    process = workload("split", 30)
    done = csample("top", "-p", process.pid, "--json", "-n", 3, "--delay", "300ms", "--rows", 0)
    assert done.status == 0, done
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [line["interval"] for line in lines] == [1, 2, 3]
    for line in lines:
        assert line["pid"] == process.pid and line["value_type"] == "cpu" and not line["ended"]
        assert line["threads"] == 1 and line["runtimes"] == []
        own = sum(row["recent_own_ns"] for row in line["rows"])
        assert own == line["recent_total_ns"]
        assert sum(row["own_ns"] for row in line["rows"]) == line["total_ns"]
        shown = sum(row["own_percent"] for row in line["rows"])
        assert abs(shown - 100 * own / 1e9 / line["interval_seconds"]) < 1
    assert sum(line["recent_total_ns"] for line in lines) == lines[-1]["total_ns"]
    total = {row["function"]: row["total_ns"] for row in lines[-1]["rows"]}
    assert abs(total["seventy"] / total["work"] - 0.7) < 0.2, total


def test_a_command_is_watched_until_it_ends_and_its_status_is_ours(csample):
    done = csample("top", "--json", "--delay", "300ms", "--", "sh", "-c",
                   "echo out; i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; exit 7")
    assert done.status == 7, done
    lines = [json.loads(line) for line in done.out.splitlines()]  # so its output is not there
    assert lines[-1]["ended"] and not any(line["ended"] for line in lines[:-1])
    assert "out" in done.err.splitlines() and "has ended" in done.err
    assert lines[-1]["total_ns"] > 0


@pytest.mark.parametrize("event, waits", [("cpu", False), ("wall", True)])
def test_waiting_threads_are_there_with_wall_time_only(workload, csample, event, waits):
    process = workload("sleeper")
    done = csample("top", "-p", process.pid, "--json", "-n", 1, "--delay", "500ms", "-e", event)
    line = json.loads(done.out)
    assert (line["total_ns"] > 0.8 * line["interval_seconds"] * 1e9) == waits, done


def test_threads_of_python_with_their_share_of_the_lock(start, csample):
    process = start("python3", "-u", "-c", """
import gc, threading, time
def burn():
    while True:
        sum(i * i for i in range(1000))
class Node: pass
def collect():
    while True:
        for i in range(2000):
            node = Node(); node.node = node
        gc.collect()
threading.Thread(target=burn, name="burner", daemon=True).start()
print("ready")
collect()
""")
    process.wait_for("ready")
    done = csample("top", "-p", process.pid, "--json", "-n", 2, "--delay", "700ms", "--by", "threads")
    line = json.loads(done.out.splitlines()[-1])
    assert line["runtimes"][0]["name"] == "python" and line["runtimes"][0]["version"][0] == "3"
    assert line["threads"] == 2
    assert line["gc_percent"] > 0
    assert 0.5 * line["cpu_percent"] < line["gil_percent"] < 1.5 * line["cpu_percent"] + 1
    rows = {row["function"]: row for row in line["rows"]}
    assert rows[f"MainThread ({process.pid})"]["gil_percent"] > 0
    assert any(name.startswith("burner") for name in rows)
    assert abs(sum(row["gil_percent"] for row in rows.values()) - line["gil_percent"]) < 0.1


@pytest.mark.parametrize("name", ["3.11@system", "3.15"])
def test_garbage_collection_is_told_with_or_without_names(start, csample, name):
    """Debian's builds have no symbols of the collector's functions."""
    process = start(pythons.require(name).exe, "-u", "-c", """
import gc, time
gc.disable()
many = [[] for _ in range(200000)]
print("ready")
while True:
    begin = time.thread_time()
    gc.collect()
    took = time.thread_time() - begin
    while time.thread_time() < begin + 2 * took: pass
""")
    process.wait_for("ready")
    done = csample("top", "-p", process.pid, "--json", "-n", 2, "--delay", "700ms")
    line = json.loads(done.out.splitlines()[-1])
    # By frames it is of one CPU, which others may use too; by the flag it is of the time.
    assert 0.2 * line["cpu_percent"] < line["gc_percent"] < 80, line
    idle = start(pythons.require(name).exe, "-u", "-c", "print('ready')\nwhile True: pass")
    idle.wait_for("ready")
    done = csample("top", "-p", idle.pid, "--json", "-n", 1, "--delay", "300ms")
    assert json.loads(done.out)["gc_percent"] == 0


def test_event_loop_that_waits(start, csample):
    if why := nodes.installed():
        pytest.skip(why)
    process = start("node", "-e", "setInterval(() => { const end = Date.now() + 10;"
                    " while (Date.now() < end); }, 200); console.log('ready');")
    process.wait_for("ready")
    done = csample("top", "-p", process.pid, "--json", "-n", 2, "--delay", "800ms")
    line = json.loads(done.out.splitlines()[-1])
    assert line["runtimes"][0]["name"] == "javascript"
    assert line["event_loop_idle_percent"] > 50 and "gil_percent" not in line
    assert line["gc_percent"] >= 0


def test_gil_counts_those_who_hold_it(start, workload, csample):
    process = start("python3", "-u", "-c", """
import threading, zlib
data = bytes(1 << 22)
def free():  # lets go of it
    while True: zlib.crc32(data)
def hold():
    while True: sum(range(100))
threading.Thread(target=free, daemon=True).start()
print("ready")
hold()
""")
    process.wait_for("ready")
    rows = {}
    for option in (), ("--gil",):
        done = csample("top", "-p", process.pid, "--json", "-n", 1, "--delay", "1500ms", "--rows", 0, *option)
        table = json.loads(done.out)["rows"]
        rows[option] = sum(r["total_ns"] for r in table if r["function"] == "free") / sum(r["own_ns"] for r in table)
    assert rows["--gil",] < 0.02 < 0.1 < rows[()], rows
    done = csample("top", "-p", workload("split", 5).pid, "--gil", "-n", 1, "--batch")
    assert done.status == 2 and "runs no Python" in done.err, done


def test_several_processes_are_told_apart(workload, start, csample):
    one, two = workload("split", 30), workload("sleeper")
    done = csample("top", "-p", f"{one.pid},{two.pid}", "-i", "--json", "-n", 1, "--delay", "500ms", "--rows", 0, "--by", "threads")
    line = json.loads(done.out)
    assert line["processes"] == 2 and line["pid"] == one.pid, line
    names = [row["function"] for row in line["rows"]]
    assert any(f"({one.pid})" in name for name in names) and any(f"({two.pid})" in name for name in names), names
    family = start("sh", "-c", "(while :; do :; done) & echo $! ready; wait")
    child = int(family.wait_for("ready").split()[0])
    try:
        done = csample("top", "-s", "-p", family.pid, "--json", "-n", 1, "--delay", "500ms", "--rows", 0, "--by", "threads")
        assert any(f"({child})" in row["function"] for row in json.loads(done.out)["rows"]), done
    finally:
        os.kill(child, signal.SIGKILL)


def test_ctrl_c_ends_it_without_a_word(workload, start):
    process = workload("split", 30)
    top = start(CSAMPLE, "top", "-p", process.pid, "--json", "--delay", "200ms")
    json.loads(top.read_line())
    top.signal(signal.SIGINT)
    assert top.popen.wait(30) == 0


def test_what_is_wrong_is_said(csample):
    assert "less than 100ms" in csample("top", "-p", 1, "--delay", "1ms").err
    done = csample("top")
    assert done.status == 2 and "what to profile" in done.err
