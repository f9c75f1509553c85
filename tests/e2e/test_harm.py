# SPDX-License-Identifier: Apache-2.0
"""Whatever happens to csample, nothing happens to the target."""
import contextlib
import ctypes
import itertools
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import time

import pytest

import harmlib
from harmlib import Counters, Program, assert_free, dump, record, thread_states, wait_until

KILLS = int(os.environ.get("HARM_KILLS", "20" if harmlib.SAN else "200"))
SIGNALS = 10000
CAPTURES = [(), ("--capture", "stop")]
CAPTURE_IDS = ["default", "stop"]


@contextlib.contextmanager
def harm_target(tmp_path, what, threads=2, **popen):
    counters = Counters(tmp_path / "counters")
    with Program([harmlib.harm_target(), counters.path, what, threads], **popen) as program:
        if what != "blocked":
            counters.wait_advance()
        else:
            wait_until(lambda: len(thread_states(program.pid)) == threads + 1
                       and set(thread_states(program.pid).values()) == {"S"}, "all threads blocked")
        yield program, counters


def assert_unharmed(program, counters):
    assert program.process.poll() is None, "the target has ended"
    assert_free(program.pid)
    counters.wait_advance()


def test_the_check_sees_a_stopped_thread(tmp_path):
    with harm_target(tmp_path, "busy") as (program, _):
        program.signal(signal.SIGSTOP)
        wait_until(lambda: "T" in thread_states(program.pid).values(), "a stopped thread")
        with pytest.raises(AssertionError):
            assert_free(program.pid, 0.2)


@pytest.mark.parametrize("options", CAPTURES, ids=CAPTURE_IDS)
def test_killed_at_any_moment(tmp_path, options):
    """SIGKILL at random moments: during its start, between samples, and while it holds a thread."""
    seed = random.SystemRandom().randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    alive = 0
    with harm_target(tmp_path, "busy", 4) as (target, counters):
        for _ in range(KILLS):
            argv = harmlib.record_argv(target.pid, tmp_path / "out.collapsed", "-r", 5000, *options)
            with Program(argv, stderr=subprocess.DEVNULL) as csample:
                time.sleep(rng.uniform(0, 0.2))
                alive += csample.process.poll() is None
                csample.signal(signal.SIGKILL)
                csample.wait()
            assert_unharmed(target, counters)
        assert alive == KILLS
        # The kills hit a csample that samples: left alone, it does.
        status, stats, err = record(target.pid, tmp_path, 0.2, "-r", 5000, *options)
        assert status == 0 and stats["samples"] > 10, err


def sigqueue(pid, number, value):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.sigqueue.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p]
    return libc.sigqueue(pid, number, value)


@pytest.mark.parametrize("options", CAPTURES, ids=CAPTURE_IDS)
def test_signals_arrive(tmp_path, options):
    """Every one of a storm of signals reaches its handler while the target is sampled at 1 kHz."""
    with harm_target(tmp_path, "signals", 4) as (target, counters):
        argv = harmlib.record_argv(target.pid, tmp_path / "out.collapsed", "-r", 1000, *options)
        with Program(argv, stderr=subprocess.PIPE, text=True) as csample:
            turns = counters[0]
            for i in range(1, SIGNALS + 1):
                # Queued: none may merge. The queue is bounded, so wait for the handlers now and then.
                assert sigqueue(target.pid, signal.SIGRTMIN, i) == 0
                if i % 250 == 0:
                    wait_until(lambda: counters[1] >= i - 100, f"real-time signal {i - 100}")
            wait_until(lambda: counters[1] == SIGNALS, f"{SIGNALS} real-time signals")
            assert counters[2] == SIGNALS * (SIGNALS + 1) // 2
            for i in range(1, 1001):
                # These merge while one is pending: each is awaited.
                os.kill(target.pid, signal.SIGUSR1)
                wait_until(lambda: counters[3] == i, f"SIGUSR1 number {i}")
            assert csample.process.poll() is None, csample.process.stderr.read()
            assert harmlib.interrupt(csample) == 0, csample.process.stderr.read()
        assert counters[1] == SIGNALS and counters[3] == 1000
        assert counters[0] > turns
        assert_free(target.pid)


