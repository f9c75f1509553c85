#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""csample beside the least that its mechanisms can be, and beside its peers, in one run. Every limit is
a ratio or a share; figures of different runs do not compare. QUICK=1 is shorter and noisier;
CASES=pause,work picks. Writes build/bench/bench.json and bench.md; exit status 1 if a limit is missed."""
import contextlib
import os
import re
import subprocess
import sys
import time

import cases_loop
import cases_node
import cases_python
import cases_store
import cases_top
import debuginfo
import measure
import tools
from report import Report
from tools import OUT, harmlib

QUICK = bool(os.environ.get("QUICK"))
PYTHON_TARGET = [sys.executable, tools.BENCH / "bench_work.py"]


@contextlib.contextmanager
def target(busy=1, sleeping=0, python=False):
    """A working target: (pid, Work)."""
    work = measure.Work(OUT / "work", 1 if python else busy)
    argv = [*PYTHON_TARGET, work.path] if python else [tools.program("bench_work"), work.path, busy, sleeping]
    with harmlib.Program(argv) as program:
        harmlib.wait_until(lambda: work.done() > 0, "the target works")
        yield program.pid, work


@contextlib.contextmanager
def running(*argv):
    with harmlib.Program(argv) as program:
        time.sleep(0.3)
        yield program.pid


def case_pause(report):
    report.heading("How long a thread is held: trigger to release")
    seconds, rounds = (2, 1) if QUICK else (3, 3)
    for name, busy in (("1 busy thread", 1), ("4 busy threads", 4)):
        with target(busy) as (pid, _):
            for way, rates in (("preempt", (100, 1000)), ("stop", (100, 1000))):
                for rate in rates:
                    floors, ours = [], []
                    for _ in range(rounds):
                        options = ["--fifo"] if way == "stop" else []
                        floors.append(tools.run_floor(way, pid, seconds, rate, *options)["pause_us"])
                        ours.append(tools.run_csample(pid, seconds, "-r", rate, "--capture", way).stats["pause_us"])
                    for quantile, limit in (("p50", 1.3), ("p99", 3)):
                        value, base = (measure.middle([x[quantile] for x in runs])[0] for runs in (ours, floors))
                        report.ratio(f"{way} pause {quantile}, {rate} Hz, {name}", value, base, limit, "us")


def case_work(report):
    cycles, window = (3, 0.6) if QUICK else (12, 1.0)
    for python in False, True:
        report.heading(f"Throughput lost by a busy {'CPython' if python else 'C'} target, 20 calls deep")
        with target(python=python) as (pid, work):
            for rate in 100, 1000:
                kept = measure.alternate(work, {
                    "floor": lambda: tools.floor("preempt", pid, rate),
                    "csample": lambda: tools.csample(pid, "-r", rate),
                    "nothing": contextlib.nullcontext}, cycles, window)
                floor = measure.middle(kept["floor"])
                report.loss(f"csample, {rate} Hz", measure.middle(kept["csample"]), floor, 1.25)
                nothing = measure.middle(kept["nothing"])
                report.line("noise: nothing attached", f"lost {100 * (1 - nothing[0]):.2f}% +-{100 * nothing[1]:.2f}")
                others = tools.peers(pid, rate, python)
                for name, shares in measure.alternate(work, others, 2 if QUICK else 4, window, 0.8).items():
                    share, error = measure.middle(shares)
                    report.line(f"peer: {name}, {rate} Hz", f"lost {100 * (1 - share):.2f}% +-{100 * error:.2f}")


def cost_per_second(sleeping, cycles, window, rate):
    """CPU time that sampling 2 busy threads costs a second: csample's own, and what the target lost."""
    own = []
    with target(2, sleeping) as (pid, work):
        @contextlib.contextmanager
        def watched():
            with tools.csample(pid, "-r", rate) as process:
                tool = tools.child_of(process)
                time.sleep(0.4)
                before, then = measure.cpu_seconds(tool), time.monotonic()
                yield
                own.append((measure.cpu_seconds(tool) - before) / (time.monotonic() - then))
        kept = measure.alternate(work, {"csample": watched}, cycles, window)["csample"]
    return measure.middle(own)[0], 2 * (1 - measure.middle(kept)[0])


