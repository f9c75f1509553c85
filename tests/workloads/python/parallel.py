# SPDX-License-Identifier: Apache-2.0
"""The chains of chains.py, run by several threads that share its code objects: parallel.py
two        two threads, for ever
many       ever new ones, which end soon; what they leave is collected now and then"""
import gc
import pathlib
import signal
import sys
import threading

SOURCE = pathlib.Path(__file__).with_name("chains.py")
CHAINS = {"__name__": "chains"}
exec(compile(SOURCE.read_text().partition("\nsignal.alarm")[0], str(SOURCE), "exec"), CHAINS)
a1, b1 = CHAINS["a1"], CHAINS["b1"]


def turns():
    x = 0
    for _ in range(10000):
        x = a1(x) & 1023
        x = b1(x) & 1023


signal.alarm(600)
if sys.argv[1] == "two":
    for name in "one", "two":
        threading.Thread(target=CHAINS["run"], name=name, daemon=True).start()
    print("ready", flush=True)
    signal.pause()
else:
    print("ready", flush=True)
    while True:
        threads = [threading.Thread(target=turns) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        gc.collect()
