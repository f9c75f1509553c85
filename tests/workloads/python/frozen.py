# SPDX-License-Identifier: Apache-2.0
"""Threads that stand still in places known, and what Python itself says of each thread's frames. Runs on
CPython 3.6 and later.

A shape is a function that ends up in freeze(). Frames are told as sys._current_frames() has them: what an
outside observer must see too."""
import gc
import json
import os
import sys
import threading
import time
import types

SHAPES = []  # (name, function)
REACHED = []  # idents of the threads that stand still
TIDS = {}  # ident -> kernel thread id
NAMES = {}
INNER = {}  # ident -> frames of the sub-interpreter that this thread runs, innermost first


def shape(function):
    SHAPES.append((function.__name__, function))
    return function


def freeze(*_):
    # One line, so that the line is the same before, during and after: list.append() returns None.
    return REACHED.append(threading.get_ident()) or time.sleep(600)


def gettid():
    if hasattr(threading, "get_native_id"):
        return threading.get_native_id()
    import ctypes
    return ctypes.CDLL(None).syscall(186)


def register(name):
    TIDS[threading.get_ident()] = gettid()
    NAMES[threading.get_ident()] = name


def run_shape(name, function):
    register(name)
    function()


def start_all(wanted=None, last=("import_hook",)):
    """The last ones hold locks that the others need (the import system's)."""
    shapes = [(name, function) for name, function in SHAPES if wanted is None or name in wanted]
    already = len(REACHED)
    for some in ([s for s in shapes if s[0] not in last], [s for s in shapes if s[0] in last]):
        for name, function in some:
            threading.Thread(target=run_shape, args=(name, function), name=name, daemon=True).start()
        already += len(some)
        wait_frozen(already)


def wait_frozen(n):
    """True when n threads stand still; a shape that does not get there makes it False."""
    end = time.monotonic() + 60
    while len(REACHED) < n and time.monotonic() < end:
        time.sleep(0.005)
    return len(REACHED) >= n


def qualnames():
    """{code object id: qualified name}: before 3.11 code objects know their bare name only."""
    if hasattr(types.CodeType, "co_qualname"):
        return {}
    names = {}
    for thing in gc.get_objects():
        if type(thing) is types.FunctionType:
            names[id(thing.__code__)] = thing.__qualname__
    return names


def frames_of(frame, names):
    frames = []
    while frame:
        code = frame.f_code
        told = {"name": code.co_name, "file": code.co_filename, "line": frame.f_lineno}
        qualname = getattr(code, "co_qualname", names.get(id(code)))
        if qualname:
            told["qualname"] = qualname
        frames.append(told)
        frame = frame.f_back
    return frames


def truth():
    """What Python says, of every thread that stands still."""
    names, threads = qualnames(), []
    for ident, frame in sys._current_frames().items():
        if ident in TIDS and ident in REACHED:
            frames = INNER.get(ident, []) + frames_of(frame, names)
            threads.append({"tid": TIDS[ident], "name": NAMES[ident], "frames": frames})
    return {"pid": os.getpid(), "version": list(sys.version_info[:3]), "threads": threads}


def report_on_request(path):
    """Says "ready", waits for a line, then writes the truth: not before, since asking Python for its frames
    makes objects of them, and who looks on must see them without as well."""
    print("ready %d" % len(REACHED), flush=True)
    for _ in sys.stdin:
        # Not open(): it may import, and a shape stands still in the middle of an import.
        file = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        text = json.dumps(truth()).encode()
        while text:
            text = text[os.write(file, text):]
        os.close(file)
        os.rename(path + ".new", path)
        print("written", flush=True)