def case_threads(report):
    report.heading("Threads that do not run cost nothing")
    cycles, window = (3, 0.6) if QUICK else (8, 1.0)
    few, many = (cost_per_second(n, cycles, window, 1000) for n in (0, 398))
    report.ratio("own CPU, 400 threads of which 2 run, 1 kHz", 1000 * many[0], 1000 * few[0], 1.3, "ms/s", 1,
                 "2 threads")
    report.ratio("own CPU + work lost, the same", 1000 * sum(many), 1000 * sum(few), 1.3, "ms/s", 1, "2 threads")


def case_total(report):
    report.heading("The profile's CPU time over what the kernel charged")
    seconds = 2 if QUICK else 4
    for busy in 1, 32:
        with target(busy) as (pid, _):
            for rate in 100, 1000, 5000:
                stats = tools.run_csample(pid, seconds, "-r", rate).stats
                share = stats["profile_cpu_seconds"] / stats["target_cpu_seconds"]
                report.line(f"{busy} busy threads, {rate} Hz", f"{share:.4f}",
                            f"{stats['samples']} samples, {stats['lost']} lost", None, "0.99..1.01",
                            "ok" if 0.99 <= share <= 1.01 else "NOT OK")


def cpu_per_sample(pid, rate, out, short, long):
    """us of csample's CPU time a sample, start, naming and writing taken off by difference."""
    runs = [tools.run_csample(pid, seconds, "-r", rate, out=out) for seconds in (short, long)]
    cpu, samples = ([f(run) for run in runs] for f in (lambda r: r.usage["cpu_seconds"], lambda r: r.stats["samples"]))
    return 1e6 * (cpu[1] - cpu[0]) / max(1, samples[1] - samples[0]), runs[1]


def case_self(report):
    report.heading("csample's own cost")
    short, long = (1.5, 4) if QUICK else (1.5, 8)
    for name, python in (("C", False), ("CPython", True)):
        with target(python=python) as (pid, _):
            each, _ = cpu_per_sample(pid, 1000, "out.svg", short, long)
            report.at_most(f"own CPU a sample after start, {name}, 20 deep, 1 kHz", each, 60, "us")
    path = debuginfo.build(OUT)
    size = debuginfo.debug_bytes(path) / 2 ** 20
    with running(path, 100) as pid:
        firsts = []
        for form in "svg", "pb.gz":
            each, run = cpu_per_sample(pid, 1000, f"out.{form}", short, long)
            report.line(f"own CPU a sample, {size:.0f} MiB of debug info, {form}", f"{each:.1f} us")
            report.at_most(f"peak memory, {size:.0f} MiB of debug info, {form}", run.usage["max_rss_bytes"] / 2 ** 20, 40,
                           "MiB")
            report.line("all its CPU time in that run", f"{run.usage['cpu_seconds']:.3f} s",
                        f"{run.stats['samples']} samples")
        for _ in range(3 if QUICK else 7):
            firsts.append(tools.run_csample(pid, 0.5).stats["first_sample_ms"])
        report.at_most("start to first sample on the same, 100 Hz", measure.middle(firsts)[0], 100, "ms",
                       beside=f"worst {max(firsts):.1f} ms")


def shares_of(path, names):
    total, hits = 0, dict.fromkeys(names, 0)
    for line in path.read_text().splitlines():
        stack, count = line.rsplit(" ", 1)
        total += int(count)
        for name in names:
            if any(re.match(rf"{name}\b", frame) for frame in stack.split(";")):
                hits[name] += int(count)
    return {name: hits[name] / total for name in names}, total


