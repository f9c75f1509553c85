# SPDX-License-Identifier: Apache-2.0
"""Objects of all kinds: for each, its address and what is expected of it, then "." and a wait."""
import array
import collections
import enum
import random
import sys
import types


class Plain(object):
    def method(self):
        pass


class Slotted(object):
    __slots__ = ("a",)


class Number(int):
    pass


class Text(str):
    pass


class Color(enum.IntEnum):
    RED = 2


class Mapping(dict):
    pass


Point = collections.namedtuple("Point", "x y")
out = []
keep = []


def show(value, expected=None):
    keep.append(value)
    out.append("%x %s" % (id(value), repr(value) if expected is None else expected))


def plain(value):
    show(value, "<%s at 0x%x>" % (type(value).__name__, id(value)))


for value in (None, Ellipsis, NotImplemented, True, False, 0, 1, -1, 255, -256, 2**30 - 1, 2**30, -(2**30),
              2**31, 2**60, -(2**60) + 1, 2**63, 2**64, 10**18, 10**50, -(10**100) - 7, 3**1000, 7**600):
    show(value)
show(1 << 5000, "<int of about 5010 bits>")
for value in (0.0, -0.0, 1.0, 0.1, 1e15, 1e16, 1e17, 123456789012345680.0, 1e-4, 1e-5, 9.999e-5, 1.5, -2.5e-300,
              5e-324, 2.0**-44, 1.7976931348623157e308, float("inf"), float("-inf"), float("nan"), 1 / 3, 2 / 3e10):
    show(value)
rng = random.Random(4)
for _ in range(200):
    show(rng.uniform(-1, 1) * 10.0 ** rng.randint(-30, 30))
    show(rng.getrandbits(rng.randint(1, 1900)))
for value in (1j, 1 + 2j, -1.5 - 2.25j, 0.5j, complex(-0.0, 1), complex(3, float("inf")), -2j):
    show(value)
for value in ("", "abc", "it's", 'say "no"', "it's \"no\"", "tab\tnl\ncr\r\\", "\x00\x01\x7f\x80\xa0\xad", "\xe9t\xe9",
              u"\u4e2d\u6587", u"\U0001f600 \U0002000b", u"\u200b\u2028\ufeff", "a" * 256, u"\udc80\ud800",
              u"\ue000 \U000e0001", u"\u3000"):
    show(value)
show("x" * 300, "'" + "x" * 256 + "'...")
for value in (b"", b"abc", b"\x00\xff'\"\n", b"it's"):
    show(value)
show(b"y" * 300, "b'" + "y" * 256 + "'...")
for value in ((), (1,), (1, 2), ((1,), [2]), [], [1, "a", None], [[1], [2, [3]]], {}, {"a": 1, 2: "b"},
              {(1, 2): [3]}, {i: i * i for i in range(20)}, {str(i): i for i in range(32)}, {1.5: None},
              set(), {1}, frozenset(), frozenset([7])):
    show(value)
show(list(range(33)), "[" + ", ".join(map(str, range(32))) + ", ...]")
show({i: 0 for i in range(40)}, "{" + ", ".join("%d: 0" % i for i in range(32)) + ", ...}")
many = {i: 0 for i in range(100000)}
show(many, "{" + ", ".join("%d: 0" % i for i in range(32)) + ", ...}")
shrunk = {i: i for i in range(300)}
for i in range(5, 300):
    del shrunk[i]
show(shrunk)
removed = {1, 2, 3}
removed.discard(2)
show(removed)
loop = [1]
loop.append(loop)
show(loop, "[1, [...]]")
cycle = {}
cycle["me"] = cycle
show(cycle, "{'me': {...}}")
pair = ([],)
pair[0].append(pair)
show(pair, "([(...)],)")
deep = [[[[[[1]]]]]]
show(deep, "[[[[[...]]]]]")
# The dict of an instance shares its keys with others of its class.
a, b = Plain(), Plain()
a.x, a.y = 1, 2
b.x, b.y = 3, "four"
show(b.__dict__, "{'x': 3, 'y': 'four'}")
plain(a)
plain(Slotted())
plain(object())
numbers = array.array("i", [1])
show(numbers, "<array.array at 0x%x>" % id(numbers))
plain(range(3))
plain(Exception("no"))
show(Number(5), "Number(5)")
show(Text("t"), "Text('t')")
show(Color.RED, "Color(2)")
show(Point(1, "b"), "Point(1, 'b')")
show(Mapping(a=1), "Mapping({'a': 1})")
show(collections.OrderedDict([("k", "v")]), "OrderedDict({'k': 'v'})")
show(collections.defaultdict(int, {1: 2}), "defaultdict({1: 2})")
show(Plain, "<class 'Plain'>")
show(int)
show(Plain.method, "<function Plain.method at 0x%x>" % id(Plain.__dict__["method"]))
show(sys, "<module 'sys'>")
show(types, "<module 'types'>")
text = "\n".join(out) + "\n.\n"
sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
sys.stdout.flush()
sys.stdin.readline()
