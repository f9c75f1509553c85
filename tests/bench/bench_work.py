# SPDX-License-Identifier: Apache-2.0
"""Works 20 calls deep and counts what it did: bench_work.py COUNTERS [SECONDS]."""
import mmap
import signal
import struct
import sys

DEPTH = 20


def leaf(x):
    for i in range(200):
        x = (x * 31 + i) & 0xFFFFFFFF
    return x


def descend(depth, counter):
    if depth > 2:
        return descend(depth - 1, counter) + 1
    x = done = 0
    while True:
        x = leaf(x)
        done += 1
        struct.pack_into("<Q", counter, 0, done)


signal.alarm(int(sys.argv[2]) if len(sys.argv) > 2 else 600)
with open(sys.argv[1], "r+b") as file:
    descend(DEPTH - 1, mmap.mmap(file.fileno(), 8))
