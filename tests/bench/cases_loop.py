# SPDX-License-Identifier: Apache-2.0
"""Continuous recordings: CASES=loop,loop_long. LONG=seconds of the second (default 240)."""
import contextlib
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import measure
import tools
from tools import OUT, harmlib

QUICK = bool(os.environ.get("QUICK"))
CHURN = """
import subprocess, sys, threading
def churn(command):
    while True:
        subprocess.run(command)
threading.Thread(target=churn, args=(["sh", "-c", "for i in 1 2 3 4 5 6 7 8; do :; done; true"],)).start()
threading.Thread(target=churn, args=([sys.executable, "-S", "-c", "sum(range(300000))"],)).start()
"""


class Sink(http.server.BaseHTTPRequestHandler):
    """A backend that takes everything."""
    protocol_version = "HTTP/1.1"
    taken = 0

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        Sink.taken += 1
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def sink():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


@contextlib.contextmanager
def looping(pid, *options):
    folder = tempfile.mkdtemp(dir=OUT, prefix="loop-")
    env = dict(os.environ, STATE_DIRECTORY=folder)
    argv = [harmlib.CSAMPLE, "record", "-p", pid, "--max-overhead", "off", *options]
    process = subprocess.Popen([str(a) for a in argv], env=env, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def metrics(port):
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if line[:1] != "#")


def rotations(report, pid):
    """What an end of an interval, and writing its profile, keeps from being looked at."""
    port = free_port()
    options = ["--loop", "1s", "-o", OUT / "loop-files-%n.pb.gz", "--keep", "3", "--store", OUT / "loop-store",
               "--listen", f"127.0.0.1:{port}"]
    with looping(pid, *options) as process:
        time.sleep(8 if QUICK else 20)
        said = metrics(port)
        lost = sum(float(v) for k, v in said.items() if k.startswith(("csample_lost_total{reason=\"queue",
                                                                      "csample_lost_total{reason=\"merged")))
        assert process.poll() is None
    for path in OUT.glob("loop-files-*"):
        path.unlink()
    report.at_most(f"longest end of an interval, of {said['csample_rotations_total']}",
                   1000 * float(said["csample_rotation_max_seconds"]), 10, "ms", 2,
                   f"{lost:.0f} of {said['csample_samples_total']} ticks lost to a full queue, or merged")


def case_loop(report):
    report.heading("record --loop 10s --push of a busy CPython at 100 Hz")
    cycles, window = (2, 1.0) if QUICK else (6, 2.0)
    work = measure.Work(OUT / "work", 1)
    with sink() as port, harmlib.Program([sys.executable, tools.BENCH / "bench_work.py", work.path]) as program:
        harmlib.wait_until(lambda: work.done() > 0, "the target works")
        options = ["--loop", "10s", "--push", f"pyroscope+http://127.0.0.1:{port}", "--store", OUT / "loop-store"]
        with looping(program.pid, *options) as process:
            time.sleep(5 if QUICK else 11)
            before, then, taken = measure.cpu_seconds(process.pid), time.monotonic(), Sink.taken
            time.sleep(10 if QUICK else 20)
            share = (measure.cpu_seconds(process.pid) - before) / (time.monotonic() - then)
            report.at_most("own CPU once it runs, of a core", 100 * share, 1, "%", 2, f"{Sink.taken - taken} pushes")

        rotations(report, program.pid)

        @contextlib.contextmanager
        def attached():
            with looping(program.pid, *options):
                time.sleep(1)
                yield
        kept = measure.alternate(work, {"loop": attached, "nothing": contextlib.nullcontext}, cycles, window)
        share, error = measure.middle(kept["loop"])
        report.at_most(f"throughput lost by the target (+-{100 * error:.2f})", 100 * (1 - share), 1, "%", 2,
                       f"nothing attached {100 * (1 - measure.middle(kept['nothing'])[0]):.2f}%")
    shutil.rmtree(OUT / "loop-store", ignore_errors=True)


def anonymous_kib(pid):
    pages = open(f"/proc/{pid}/statm").read().split()
    return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGESIZE") // 1024


def case_loop_long(report):
    """10,000 rotations while processes come and go; the first fifth is for warming up."""
    seconds = 60 if QUICK else float(os.environ.get("LONG", "240"))
    report.heading("10,000 rotations with process churn")
    folder = OUT / "loop-long"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    memory, files, start = [], [], time.monotonic()
    target = subprocess.Popen([sys.executable, "-c", CHURN], start_new_session=True)
    try:
        with looping(target.pid, "-s", "--loop-any", "20ms", "--keep", "20", "-o", folder / "p-%n.json",
                     "--stats-json", folder / "stats.json") as process:
            while time.monotonic() - start < seconds:
                time.sleep(1)
                memory.append(anonymous_kib(process.pid))
                files.append(len(os.listdir(f"/proc/{process.pid}/fd")))
    finally:
        os.killpg(target.pid, signal.SIGKILL)
        target.wait()
    stats = json.loads((folder / "stats.json").read_text())
    rotations = max(int(p.stem[2:]) for p in folder.glob("p-*.json"))
    warm = len(memory) // 5
    report.at_most(f"growth after warm-up, {rotations} profiles, {stats['processes']} processes",
                   (max(memory[warm:]) - max(memory[:warm])) / 1024, 1, "MiB", 2, f"{memory[-1] / 1024:.1f} MiB at the end")
    report.line("ticks lost to a full queue", str(stats["errors"].get("queue_full", 0)),
                f"{stats['samples']} samples, {stats['lost']} lost in all")
    report.at_most("descriptors, most of the last half over most of the first", max(files[len(files) // 2:]),
                   1.2 * max(files[:len(files) // 2]) + 10, "", 0)
    share = stats["profile_cpu_seconds"] / stats["target_cpu_seconds"]
    report.line("CPU time in profiles over what the kernel charged", f"{share:.4f}", "", None, "0.99..1.01",
                "ok" if 0.99 <= share <= 1.01 else "NOT OK")
    shutil.rmtree(folder, ignore_errors=True)
