# SPDX-License-Identifier: Apache-2.0
"""The cases of bench.py that have Node.js for a target: CASES=node_pause,node_serve,node_start.
NODES=20,24 picks majors (of tests/e2e/nodes.py)."""
import contextlib
import os
import pathlib
import re
import shutil
import struct
import subprocess
import time

import measure
import tools
from tools import OUT, harmlib

import nodes  # noqa: E402 - tools.py has put tests/e2e in the path

QUICK = bool(os.environ.get("QUICK"))
MAJORS = os.environ.get("NODES", "20,24").split(",")
CPUS = sorted(os.sched_getaffinity(0))
LONG = 600  # seconds that a load runs at most


def executables(report):
    for major in MAJORS:
        exe = nodes.find(major)
        if exe:
            yield major, exe
        else:
            report.line(f"Node.js {major}", "skipped", "not to be had from npm here")


def case_node_pause(report):
    """The floor copies a stack and nothing else; csample, the functions on it too."""
    report.heading("Node.js: how long a thread is held, 40 functions of JavaScript on the stack")
    seconds, rounds = (2, 1) if QUICK else (3, 3)
    for major, exe in executables(report):
        with harmlib.Program([exe, tools.BENCH / "bench_node.js", 40], stdout=subprocess.DEVNULL) as program:
            time.sleep(1)
            for rate in 100, 1000:
                floors, ours, reads = [], [], []
                for _ in range(rounds):
                    floors.append(tools.run_floor("preempt", program.pid, seconds, rate)["pause_us"])
                    stats = tools.run_csample(program.pid, seconds, "-r", rate, "--capture", "preempt").stats
                    ours.append(stats["pause_us"])
                    reads.append(stats["reads_per_sample"])
                value, base = (measure.middle([x["p50"] for x in runs])[0] for runs in (ours, floors))
                report.ratio(f"Node.js {major}, pause p50, {rate} Hz", value, base, 2, "us")
                report.at_most(f"Node.js {major}, reads a sample, {rate} Hz", measure.middle(reads)[0], 3, "", 2)


def place(tid, cpu):
    """Where the scheduler happens to put a server and its load makes more than what is measured here."""
    os.sched_setaffinity(tid, {cpu})


@contextlib.contextmanager
def before_others():
    """What else the machine does waits: in the scheduler's eyes our session is more important."""
    path = pathlib.Path("/proc/self/autogroup")
    try:
        was = re.search(r"nice (-?\d+)", path.read_text()).group(1)
        path.write_text("-20")
    except (OSError, AttributeError):
        was = None
    yield
    if was is not None:
        path.write_text(was)


class Servers:
    """Servers that answer one load, one of them at a time: the first, but for a with block."""

    def __init__(self, exe, options):
        self.stack = contextlib.ExitStack()
        self.stack.enter_context(before_others())
        self.work = measure.Work(OUT / "answers", 1)
        self.pids, ports = [], []
        for one in options:
            program = self.stack.enter_context(harmlib.Program(
                [exe, *one, tools.BENCH / "bench_server.js"], stdout=subprocess.PIPE, cwd=OUT))
            self.pids.append(program.pid)
            place(program.pid, CPUS[0])  # its main thread
            ports.append(int(program.process.stdout.readline()))
        load = self.stack.enter_context(harmlib.Program([tools.program("bench_http"), self.work.path, LONG, 16, *ports]))
        place(load.pid, CPUS[-1])
        for i in range(len(ports)):  # until each is optimised
            with self.asked(i):
                time.sleep(1 if QUICK else 2)

    @contextlib.contextmanager
    def asked(self, index):
        struct.pack_into("<Q", self.work.map, 64, index)
        yield
        struct.pack_into("<Q", self.work.map, 64, 0)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stack.close()


def perf_graph(pid, rate):
    return tools.attached(["perf", "record", "-q", "-F", rate, "-e", "cpu-clock", "-g", "-p", pid, "-o", "/dev/null"])


def case_node_serve(report):
    """Each window beside two without: of the same server for csample, of another for what has to be
    switched on when a server starts, and for nothing, which tells how much two servers differ."""
    cycles, window = (5, 0.6) if QUICK else (16, 1)
    limits = {100: 0.985, 1000: 0.94}
    for major, exe in executables(report):
        report.heading(f"Node.js {major}: answers a second that a busy http server keeps")
        for rate, limit in limits.items():
            options = [[], [], ["--cpu-prof", f"--cpu-prof-interval={10 ** 6 // rate}"], ["--perf-basic-prof"]]
            with Servers(exe, options) as servers:
                @contextlib.contextmanager
                def perf():
                    with servers.asked(3), perf_graph(servers.pids[3], rate):
                        yield

                ways = {"csample": lambda: tools.csample(servers.pids[0], "-r", rate),
                        "floor": lambda: tools.floor("preempt", servers.pids[0], rate),
                        "another server": lambda: servers.asked(1),
                        "--cpu-prof": lambda: servers.asked(2)}
                if shutil.which("perf"):
                    ways["--perf-basic-prof, perf record -g"] = perf
                kept = {name: measure.middle(shares) for name, shares in
                        measure.alternate(servers.work, ways, cycles, window).items()}
                answers = servers.work.rate(window)
            share, error = kept.pop("csample")
            report.kept(f"csample, {rate} Hz, of {answers:.0f} answers/s", share, error, limit)
            kinds = {"another server": "noise: ", "floor": ""}
            for name, (share, error) in kept.items():
                report.line(f"{kinds.get(name, 'peer: ')}{name}, {rate} Hz",
                            f"kept {share:.4f} +-{error:.4f}")


def case_node_start(report):
    report.heading("Node.js: start to first sample, and memory")
    for major, exe in executables(report):
        size = exe.stat().st_size / 2 ** 20
        with Servers(exe, [[]]) as servers:
            runs = [tools.run_csample(servers.pids[0], 1 if QUICK else 3, "-r", 100) for _ in range(3 if QUICK else 7)]
        firsts = [run.stats["first_sample_ms"] for run in runs]
        report.at_most(f"Node.js {major}, {size:.0f} MiB: start to first sample", measure.middle(firsts)[0], 500, "ms",
                       beside=f"worst {max(firsts):.0f} ms")
        report.at_most(f"Node.js {major}: peak memory", max(run.usage["max_rss_bytes"] for run in runs) / 2 ** 20, 120,
                       "MiB")
