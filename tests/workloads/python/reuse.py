# SPDX-License-Identifier: Apache-2.0
"""Makes code, runs it for a moment and frees it, again and again, so that code objects, names and line
tables come to lie where others lay. Which code it is, is told three times over: function fN is in a file
N.py, and calls leaf(), always of that name and in the same file, whose line is 10 + N % 500. reuse.py [SECONDS]"""
import signal
import sys

signal.alarm(int(sys.argv[1]) if len(sys.argv) > 1 else 600)
TURNS = int(sys.argv[2]) if len(sys.argv) > 2 else 2000


def make(n):
    names = {"turns": TURNS}
    leaf = "\n" * (8 + n % 500) + "def leaf():\n  for i in range(turns): i * i\n"
    exec(compile(leaf, "leaf.py", "exec"), names)
    exec(compile("def f%d():\n  return leaf()\n" % n, "%d.py" % n, "exec"), names)
    return names


def run():
    n = 0
    while True:
        n += 1
        names = make(n)
        names["f%d" % n]()
        names.clear()


print("ready", flush=True)
run()