def case_stacks(report):
    report.heading("Stacks that reach the root; shares that are known")
    seconds = 3 if QUICK else 10
    with running(tools.program("bench_cxx", "c++", ["-fomit-frame-pointer"]), 100) as pid:
        for way in "preempt", "stop":
            stats = tools.run_csample(pid, seconds, "-r", 1000, "--capture", way).stats
            report.at_least(f"rooted, C++ -O2, {way}, {stats['samples']} samples", stats["rooted"], 0.995)
    with running(tools.program("bench_split"), 100) as pid:
        tools.run_csample(pid, 3, "-r", 1000)
    shares, _ = shares_of(OUT / "out.collapsed", ("seventy", "twenty", "ten"))
    samples = 3000
    for name, true in (("seventy", 0.7), ("twenty", 0.2), ("ten", 0.1)):
        off = 100 * abs(shares[name] - true)
        report.at_most(f"share of {name} at {samples} samples, points off", off, 1.5, "", 2,
                       f"seen {100 * shares[name]:.2f}%")


def case_short(report):
    """Commands that are over soon: what starting and ending them under csample costs."""
    report.heading("A short Python script, from its first instruction, at 1 kHz")
    for name, code, limit in (("over at once", "pass", None), ("of a second", "sum(i * i for i in range(12000000))", 1.2)):
        script = [sys.executable, "-c", "import json, decimal, argparse; " + code]
        times = {"alone": [], "csample": []}
        for _ in range(3 if QUICK else 10):
            for way in times:
                argv = script if way == "alone" else [harmlib.CSAMPLE, "record", "-r", 1000, "-o", OUT / "short.svg",
                                                      "--", *script]
                then = time.monotonic()
                subprocess.run([str(a) for a in argv], check=True, stderr=subprocess.DEVNULL)
                times[way].append(1000 * (time.monotonic() - then))
        with_us, alone = measure.middle(times["csample"])[0], measure.middle(times["alone"])[0]
        if limit:
            report.ratio(f"record -- python3, a script {name}", with_us, alone, limit, "ms", 0, "alone")
        else:
            report.line(f"record -- python3, a script {name}", f"{with_us:.0f} ms", f"alone {alone:.0f} ms",
                        with_us / alone)


def case_sound(report):
    """tests/e2e/test_soundness.py for longer than `make check` has time for."""
    report.heading("Samples whose registers and memory belong together")
    env = dict(os.environ, SOUNDNESS_SECONDS="2" if QUICK else "6")
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                           str(tools.ROOT / "tests/e2e/test_soundness.py")], env=env, capture_output=True, text=True)
    lines = done.stdout.strip().splitlines()
    report.line("soundness, long", lines[-1].strip("= ") if lines else "no output", "", None, "no skew",
                "ok" if done.returncode == 0 else "NOT OK")
    for line in lines:
        if line.startswith("FAILED"):
            report.line(line[:90], "", "", None, "", "NOT OK")


CASES = {name.removeprefix("case_"): function for module in
         (globals(), vars(cases_python), vars(cases_node), vars(cases_store), vars(cases_loop), vars(cases_top))
         for name, function in module.items() if name.startswith("case_")}


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    report = Report()
    wanted = os.environ.get("CASES", "").split(",") if os.environ.get("CASES") else list(CASES)
    before = measure.cpu_times()
    for name in wanted:
        try:
            CASES[name](report)
        except (RuntimeError, AssertionError, subprocess.SubprocessError, OSError, KeyError) as error:
            report.failed(name, error)
    stolen = measure.stolen_share(before, measure.cpu_times())
    report.write(OUT, quick=QUICK, stolen_share=stolen, load=os.getloadavg())
    bad = report.bad()
    print(f"\n{len(bad)} of {len(report.lines)} lines NOT OK; the host took {100 * stolen:.1f}% of the machine's time."
          f" In {OUT / 'bench.json'} and bench.md.")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
