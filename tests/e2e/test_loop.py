# SPDX-License-Identifier: Apache-2.0
"""record --loop: every sample in exactly one profile, for months."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from conftest import CSAMPLE, SAN, built, wait_until

NS = 1_000_000_000


class Loop:
    """A continuous recording with its files."""

    def __init__(self, start, folder, *options, pattern="p-%n.json", **popen):
        self.folder = folder
        self.stats_path = folder / "stats.json"
        self.running = start(CSAMPLE, "record", *options, "-o", folder / pattern, "--stats-json", self.stats_path,
                             stderr=subprocess.PIPE, **popen)

    def profiles(self):
        """Those that are complete, oldest first."""
        paths = sorted(self.folder.glob("p-*.json"), key=lambda p: int(p.stem[2:]))
        return [json.loads(p.read_text()) for p in paths]

    def wait_for_profiles(self, n):
        wait_until(lambda: len(list(self.folder.glob("p-*.json"))) >= n, what=f"{n} profiles")

    def wait_for(self, word):
        return self.running.wait_for(word, stream=self.running.popen.stderr)

    def finish(self, number=signal.SIGTERM, status=0):
        """Ends it if it has not; (profiles, stats, what it said since the last wait_for)."""
        if number:
            self.running.signal(number)
        out, err = self.running.popen.communicate(timeout=60)
        text = (self.running.pending + err).decode(errors="replace")
        assert "Sanitizer" not in text and "runtime error:" not in text, text
        assert self.running.popen.returncode == status, text
        return self.profiles(), json.loads(self.stats_path.read_text()), text


@pytest.fixture
def loop(start, tmp_path):
    return lambda *options, **popen: Loop(start, tmp_path, *options, **popen)


def cpu_seconds(pid):
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / NS


def stat_state(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def total(profile, value):
    return sum(node[2 + value] for node in profile["nodes"])


def functions(profile):
    return {frame.get("function") for frame in profile["frames"]}


def assert_adds_up(profiles, stats):
    # What samplers captured; "samples" is counted where profiles end.
    assert sum(total(p, 0) for p in profiles) == stats["samples"] == sum(stats["captured"].values())
    assert abs(sum(total(p, 1) for p in profiles) / NS - stats["profile_cpu_seconds"]) < 1e-5
    assert abs(stats["profile_cpu_seconds"] - stats["target_cpu_seconds"]) < 0.02 * stats["target_cpu_seconds"] + 0.02
    assert sum(p["meta"].get("lost", 0) for p in profiles) == stats["lost"]


def assert_gapless(profiles, gap_ns=20_000_000):
    for before, after in zip(profiles, profiles[1:]):
        end = before["meta"]["start_unix_ns"] + before["meta"]["duration_ns"]
        assert abs(after["meta"]["start_unix_ns"] - end) < gap_ns


def test_intervals_add_up(loop, workload):
    """Threads come and go meanwhile."""
    target = workload("churn")
    run = loop("-p", target.pid, "--loop-any", "200ms", "--max-overhead", "off", "-r", "200")
    run.wait_for_profiles(10)
    profiles, stats, _ = run.finish()
    assert len(profiles) >= 10
    assert_adds_up(profiles, stats)
    assert_gapless(profiles)
    ends = [p["meta"]["start_unix_ns"] % 200_000_000 for p in profiles[1:]]
    assert sum(e < 100_000_000 for e in ends) >= 0.7 * len(ends), "they begin at multiples of the interval"
    assert all(f.get("function") for p in profiles for f in p["frames"])


def test_the_last_profile_of_a_process_that_ends(loop, workload):
    target = workload("split", "1.2")
    run = loop("-p", target.pid, "--loop-any", "500ms", "--max-overhead", "off")
    profiles, stats, text = run.finish(number=None)
    assert len(profiles) >= 2
    assert_adds_up(profiles, stats)
    said = dict(line.split() for line in target.popen.stdout.read().decode().splitlines())
    assert sum(total(p, 1) for p in profiles) / NS > 0.8 * float(said["cpu_seconds"])
    assert f"{len(profiles)} profiles" in text


def test_wall_time_of_sleepers_is_in_each_interval(loop, workload):
    target = workload("crowd", "20", "1")
    run = loop("-p", target.pid, "-e", "wall", "--loop-any", "500ms", "--max-overhead", "off", "-t")
    run.wait_for_profiles(4)
    profiles, stats, _ = run.finish()
    inner = [(total(p, 1) / NS, 21 * p["meta"]["duration_ns"] / NS) for p in profiles[1:-1]]
    # A thread's time goes to the interval in which it is looked at, which may be late.
    assert all(0.6 * passed < wall < 1.4 * passed for wall, passed in inner), inner
    assert 0.85 < sum(wall for wall, _ in inner) / sum(passed for _, passed in inner) < 1.15
    assert all("idle_wait" in functions(p) for p in profiles[1:-1])
    assert sum(total(p, 0) for p in profiles) == stats["samples"]


def test_an_interval_without_samples_has_its_profile(loop, workload):
    target = workload("sleeper")
    run = loop("-p", target.pid, "--loop-any", "200ms")
    run.wait_for_profiles(3)
    profiles, _, _ = run.finish()
    assert any(not total(p, 0) for p in profiles)
    assert_gapless(profiles)


def test_a_target_that_comes_later_and_again(loop, start, tmp_path):
    """Found by name; what runs beside it is found too, and what has ended is no end."""
    program = tmp_path / "beat-found"
    shutil.copy(built("beat"), program)
    run = loop("--comm", "beat-found", "--loop-any", "300ms", "--max-overhead", "off")
    run.wait_for("beat-found")
    first = start(program, "1000")
    run.wait_for("sampling")
    wait_until(lambda: any(total(p, 0) for p in run.profiles()), what="a sample of the first")
    first.end()
    n = len(run.profiles())
    run.wait_for_profiles(n + 2)
    others = [start(program, "1000"), start(program, "1000")]

    def both():
        names = set().union(*(functions(p) for p in run.profiles()[n:]))
        return all(f"beat-found ({o.pid})" in names for o in others)
    wait_until(both, what="samples of both that came later")
    profiles, stats, _ = run.finish()
    assert_adds_up(profiles, stats)


def test_hangup_reopens_and_the_service_manager_hears(loop, workload, tmp_path):
    path = str(tmp_path / "notify")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(path)
    listener.settimeout(60)
    target = workload("split")
    run = loop("-p", target.pid, "--loop-any", "200ms",
               env={**os.environ, "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"})

    def hear(word):
        while True:
            text = listener.recv(4096).decode()
            if word in text:
                return text
    hear("READY=1")
    hear("WATCHDOG=1")
    hear("STATUS=")
    run.running.signal(signal.SIGHUP)
    assert "MONOTONIC_USEC=" in hear("RELOADING=1")
    hear("READY=1")
    run.wait_for("opened anew")
    run.wait_for_profiles(len(run.profiles()) + 2)
    run.running.signal(signal.SIGINT)
    hear("STOPPING=1")
    profiles, stats, _ = run.finish(number=None)
    listener.close()
    assert_adds_up(profiles, stats)


def test_an_output_in_trouble_is_told_when_that_changes(loop, start, workload, tmp_path):
    out, other = tmp_path / "out", tmp_path / "other"
    out.mkdir()
    other.mkdir()
    target = workload("split")
    run = loop("-p", target.pid, "--loop-any", "100ms", "--max-overhead", "off", pattern="out/p-%n.json")
    wait_until(lambda: list(out.glob("p-*")), what="a profile")
    run.wait_for("sampling")
    number = max(int(p.stem[2:]) for p in out.glob("p-*.json"))
    shutil.rmtree(out)
    assert "warning" in run.wait_for(str(out))
    sibling = Loop(start, other, "-p", target.pid, "--loop-any", "100ms")
    sibling.wait_for_profiles(8)  # some intervals pass
    sibling.finish()
    out.mkdir()
    said = []
    while not said or "takes profiles again" not in said[-1]:
        said.append(run.running.read_line(stream=run.running.popen.stderr))
    assert len(said) == 1, said
    wait_until(lambda: list(out.glob("p-*.json")), what="a profile again")
    assert min(int(p.stem[2:]) for p in out.glob("p-*.json")) > number + 3
    run.finish()


def test_names_and_files_read_anew(loop, workload):
    """With hardly any memory allowed all is made anew again and again: nothing is lost by it, nor counted twice."""
    target = workload("split")
    os.kill(target.pid, signal.SIGSTOP)  # so that what it uses is what it uses meanwhile
    wait_until(lambda: stat_state(target.pid) == "T", what="the target stopped")
    before = cpu_seconds(target.pid)
    run = loop("-p", target.pid, "--loop-any", "100ms", "--loop-memory", "1k", "--max-overhead", "off",
               "--debug", "target", "-r", "500")
    run.wait_for("sampling;")
    os.kill(target.pid, signal.SIGCONT)
    for _ in range(5):
        run.wait_for("read anew")
    os.kill(target.pid, signal.SIGSTOP)
    wait_until(lambda: stat_state(target.pid) == "T", what="the target stopped")
    used = cpu_seconds(target.pid) - before
    profiles, stats, _ = run.finish()
    # The new line samples before the old one has worked off what it had.
    assert 0.5 * used < stats["target_cpu_seconds"] <= used + 0.001
    assert sum(total(p, 0) for p in profiles) == stats["samples"]
    assert abs(stats["profile_cpu_seconds"] - stats["target_cpu_seconds"]) < 0.01
    assert sum(p["meta"].get("lost", 0) for p in profiles) == stats["lost"]
    for p in profiles[1:]:
        assert not total(p, 0) or {"seventy", "twenty", "ten"} & functions(p)


def test_python_that_restarts_keeps_its_names(loop, start, tmp_path):
    """Runtimes of ended processes are let go; numbers of theirs are used again."""
    script = tmp_path / "again.py"
    script.write_text("import os, sys, time\n"
                      "def busy_{0}():\n    end = time.process_time() + 0.2\n"
                      "    while time.process_time() < end: sum(range(1000))\n"
                      "busy_{0}()\n")
    text = script.read_text()
    parent = tmp_path / "parent.py"
    parent.write_text("import subprocess, sys\nprint('ready', flush=True)\n"
                      "for i in range(8):\n"
                      f"    subprocess.run([sys.executable, '-c', {text!r}.replace('{{0}}', str(i))])\n"
                      "sys.stdin.read()\n")
    target = start(sys.executable, parent)
    target.wait_for("ready")
    run = loop("-p", target.pid, "-s", "--loop-any", "150ms", "--max-overhead", "off", "-r", "400")
    names = lambda: set().union(*(functions(p) for p in run.profiles()))
    wait_until(lambda: "busy_7" in names(), what="the last child")
    profiles, stats, _ = run.finish()
    assert {f"busy_{i}" for i in range(2, 8)} <= names()
    assert sum(total(p, 0) for p in profiles) == stats["samples"]


@pytest.mark.skipif(SAN, reason="memory of the sanitizers' own")
def test_churn_leaves_nothing_behind(loop, start):
    """Processes, interpreters and intervals by the hundred; make bench CASES=loop_long goes on for longer."""
    code = ("import subprocess, sys\nprint('ready', flush=True)\n"
            "while True:\n    subprocess.run([sys.executable, '-S', '-c', 'sum(range(200000))'])\n")
    target = start(sys.executable, "-c", code)
    target.wait_for("ready")
    run = loop("-p", target.pid, "-s", "--loop-any", "10ms", "--keep", "3", "--max-overhead", "off")

    def number():
        return max([int(p.stem[2:]) for p in run.folder.glob("p-*.json")], default=0)

    def measured():
        pages = pathlib.Path(f"/proc/{run.running.pid}/statm").read_text().split()
        return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGESIZE"), len(os.listdir(f"/proc/{run.running.pid}/fd"))
    wait_until(lambda: number() >= 100, what="100 profiles")
    early = []
    while number() < 200:
        early.append(measured())
    late = []
    wait_until(lambda: number() >= 350, what="350 profiles")
    while number() < 450:
        late.append(measured())
    target.end()
    _, stats, _ = run.finish(number=None)
    assert max(m for m, _ in late) - max(m for m, _ in early) < 2 << 20
    assert max(n for _, n in late) <= max(n for _, n in early) + 12
    assert abs(stats["profile_cpu_seconds"] - stats["target_cpu_seconds"]) < 0.01 * stats["target_cpu_seconds"] + 0.01


@pytest.mark.skipif(SAN, reason="with sanitizers the sampler comes too late for a period of a millisecond")
def test_no_lockstep_with_periodic_work(csample, workload, tmp_path):
    target = workload("beat", "1000")
    out = tmp_path / "beat.json"
    result = csample("record", "-p", target.pid, "-r", "1000", "-d", "6", "-o", out)
    assert result.status == 0, result
    profile = json.loads(out.read_text())
    halves = {"first_half": 0, "second_half": 0}
    for parent, location, samples, _ in profile["nodes"]:
        node = [parent, location]
        while samples and node[1] >= 0:
            named = {profile["frames"][i]["function"] for i in profile["locations"][node[1]]["frames"]}
            for half in halves:
                if half in named:
                    halves[half] += samples
            node = profile["nodes"][node[0]]
    target.signal(signal.SIGTERM)
    said = float(target.wait_for("first_half").split()[1])
    share = halves["first_half"] / sum(halves.values())
    assert abs(share - said) < 0.02, (halves, said)


def blobs(store):
    return sorted(store.glob("blobs/*/*.pb.gz"))


def test_the_store_is_where_profiles_go_by_default(start, workload, tmp_path):
    """With labels from everywhere."""
    target = workload("split")
    env = {**os.environ, "STATE_DIRECTORY": str(tmp_path / "state"), "OTEL_SERVICE_NAME": "from-env",
           "OTEL_RESOURCE_ATTRIBUTES": "service.name=other,deployment.environment=pro%64,host.name=h"}
    run = start(CSAMPLE, "record", "-p", target.pid, "--loop-any", "200ms", "--label", "version=v2.4.1",
                "--label-from", "pid,hostname,comm", env=env, stderr=subprocess.PIPE)
    wait_until(lambda: len(blobs(tmp_path / "state/store")) >= 3, what="three blobs")
    run.signal(signal.SIGTERM)
    assert run.popen.wait(timeout=60) == 0
    head = blobs(tmp_path / "state/store")[1].read_bytes()[:4096]
    for part in ("from-env", "deployment_environment", "prod", "v2.4.1", str(target.pid), socket.gethostname(), "split"):
        assert part.encode() in head, part


@pytest.mark.parametrize("options, word", [
    (["--loop", "10ms"], "1s"),
    (["--loop", "1m", "--label", "request_id=7"], "request_id"),
    (["--loop", "1m", "--label", "nothing"], "NAME=VALUE"),
    (["--loop", "1m", "--label-from", "pid,moon"], "moon"),
    (["--loop", "1m", "--max-overhead", "0"], "off"),
])
def test_what_is_refused(csample, options, word):
    result = csample("record", "-p", os.getpid(), *options)
    assert result.status == 2 and word in result.err and result.err.count("\n") == 1
