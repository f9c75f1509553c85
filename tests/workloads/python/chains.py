# SPDX-License-Identifier: Apache-2.0
"""Two chains of five functions that alternate, as fast as they can: a stack with functions of both, or a
caller whose line is not that of its call, never was. chains.py [SECONDS]"""
import signal
import sys


def a1(x):
    y = x + 1
    y = a2(y)
    return y


def a2(x):
    y = x + 1
    y = a3(y)
    return y


def a3(x):
    y = x + 1
    y = a4(y)
    return y


def a4(x):
    y = x + 1
    y = a5(y)
    return y


def a5(x):
    y = x + 1
    y ^= 3
    return y


def b1(x):
    y = x + 1
    y = b2(y)
    return y


def b2(x):
    y = x + 1
    y = b3(y)
    return y


def b3(x):
    y = x + 1
    y = b4(y)
    return y


def b4(x):
    y = x + 1
    y = b5(y)
    return y


def b5(x):
    y = x + 1
    y ^= 3
    return y


def run():
    x = 0
    while True:
        x = a1(x) & 1023
        x = b1(x) & 1023


signal.alarm(int(sys.argv[1]) if len(sys.argv) > 1 else 600)
print("ready", flush=True)
run()
