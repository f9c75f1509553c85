# SPDX-License-Identifier: Apache-2.0
"""csample top on a process of 100,000 functions, all of which run, and 200 threads: CASES=top."""
import fcntl
import os
import pathlib
import re
import select
import struct
import subprocess
import termios
import time

import measure
from tools import OUT, harmlib

QUICK = bool(os.environ.get("QUICK"))
UNITS, FUNCTIONS, THREADS, BUSY = 10, 10000, 200, 2

UNIT = """
typedef int many(int depth, int at);
extern many *const *const units[];
#define CALL(u, i) units[(u) % UNITS][(i) % FUNCTIONS]
#define F(n) int NAME(n)(int depth, int at) { volatile int sum = n; \\
	if (depth) return CALL(at + n, at * 31 + n)(depth - 1, at + 1) + sum; \\
	for (int i = 0; i < 20000; i++) sum += i; return sum; }
"""

MAIN = """
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
typedef int many(int depth, int at);
DECLARED
many *const *const units[] = { TABLES };
static void *wait_for_ever(void *arg) { for (;;) pause(); return arg; }
static void *run(void *arg)
{
	for (int at = (int)(long)arg;; at++)
		units[at % UNITS][at * 7 % FUNCTIONS](3, at & 0xffffff);
}
int main(void)
{
	pthread_t thread;
	alarm(240);
	for (long i = 0; i < THREADS - 1; i++)
		if (pthread_create(&thread, NULL, i < BUSY ? run : wait_for_ever, (void *)(i * 50021)))
			return 1;
	puts("ready");
	fflush(stdout);
	wait_for_ever(NULL);
}
"""


def build():
    """The program, its functions not optimised and in shared objects, made once."""
    path = OUT / "bench_many"
    if path.exists():
        return path
    sizes = [f"-D{name}={value}" for name, value in
             (("UNITS", UNITS), ("FUNCTIONS", FUNCTIONS), ("THREADS", THREADS), ("BUSY", BUSY))]
    for unit in range(UNITS):
        source = OUT / "many.c"
        source.write_text(UNIT.replace("NAME(n)", f"unit{unit}_function_##n") +
                          "\n".join(f"F({10 ** 5 + i})" for i in range(FUNCTIONS)) +
                          f"\nmany *const table_{unit}[] = {{" +
                          ",".join(f"unit{unit}_function_{10 ** 5 + i}" for i in range(FUNCTIONS)) + "};\n")
        subprocess.run(["nice", "cc", "-O0", *sizes, "-shared", "-fPIC", "-o", OUT / f"libmany{unit}.so", source], check=True)
    source = OUT / "many.c"
    source.write_text(MAIN.replace("DECLARED", "".join(f"extern many *const table_{u}[];" for u in range(UNITS)))
                      .replace("TABLES", ", ".join(f"table_{u}" for u in range(UNITS))))
    fresh = path.with_suffix(".new")
    subprocess.run(["cc", "-O0", "-pthread", "-rdynamic", *sizes, "-o", fresh, source, f"-L{OUT}", f"-Wl,-rpath,{OUT}",
                    *(f"-lmany{u}" for u in range(UNITS))], check=True)
    source.unlink()
    return fresh.rename(path)


class View:
    """csample top on a terminal of 80 columns and 40 lines."""

    def __init__(self, pid, *options):
        self.fd, terminal = os.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
        self.process = subprocess.Popen(
            [str(a) for a in (harmlib.CSAMPLE, "top", "-p", pid, *options)], stdin=terminal, stdout=terminal,
            stderr=terminal, start_new_session=True, env={**os.environ, "TERM": "screen-256color", "LC_ALL": "C.UTF-8"})
        os.close(terminal)
        self.read_until("own%", 20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        os.close(self.fd)

    def read_until(self, word, timeout=5):
        text, end = "", time.monotonic() + timeout
        while word not in text:
            assert time.monotonic() < end and self.process.poll() is None, f"no {word!r} on the screen"
            if select.select([self.fd], [], [], 0.1)[0]:
                text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text + os.read(self.fd, 65536).decode(errors="replace"))
        return text

    def watch(self, seconds):
        """Looks on: what is drawn must be read."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.fd], [], [], 0.05)[0]:
                os.read(self.fd, 65536)

    def key(self, key, word):
        """Seconds until word stands on the screen."""
        began = time.monotonic()
        os.write(self.fd, key.encode())
        self.read_until(word)
        return time.monotonic() - began

    def used(self):
        """Seconds of CPU time so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_mib(self):
        return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{self.process.pid}/status").read_text())[1]) / 1024


# Each draws what stands nowhere on the screen before it: the help, and the table's head behind it; a
# search that fails goes over all rows.
KEYS = ("?", "any key: back"), ("x", "total time"), ("/nil", "/nil_"), ("\r", "no match")


def press(view, report, what):
    times = []
    for i in range(4 if QUICK else 8):
        view.watch(0.07 + 0.13 * (i % 5))  # whatever it is doing
        times += [view.key(*key) for key in KEYS]
        # A message stays until the next key.
    for key in "mltf":
        view.watch(0.3)
        began = time.monotonic()
        os.write(view.fd, key.encode())
        view.read_until({"m": "libmany", "l": "unit", "t": "bench_many (", "f": "unit"}[key])
        times.append(time.monotonic() - began)
    report.at_most(f"key to screen, {what}", 1000 * measure.middle(times)[0], 100, "ms", 0, f"worst {1000 * max(times):.0f} ms")
    report.at_most(f"the slowest key, {what}", 1000 * max(times), 100, "ms", 0)


def case_top(report):
    report.heading(f"top of {UNITS * FUNCTIONS} functions and {THREADS} threads")
    seconds = 8 if QUICK else 20
    with harmlib.Program([build()], stdout=subprocess.PIPE) as target:
        target.process.stdout.readline()
        with View(target.pid, "-r", 100) as view:
            view.watch(2)
            used, began = view.used(), time.monotonic()
            view.watch(seconds)
            report.at_most("own CPU, 100 Hz", 100 * (view.used() - used) / (time.monotonic() - began), 5, "%")
            press(view, report, "100 Hz")
            report.at_most("peak memory, 100 Hz", view.peak_mib(), 150, "MiB", 0)
        with View(target.pid, "-r", 10000) as view:  # as after hours
            view.watch(seconds)
            used, began = view.used(), time.monotonic()
            view.watch(3)
            report.line("own CPU, 10 kHz", f"{100 * (view.used() - used) / (time.monotonic() - began):.0f}%")
            press(view, report, "10 kHz")
            report.at_most("peak memory, 10 kHz", view.peak_mib(), 150, "MiB", 0)
