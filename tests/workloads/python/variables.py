# SPDX-License-Identifier: Apache-2.0
"""Threads with names, blocked in functions with variables of all kinds. Prints, as one line of JSON, for
each of them {"name", "frames": [{"function", "arguments": {name: repr}, "locals": {name: repr}}]},
innermost frame first, then waits."""
import collections
import inspect
import json
import os
import sys
import threading
import types

release = threading.Event()
blocked = []


def wait():
    blocked.append(threading.current_thread())
    release.wait()


class Thing(object):
    def __init__(self, value):
        self.value = value
        wait()

    def method(self, one, two=2, *rest, **options):
        text = "line\n'quote' \u20ac \U0001f600"
        wait()
        return text

    @classmethod
    def made(cls, *, key, other=None):
        return cls(key + 1)


def closure(x, unused=0.1):
    y = [x, (x,), {x: {x}}]

    def inner(z):
        nonlocal y
        y = y + [z]
        wait()
        return x, y

    inner("z")
    return inner


def generator(n):
    for i in range(n):
        data = bytes(bytearray([i, 255, 39]))
        wait()
        yield i, data


def unset(flag):
    if flag:
        never = 1
    gone = 2
    del gone
    kept = -2.5e-8
    wait()
    return never, kept


def body():
    class Body(object):
        first = 1
        second = [first]
        wait()

    return Body


def many(a, b, c, d, e, f, g, h):
    big = 2**200
    negative = -(10**30)
    point = collections.namedtuple("Point", "x y")(1, 2)
    mapping = {"k%d" % i: i for i in range(8)}
    ordered = collections.OrderedDict(b=1, a=2)
    frozen = frozenset([3])
    truth = (True, False, None, Ellipsis, 1j)
    wait()
    return big, negative, point, mapping, ordered, frozen, truth


CASES = [
    ("instance", lambda: Thing(5)),
    ("method", lambda: object.__new__(Thing).method(1, 3.5, "r", more={"k": None})),
    ("classmethod", lambda: Thing.made(key=7)),
    ("closure", lambda: closure(11)),
    ("generator", lambda: list(generator(3))),
    ("unset", lambda: unset(False)),
    ("class body", body),
    ("many", lambda: many(1, "2", b"3", (4,), [5], {6}, {7: 8}, None)),
    (u"n\xe4me \u4e2d", lambda: wait()),
]


def show(value):
    if isinstance(value, (types.FunctionType, type)):
        return repr(value).replace("__main__.", "")
    if isinstance(value, collections.OrderedDict):
        return "OrderedDict(%r)" % dict(value)
    if isinstance(value, tuple) and type(value) is not tuple:
        return type(value).__name__ + repr(tuple(value))
    if isinstance(value, (int, float, complex, str, bytes, tuple, list, dict, set, frozenset)) or value in (None, ...):
        return repr(value)
    return "<%s at 0x%x>" % (type(value).__name__, id(value))


def frames(frame):
    while frame:
        if frame.f_code.co_filename == __file__ and frame.f_code.co_name != "<lambda>":
            code = frame.f_code
            args = inspect.getargs(code)
            names = list(args.args) + list(getattr(args, "kwonlyargs", []) or [])
            names += [n for n in (args.varargs, args.varkw) if n]
            variables = {k: show(v) for k, v in dict(frame.f_locals).items() if not k.startswith((".", "__"))}
            yield {"function": code.co_name, "arguments": {k: v for k, v in variables.items() if k in names},
                   "locals": {k: v for k, v in variables.items() if k not in names}}
        frame = frame.f_back


threads = [threading.Thread(target=target, name=name, daemon=True) for name, target in CASES]
for thread in threads:
    thread.start()
while len(blocked) < len(threads):
    release.wait(0.01)
current = sys._current_frames()
truth = [{"name": t.name, "frames": list(frames(current[t.ident]))} for t in threads]
del current
sys.stdout.write(json.dumps(truth) + "\n")
sys.stdout.flush()
sys.stdin.readline()
os._exit(0)
