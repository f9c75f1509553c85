# SPDX-License-Identifier: Apache-2.0
"""csample record on real programs: what it writes, how it ends, and what it says when it cannot."""
import fcntl
import gzip
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import stat
import subprocess
import xml.etree.ElementTree as ET

import pytest

from conftest import (CSAMPLE, ROOT, SAN, built, frame_name, functions_of, parse_collapsed, share_of, state_of,
                      terminate, wait_until)

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """CPU time of a process so far; endless when it is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return float("inf")
    return (int(fields[11]) + int(fields[12])) / TICK


def burn(pid, seconds=0.5):
    """Waits until the process has used that much more CPU time: then it has been sampled."""
    start = cpu_seconds(pid)
    wait_until(lambda: cpu_seconds(pid) - start >= seconds, what="the target's use of CPU time")


def recording(start, *args, **options):
    """A csample record under way: its samplers run."""
    process = start(CSAMPLE, "record", *args, stderr=subprocess.PIPE, **options)
    wait_until(lambda: process.popen.poll() is not None or len(os.listdir(f"/proc/{process.pid}/task")) > 1,
               what="the samplers' start")
    return process


def finish(process, timeout=60):
    """(status, stdout, stderr) of a process that is about to end."""
    out, err = process.popen.communicate(timeout=timeout)
    return process.popen.returncode, out, (err or b"").decode(errors="replace")


def pprof(path, *args):
    """The output of go tool pprof, which must have nothing to complain about."""
    go = shutil.which("go")
    if not go:
        pytest.skip("go is not installed")
    done = subprocess.run([go, "tool", "pprof", *args, str(path)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=120,
                          env=dict(os.environ, PPROF_BINARY_PATH="/nonexistent"))
    assert done.returncode == 0, done.stderr
    complaints = [line for line in done.stderr.splitlines()
                  if not line.startswith(("Main binary filename", "File:", "Type:", "Fetching", "Saved"))
                  and "Local symbolization failed" not in line
                  and "Some binary filenames not available" not in line
                  and not line.startswith("Try setting PPROF_BINARY_PATH")]
    assert not complaints, complaints
    return done.stdout


# What it writes


def test_known_split_is_reported(start, workload, tmp_path):
    target = workload("split")
    out, stats_file = tmp_path / "out.collapsed", tmp_path / "stats.json"
    process = recording(start, "-p", target.pid, "-r", 2000, "-F", "-o", out, "--stats-json", stats_file)
    burn(target.pid, 1 if SAN else 4)
    process.signal(signal.SIGINT)
    status, _, err = finish(process)
    assert status == 0, err
    stacks, stats = parse_collapsed(out.read_text()), json.loads(stats_file.read_text())
    total = sum(stacks.values())
    assert total == stats["samples"]
    assert stats["rooted"] > 0.99
    assert share_of(stacks, "main") > 0.99
    if SAN:
        return  # too slow to keep up
    assert total >= 3000, err
    terminate(target)
    truth = dict(line.split() for line in target.popen.stdout.read().decode().splitlines())
    for name in ("seventy", "twenty", "ten"):
        assert abs(share_of(stacks, name) - float(truth[name])) < 0.015, (name, stacks, truth)


STATS = {"samples", "lost", "errors", "rooted", "captured", "duration_seconds", "target_cpu_seconds",
         "profile_cpu_seconds", "rate_asked", "rate_reached", "sampler_cpu_seconds", "sampler_rss_bytes",
         "first_sample_ms", "pause_us", "reads_per_sample"}


def test_stats_have_their_schema_and_add_up(record, workload):
    _, stats, _ = record(workload("split").pid, "-d", "2s", "-r", 200)
    assert STATS <= set(stats), STATS - set(stats)
    assert set(stats["captured"]) == {"preempt", "asleep", "stop"}
    assert {"count", "p50", "p90", "p99", "max"} <= set(stats["pause_us"])
    assert sum(stats["errors"].values()) >= stats["lost"]
    assert sum(stats["captured"].values()) == stats["samples"]
    assert stats["rate_asked"] == 200
    assert stats["duration_seconds"] >= 2
    pause = stats["pause_us"]
    assert 0 < pause["p50"] <= pause["p90"] <= pause["p99"] <= pause["max"] * 1.07
    assert 0.9 < stats["profile_cpu_seconds"] / stats["target_cpu_seconds"] < 1.1 or SAN


def test_pprof_agrees_with_the_count_and_the_cpu_time(workload, csample, tmp_path):
    out, stats_file = tmp_path / "p.pb.gz", tmp_path / "stats.json"
    target = workload("split")
    result = csample("record", "-p", target.pid, "-d", "2s", "-r", 500, "-o", out, "--stats-json", stats_file)
    assert result.status == 0, result
    stats = json.loads(stats_file.read_text())
    top = pprof(out, "-top", "-sample_index=samples")
    assert re.search(rf"Total samples = {stats['samples']}\b", top) or f"{stats['samples']} total" in top, top
    assert "seventy" in top and "twenty" in top
    nanoseconds = pprof(out, "-top", "-sample_index=cpu", "-unit=ns")
    total = int(re.search(r"([0-9]+)ns total", nanoseconds)[1])
    assert abs(total / 1e9 - stats["profile_cpu_seconds"]) < 0.001
    raw = pprof(out, "-raw")
    assert re.search(r"seventy\S* \S*split\.c:[0-9]+", raw), raw[:3000]
    assert "PeriodType: cpu nanoseconds" in raw and "Period: 2000000" in raw
    assert re.search(r"Duration: 2", raw) and "Time: " in raw


def test_threads_are_labels_in_pprof(workload, csample, tmp_path):
    out = tmp_path / "p.pb.gz"
    pid = workload("crowd", 20, 2).pid
    assert csample("record", "-p", pid, "-d", "1s", "-o", out, "-t").status == 0
    tags = pprof(out, "-tags")
    assert re.search(r"thread: Total", tags) and "busy" in tags and re.search(r"tid: Total", tags), tags
    assert csample("record", "-p", pid, "-d", "1s", "-o", out).status == 0
    assert "busy" not in pprof(out, "-tags")


def test_svg_is_xml_and_names_functions(workload, csample, tmp_path):
    out = tmp_path / "a.svg"
    result = csample("record", "-p", workload("split").pid, "-d", "1s", "-o", out)
    assert result.status == 0, result
    root = ET.parse(out).getroot()
    assert root.tag.endswith("svg")
    text = out.read_text()
    assert "seventy" in text and "http://" not in text.replace("http://www.w3.org", "")


@pytest.mark.parametrize("name,check", [
    ("a.svg", lambda b: b"<svg" in b),
    ("a.collapsed", lambda b: parse_collapsed(b.decode())),
    ("a.folded", lambda b: parse_collapsed(b.decode())),
    ("a.txt", lambda b: parse_collapsed(b.decode())),
    ("a.pb.gz", lambda b: gzip.decompress(b)),
])
def test_the_file_name_gives_the_format(name, check, workload, csample, tmp_path):
    out = tmp_path / name
    pid = workload("split").pid
    assert csample("record", "-p", pid, "-d", "500ms", "-o", out).status == 0
    assert check(out.read_bytes())
    by_f = csample("record", "-p", pid, "-d", "500ms", "-f", out)
    assert by_f.status == 0 and f"{out}: taken as the file" in by_f.err
    assert check(out.read_bytes())
    assert os.listdir(tmp_path) == [name], "temporary files are left"


def test_format_overrides_the_name_and_stdout_is_only_the_result(workload, csample, tmp_path):
    pid = workload("split").pid
    for stdout in ("-", "/dev/stdout"):
        result = csample("record", "-p", pid, "-d", "500ms", "-f", "pprof", "-o", stdout, binary=True)
        assert result.status == 0 and gzip.decompress(result.out)
    out = tmp_path / "odd.svg"
    assert csample("record", "-p", pid, "-d", "500ms", "-f", "collapsed", "-o", out).status == 0
    assert parse_collapsed(out.read_text())


def test_without_o_the_file_is_named_after_program_pid_and_time(workload, csample, tmp_path):
    pid = workload("split").pid
    result = csample("record", "-p", pid, "-d", "500ms", cwd=tmp_path)
    assert result.status == 0
    names = os.listdir(tmp_path)
    assert len(names) == 1 and re.fullmatch(rf"split-{pid}-.*[0-9]\.svg", names[0]), names
    assert names[0] in result.out + result.err


def test_threads_are_roots_when_asked_for(record, workload):
    target = workload("crowd", 50, 2)
    stacks, stats, _ = record(target.pid, "-d", "1s", "-r", 200, "-F", "-t")
    roots = {stack[0] for stack in stacks}
    assert len(roots) == 2, roots
    assert all("busy" in root and re.search("[0-9]+", root) for root in roots), roots
    plain, _, _ = record(target.pid, "-d", "1s", "-r", 200, "-F")
    assert not any("busy" in frame and "busy_work" not in frame for stack in plain for frame in stack
                   if frame != "busy")


def test_lines_and_full_file_names(record, workload):
    target = workload("split")
    stacks, _, _ = record(target.pid, "-d", "500ms", "-r", 200, "--full-filenames")
    if any("(" in f for s in stacks for f in s):  # native frames: lines are optional in their names
        assert any("/tests/workloads/split.c:" in f for s in stacks for f in s)
    stacks, _, _ = record(target.pid, "-d", "500ms", "-r", 200, "-F")
    assert not any(re.search(r"\(.*:[0-9]+\)", f) for s in stacks for f in s)


@root_only
def test_kernel_frames(record, workload):
    target = workload("syscalls")
    stacks, stats, result = record(target.pid, "-d", "1s", "-r", 200, "-F", "--kernel", "--annotate")
    kernel = sum(n for stack, n in stacks.items() if stack[-1].endswith("_[k]"))
    assert kernel / sum(stacks.values()) > 0.5, stacks
    assert share_of(stacks, "read_zeros") > 0.9
    # The way into the kernel is below the function that made the call.
    for stack in stacks:
        names = [frame_name(f) for f in stack]
        if stack[-1].endswith("_[k]") and "read_zeros" in names:
            first = next(i for i, f in enumerate(stack) if f.endswith("_[k]"))
            assert names.index("read_zeros") < first
    plain, _, _ = record(target.pid, "-d", "1s", "-r", 200, "-F", "--annotate")
    assert not any(f.endswith("_[k]") for s in plain for f in s)


def test_inlined_functions_are_frames_and_marked(record, workload):
    stacks, _, _ = record(workload("split").pid, "-d", "1s", "-r", 300, "-F", "--annotate")
    assert share_of(stacks, "rounds") > 0.9, stacks
    assert any("rounds_[i]" in stack for stack in stacks)


# Which targets


@pytest.mark.parametrize("variant", ["static", "split", "minidebug", "musl", "muslstatic", "nopie", "clang", "fp", "O0", "nodebug"])
def test_however_it_was_built(variant, record, workload):
    target = workload("split", variant=variant)
    stacks, stats, result = record(target.pid, "-d", "1s", "-r", 300, "-F")
    assert share_of(stacks, "seventy") > 0.4, stacks
    assert share_of(stacks, "main") > 0.95
    assert stats["rooted"] > 0.95, result


def test_stripped_code_is_named_by_its_module(record, workload):
    stacks, stats, _ = record(workload("split", variant="stripped").pid, "-d", "1s", "-r", 300, "-F")
    assert stats["rooted"] > 0.95
    leaves = [stack[-1] for stack in stacks]
    assert any(re.fullmatch(r"split\+0x[0-9a-f]+", frame) for frame in leaves), leaves
    assert not any(re.fullmatch(r"(0x)?[0-9a-f]{6,}", f) for s in stacks for f in s), "an address without a module"
    # All of a function is one, though its name is not known: _start, main, work, seventy, twenty, ten.
    assert len({f for stack in stacks for f in stack if f.startswith("split+0x")}) <= 6


def build_id(path):
    """From the note of an ELF file, as lower-case hex."""
    notes = subprocess.run(["readelf", "-n", path], stdout=subprocess.PIPE, text=True).stdout
    return re.search(r"Build ID: ([0-9a-f]+)", notes)[1]


@root_only
def test_debug_file_by_build_id_in_the_targets_root(record, start, tmp_path):
    if not shutil.which("readelf"):
        pytest.skip("readelf is not installed")
    program = built("split", "buildid")
    name = build_id(program)
    _, pid = namespaced(start, 'mkdir -p /usr/lib/debug; mount -t tmpfs none /usr/lib/debug; '
                        'mkdir -p "/usr/lib/debug/.build-id/$2"; '
                        'cp "$1/build-id.debug" "/usr/lib/debug/.build-id/$2/$3.debug"; exec "$1/split"',
                        program.parent, name[:2], name[2:])
    stacks, _, _ = record(pid, "-d", "1s", "-r", 200, "--full-filenames")
    names = functions_of(stacks)
    assert {"seventy", "rounds", "work", "main"} <= names, names


def test_code_made_at_run_time(record, workload, request):
    target = workload("jit")
    request.addfinalizer(lambda: os.unlink(f"/tmp/perf-{target.pid}.map"))
    stacks, stats, _ = record(target.pid, "-d", "1s", "-r", 300, "-F")
    assert share_of(stacks, "jitted loop", leaf=True) > 0.95, stacks
    assert share_of(stacks, "main") > 0.95 and stats["rooted"] > 0.95


@root_only
def test_code_made_at_run_time_in_a_container(record, start):
    # The program may itself lie below /tmp, which is about to be hidden.
    script = 'exec 9<"$1"; mount -t tmpfs none /tmp; cat <&9 >/tmp/jit; exec 9<&-; chmod +x /tmp/jit; exec /tmp/jit'
    _, pid = namespaced(start, script, built("jit"))
    stacks, _, _ = record(pid, "-d", "1s", "-r", 300, "-F")
    assert share_of(stacks, "jitted loop") > 0.95, stacks


def test_signal_handlers_stand_on_what_they_interrupted(record, workload):
    stacks, stats, _ = record(workload("handler").pid, "-d", "1s", "-r", 300, "-F")
    assert share_of(stacks, "handler_work") > 0.9, stacks
    for stack, count in stacks.items():
        names = [frame_name(f) for f in stack]
        if "handler_work" in names and count > 3:
            assert names.index("main") < names.index("send_signals") < names.index("handler_work"), stack
    assert stats["rooted"] > 0.95


def test_a_stack_on_another_stack_is_whole_or_marked(record, workload):
    stacks, stats, _ = record(workload("handler", "alternate").pid, "-d", "1s", "-r", 300, "-F")
    assert share_of(stacks, "handler_work") > 0.9, stacks
    assert stats["rooted"] > 0.9, stacks
    assert all("main" in map(frame_name, s) or s[0].startswith("[") for s in stacks), stacks


def test_the_vdso_has_names(record, workload):
    stacks, stats, _ = record(workload("clocks").pid, "-d", "1s", "-r", 300, "-F")
    assert share_of(stacks, "ask_for_the_time") > 0.95
    assert any("clock_gettime" in frame_name(s[-1]) for s in stacks), stacks
    assert not any(frame.startswith("[vdso]+") for s in stacks for frame in s), stacks
    assert stats["rooted"] > 0.95


def test_cplusplus(record, workload):
    stacks, stats, result = record(workload("shapes_cxx").pid, "-d", "3s", "-r", 500, "-F")
    names = functions_of(stacks)
    for name in ("shapes::with_sort", "shapes::with_exceptions", "shapes::Polygon<float>::area"):
        assert any(n.startswith(name) for n in names), (name, names)
    assert not any(n.startswith("_Z") for n in names), [n for n in names if n.startswith("_Z")]
    assert stats["rooted"] >= 0.99, (stats, [s for s in stacks if "main" not in map(frame_name, s)][:20])


def test_rust(record, workload):
    stacks, stats, _ = record(workload("shapes_rust").pid, "-d", "2s", "-r", 300, "-F")
    names = functions_of(stacks)
    assert any("generic_sort" in n for n in names) and any("count_words" in n for n in names), names
    assert not any(n.startswith(("_ZN", "_R")) for n in names)
    assert not any(re.search(r"::h[0-9a-f]{16}$", n) for n in names), "hashes are left in names"
    assert stats["rooted"] > 0.98


@pytest.mark.parametrize("variant", ["", "stripped"])
def test_go(variant, record, workload):
    stacks, stats, _ = record(workload("shapes_go", variant=variant).pid, "-d", "2s", "-r", 300, "-F")
    names = functions_of(stacks)
    assert {"main.sortNumbers", "main.countWords"} <= names, names
    assert stats["rooted"] > 0.95, stats


def test_deep_recursion_is_whole(record, workload):
    stacks, stats, _ = record(workload("deep").pid, "-d", "1s", "-r", 200, "-F")
    whole = sum(n for stack, n in stacks.items()
                if sum(frame_name(f) == "descend" for f in stack) == 2000
                and "main" in map(frame_name, stack) and "bottom" in map(frame_name, stack))
    # The first ones of a thread may find that more needs to be copied.
    assert whole / sum(stacks.values()) > 0.9, [(len(s), n) for s, n in stacks.items()]
    assert all("[truncated]" in s for s in stacks if "main" not in map(frame_name, s))


def test_thread_churn(record, workload):
    stacks, stats, result = record(workload("churn").pid, "-d", "2s", "-r", 500, "-F")
    assert share_of(stacks, "short_life") > 0.8, (stacks, stats)
    assert stats["samples"] > 0 and stats["rooted"] > 0.95, stats


def test_exec_in_mid_recording(record, workload):
    stacks, stats, _ = record(workload("execs").pid, "-d", "2s", "-r", 300, "-F")
    assert share_of(stacks, "image_even") > 0.2 and share_of(stacks, "image_odd") > 0.2, stacks
    both = [s for s in stacks if {"image_even", "image_odd"} <= set(map(frame_name, s))]
    assert not both, "frames of two images in one stack"
    assert share_of(stacks, "image_even") + share_of(stacks, "image_odd") > 0.85, stacks


def test_code_loaded_in_mid_recording(start, workload, tmp_path):
    plugin = shutil.copy(built("plugin", "shared"), tmp_path / "plugin.so")
    target = workload("host", plugin)
    out = tmp_path / "out.collapsed"
    process = recording(start, "-p", target.pid, "-r", 300, "-F", "-o", out)
    burn(target.pid)
    target.tell("x")
    target.wait_for("loaded")
    os.unlink(plugin)
    burn(target.pid)
    process.signal(signal.SIGINT)
    status, _, err = finish(process)
    assert status == 0, err
    stacks = parse_collapsed(out.read_text())
    assert {"plugin_inner", "plugin_work", "host_work"} <= functions_of(stacks), stacks
    assert all({"main", "plugin_work"} <= set(map(frame_name, s)) for s in stacks
               if "plugin_inner" in map(frame_name, s)), stacks


def test_code_unloaded_again_keeps_its_name(start, workload, tmp_path):
    target = workload("host", built("plugin", "shared"))
    out = tmp_path / "out.collapsed"
    process = recording(start, "-p", target.pid, "-r", 300, "-F", "-o", out)
    target.tell("x")
    target.wait_for("loaded")
    burn(target.pid)
    target.tell("x")
    target.wait_for("unloaded")
    burn(target.pid)
    process.signal(signal.SIGINT)
    assert finish(process)[0] == 0
    stacks = parse_collapsed(out.read_text())
    assert {"plugin_inner", "host_work"} <= functions_of(stacks), stacks


@pytest.mark.parametrize("then", ["deleted", "replaced"])
def test_program_gone_from_disk(then, record, start, tmp_path):
    program = pathlib.Path(shutil.copy(built("split"), tmp_path / "program"))
    target = start(program)
    target.wait_for("ready")
    program.unlink()
    if then == "replaced":
        shutil.copy(built("deep"), program)
    stacks, _, _ = record(target.pid, "-d", "1s", "-r", 200, "-F")
    assert share_of(stacks, "seventy") > 0.4, stacks
    assert "descend" not in functions_of(stacks)


def test_only_the_process_not_its_children(record, workload):
    stacks, _, _ = record(workload("forks").pid, "-d", "2s", "-r", 300, "-F")
    assert share_of(stacks, "parent_work") > 0.5, stacks
    assert "child_work" not in functions_of(stacks)


def namespaced(start, script, *args):
    """A shell script in mount, pid and network namespaces of its own; returns it and its inner pid."""
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-ec", script, "sh",
               *args]
    if subprocess.run(command[:6] + ["true"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("namespaces are not allowed here")
    outer = start(*command)
    outer.wait_for("ready")
    children = pathlib.Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
    assert len(children) == 1
    return outer, int(children[0])


@root_only
def test_target_in_namespaces_of_its_own(record, start, tmp_path):
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    _, pid = namespaced(start, 'mount -t tmpfs none "$1"; cp "$2" "$1/inside"; exec "$1/inside"', hidden, built("split"))
    assert not os.listdir(hidden), "the program is visible here: the test shows nothing"
    stacks, stats, _ = record(pid, "-d", "1s", "-r", 200, "-F")
    assert share_of(stacks, "seventy") > 0.4, stacks
    assert stats["rooted"] > 0.95


@root_only
def test_a_path_that_means_another_file_here_is_not_used(record, start, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shutil.copy(built("deep"), shared / "program")
    _, pid = namespaced(start, 'mount -t tmpfs none "$1"; cp "$2" "$1/program"; exec "$1/program"', shared, built("split"))
    stacks, _, _ = record(pid, "-d", "1s", "-r", 200, "-F")
    assert share_of(stacks, "seventy") > 0.4 and not {"descend", "bottom"} & functions_of(stacks), stacks


def test_hostile_names(record, start, csample, tmp_path):
    odd = tmp_path / "a;b <&>\"'\n\x1b[31m 9"
    odd.mkdir()
    program = shutil.copy(built("split", "stripped"), odd / "x;y\nz 1")
    target = start(program)
    target.wait_for("ready")
    stacks, _, result = record(target.pid, "-d", "500ms", "-r", 200, "-F")
    assert "\x1b" not in result.out + result.err
    assert all(stack and all(stack) for stack in stacks)
    svg = tmp_path / "a.svg"
    assert csample("record", "-p", target.pid, "-d", "500ms", "-o", svg).status == 0
    ET.parse(svg)
    result = csample("record", "-p", target.pid, "-d", "500ms", cwd=tmp_path)
    assert result.status == 0, result
    made = [n for n in os.listdir(tmp_path) if n.endswith(".svg") and n != "a.svg"]
    assert len(made) == 1 and "\n" not in made[0] and "/" not in made[0]


# Events and ways


def test_wall_time_of_a_sleeper(record, workload):
    target = workload("sleeper")
    stacks, stats, _ = record(target.pid, "-d", "2s", "-e", "wall", "-F")
    assert share_of(stacks, "wait_for_nothing") > 0.95 and share_of(stacks, "event_loop") > 0.95, stacks
    assert stats["captured"]["stop"] == 0
    assert state_of(target.pid) in "SR"


def test_wall_time_of_all_threads_is_equal(record, workload):
    stacks, stats, _ = record(workload("waits").pid, "-d", "3s", "-e", "wall", "-F")
    shares = [share_of(stacks, name) for name in ("in_read", "in_sleep", "in_poll", "in_lock", "running")]
    assert all(0.1 < share < 0.25 for share in shares), (shares, stacks)  # six threads


def test_a_sleeper_has_no_cpu_profile(workload, csample, tmp_path):
    out = tmp_path / "a.svg"
    result = csample("record", "-p", workload("sleeper").pid, "-d", "500ms", "-o", out)
    assert result.status == 1, result
    assert "sample" in result.err and "-e wall" in result.err
    assert not os.listdir(tmp_path), "an empty picture"


@pytest.mark.parametrize("options,way", [(["--capture", "stop"], "stop"), (["--capture", "preempt"], "preempt"),
                                         (["--nonblocking"], "preempt")])
def test_ways_can_be_forced(options, way, record, workload, csample):
    target = workload("split")
    if way == "preempt" and json.loads(csample("doctor", "-j").out)["capture"]["cpu"]["way"] != "preempt":
        pytest.skip("no preempt with these privileges")
    stacks, stats, _ = record(target.pid, "-d", "1s", "-r", 200, "-F", *options)
    others = sum(n for name, n in stats["captured"].items() if name not in (way, "asleep"))
    assert stats["captured"][way] > 0 and others == 0, stats
    assert share_of(stacks, "main") > 0.95
    assert state_of(target.pid) in "RS"


REFUSE_PERF = {"x86_64": "298=1", "aarch64": "241=1"}[os.uname().machine]


def test_without_perf_events_a_timer_does_it(workload, tmp_path):
    target = workload("split")
    out, stats = tmp_path / "o.folded", tmp_path / "s.json"
    done = subprocess.run([built("refuse"), REFUSE_PERF, CSAMPLE, "record", "-p", str(target.pid), "-d", "2s", "-r",
                           "200", "-F", "-o", out, "--stats-json", stats], stderr=subprocess.PIPE, text=True,
                          timeout=60)
    if done.returncode == 77:
        pytest.skip("no seccomp here")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("perf") >= 1 and "timer" in done.stderr, done.stderr
    stacks = parse_collapsed(out.read_text())
    assert share_of(stacks, "seventy") > 0.5 and share_of(stacks, "main") > 0.95, stacks
    assert json.loads(stats.read_text())["captured"]["preempt"] == 0


@root_only
def test_as_an_ordinary_user(start, tmp_path):
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed")
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    target = start(*nobody, built("split"))
    target.wait_for("ready")
    done = subprocess.run([*nobody, CSAMPLE, "record", "-p", str(target.pid), "-d", "1s", "-r", "200", "-F", "-f",
                           "collapsed", "-o", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=60)
    if "yama" in done.stderr:
        pytest.skip("yama keeps users from their own processes")
    assert done.returncode == 0, done.stderr
    assert share_of(parse_collapsed(done.stdout), "seventy") > 0.4


@root_only
def test_a_target_on_other_priorities(record, start):
    if not shutil.which("chrt"):
        pytest.skip("chrt is not installed")
    # Bounded by the kernel's own share for ordinary tasks; ends with the test.
    target = start("chrt", "-r", "10", built("split"), "60")
    target.wait_for("ready")
    stacks, stats, _ = record(target.pid, "-d", "1s", "-r", 200, "-F")
    assert share_of(stacks, "seventy") > 0.4, (stacks, stats)


# How it ends


def test_interrupt_writes_the_file(start, workload, tmp_path):
    target = workload("split")
    for number in (signal.SIGINT, signal.SIGTERM):
        out = tmp_path / f"{number}.collapsed"
        process = recording(start, "-p", target.pid, "-F", "-o", out)
        burn(target.pid)
        process.signal(number)
        status, _, err = finish(process)
        assert status == 0, err
        assert share_of(parse_collapsed(out.read_text()), "main") > 0.9


def test_zero_duration_is_until_interrupted(start, workload):
    target = workload("split")
    process = recording(start, "-p", target.pid, "--duration", "0", "--format", "pprof", "--output", "/dev/stdout")
    burn(target.pid)
    assert process.popen.poll() is None
    process.signal(signal.SIGINT)
    status, out, err = finish(process)
    assert status == 0, err
    assert gzip.decompress(out)


def full_pipe():
    """A pipe that takes not one byte more."""
    read_end, write_end = os.pipe()
    fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(write_end, False)
    try:
        while True:
            os.write(write_end, b"x" * 4096)
    except BlockingIOError:
        pass
    try:
        while True:
            os.write(write_end, b"x")
    except BlockingIOError:
        pass
    os.set_blocking(write_end, True)
    return read_end, write_end


def test_second_interrupt_aborts(start, workload):
    target = workload("split")
    read_end, write_end = full_pipe()
    process = recording(start, "-p", target.pid, "-f", "collapsed", "-o", "-", stdout=write_end)
    os.close(write_end)
    burn(target.pid, 0.3)
    process.signal(signal.SIGINT)
    # It now hangs in write(2) to a pipe that nobody reads.
    wait_until(lambda: "pipe" in pathlib.Path(f"/proc/{process.pid}/wchan").read_text() or
               len(os.listdir(f"/proc/{process.pid}/task")) == 1, what="the write of the result")
    assert process.popen.poll() is None
    process.signal(signal.SIGINT)
    status = process.popen.wait(timeout=30)
    os.close(read_end)
    assert status != 0
    assert state_of(target.pid) in "RS"


def test_target_that_ends_is_still_named(start, tmp_path):
    for how in ("exits", "is killed"):
        program = pathlib.Path(shutil.copy(built("split"), tmp_path / "gone"))
        target = start(program)
        target.wait_for("ready")
        out = tmp_path / "out.collapsed"
        process = recording(start, "-p", target.pid, "-F", "-o", out)
        burn(target.pid)
        program.unlink()
        target.signal(signal.SIGTERM if how == "exits" else signal.SIGKILL)
        status, _, err = finish(process)
        assert status == 0, err
        assert share_of(parse_collapsed(out.read_text()), "seventy") > 0.4


def test_command_gives_its_status_and_keeps_its_output(csample, tmp_path):
    out = tmp_path / "o.collapsed"
    result = csample("record", "-r", 500, "-F", "-o", out, "--", built("code"), "0.5", "42")
    assert result.status == 42, result
    assert re.fullmatch(r"uid [0-9]+\n", result.out)
    stacks = parse_collapsed(out.read_text())
    assert share_of(stacks, "first_and_last") > 0.8, stacks
    assert not any("csample" in f or "cmd_" in f for s in stacks for f in s), "frames from before the exec"


def test_command_that_dies_by_a_signal(csample, tmp_path):
    result = csample("record", "-o", tmp_path / "o.svg", "--", "sh", "-c",
                     "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; kill -9 $$")
    assert result.status == 128 + 9, result


def test_command_that_does_not_exist(csample, tmp_path):
    result = csample("record", "-o", tmp_path / "o.svg", "--", "/nonexistent/command")
    assert result.status in (1, 127), result
    assert "/nonexistent/command" in result.err and "No such file" in result.err
    assert not os.listdir(tmp_path)


def test_command_from_its_first_instruction(csample, tmp_path):
    out = tmp_path / "o.collapsed"
    result = csample("record", "-r", 10000, "-F", "-o", out, "--", built("code"), "0.1")
    assert result.status == 0, result
    names = functions_of(parse_collapsed(out.read_text()))
    assert any("_dl_" in n or n in ("dl_main", "_start") for n in names), ("not one sample of the loader", names)


@root_only
def test_under_sudo_the_command_is_the_users(csample, tmp_path):
    env = dict(os.environ, SUDO_UID="65534", SUDO_GID="65534", SUDO_USER="nobody")
    program = pathlib.Path(built("code"))
    if not all(folder.stat().st_mode & stat.S_IXOTH for folder in program.parents):
        pytest.skip(f"other users may not enter {ROOT}")
    result = csample("record", "-o", tmp_path / "o.svg", "--", program, "0.3", env=env)
    assert result.status == 0, result
    assert result.out == "uid 65534\n"


def test_interrupt_of_a_command(start, tmp_path):
    out = tmp_path / "o.collapsed"
    process = recording(start, "-F", "-o", out, "--", built("split"))
    process.wait_for("ready")
    child = int(pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
    burn(child)
    process.signal(signal.SIGINT)
    # The profile is written at once; csample ends with the command.
    wait_until(lambda: out.exists() and out.stat().st_size, what="the profile")
    os.kill(child, signal.SIGKILL)
    status, _, err = finish(process)
    assert status == 128 + 9
    assert share_of(parse_collapsed(out.read_text()), "seventy") > 0.4, err


def test_summary_is_one_line(csample, workload, tmp_path):
    result = csample("record", "-p", workload("split").pid, "-d", "500ms", "-o", tmp_path / "a.svg")
    lines = [line for line in result.err.splitlines() if "samples" in line]
    assert lines and re.search(r"[0-9]+ samples", lines[-1]), result
    for word in ("lost", "whole", "pause", "CPU"):
        assert word in lines[-1], (word, lines)
    assert "\r" not in result.err and not result.out and len(result.err.splitlines()) == 1


def test_progress_is_for_terminals(workload, tmp_path):
    target = workload("split")
    controller, terminal = pty.openpty()
    process = subprocess.Popen([CSAMPLE, "record", "-p", str(target.pid), "-d", "1500ms", "-o", str(tmp_path / "a.svg")],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=terminal)
    os.close(terminal)
    seen = b""
    try:
        while chunk := os.read(controller, 4096):
            seen += chunk
    except OSError:
        pass  # EIO: the other end is closed
    os.close(controller)
    assert process.wait() == 0
    assert b"\r" in seen and re.search(rb"[0-9]+ samples", seen), seen


# What it cannot do


def failing(csample, *args, says, status=(1,), **options):
    result = csample(*args, **options)
    assert result.status in status, result
    lines = result.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("csample: "), result
    assert re.search(says, lines[0]), result
    assert not result.out
    return result


@pytest.mark.parametrize("command", [["record", "-d", "1s", "-o", "-"], ["dump"]])
def test_no_such_targets(command, csample):
    failing(csample, *command, "-p", 4194304, says="no process with pid 4194304")
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    failing(csample, *command, "-p", child.pid, says="zombie")
    child.wait()
    if pathlib.Path("/proc/2/comm").exists() and pathlib.Path("/proc/2/comm").read_text() == "kthreadd\n":
        failing(csample, *command, "-p", 2, says="kernel thread")
    itself = subprocess.run(["sh", "-c", f'exec "$0" {" ".join(command)} -p $$', CSAMPLE], stderr=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)
    assert itself.returncode in (1, 2) and "itself" in itself.stderr and itself.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [["record", "-d", "1s", "-o", "-"], ["dump"]])
def test_32_bit_target(command, csample, start):
    if os.uname().machine != "x86_64":
        pytest.skip("32-bit targets are made for x86 only")
    try:
        program = built("bits32", "m32")
    except RuntimeError as error:
        pytest.skip(f"gcc -m32 does not work: {error}")
    target = start(program)
    target.wait_for("ready")
    failing(csample, *command, "-p", target.pid, says="32-bit")


@root_only
@pytest.mark.parametrize("command", ["record -d 1s -o -", "dump"])
def test_no_permission_says_which(command, workload):
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed")
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", CSAMPLE, *command.split(),
                           "-p", str(workload("split").pid)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "CAP_SYS_PTRACE" in done.stderr and "sudo" in done.stderr


def test_output_that_cannot_be_written_is_told_before_sampling(csample, workload, tmp_path):
    pid = workload("split").pid
    failing(csample, "record", "-p", pid, "-o", "/nonexistent/a.svg", says="/nonexistent", timeout=30)
    failing(csample, "record", "-p", pid, "-o", tmp_path, "-f", "svg", says="directory", timeout=30)
    failing(csample, "record", "-p", pid, "-o", tmp_path / "a.svg", "--stats-json", "/nonexistent/s.json",
            says="/nonexistent", timeout=30)
    assert not os.listdir(tmp_path)


@root_only
def test_output_without_permission(workload, tmp_path):
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed")
    os.chmod(tmp_path, 0o755)
    good = tmp_path / "a.svg"
    good.write_text("good")
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = subprocess.run([*nobody, CSAMPLE, "record", "-o", str(good), "--", built("code"), "0.1"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1 and "ermission" in done.stderr, done.stderr
    assert "uid" not in done.stdout, "the command was started all the same"
    assert good.read_text() == "good"


@root_only
def test_full_device(csample, workload, tmp_path):
    # A node of our own, as /dev/full: were csample wrong, the machine's would be replaced by a file.
    full = tmp_path / "full"
    os.mknod(full, 0o600 | stat.S_IFCHR, os.makedev(1, 7))
    failing_at_end = csample("record", "-p", workload("split").pid, "-d", "500ms", "-f", "svg", "-o", full)
    assert full.is_char_device()
    assert failing_at_end.status == 1 and "No space left" in failing_at_end.err, failing_at_end


@root_only
def test_full_disk_leaves_the_old_file(workload, tmp_path):
    pid = workload("split").pid
    script = ('mount -t tmpfs -o size=16k none "$1"; echo good >"$1/a.svg"; '
              'dd if=/dev/zero of="$1/fill" bs=4k count=2 2>/dev/null; '
              '"$2" record -p "$3" -d 500ms -r 500 -o "$1/a.svg"; echo "status $?"; cat "$1/a.svg"; ls -A "$1"')
    command = ["unshare", "--mount", "sh", "-c", script, "sh", str(tmp_path), CSAMPLE, str(pid)]
    if subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("namespaces are not allowed here")
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    assert "status 1" in done.stdout, done
    assert done.stdout.splitlines()[1:] == ["good", "a.svg", "fill"], done
    assert "No space left" in done.stderr


def test_a_reader_that_goes_away(start, workload):
    process = recording(start, "-p", workload("split").pid, "-d", "500ms", "-f", "svg", "-o", "-")
    process.popen.stdout.close()
    process.popen.stdout = None
    status, _, err = finish(process)
    assert status in (1, -signal.SIGPIPE), (status, err)
