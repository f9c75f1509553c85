# SPDX-License-Identifier: Apache-2.0
"""A parent and its children of every kind, each busy in a function of its own: family.py KIND SECONDS.
Kinds: fork, exec, spawn, forkserver, pool, grandchild. They burn CPU time, by their own clock."""
import multiprocessing
import os
import signal
import subprocess
import sys
import time


def burn(seconds):
    """Ends with its parent, however that ended."""
    parent = os.getppid()
    signal.alarm(60)
    end = time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID) + seconds
    while time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID) < end:
        sum(i * i for i in range(200))
        if os.getppid() != parent:
            os._exit(1)
    signal.alarm(0)


def parent_work(seconds):
    burn(seconds)


def child_work(seconds):
    burn(seconds)
    return os.getpid()


def grandchild_work(seconds):
    print("ready", flush=True)
    burn(seconds)


def fork(seconds, work=child_work):
    pid = os.fork()
    if not pid:
        work(seconds)
        os._exit(0)
    return pid


def nested(seconds):
    pid = fork(seconds, grandchild_work)
    child_work(seconds)
    os.waitpid(pid, 0)


def main():
    kind, seconds = sys.argv[1], float(sys.argv[2])
    if kind == "child":
        return child_work(seconds)
    pids, processes, pool = [], [], None
    if kind == "fork":
        pids = [fork(seconds)]
    elif kind == "grandchild":
        pids = [fork(seconds, nested)]
    elif kind == "exec":
        processes = [subprocess.Popen([sys.executable, __file__, "child", str(seconds)])]
    elif kind == "pool":
        pool = multiprocessing.get_context("fork").Pool(2)
        pool.map_async(child_work, [seconds] * 2)
    else:
        processes = [multiprocessing.get_context(kind).Process(target=child_work, args=(seconds,))]
        processes[0].start()
    parent_work(seconds)
    for pid in pids:
        os.waitpid(pid, 0)
    for process in processes:
        process.wait() if hasattr(process, "wait") else process.join()
    if pool:
        pool.close()
        pool.join()


if __name__ == "__main__":
    main()
