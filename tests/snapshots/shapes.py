# SPDX-License-Identifier: Apache-2.0
"""The program that the recordings in this folder are of: a thread for each shape of stack, all blocked
in hold(). Python itself says what their stacks are: a JSON file, written when all have come to rest.
Runs on 3.6 and later. Usage: shapes.py FILE"""
import functools
import gc
import json
import re
import sys
import threading
import time
import types

gate = threading.Lock()
gate.acquire()


def hold():
    gate.acquire()


def recursion(n):
    if n:
        recursion(n - 1)
    else:
        hold()


def inner_generator():
    yield 1
    hold()
    yield 2


def outer_generator():
    yield from inner_generator()


def generators():
    for _ in outer_generator():
        pass


def callbacks():
    def key(x):
        return functools.reduce(fold, [x, 2, 3])

    def fold(a, b):
        return re.sub("x", replace, "x" * a)

    def replace(match):
        hold()

    sorted([1, 2], key=key)


class Base:
    def __init__(self, number, *rest, flag=False):
        self.number = number
        self.enter(rest, flag)

    def enter(self, rest, flag):
        text = "caf\u00e9 \u4f60\u597d"
        data = {"a": [1, 2.5, None, True], "b": (text, b"bytes"), 3: {4}}
        self.data = data
        hold()


class Derived(Base):
    @classmethod
    def make(cls):
        return cls(12345678901234567890, 1, 2, flag=True)

    @property
    def prop(self):
        return self.make()


def methods():
    Derived.prop.fget(Derived)


class Awaitable:
    def __await__(self):
        hold()
        yield


async def leaf():
    await Awaitable()


async def middle():
    return await leaf()


def coroutines():
    middle().send(None)


def executed():
    source = "\n" * 300 + "def f\u00fcnf(n):\n    if n:\n        f\u00fcnf(n - 1)\n    else:\n        hold()\nf\u00fcnf(2)\n"
    exec(compile(source, "<ex\u00e9cut\u00e9>", "exec"), {"hold": hold})


def comprehension():
    return [hold() for _ in range(2)]


def long_names():
    name = "long_" * 50
    space = {"hold": hold}
    exec("def %s():\n    hold()\n" % name, space)
    space[name]()


SHAPES = [recursion, generators, callbacks, methods, coroutines, executed, comprehension, long_names]


def run(shape):
    if shape is recursion:
        shape(12)
    else:
        shape()


def qualified(code, functions):
    return getattr(code, "co_qualname", None) or functions.get(code, code.co_name)


def report(path, threads):
    def at_rest():
        frames = sys._current_frames()
        return all(t.ident in frames and frames[t.ident].f_code is hold.__code__ for t in threads)

    while not at_rest():
        time.sleep(0.01)
    functions = {f.__code__: f.__qualname__ for f in gc.get_objects() if isinstance(f, types.FunctionType)}
    frames = sys._current_frames()
    stacks = {}
    for thread in threads:
        frame, stack = frames[thread.ident], []
        while frame:
            code = frame.f_code
            stack.append([code.co_name, qualified(code, functions), code.co_filename, frame.f_lineno])
            frame = frame.f_back
        stacks[thread.name] = stack
    with open(path + ".part", "w") as out:
        json.dump(stacks, out)
    import os
    os.rename(path + ".part", path)


def main():
    threads = [threading.Thread(target=run, args=(shape,), name=shape.__name__, daemon=True) for shape in SHAPES]
    for thread in threads:
        thread.start()
    report(sys.argv[1], threads)
    time.sleep(1000)


if __name__ == "__main__":
    main()
