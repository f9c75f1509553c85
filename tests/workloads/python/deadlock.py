# SPDX-License-Identifier: Apache-2.0
"""Two threads, two locks, each holding one and waiting for the other's."""
import threading

first, second = threading.Lock(), threading.Lock()
both = threading.Barrier(2)


def transfer(held, wanted):
    with held:
        both.wait()
        with wanted:  # WAITS
            print("never")


def debit():
    transfer(first, second)  # DEBIT


def credit():
    transfer(second, first)  # CREDIT


threads = [threading.Thread(target=debit, name="debit"), threading.Thread(target=credit, name="credit")]
for thread in threads:
    thread.start()
while not (first.locked() and second.locked()):
    pass
print("ready", flush=True)
for thread in threads:
    thread.join()  # JOINS
