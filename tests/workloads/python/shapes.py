# SPDX-License-Identifier: Apache-2.0
"""shapes.py TRUTH [SHAPE...]: a thread standing still in each shape, the main thread in a signal handler.
Says "ready N", then writes the truth to the file TRUTH when it is told a line."""
import os
import signal
import sys
import threading

import frozen
import shapes_async  # noqa: F401
import shapes_calls  # noqa: F401
import shapes_code  # noqa: F401

INNER = """
import sys, time, os, json
def frames(f):
    found = []
    while f:
        c = f.f_code
        found.append({"name": c.co_name, "file": c.co_filename, "line": f.f_lineno})
        known = {"method": "Inner.method"}.get(c.co_name, c.co_name)
        found[-1]["qualname"] = getattr(c, "co_qualname", known)
        f = f.f_back
    return found
def tell(f):
    os.write(FD, json.dumps(frames(f)).encode() + b"\\n")
class Inner:
    def method(self, n):
        if n:
            return list(map(self.method, [n - 1]))
        return tell(sys._getframe()) or time.sleep(600)
Inner().method(3)
"""


def interpreters():
    """(create(name), run(interpreter, source)); None before 3.8."""
    try:
        import _interpreters as module  # 3.13 on
        run = module.exec
    except ImportError:
        try:
            import _xxsubinterpreters as module
        except ImportError:
            return None
        run = module.run_string

    def create(name):
        for options in (lambda: module.create(name), lambda: module.create(isolated=name == "isolated")):
            try:
                return options()
            except (TypeError, ValueError):
                pass  # 3.12 knows a flag, earlier ones nothing
        return module.create()
    return create, run


def in_interpreter(name, create, run, fd):
    frozen.register("sub-" + name)
    run(create(name), INNER.replace("FD", str(fd)))


def start_interpreters():
    """Threads in sub-interpreters: what they say of themselves comes through a pipe."""
    module = interpreters()
    for name in ("isolated", "legacy") if module else ():
        ours, theirs = os.pipe()
        thread = threading.Thread(target=in_interpreter, args=(name, *module, theirs), name="sub-" + name, daemon=True)
        thread.start()
        told = b""
        while not told.endswith(b"\n"):
            told += os.read(ours, 65536)
        frozen.INNER[thread.ident] = frozen.json.loads(told.decode())
        frozen.REACHED.append(thread.ident)
    return 2 if module else 0


def reporter(path, expected):
    if not frozen.wait_frozen(expected):
        missing = set(frozen.NAMES.values()) - {frozen.NAMES[i] for i in frozen.REACHED}
        print("not there: %s" % sorted(missing), flush=True)
        os._exit(1)
    frozen.report_on_request(path)
    os._exit(0)


def handler(number, frame):
    frozen.freeze()


def in_main():
    class Raiser:
        def __eq__(self, other):
            os.kill(os.getpid(), signal.SIGUSR1)
            for _ in range(1000):
                pass
    return [Raiser()].index(1)


def main():
    path, wanted = sys.argv[1], sys.argv[2:] or None
    sys.setrecursionlimit(5000)
    expected = start_interpreters() if not wanted or "subinterpreters" in wanted else 0
    frozen.start_all(wanted)
    expected += len([name for name, _ in frozen.SHAPES if wanted is None or name in wanted])
    if not wanted or "main" in wanted:
        expected += 1
    threading.Thread(target=reporter, args=(path, expected), name="reporter", daemon=True).start()
    frozen.register("main")
    signal.signal(signal.SIGUSR1, handler)
    if not wanted or "main" in wanted:
        in_main()
    else:
        frozen.time.sleep(600)


main()
