# SPDX-License-Identifier: Apache-2.0
"""Registers and memory of every sample belong to one instant, whatever the target and the machine do.
The target keeps a counter in a register and in memory (tests/workloads/soundness_loop.h); a sample in
which they disagree is a lie, and none is allowed."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import threading
import time

import pytest

import harmlib
import snapshots
import soundness
from harmlib import Counters, Program, wait_until

SECONDS = float(os.environ.get("SOUNDNESS_SECONDS", "1"))
ONLINE = pathlib.Path("/sys/devices/system/cpu/cpu1/online")

pytestmark = pytest.mark.skipif(not harmlib.X86, reason="the counting loop is written for x86_64")


@contextlib.contextmanager
def target(tmp_path, do, threads=1, *options, prefix=()):
    """A running soundness_target: (process, its Loop, its progress counters)."""
    progress = Counters(tmp_path / "progress")
    argv = [*prefix, harmlib.soundness_target(), "--progress", progress.path, "--do", do,
            "--threads", threads, "--seconds", int(SECONDS) + 60, *options]
    with Program(argv, stdout=subprocess.PIPE, text=True) as program:
        described = program.process.stdout.readline()
        assert described, "the target did not start"
        progress.wait_advance()
        yield program, soundness.Loop(json.loads(described)), progress


def sample(tmp_path, loop, *options, seconds=SECONDS, prefix=()):
    """Records and checks each snapshot: ({way: Counter of verdicts}, stats)."""
    file, stats = tmp_path / "snapshots", tmp_path / "stats.json"
    argv = [*prefix, *harmlib.record_argv(loop.pid, tmp_path / "out.collapsed", "-d", seconds,
                                          "--stats-json", stats, "--snapshots", file, *options)]
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True,
                          timeout=seconds + harmlib.WAIT)
    assert done.returncode == 0, done.stderr
    result = soundness.verdicts(loop, snapshots.read_recorded(file))
    file.unlink()
    return result, json.loads(stats.read_text())


def assert_true(result, at_least):
    """Not one skewed, none whose stack was missed, and enough of each way in at_least."""
    for way, verdicts in result.items():
        assert not soundness.count(verdicts, "skewed"), (way, dict(verdicts))
        assert soundness.count(verdicts, "short") <= sum(verdicts.values()) // 100, (way, dict(verdicts))
    for way, n in at_least.items():
        assert soundness.count(result[way], "true") >= n, {w: dict(v) for w, v in result.items()}


def floor_skew(tmp_path, loop, *options):
    """Skewed and true captures of the bare floor, which proves nothing."""
    file = tmp_path / "floor-snapshots"
    subprocess.run([str(harmlib.floor("preempt")), str(loop.pid), "--rate", "1000", "--seconds", "1",
                    "--snapshots", str(file), *options], check=True, stdout=subprocess.DEVNULL)
    verdicts = soundness.verdicts(loop, snapshots.read_floor(file))["floor"]
    file.unlink()
    return soundness.count(verdicts, "skewed"), soundness.count(verdicts, "true")


@pytest.mark.parametrize("do", ["spin", "yield"])
def test_the_check_sees_late_samples(tmp_path, do):
    """A sampler of ordinary priority is late: were this not seen, the tests below would prove nothing."""
    with target(tmp_path, do, 4) as (_, loop, _):
        skewed, true = floor_skew(tmp_path, loop, "--other")
        assert skewed > 10 and skewed + true > 200


# What the loop does, its threads, captures by preempt that there must be for each second: hundreds on
# an idle machine, few on one whose CPUs others use too. They show that the check saw something.
BUSY = [("spin", 1, 15), ("spin", 4, 15), ("spin", 32, 15), ("yield", 4, 8), ("getppid", 4, 15),
        ("zero", 2, 15), ("pingpong", 2, 8), ("nanosleep", 2, 1), ("migrate", 1, 15), ("moved", 1, 4), ("churn", 4, 8),
        ("exec", 1, 10)]


@pytest.mark.parametrize("do,threads,least", BUSY)
def test_preempt(tmp_path, do, threads, least):
    with target(tmp_path, do, threads) as (_, loop, _):
        result, stats = sample(tmp_path, loop, "-r", 1000)
        assert_true(result, {"preempt": least * SECONDS})
        assert stats["captured"]["preempt"] >= least * SECONDS


@pytest.mark.parametrize("do", ["moved", "yield", "spin"])
def test_long_copies(tmp_path, do):
    """Half a megabyte of stack takes a while to copy: what moves meanwhile is seen to have moved."""
    with target(tmp_path, do, 1, "--depth", 1 << 19) as (_, loop, _):
        result, _ = sample(tmp_path, loop, "-r", 1000)
        assert_true(result, {"preempt": 4 * SECONDS})
        assert result["preempt"]["true"] >= 4 * SECONDS, "the far end was not copied"


@pytest.mark.parametrize("do,threads", [("spin", 4), ("yield", 4), ("pingpong", 2), ("migrate", 1), ("moved", 1),
                                        ("churn", 4)])
def test_stop(tmp_path, do, threads):
    with target(tmp_path, do, threads) as (_, loop, progress):
        result, _ = sample(tmp_path, loop, "-r", 1000, "--capture", "stop")
        assert_true(result, {"stop": 8 * SECONDS})
        progress.wait_advance()


@pytest.mark.parametrize("do,threads", [("nanosleep", 4), ("pingpong", 4), ("spin", 4), ("churn", 4)])
def test_wall(tmp_path, do, threads):
    """Blocked threads are known by their stack pointer alone; that too must fit the memory."""
    with target(tmp_path, do, threads) as (_, loop, _):
        result, _ = sample(tmp_path, loop, "-r", 500, "-e", "wall")
        assert_true(result, {"asleep": 20 * SECONDS} if do == "nanosleep" else {})
        assert sum(soundness.count(v, "true") for v in result.values()) >= 20 * SECONDS


def test_realtime_target(tmp_path):
    """A target at SCHED_FIFO 50: the samplers must go above it, or not claim to hold it."""
    with target(tmp_path, "realtime", 1, "--fifo", 50) as (_, loop, _):
        result, _ = sample(tmp_path, loop, "-r", 1000)
        assert_true(result, {})
        assert sum(soundness.count(v, "true") for v in result.values()) >= 20 * SECONDS


def test_fewer_cpus_than_the_machine(tmp_path):
    """csample may run on CPU 0 alone, the target on both: what runs on the other is not ours to preempt."""
    if os.cpu_count() < 2:
        pytest.skip("one CPU")
    with target(tmp_path, "yield", 4) as (_, loop, _):
        result, _ = sample(tmp_path, loop, "-r", 1000, prefix=["taskset", "-c", "0"])
        assert_true(result, {})
        assert sum(soundness.count(v, "true") for v in result.values()) >= 20 * SECONDS


def cpuset_root():
    for path in ("/sys/fs/cgroup/cpuset", "/sys/fs/cgroup"):
        if (pathlib.Path(path) / "cpuset.cpus").exists():
            return pathlib.Path(path)
    return None


def test_cpuset(tmp_path):
    """A cpuset, unlike an affinity mask, cannot be left: sched_setaffinity to CPU 1 fails."""
    root = cpuset_root()
    if not root or os.cpu_count() < 2 or not os.access(root, os.W_OK):
        pytest.skip("no cpuset hierarchy to make a cpuset in")
    group = root / f"csample-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no cpuset may be made: {error}")
    try:
        (group / "cpuset.mems").write_text((root / "cpuset.mems").read_text())
        (group / "cpuset.cpus").write_text("0")
        with target(tmp_path, "yield", 4) as (_, loop, _):
            result, _ = sample(tmp_path, loop, "-r", 1000, prefix=[
                "sh", "-c", f'echo $$ >{group}/cgroup.procs; exec "$@"', "sh"])
            assert_true(result, {})
            assert sum(soundness.count(v, "true") for v in result.values()) >= 20 * SECONDS
    finally:
        wait_until(lambda: not (group / "cgroup.procs").read_text(), "an empty cpuset")
        group.rmdir()


def test_stopped_in_between(tmp_path):
    """csample itself is held for a while, again and again: the records it then finds are of the past."""
    with target(tmp_path, "yield", 4) as (_, loop, progress):
        file = tmp_path / "snapshots"
        argv = harmlib.record_argv(loop.pid, tmp_path / "out.collapsed", "-d", SECONDS + 1, "-r", 5000,
                                   "--snapshots", file)
        with Program(argv, stderr=subprocess.PIPE, text=True) as csample:
            wait_until(lambda: file.exists() and file.stat().st_size > 0, "the first snapshots")
            for i in range(20):
                csample.signal(signal.SIGSTOP)
                progress.wait_advance()
                time.sleep(0.003 * (i % 7))  # how long the rings fill; nothing waits for it
                csample.signal(signal.SIGCONT)
                time.sleep(0.02)
            assert csample.wait() == 0, csample.process.stderr.read()
        result = soundness.verdicts(loop, snapshots.read_recorded(file))
        file.unlink()
        assert_true(result, {"preempt": 100})


def test_slow_worker(tmp_path):
    """The worker cannot keep up: snapshots are lost, and counted; those that remain are true."""
    with target(tmp_path, "spin", 4) as (_, loop, _):
        fifo, stats = tmp_path / "fifo", tmp_path / "stats.json"
        os.mkfifo(fifo)
        argv = harmlib.record_argv(loop.pid, tmp_path / "out.collapsed", "-d", SECONDS + 1, "-r", 10000,
                                   "--stats-json", stats, "--snapshots", fifo)
        with Program(argv, stderr=subprocess.PIPE, text=True) as csample:
            data = bytearray()

            def drain():
                with open(fifo, "rb") as file:
                    end = time.monotonic() + SECONDS
                    while block := file.read(65536):
                        data.extend(block)
                        if time.monotonic() < end:
                            time.sleep(0.02)

            reader = threading.Thread(target=drain)
            reader.start()
            assert csample.wait() == 0, csample.process.stderr.read()
            reader.join()
        copy = tmp_path / "snapshots"
        copy.write_bytes(data)
        result = soundness.verdicts(loop, snapshots.read_recorded(copy))
        copy.unlink()
        assert_true(result, {"preempt": 20})
        assert json.loads(stats.read_text())["lost"] > 0


def pin(pid, cpu):
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {cpu})


def test_cpu_goes_offline(tmp_path):
    """The samples taken around it are true, and the CPU is sampled again when it is back."""
    if not os.access(ONLINE, os.W_OK) or ONLINE.read_text().strip() != "1":
        pytest.skip("CPU 1 cannot be taken offline here")
    file = tmp_path / "snapshots"
    size = lambda: file.stat().st_size if file.exists() else 0
    with target(tmp_path, "spin", 4) as (_, loop, _):
        argv = harmlib.record_argv(loop.pid, tmp_path / "out.collapsed", "-r", 1000, "--snapshots", file)
        with Program(argv, stderr=subprocess.PIPE, text=True) as csample:
            wait_until(lambda: size() > 0, "the first snapshots")
            try:
                for _ in range(2):
                    ONLINE.write_text("0")
                    time.sleep(0.15)
                    ONLINE.write_text("1")
                    time.sleep(0.15)
            except OSError as error:
                pytest.skip(f"CPU 1 stays online: {error}")
            finally:
                ONLINE.write_text("1")
            pin(loop.pid, 1)
            before = size()
            wait_until(lambda: size() > before + (1 << 20), "samples on the CPU that came back")
            assert harmlib.interrupt(csample) == 0, csample.process.stderr.read()
    assert_true(soundness.verdicts(loop, snapshots.read_recorded(file)), {"preempt": 50})