def eintr_run(tmp_path, action, threads=6):
    """action(pid) beside a program that aborts on EINTR; its exit status, None while it lives."""
    with harm_target(tmp_path, "eintr", threads, stderr=subprocess.DEVNULL) as (target, counters):
        action(target.pid)
        with contextlib.suppress(subprocess.TimeoutExpired):
            target.process.wait(0.1)
        if target.process.poll() is None:
            before = counters.all()[:3]
            wait_until(lambda: all(now > then for now, then in zip(counters.all(), before)), "all go on")
        return target.process.poll()


def test_a_stop_would_interrupt(tmp_path):
    """The bare floor of stop, which stops whatever it meets, kills the program with EINTR."""
    def stop(pid):
        subprocess.run([str(harmlib.floor("stop")), str(pid), "--rate", "5000", "--seconds", "3"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert eintr_run(tmp_path, stop) == -signal.SIGABRT


@pytest.mark.parametrize("options", [("-e", "cpu"), ("-e", "wall"), ("-e", "cpu", "--nonblocking"),
                                     ("-e", "cpu", "-r", 5000)], ids=["cpu", "wall", "nonblocking", "cpu-5000"])
def test_record_interrupts_no_call(tmp_path, options):
    def sample(pid):
        options_ = options if "-r" in options else (*options, "-r", 1000)
        status, stats, err = record(pid, tmp_path, 2, *options_)
        assert status == 0 and stats["samples"] > 10, err
    assert eintr_run(tmp_path, sample) is None


def test_dump_interrupts_no_call(tmp_path):
    def dumps(pid):
        for _ in range(5 if harmlib.SAN else 50):
            status, result, err = dump(pid)
            if status:
                return  # the target's own end says more
            assert len(result["threads"]) == 7, err
    assert eintr_run(tmp_path, dumps) is None


def test_blocked_for_good(tmp_path):
    """Threads blocked for ever: record -e wall and dump see them, and wake none."""
    with harm_target(tmp_path, "blocked", 4) as (target, counters):
        for _ in range(3):
            status, result, err = dump(target.pid)
            assert status == 0, err
            waits = [t.get("wait") for t in result["threads"]]
            assert waits.count("epoll_wait") == 2 and waits.count("rt_sigtimedwait") == 2, waits
        status, stats, err = record(target.pid, tmp_path, 0.5, "-e", "wall", "-r", 200)
        assert status == 0 and stats["captured"]["stop"] == 0 and stats["captured"]["asleep"] > 0, err
        assert counters[0] == 0 and target.process.poll() is None


def tool(name):
    path = shutil.which(name)
    if not path:
        pytest.skip(f"{name} is not installed")
    return path


def traced_states(pid):
    return {harmlib.tracer_of(pid, tid) != 0 for tid in thread_states(pid)}


@contextlib.contextmanager
def under_strace(target):
    with Program([tool("strace"), "-f", "-o", "/dev/null", "-p", target.pid], stderr=subprocess.DEVNULL) as strace:
        wait_until(lambda: traced_states(target.pid) == {True}, "strace at work")
        yield
        assert strace.process.poll() is None, "strace has ended"


@contextlib.contextmanager
def under_gdb(target, running):
    argv = [tool("gdb"), "-nx", "-q", "-p", target.pid, "-ex", "set pagination off"]
    with Program(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as gdb:
        wait_until(lambda: set(thread_states(target.pid).values()) == {"t"}, "gdb at work")
        if running:
            gdb.process.stdin.write(b"continue\n")
            gdb.process.stdin.flush()
            wait_until(lambda: "t" not in thread_states(target.pid).values(), "gdb let it run")
        yield
        assert gdb.process.poll() is None, "gdb has ended"


@contextlib.contextmanager
def debugger(name, target):
    with under_strace(target) if name == "strace" else under_gdb(target, running=True):
        yield


@pytest.mark.parametrize("name", ["strace", "gdb"])
def test_debugged_is_sampled(tmp_path, name):
    with harm_target(tmp_path, "busy") as (target, counters):
        with debugger(name, target):
            status, stats, err = record(target.pid, tmp_path, 0.5, "-r", 500)
            assert status == 0, err
            assert stats["samples"] > 10 and stats["captured"]["stop"] == 0, stats
            assert traced_states(target.pid) == {True}, "the debugger was pushed aside"
            counters.wait_advance()
        assert_unharmed(target, counters)


@pytest.mark.parametrize("name", ["strace", "gdb"])
def test_debugged_cannot_be_stopped(tmp_path, name):
    """Where only a stop would do, the threads are skipped, and csample says why."""
    with harm_target(tmp_path, "busy") as (target, counters):
        with debugger(name, target):
            status, _, err = record(target.pid, tmp_path, 0.5, "-r", 500, "--capture", "stop")
            assert status == 1
            assert re.search(r"trac|debug", err), err
            assert not (tmp_path / "out.collapsed").exists()
            counters.wait_advance()
        assert_unharmed(target, counters)


def test_at_a_breakpoint(tmp_path):
    """Held by gdb: csample neither hangs nor sets it free."""
    with harm_target(tmp_path, "busy") as (target, counters):
        with under_gdb(target, running=False):
            status, result, err = dump(target.pid)
            assert status == 0 and len(result["threads"]) == 3, err
            for options in (), ("-e", "wall"), ("--capture", "stop"):
                status, _, err = record(target.pid, tmp_path, 0.3, *options)
                assert status in (0, 1) and err
                assert set(thread_states(target.pid).values()) == {"t"}
        assert_unharmed(target, counters)


def test_group_stop_is_respected(tmp_path):
    with harm_target(tmp_path, "busy") as (target, counters):
        target.signal(signal.SIGSTOP)
        stopped = lambda: set(thread_states(target.pid).values()) == {"T"}
        wait_until(stopped, "all threads stopped")
        total = counters.total()
        status, result, err = dump(target.pid)
        assert status == 0 and stopped(), err
        assert all(thread["frames"] for thread in result["threads"])
        for options in (), ("-e", "wall"), ("--capture", "stop"), ("-e", "wall", "--capture", "stop"):
            status, _, err = record(target.pid, tmp_path, 0.3, *options)
            assert status in (0, 1) and err
            assert stopped(), options
        assert counters.total() == total
        target.signal(signal.SIGCONT)
        assert_unharmed(target, counters)


@pytest.mark.parametrize("options", CAPTURES, ids=CAPTURE_IDS)
def test_stopped_and_continued_in_mid_recording(tmp_path, options):
    """Job control beside sampling: a SIGSTOP holds, a SIGCONT resumes, each time."""
    with harm_target(tmp_path, "busy", 4) as (target, counters):
        argv = harmlib.record_argv(target.pid, tmp_path / "out.collapsed", "-r", 2000, *options)
        with Program(argv, stderr=subprocess.PIPE, text=True) as csample:
            for _ in range(20):
                target.signal(signal.SIGSTOP)
                wait_until(lambda: set(thread_states(target.pid).values()) == {"T"}, "all threads stopped")
                target.signal(signal.SIGCONT)
                counters.wait_advance()
            assert harmlib.interrupt(csample) == 0, csample.process.stderr.read()
        assert_unharmed(target, counters)


@pytest.mark.parametrize("options", CAPTURES, ids=CAPTURE_IDS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ended_by_signal(tmp_path, number, options):
    with harm_target(tmp_path, "busy") as (target, counters):
        stats = tmp_path / "stats.json"
        argv = harmlib.record_argv(target.pid, tmp_path / "out.collapsed", "-r", 1000, "--stats-json", stats, *options)
        with Program(argv, stderr=subprocess.PIPE, text=True) as csample:
            time.sleep(0.3)
            csample.signal(number)
            status = csample.wait()
            if number == signal.SIGINT:
                assert status == 0 and (tmp_path / "out.collapsed").stat().st_size, csample.process.stderr.read()
        assert_unharmed(target, counters)


def test_second_interrupt_aborts(tmp_path):
    with harm_target(tmp_path, "busy") as (target, counters):
        argv = harmlib.record_argv(target.pid, tmp_path / "out.collapsed", "-r", 1000)
        with Program(argv, stderr=subprocess.PIPE, text=True) as csample:
            time.sleep(0.3)
            csample.signal(signal.SIGINT)
            csample.signal(signal.SIGINT)
            csample.wait()
        assert_unharmed(target, counters)
        assert not [p for p in tmp_path.iterdir() if "out" in p.name and p.name != "out.collapsed"]


@pytest.mark.skipif(harmlib.SAN, reason="AddressSanitizer needs terabytes of address space")
@pytest.mark.parametrize("options", CAPTURES, ids=CAPTURE_IDS)
def test_out_of_memory(tmp_path, options):
    """With too little address space it fails in words, or works; a crash it may not."""
    seen = set()
    with harm_target(tmp_path, "busy") as (target, counters):
        for megabytes in (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 1024):
            status, _, err = record(target.pid, tmp_path, 0.2, *options, preexec_fn=limit_memory(megabytes))
            # 127: the dynamic linker did not get as far as main.
            assert status in (0, 1) and (err or status == 0) or status == 127 or megabytes < 16, (megabytes, status, err)
            seen.add(status)
            assert_unharmed(target, counters)
        assert 0 in seen and seen - {0}, seen


def limit_memory(megabytes):
    def limit():
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
    return limit


def test_few_descriptors(tmp_path):
    def limit():
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
    with harm_target(tmp_path, "busy", 32) as (target, counters):
        status, _, err = record(target.pid, tmp_path, 0.3, preexec_fn=limit)
        assert status in (0, 1) and err
        assert_unharmed(target, counters)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    mount = tmp_path / "disk"
    mount.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(mount)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no tmpfs may be mounted: {done.stderr.strip()}")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


@pytest.mark.parametrize("name", ["out.svg", "out.collapsed", "out.pb.gz"])
def test_full_disk(tmp_path, small_disk, name):
    (small_disk / "fill").write_bytes(bytes(60 << 10))
    with contextlib.suppress(OSError):
        (small_disk / "more").write_bytes(bytes(4096))
    with harm_target(tmp_path, "busy") as (target, counters):
        argv = harmlib.record_argv(target.pid, small_disk / name, "-d", 0.3)
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=harmlib.WAIT)
        assert done.returncode == 1 and re.search(r"[Nn]o space", done.stderr), done.stderr
        assert {p.name for p in small_disk.iterdir()} <= {"fill", "more"}, "something was left behind"
        assert_unharmed(target, counters)


def test_full_stdout(tmp_path):
    with harm_target(tmp_path, "busy") as (target, counters), open("/dev/full", "w") as full:
        argv = harmlib.record_argv(target.pid, "-", "-f", "collapsed", "-d", 0.3)
        done = subprocess.run([str(a) for a in argv], stdout=full, stderr=subprocess.PIPE, text=True, timeout=harmlib.WAIT)
        assert done.returncode == 1 and re.search(r"[Nn]o space", done.stderr), done.stderr
        done = subprocess.run([str(harmlib.CSAMPLE), "dump", "--pid", str(target.pid)], stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=harmlib.WAIT)
        assert done.returncode == 1 and re.search(r"[Nn]o space", done.stderr), done.stderr
        assert_unharmed(target, counters)


@pytest.mark.parametrize("closed", ["2>&-", "0<&-", "0<&- 1>&- 2>&-"])
def test_closed_descriptors(tmp_path, closed):
    """A descriptor that is missing must not be taken over by an output file, which a message then spoils."""
    out = tmp_path / "out.collapsed"
    with harm_target(tmp_path, "busy") as (target, counters):
        argv = harmlib.record_argv(target.pid, out, "-d", 0.3, "-r", 1000)
        done = subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", *map(str, argv)],
                              stdout=subprocess.DEVNULL, timeout=harmlib.WAIT)
        assert done.returncode == 0
        lines = out.read_text().splitlines()
        assert lines and all(re.fullmatch(r".* \d+", line) for line in lines)
        assert_unharmed(target, counters)


def test_stderr_nobody_reads(tmp_path):
    """stderr is a pipe whose reader has gone: no SIGPIPE before the profile is written."""
    out = tmp_path / "out.collapsed"
    with harm_target(tmp_path, "busy") as (target, counters):
        read, write = os.pipe()
        os.close(read)
        argv = harmlib.record_argv(target.pid, out, "-d", 0.3)
        done = subprocess.run([str(a) for a in argv], stderr=write, timeout=harmlib.WAIT)
        os.close(write)
        assert done.returncode == 0 and out.stat().st_size
        assert_unharmed(target, counters)


def resident_kib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.parametrize("options", [("-r", 1000), ("-r", 1000, "--capture", "stop"), ("-r", 200, "-e", "wall")],
                         ids=["default", "stop", "wall"])
def test_threads_that_come_and_go(tmp_path, options):
    """10,000 threads later csample has no more descriptors and hardly more memory."""
    many = 2000 if harmlib.SAN else 10000
    with harm_target(tmp_path, "churn") as (target, counters):
        argv = harmlib.record_argv(target.pid, tmp_path / "out.collapsed", *options)
        with Program(argv, stderr=subprocess.PIPE, text=True) as csample:
            alive = lambda n: csample.process.poll() is not None or counters[0] > n
            start = counters[0]
            wait_until(lambda: alive(start + many // 5), "the first fifth", 120)
            assert csample.process.poll() is None, csample.process.stderr.read()
            early_fds, early_kib = descriptors(csample.pid), resident_kib(csample.pid)
            most_fds = 0
            while counters[0] < start + many and csample.process.poll() is None:
                most_fds = max(most_fds, descriptors(csample.pid))
                time.sleep(0.01)
            late_kib = resident_kib(csample.pid)
            assert harmlib.interrupt(csample) == 0, csample.process.stderr.read()
        assert most_fds <= early_fds + 64, (early_fds, most_fds)
        if not harmlib.SAN:
            assert late_kib <= early_kib + 8192, (early_kib, late_kib)
        assert_unharmed(target, counters)


@pytest.mark.parametrize("options", CAPTURES, ids=CAPTURE_IDS)
def test_processes_that_come_and_go(tmp_path, options):
    with harm_target(tmp_path, "forks") as (target, counters):
        argv = harmlib.record_argv(target.pid, tmp_path / "out.collapsed", "-r", 1000, *options)
        with Program(argv, stderr=subprocess.PIPE, text=True) as csample:
            start = counters[0]
            wait_until(lambda: counters[0] > start + 300, "300 children", 60)
            early_fds = descriptors(csample.pid)
            wait_until(lambda: counters[0] > start + 1000, "1000 children", 60)
            assert descriptors(csample.pid) <= early_fds + 64
            assert harmlib.interrupt(csample) == 0, csample.process.stderr.read()
        assert_unharmed(target, counters)


def test_many_at_once(tmp_path):
    """Several csamples on one target, with and without stops: all end well, or say that it is traced."""
    with harm_target(tmp_path, "busy", 4) as (target, counters):
        with contextlib.ExitStack() as stack:
            runs = []
            for i, options in zip(range(4), itertools.cycle(CAPTURES)):
                argv = harmlib.record_argv(target.pid, tmp_path / f"out{i}.collapsed", "-d", 1, "-r", 500, *options)
                runs.append(stack.enter_context(Program(argv, stderr=subprocess.PIPE, text=True)))
            for run in runs:
                assert run.wait() == 0, run.process.stderr.read()
        assert_unharmed(target, counters)
