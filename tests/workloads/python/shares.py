# SPDX-License-Identifier: Apache-2.0
"""Spends 70, 20 and 10 percent of its CPU time in functions of these names, by its own clock, and prints
their true shares when it gets SIGTERM."""
import signal
import sys
import time

SHARES = {"seventy": 0.7, "twenty": 0.2, "ten": 0.1}
CHUNK = 0.002


def now():
    return time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)


def work(n):
    x = n
    for i in range(200):
        x = (x * 31 + i) & 0xffff
    return x


def seventy(end):
    while now() < end:
        work(7)


def twenty(end):
    while now() < end:
        work(2)


def ten(end):
    while now() < end:
        work(1)


def leave(number, frame):
    total = sum(spent.values())
    for name in SHARES:
        print(name, spent[name] / total)
    sys.stdout.flush()
    sys.exit(0)


functions = {"seventy": seventy, "twenty": twenty, "ten": ten}
spent = dict.fromkeys(SHARES, 0.0)
signal.signal(signal.SIGTERM, leave)
signal.alarm(600)
print("ready", flush=True)
while True:
    # Whoever is furthest behind its share.
    name = min(SHARES, key=lambda n: spent[n] / SHARES[n])
    then = now()
    functions[name](then + CHUNK)
    spent[name] += now() - then
