# SPDX-License-Identifier: Apache-2.0
"""NumPy between Python frames: thread "called" stands still in a function that a ufunc of NumPy's calls,
thread "multiply" multiplies matrices in C. with_numpy.py FOLDER of NumPy."""
import signal
import sys
import threading
import time

sys.path.insert(0, sys.argv[1])
import numpy  # noqa: E402

reached = []


def element(x):
    return reached.append(1) or time.sleep(600)


def called():
    numpy.frompyfunc(element, 1, 1)(numpy.arange(3))


def multiply():
    a = numpy.arange(160000, dtype="int64").reshape(400, 400)
    reached.append(1)
    while True:
        a.dot(a)  # MULTIPLIES


signal.alarm(300)
for function in called, multiply:
    threading.Thread(target=function, name=function.__name__, daemon=True).start()
while len(reached) < 2:
    time.sleep(0.01)
print("ready", flush=True)
time.sleep(600)
