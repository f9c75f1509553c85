# SPDX-License-Identifier: Apache-2.0
"""Two threads that want the lock, one that works without it, one that sleeps."""
import signal
import threading
import time
import zlib


def spin():
    x = 0
    while True:
        x = (x * 31 + 1) & 0xffff


def spin_a():
    spin()


def spin_b():
    spin()


def without_lock():
    data = bytes(1 << 25)
    while True:
        zlib.crc32(data)  # lets go of the lock for long


def sleeper():
    time.sleep(600)


signal.alarm(600)
for function in spin_a, spin_b, without_lock, sleeper:
    threading.Thread(target=function, name=function.__name__, daemon=True).start()
print("ready", flush=True)
time.sleep(600)
