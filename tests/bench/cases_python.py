# SPDX-License-Identifier: Apache-2.0
"""The cases of bench.py that have Python for a target: CASES=python_pause,python_work,python_threads,
python_start,python_chains. PYTHONS=3.8,3.12 picks interpreters (names of tests/e2e/pythons.py), RATES=10000 the rates
of python_chains."""
import contextlib
import os
import subprocess
import sys
import time

import measure
import tools
from tools import OUT, harmlib

import pythons  # noqa: E402 - tools.py has put tests/e2e in the path

QUICK = bool(os.environ.get("QUICK"))
NAMES = os.environ.get("PYTHONS", "3.8,3.12,3.14").split(",")


def interpreters(report):
    for name in NAMES:
        try:
            yield pythons.find(name)
        except pythons.Missing as reason:
            report.line(f"CPython {name}", "skipped", str(reason)[:60])


@contextlib.contextmanager
def target(python, idle=0):
    """A busy Python thread 50 frames deep, and idle native ones: (pid, Work)."""
    work = measure.Work(OUT / "work", 1)
    with harmlib.Program([python.exe, tools.BENCH / "bench_python.py", work.path, idle]) as program:
        harmlib.wait_until(lambda: work.done() > 0, "the target works")
        yield program.pid, work


def case_python_pause(report):
    """The floor copies a stack and nothing else; csample, the frames of the interpreter too."""
    report.heading("Python: how long a thread is held, a mixed stack of 50 frames")
    rounds = 2 if QUICK else 4
    for python in interpreters(report):
        with target(python) as (pid, _):
            for rate in 100, 1000:
                ours, reads, torn, n = [], [], 0, 0
                floors = [tools.run_floor("preempt", pid, 1.5, rate)["pause_us"]["p50"]]
                for _ in range(rounds):  # in the first second functions count as new, and more is copied
                    stats = tools.run_csample(pid, 8, "-r", rate, "--capture", "preempt").stats
                    ours.append(stats["pause_us"]["p50"])
                    floors.append(tools.run_floor("preempt", pid, 1.5, rate)["pause_us"]["p50"])
                    reads.append(stats["reads_per_sample"])
                    torn += sum(v for k, v in stats["errors"].items() if k.startswith("python"))
                    n += stats["samples"]
                # Each beside the floors before and after it: the machine is not the same for long.
                beside = [(a + b) / 2 for a, b in zip(floors, floors[1:])]
                ratio, error = measure.middle([x / base for x, base in zip(ours, beside)])
                report.ratio(f"CPython {python}, pause p50, {rate} Hz (+-{error:.2f})",
                             ratio * measure.middle(beside)[0], measure.middle(beside)[0], 1.6, "us")
                report.at_most(f"CPython {python}, reads a sample, {rate} Hz", measure.middle(reads)[0], 3, "", 2)
                report.at_most(f"CPython {python}, samples not whole, {rate} Hz", 100 * torn / max(1, n), 1, "%", 2)


def case_python_work(report):
    cycles, window = (3, 0.6) if QUICK else (10, 1.0)
    for python in interpreters(report):
        report.heading(f"Throughput lost by a busy loop of CPython {python}")
        with target(python) as (pid, work):
            for rate in 100, 1000:
                kept = measure.alternate(work, {
                    "floor": lambda: tools.floor("preempt", pid, rate),
                    "csample": lambda: tools.csample(pid, "-r", rate)}, cycles, window)
                ours, floor = measure.middle(kept["csample"]), measure.middle(kept["floor"])
                report.loss(f"csample, {rate} Hz", ours, floor, 1.3)
                peers = {name: way for name, way in tools.peers(pid, rate, True).items() if not name.startswith("perf")}
                lost = {}
                for name, shares in measure.alternate(work, peers, 2 if QUICK else 4, window, 0.8).items():
                    share, error = measure.middle(shares)
                    lost[name] = 1 - share
                    report.line(f"peer: {name}, {rate} Hz", f"lost {100 * (1 - share):.2f}% +-{100 * error:.2f}")
                if lost.get("py-spy --native", 0) > 0.02:
                    report.ratio(f"loss beside py-spy --native's, {rate} Hz", 100 * max(0, 1 - ours[0]),
                                 100 * lost["py-spy --native"], 0.1, "%", 2, "py-spy --native")


