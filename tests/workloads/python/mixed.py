# SPDX-License-Identifier: Apache-2.0
"""Python, C, Python, C ...: mixed.py LIBRARY [FOLDER of the extension module]. Threads "ctypes" and, with the
extension, "extension" sleep; "sorted" and "work" are for all. The order of frames is known."""
import ctypes
import functools
import signal
import sys
import threading
import time

library = ctypes.CDLL(sys.argv[1])
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)
reached = []


def stop():
    reached.append(1) or time.sleep(600)
    return 0


def by_ctypes(n):
    def callback(value):
        if n:
            by_ctypes(n - 1)
        else:
            stop()
        return value
    library.native_outer(CALLBACK(callback), 1)


def by_extension(n):
    if n:
        return native.outer(by_extension, n - 1)
    return stop()


def by_sorted():
    sorted([2, 1], key=lambda x: functools.reduce(lambda a, b: stop(), [x, x]))


def by_work():
    reached.append(1)
    while True:
        library.native_spin(1)


def extension_by_work():
    reached.append(1)
    while True:
        native.work(1)


threads = {"ctypes": lambda: by_ctypes(2), "sorted": by_sorted, "work": by_work}
if len(sys.argv) > 2:
    sys.path.insert(0, sys.argv[2])
    import native
    threads["extension"] = lambda: by_extension(3)
    threads["ext-work"] = extension_by_work
signal.alarm(300)
for name, function in threads.items():
    threading.Thread(target=function, name=name, daemon=True).start()
while len(reached) < len(threads):
    time.sleep(0.005)
print("ready", flush=True)
time.sleep(600)
