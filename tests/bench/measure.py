# SPDX-License-Identifier: Apache-2.0
"""How fast a target works with and without somebody looking on, in short alternating windows, so that
what else goes on in the machine meets all alike."""
import mmap
import pathlib
import random
import re
import statistics
import struct
import time

SLICE = 0.05


class Work:
    """The counters of a target: what it has done so far."""

    def __init__(self, path, busy=1):
        self.path, self.busy = pathlib.Path(path), busy
        self.path.write_bytes(bytes(4096))
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 4096)

    def done(self):
        return sum(struct.unpack_from("<Q", self.map, 64 * i)[0] for i in range(self.busy))

    def rate(self, seconds):
        """Work a second: the mean of short slices without the fifth that were slowest and fastest,
        which neighbours on the machine made so."""
        rates = []
        then, before = time.monotonic(), self.done()
        end = then + seconds
        while then < end:
            time.sleep(SLICE)
            now, done = time.monotonic(), self.done()
            rates.append((done - before) / (now - then))
            then, before = now, done
        rates.sort()
        cut = len(rates) // 5
        return statistics.fmean(rates[cut:len(rates) - cut])


def alternate(work, tools, cycles, window, settle=0.4):
    """{tool name: [share of throughput kept, one a cycle]}. tools: {name: context manager factory}.
    Each window with a tool stands between two without."""
    kept = {name: [] for name in tools}
    order = list(tools)
    before = work.rate(window / 2)
    for cycle in range(cycles):
        random.Random(cycle).shuffle(order)
        for name in order:
            with tools[name]():
                time.sleep(settle)
                during = work.rate(window)
            time.sleep(0.1)
            after = work.rate(window / 2)
            kept[name].append(during / ((before + after) / 2))
            before = after
    return kept


def middle(values):
    """(median, standard error of the median, from the data alone)."""
    rng = random.Random(1)
    medians = [statistics.median(rng.choices(values, k=len(values))) for _ in range(400)]
    return statistics.median(values), statistics.pstdev(medians)


def cpu_seconds(pid):
    """CPU time of all threads of a process, by the scheduler's own account."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total / 1e9


def stolen_share(before, after):
    """Share of the machine's time that its host gave to others between two readings of cpu_times()."""
    spent = [a - b for a, b in zip(after, before)]
    return spent[7] / max(1, sum(spent[:8]))


def cpu_times():
    line = pathlib.Path("/proc/stat").read_text().splitlines()[0]
    return [int(n) for n in re.findall(r"\d+", line)]