def case_python_threads(report):
    report.heading("Python: 200 idle native threads beside a busy one, 100 Hz")
    cycles, window = (3, 0.6) if QUICK else (8, 1.0)
    for python in interpreters(report):
        own = []
        with target(python, 200) as (pid, work):
            @contextlib.contextmanager
            def watched():
                with tools.csample(pid, "-r", 100) as process:
                    tool = tools.child_of(process)
                    time.sleep(1.2)  # functions have settled by then
                    before, then = measure.cpu_seconds(tool), time.monotonic()
                    yield
                    own.append((measure.cpu_seconds(tool) - before) / (time.monotonic() - then))
            kept = measure.middle(measure.alternate(work, {"csample": watched}, cycles, window)["csample"])
            report.at_least(f"CPython {python}, throughput kept (+-{kept[1]:.4f})", kept[0] + 2 * kept[1], 0.98)
            report.at_most(f"CPython {python}, own CPU", 100 * measure.middle(own)[0], 2, "% of a core", 2)


def case_python_start(report):
    report.heading("Python: record -r 1000 -- python -c pass")
    for python in interpreters(report):
        command = [str(python.exe), "-c", "pass"]
        times = {"alone": [], "csample": []}
        for _ in range(5 if QUICK else 15):
            for way in times:
                argv = command if way == "alone" else [str(harmlib.CSAMPLE), "record", "-r", "1000", "-o",
                                                       str(OUT / "short.svg"), "--", *command]
                then = time.monotonic()
                done = subprocess.run(argv, stderr=subprocess.PIPE)
                times[way].append(1000 * (time.monotonic() - then))
                if done.returncode:
                    raise RuntimeError(done.stderr.decode(errors="replace"))
        alone, ours = (measure.middle(times[way])[0] for way in ("alone", "csample"))
        report.at_most(f"CPython {python}, longer by", ours - alone, 100, "ms", 1, f"alone {alone:.0f} ms")


def case_python_chains(report):
    """tests/e2e/test_python_samples.py's chains, one on each CPU, until there are enough samples."""
    report.heading("Python: impossible stacks of two chains that alternate")
    sys.path.insert(0, str(tools.ROOT / "tests/e2e"))
    import conftest
    import test_python_samples as samples
    wanted, most = (5000, 10) if QUICK else (100000, 240)
    for python in interpreters(report):
        argv = [python.exe, samples.PROGRAMS / "chains.py", "900"]
        with contextlib.ExitStack() as stack:
            programs = [stack.enter_context(harmlib.Program(argv, stdout=subprocess.DEVNULL))
                        for _ in range(os.cpu_count())]
            time.sleep(0.5)
            for way in "preempt", "stop":
                for rate in (int(r) for r in os.environ.get("RATES", "1000,10000").split(",")):
                    total = bad = marked = 0
                    then = time.monotonic()
                    while total < wanted and time.monotonic() - then < most:
                        tools.run_csample(",".join(str(p.pid) for p in programs), 5 if QUICK else 20, "-r", rate,
                                          "--capture", way, "--native=none")
                        for frames, n in conftest.parse_collapsed((OUT / "out.collapsed").read_text()).items():
                            if len(programs) > 1:
                                frames = frames[1:]  # the process
                            total += n
                            if any(frame.startswith("[") for frame in frames):
                                marked += n
                            elif samples.impossible(frames):
                                bad += n
                    short = "" if total >= wanted else f", fewer than {wanted}"
                    report.at_most(f"CPython {python}, {way}, {rate} Hz, of {total}", bad, 0, "", 0,
                                   f"{marked} marked as not whole{short}")
