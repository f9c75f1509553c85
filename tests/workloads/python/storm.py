# SPDX-License-Identifier: Apache-2.0
"""Life at its edges: storm.py KIND. fork: children by the dozen, each gone at once. exec: becomes itself
again and again. threads: threads that begin and end. end: an interpreter that is busy while it finalizes.
reinit is for embedders. Functions are named NAME_of_KIND so that a wrong one is seen."""
import atexit
import os
import signal
import sys
import threading
import time


def burn(seconds):
    end = time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID) + seconds
    while time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID) < end:
        pass


def child_of_fork():
    burn(0.002)


def parent_of_fork(seconds):
    end = time.time() + seconds
    while time.time() < end:  # whose children are gone in milliseconds
        pids = []
        for _ in range(8):
            pid = os.fork()
            if not pid:
                child_of_fork()
                os._exit(0)
            pids.append(pid)
        for pid in pids:
            os.waitpid(pid, 0)


def image_of_exec(seconds, until):
    burn(0.02)
    if time.time() < until:
        os.execv(sys.executable, [sys.executable, "-S", "-E", __file__, "exec", str(seconds), str(until)])


def body_of_threads():
    burn(0.0005)


def parent_of_threads(seconds):
    end = time.time() + seconds
    while time.time() < end:
        threads = [threading.Thread(target=body_of_threads) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


class Last:
    def __del__(self, burn=burn):
        burn(0.2)


def daemon_of_end():
    while True:
        pass


def at_exit_of_end():
    burn(0.2)


def main():
    kind, seconds = sys.argv[1], float(sys.argv[2])
    signal.alarm(100)
    if kind == "fork":
        parent_of_fork(seconds)
    elif kind == "exec":
        image_of_exec(seconds, float(sys.argv[3]) if len(sys.argv) > 3 else time.time() + seconds)
    elif kind == "threads":
        parent_of_threads(seconds)
    elif kind == "end":
        sys.modules["last"] = Last()
        atexit.register(at_exit_of_end)
        for _ in range(2):
            threading.Thread(target=daemon_of_end, daemon=True).start()
        burn(0.3)


main()
