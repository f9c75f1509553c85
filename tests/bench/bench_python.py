# SPDX-License-Identifier: Apache-2.0
"""A mixed stack of 50 frames of Python and C: bench_python.py COUNTERS [IDLE]. Python calls C (sorted, map)
that calls Python, and at the end a loop counts what it did. IDLE threads that are not Python's sleep beside it."""
import ctypes
import functools
import mmap
import signal
import struct
import sys

DEPTH = 50


def leaf(x):
    for i in range(50):
        x = (x * 31 + i) & 0xffffffff
    return x


def work(counter):
    x = done = 0
    while True:
        x = leaf(x)
        done += 1
        struct.pack_into("<Q", counter, 0, done)


def plain(depth, counter):
    return descend(depth - 1, counter)


def through_map(depth, counter):
    return list(map(lambda d: descend(d - 1, counter), [depth - 1]))


def through_sorted(depth, counter):
    return sorted([depth - 1], key=lambda d: descend(d - 1, counter))


def through_reduce(depth, counter):
    return functools.reduce(lambda d, _: descend(d - 1, counter), [depth - 1, 0])


WAYS = (plain, plain, through_map, plain, through_sorted, plain, through_reduce)


def descend(depth, counter):
    if depth <= 3:
        work(counter)
    return WAYS[depth % len(WAYS)](depth - 1, counter)


def idle_threads(n):
    libc = ctypes.CDLL(None)
    pause = ctypes.cast(libc.pause, ctypes.c_void_p)
    attributes = ctypes.create_string_buffer(64)
    libc.pthread_attr_init(attributes)
    libc.pthread_attr_setstacksize(attributes, ctypes.c_size_t(65536))
    for _ in range(n):
        thread = ctypes.c_ulong()
        libc.pthread_create(ctypes.byref(thread), attributes, pause, None)


signal.alarm(600)
idle_threads(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
sys.setrecursionlimit(10000)
with open(sys.argv[1], "r+b") as file:
    descend(DEPTH, mmap.mmap(file.fileno(), 8))
