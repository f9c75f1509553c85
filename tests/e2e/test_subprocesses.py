# SPDX-License-Identifier: Apache-2.0
"""Several processes in one profile: -s follows children however they come about, -p takes several."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import textwrap

import pytest

import pythons
from conftest import CSAMPLE, SAN, built, frame_name, parse_collapsed, wait_until
from test_record import TICK, burn, finish, pprof, recording

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
ROOT = re.compile(r"(.*) \(([0-9]+)\)")


def by_process(stacks):
    """{(name, pid): {stack without its root: samples}}."""
    found = {}
    for stack, n in stacks.items():
        if stack[0] == "[not sampled]":
            continue
        root = ROOT.fullmatch(stack[0])
        assert root, f"no process at the root: {stack}"
        found.setdefault((root[1], int(root[2])), {})[stack[1:]] = n
    return found


def samples_in(process, function):
    return sum(n for stack, n in process.items() if function in map(frame_name, stack))


def run_family(csample, tmp_path, *args, options=()):
    """(stacks by process, stats, ns the kernel charged the command and its children)."""
    out, stats = tmp_path / "out.collapsed", tmp_path / "stats.json"
    result = csample("record", "-s", "-F", "-o", out, "--stats-json", stats, *options, "--", built("family"), *args)
    assert result.status == 0, result
    used = int(re.search(r"^used ([0-9]+)$", result.out, re.M)[1])
    return by_process(parse_collapsed(out.read_text())), json.loads(stats.read_text()), used


def assert_charged(stats, used):
    """What it says the processes used is what they used; starting and ending are outside of what they print."""
    assert stats["target_cpu_seconds"] == pytest.approx(stats["profile_cpu_seconds"], abs=0.0001)
    assert stats["profile_cpu_seconds"] >= 0.9 * used / 1e9, stats
    assert stats["profile_cpu_seconds"] <= 1.02 * used / 1e9 + 0.02, stats


# Ways for children to come about


@pytest.mark.parametrize("kind,name,function", [
    ("sequence", "exe", "work_leaf"),
    ("vfork", "exe", "work_leaf"),
    ("forks", "family", "work_fork"),
    ("double", "family", "work_fork"),
])
def test_children_one_after_the_other(kind, name, function, csample, tmp_path):
    n, ms = (5, 100) if SAN else (15, 20)
    processes, stats, used = run_family(csample, tmp_path, kind, n, ms, options=["-r", "1000"])
    working = {key for key, stacks in processes.items() if samples_in(stacks, function) >= ms / 10}
    assert 0.8 * n <= len(working) <= n, (working, stats)  # on a busy machine one may be over before it is seen
    assert all(key[0] == name for key in working), working
    # Whose parent has ended, nobody of the family waits for.
    assert_charged(stats, used + (n * ms * 1000000 if kind == "double" else 0))
    for key in working:
        for stack in processes[key]:
            names = [frame_name(f) for f in stack]
            if function in names:
                assert names.index("main") < names.index(function), stack
                # Forked, it stands on what its parent ran; execed, on nothing of it.
                assert ("fork_one" in names or "fork_twice" in names) == (function == "work_fork"), stack


def test_generations_at_the_same_time(csample, tmp_path):
    processes, stats, used = run_family(csample, tmp_path, "tree", 5, 200, options=["-r", "500"])
    working = [key for key, stacks in processes.items() if samples_in(stacks, "work_tree") > 10]
    assert len(working) == 5, processes
    assert_charged(stats, used)


def test_very_short_children_are_in_the_total(csample, tmp_path):
    processes, stats, used = run_family(csample, tmp_path, "sequence", 300, 1, options=["-r", "1000"])
    assert_charged(stats, used)
    # All of it, but for the two clock ticks that the kernel's sum of ended children is rounded down by.
    assert stats["target_cpu_seconds"] >= used / 1e9 - 2 / TICK - 0.005, (stats, used)
    assert stats["not_sampled_seconds"] < 0.6 * stats["target_cpu_seconds"], stats
    assert sum(samples_in(stacks, "work_leaf") for stacks in processes.values()) > 5, stats


def test_a_shell_and_its_pipelines(csample, tmp_path):
    out = tmp_path / "out.collapsed"
    script = 'for i in 1 2 3; do "$0" leaf 1 60 | cat; ("$0" leaf 1 60; "$0" leaf 1 60) & wait; done; exit 7'
    result = csample("record", "-s", "-F", "-r", 1000, "-o", out, "--", "sh", "-c", script, built("family"))
    assert result.status == 7, result
    processes = by_process(parse_collapsed(out.read_text()))
    working = [key for key, stacks in processes.items() if samples_in(stacks, "work_leaf") > 6]
    assert len(working) == 9 and {name for name, _ in working} == {"family"}, processes.keys()


# Which processes


def test_children_that_are_there_already(start, workload, tmp_path):
    target = workload("family", "tree", 4, 3000)
    children = [target.pid]
    while len(children) < 4:
        path = pathlib.Path(f"/proc/{children[-1]}/task/{children[-1]}/children")
        children += [int(pid) for pid in wait_until(lambda: path.read_text().split(), what="a child")]
    out, stats = tmp_path / "out.collapsed", tmp_path / "stats.json"
    process = recording(start, "-s", "-p", target.pid, "-r", 500, "-F", "-o", out, "--stats-json", stats)
    for pid in children:
        burn(pid, 0.1)
    process.signal(signal.SIGINT)
    status, _, err = finish(process)
    assert status == 0, err
    processes = by_process(parse_collapsed(out.read_text()))
    assert {pid for _, pid in processes} == set(children), err
    stats = json.loads(stats.read_text())
    # What they had used before does not count.
    assert stats["target_cpu_seconds"] < 1.05 * os.cpu_count() * stats["duration_seconds"] + 0.02
    assert stats["profile_cpu_seconds"] == pytest.approx(stats["target_cpu_seconds"], abs=0.0001)


def test_without_s_children_are_not_looked_at(csample, tmp_path):
    out = tmp_path / "out.collapsed"
    result = csample("record", "-F", "-r", 1000, "-o", out, "--", built("family"), "tree", 3, 100)
    assert result.status == 0, result
    stacks = parse_collapsed(out.read_text())
    no_process = [stack for stack in stacks if len(stack) > 1 and not stack[0].startswith("[")]
    assert no_process and all(frame_name(stack[0]) == "_start" for stack in no_process), stacks
    assert not any(names.count("generations") > 1 for names in ([*map(frame_name, s)] for s in stacks)), stacks


@pytest.mark.parametrize("style", ["comma", "repeated"])
def test_several_processes_by_number(style, start, workload, tmp_path):
    targets = [workload("family", "idle", 0, 60000), workload("family", "idle", 0, 60000)]
    pids = [t.pid for t in targets]
    option = ["-p", ",".join(map(str, pids))] if style == "comma" else ["-p", pids[0], "--pid", pids[1]]
    out = tmp_path / "out.collapsed"
    process = recording(start, *option, "-r", 500, "-F", "-o", out)
    burn(pids[0], 0.2)
    burn(pids[1], 0.2)
    targets[0].signal(signal.SIGKILL)  # one ends, the other goes on
    targets[0].popen.wait()
    burn(pids[1], 0.2)
    assert process.popen.poll() is None
    targets[1].signal(signal.SIGKILL)
    status, _, err = finish(process)
    assert status == 0, err
    processes = by_process(parse_collapsed(out.read_text()))
    assert {pid for _, pid in processes} == set(pids), processes
    assert all(samples_in(p, "work_parent") > 20 for p in processes.values()), processes


def test_a_process_that_is_not_there_is_named(csample, workload):
    target = workload("family", "idle", 0, 60000)
    gone = subprocess.Popen(["true"])
    gone.wait()
    result = csample("record", "-p", f"{target.pid},{gone.pid}", "-d", "1s", "-o", "-")
    assert result.status == 1 and f"no process with pid {gone.pid}" in result.err, result
    result = csample("record", "-p", f"{target.pid},x", "-d", "1s", "-o", "-")
    assert result.status == 2 and "x" in result.err, result


def test_it_goes_on_until_the_last_has_ended(start, tmp_path):
    out = tmp_path / "out.collapsed"
    process = start(CSAMPLE, "record", "-s", "-F", "-r", 500, "-o", out, "--", "sh", "-c",
                    '"$0" leaf 1 400 & exit 3', built("family"), stderr=subprocess.PIPE)
    status, _, err = finish(process)
    assert status == 3, err
    processes = by_process(parse_collapsed(out.read_text()))
    assert any(samples_in(stacks, "work_leaf") > 50 for stacks in processes.values()), (processes, err)


def test_a_shell_does_not_follow_the_csample_below_it(start, tmp_path):
    """csample is a child of its own target."""
    out = tmp_path / "out.collapsed"
    script = '"$1" record -s -p $$ -r 200 -d 2s -F -o "$2" & "$0" leaf 1 500; wait'
    process = start("sh", "-c", script, built("family"), CSAMPLE, out, stderr=subprocess.PIPE)
    status, _, err = finish(process)
    assert status == 0, err
    processes = by_process(parse_collapsed(out.read_text()))
    assert processes and not any(name == "csample" for name, _ in processes), processes.keys()


# What it says of them


def test_labels_in_pprof(csample, tmp_path):
    out = tmp_path / "p.pb.gz"
    result = csample("record", "-s", "-t", "-r", 1000, "-o", out, "--", built("family"), "tree", 3, 100)
    assert result.status == 0, result
    tags = pprof(out, "-tags")
    assert re.search(r"process: Total", tags) and "family" in tags, tags
    assert re.search(r"\bpid: Total", tags) and re.search(r"\btid: Total", tags), tags
    for key in ("pid", "tid"):
        numbers = tags.split(f" {key}: Total")[1].split("Total")[0]
        assert len(re.findall(r"%\): [0-9]+$", numbers, re.M)) == 3, tags
    tree = pprof(out, "-traces")
    assert not re.search(r"family \([0-9]+\)", tree), "the process is a label, not a frame"


def test_wall_time_of_all(start, workload, tmp_path):
    target = workload("family", "idle", 5, 60000)
    out, stats = tmp_path / "out.collapsed", tmp_path / "stats.json"
    process = recording(start, "-s", "-e", "wall", "-p", target.pid, "-r", 50, "-F", "-d", "1s", "-o", out,
                        "--stats-json", stats)
    status, _, err = finish(process)
    assert status == 0, err
    processes = by_process(parse_collapsed(out.read_text()))
    assert len(processes) == 6, processes.keys()
    idle = [p for (_, pid), p in processes.items() if pid != target.pid]
    assert all(samples_in(p, "start_idle") == sum(p.values()) for p in idle), idle


# What it costs, and leaves


def perf_events(pid):
    return [fd for fd in os.listdir(f"/proc/{pid}/fd") if "perf_event" in os.readlink(f"/proc/{pid}/fd/{fd}")]


@root_only
def test_idle_processes_need_no_threads_and_no_events(start, workload, tmp_path):
    target = workload("family", "idle", 100, 60000)
    out = tmp_path / "out.collapsed"
    process = recording(start, "-s", "-p", target.pid, "-r", 100, "-o", out)
    burn(target.pid, 0.3)
    cpus = len(os.sched_getaffinity(0))
    assert len(os.listdir(f"/proc/{process.pid}/task")) <= os.cpu_count() + 2
    assert len(perf_events(process.pid)) <= 3 * os.cpu_count(), cpus  # ticks, side-band, moves
    process.signal(signal.SIGINT)
    status, _, err = finish(process)
    assert status == 0, err
    processes = by_process(parse_collapsed(out.read_text()))
    assert {pid for _, pid in processes} == {target.pid}


def test_no_descriptors_and_processes_are_left(start, tmp_path):
    out = tmp_path / "out.collapsed"
    process = start(CSAMPLE, "record", "-s", "-r", 500, "-o", out, "--", built("family"), "sequence",
                    60 if SAN else 400, 3, stderr=subprocess.PIPE)
    process.wait_for("ready")
    most = []
    while process.popen.poll() is None:
        try:
            most.append(len(os.listdir(f"/proc/{process.pid}/fd")))
        except FileNotFoundError:
            break
        if process.read_line() is None:
            break
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    status, _, err = finish(process)
    assert status == 0, err
    assert not children.exists() or not children.read_text()
    assert most and max(most) < 200, most


def test_a_killed_csample_leaves_the_family_alone(start, workload, tmp_path):
    target = workload("family", "forks", 100000, 5)
    process = recording(start, "-s", "-p", target.pid, "-r", 1000, "--capture", "stop", "-o", tmp_path / "o.svg")
    burn(target.pid, 0.02)
    process.signal(signal.SIGKILL)
    process.popen.wait()
    target.signal(signal.SIGTERM)
    assert re.search("used [0-9]+", target.wait_for("used"))
    assert target.popen.wait() == 0


@root_only
def test_without_privileges_events_are_inherited(start, tmp_path):
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed")
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == os.geteuid() and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    program = tmp_path / "csample"
    shutil.copy(CSAMPLE, program)
    family = tmp_path / "family"
    shutil.copy(built("family"), family)
    out = tmp_path / "out.collapsed"
    for kind, function in (("sequence", "work_leaf"), ("forks", "work_fork")):
        process = start(*nobody, program, "record", "-s", "-r", 500, "-F", "-o", out, "--", family, kind, 5, 100,
                        stderr=subprocess.PIPE)
        status, output, err = finish(process)
        assert status == 0, err
        processes = by_process(parse_collapsed(out.read_text()))
        working = [key for key, stacks in processes.items() if samples_in(stacks, function) >= 10]
        assert len(working) == 5, (kind, processes.keys(), err)


# Python's ways


MULTIPROCESSING = textwrap.dedent("""
    import multiprocessing, sys, time

    def work_in_child(seconds):
        end = time.process_time() + seconds
        n = 0
        while time.process_time() < end:
            n += sum(i * i for i in range(1000))
        return n

    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[1])
        children = [context.Process(target=work_in_child, args=(0.4,)) for _ in range(3)]
        for child in children:
            child.start()
        for child in children:
            child.join()
    """)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("version", ["3.8", "3.11", "3.13", "3.14"] + ([] if SAN else ["3.14t"]))
def test_multiprocessing(version, method, csample, tmp_path):
    python = pythons.require(version)
    script = tmp_path / "pool.py"
    script.write_text(MULTIPROCESSING)
    out, stats = tmp_path / "out.collapsed", tmp_path / "stats.json"
    result = csample("record", "-s", "-r", 500, "-o", out, "--stats-json", stats, "--", python.exe, script, method)
    assert result.status == 0, result
    line = 1 + MULTIPROCESSING.splitlines().index("        n += sum(i * i for i in range(1000))")
    processes = by_process(parse_collapsed(out.read_text()))
    working = [key for key, stacks in processes.items() if samples_in(stacks, "work_in_child") > 50]
    assert len(working) == 3, (processes.keys(), result.err)
    for key in working:
        assert any(f"work_in_child (pool.py:{line})" in stack for stack in processes[key]), processes[key].keys()
        stacks = sum(processes[key].values())
        assert samples_in(processes[key], "work_in_child") > 0.5 * stacks, processes[key]


# dump


def test_dump_of_a_family(csample, workload):
    target = workload("family", "idle", 3, 60000)
    text = csample("dump", "-s", "-p", target.pid)
    assert text.status == 0, text
    heads = [int(pid) for pid in re.findall(r"^Process ([0-9]+): ", text.out, re.M)]
    assert heads[0] == target.pid and len(set(heads)) == 4, text
    assert text.out.count("start_idle") == 3 and text.out.count("work_parent") == 1, text
    processes = json.loads(csample("dump", "-s", "--json", "-p", target.pid).out)
    assert [p["pid"] for p in processes] == heads
    assert all(thread["rooted"] for p in processes for thread in p["threads"])
    alone = json.loads(csample("dump", "--json", "-p", target.pid).out)
    assert alone["pid"] == target.pid
    two = json.loads(csample("dump", "--json", "-p", f"{heads[0]},{heads[1]}").out)
    assert [p["pid"] for p in two] == heads[:2]


def test_dump_of_several_says_which_is_not_there(csample, workload):
    target = workload("family", "idle", 0, 60000)
    gone = subprocess.Popen(["true"])
    gone.wait()
    result = csample("dump", "--json", "-p", f"{gone.pid},{target.pid}")
    assert result.status == 1 and f"no process with pid {gone.pid}" in result.err, result
    assert [p["pid"] for p in json.loads(result.out)] == [target.pid]
