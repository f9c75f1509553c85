# SPDX-License-Identifier: Apache-2.0
"""Python called by Python, and by C that Python called."""
import collections
import contextlib
import copy
import ctypes
import functools
import gc
import itertools
import json
import operator
import pickle
import re
import sys
import threading
import weakref

from frozen import freeze, shape


@shape
def recursion():
    def descend(n):
        if n:
            return descend(n - 1)
        return freeze()
    descend(600)


@shape
def recursion_through_c():
    def descend(n):
        if n:
            return list(map(descend, [n - 1]))
        return freeze()
    descend(120)


@shape
def mutual_recursion():
    def even(n):
        return odd(
            n - 1,
        ) if n else freeze()

    def odd(n):
        x = n
        return even(x - 1)
    even(200)


class Thing:
    def __init__(self, *args, **kw):
        freeze()

    class Inner:
        def method(self):
            def local():
                return freeze()
            return local()


@shape
def init_through_type_call():
    Thing()


@shape
def init_through_map():
    list(map(Thing, [1]))


@shape
def init_of_subclass():
    class Sub(Thing):
        def __init__(self):
            super().__init__(1, *[2, 3], **{"four": 4})
    for _ in range(3):
        Sub()


@shape
def init_specialized():
    class Warm:
        def __init__(self, stop):
            if stop:
                freeze()

    def make(stop):
        return Warm(stop)
    for i in range(200):
        make(False)
    make(True)


@shape
def new_and_metaclass_call():
    class Meta(type):
        def __call__(cls, *args):
            return super().__call__(*args)

    class Made(metaclass=Meta):
        def __new__(cls):
            return freeze()
    Made()


@shape
def nested_class_method():
    Thing.Inner().method()


@shape
def sorted_key():
    sorted([3, 1, 2], key=lambda x: freeze() if x == 2 else x)


@shape
def list_sort_lt():
    class Item:
        def __lt__(self, other):
            return freeze()
    [Item(), Item()].sort()


@shape
def sort_cmp_to_key():
    def compare(a, b):
        return freeze()
    sorted([1, 2], key=functools.cmp_to_key(compare))


@shape
def reduce_map_filter():
    def fold(total, x):
        return total + sum(map(lambda y: len(list(filter(lambda z: freeze(), [y]))), [x]))
    functools.reduce(fold, [1, 2, 3])


@shape
def re_sub_callback():
    def replace(match):
        return freeze()
    re.sub("b+", replace, "abba")


@shape
def ctypes_qsort():
    compare_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))

    def compare(a, b):
        freeze()
        return a[0] - b[0]
    array = (ctypes.c_int * 4)(4, 1, 3, 2)
    ctypes.CDLL(None).qsort(array, 4, ctypes.sizeof(ctypes.c_int), compare_type(compare))


@shape
def eq_in_dict_lookup():
    class Key:
        def __hash__(self):
            return 7

        def __eq__(self, other):
            return freeze()
    {Key(): 1}[Key()]


@shape
def hash_in_set():
    class Key:
        def __hash__(self):
            return freeze()
    set([Key()])


@shape
def missing_and_default():
    class Missing(dict):
        def __missing__(self, key):
            return collections.defaultdict(freeze)[key]
    Missing()[1]


class Operators:
    def __getattr__(self, name):
        return freeze()

    def __add__(self, other):
        return str(self)

    def __radd__(self, other):
        return self[other]

    def __getitem__(self, key):
        return bool(self)

    def __bool__(self):
        return 1 in self

    def __contains__(self, item):
        return self(item) == 1

    def __call__(self, *args):
        return len(self)

    def __len__(self):
        return -self

    def __neg__(self):
        return self.missing

    def __repr__(self):
        return "%s" % (self + 1)

    def __format__(self, spec):
        return repr(self)

    def __str__(self):
        return sum([1, self])


@shape
def operators():
    "{:10}".format(Operators())


@shape
def attribute_protocols():
    class Descriptor:
        def __get__(self, instance, owner):
            return instance.value

        def __set__(self, instance, value):
            instance.reader

    class Owner:
        attribute = Descriptor()

        @property
        def value(self):
            return type(self).make(1)

        @classmethod
        def make(cls, n):
            return cls.stop(n)

        @staticmethod
        def stop(n):
            return freeze()

        def __getattribute__(self, name):
            return super().__getattribute__(name)

        def __setattr__(self, name, value):
            super().__setattr__(name, value)

        @property
        def reader(self):
            return operator.attrgetter("attribute")(self)
    Owner().attribute = 1


@shape
def context_managers():
    class Manager:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            with generator_manager():
                pass

    @contextlib.contextmanager
    def generator_manager():
        try:
            yield 1
        finally:
            with contextlib.ExitStack() as stack:
                stack.callback(freeze, 1)
    with Manager() as _:
        int("1")


@shape
def exit_on_exception():
    class Manager:
        def __enter__(self):
            return self

        def __exit__(self, kind, value, traceback):
            return freeze()
    with Manager():
        raise ValueError(1)


@shape
def except_and_finally():
    def fail():
        try:
            raise KeyError(1)
        except KeyError:
            try:
                {}["x"]
            finally:
                freeze()
    try:
        fail()
    except Exception:
        pass


@shape
def del_by_refcount():
    class Doomed:
        def __del__(self):
            freeze()
    doomed = Doomed()
    del doomed


@shape
def del_by_rebinding():
    class Doomed:
        def __del__(self):
            freeze()

    def owner():
        doomed = Doomed()
        doomed = None
        return doomed
    owner()


@shape
def weakref_callback():
    class Target:
        pass
    target = Target()
    reference = weakref.ref(target, freeze)
    del target
    return reference


@shape
def decorated():
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args, **kw):
            return function(*args, **kw)
        return wrapper

    @decorate
    @functools.lru_cache(None)
    @decorate
    def inner(n):
        return functools.partial(freeze, n)()
    inner(1)


@shape
def singledispatch():
    @functools.singledispatch
    def dispatch(x):
        return x

    @dispatch.register(int)
    def _(x):
        return freeze()
    dispatch(1)


@shape
def keywords_and_closures():
    def outer(a, *args, b=2, **kw):
        def inner(c=lambda: freeze()):
            return c() + a
        return inner(**kw)
    outer(*(1, 2, 3), **{"b": 4})


@shape
def pickle_and_copy():
    class State:
        def __reduce_ex__(self, protocol):
            return pickle.dumps(self.again)

        @property
        def again(self):
            return freeze()
    copy.deepcopy([State()])


@shape
def json_default():
    json.dumps({"a": [object()]}, default=lambda thing: freeze())


@shape
def itertools_and_zip():
    list(zip(itertools.starmap(lambda a, b: max([a, b], key=freeze), [(1, 2)]), [1]))


@shape
def set_name_and_init_subclass():
    class Attribute:
        def __set_name__(self, owner, name):
            class Sub(Base):
                pass

    class Base:
        def __init_subclass__(cls, **kw):
            freeze()

    class Holder:
        attribute = Attribute()


@shape
def thread_local_init():
    class Local(threading.local):
        def __init__(self):
            freeze()
    Local()


@shape
def namedtuple_and_generated():
    class Field:
        def __eq__(self, other):
            return freeze()
    point = collections.namedtuple("Point", "x y")
    point(Field(), 1) == point._make([Field(), 2])


@shape
def traced():
    def tracer(frame, event, arg):
        return tracer

    def body():
        x = 1
        y = x + 1
        freeze()
        return y
    sys.settrace(tracer)
    body()


@shape
def profiled():
    sys.setprofile(lambda frame, event, arg: None)
    list(map(freeze, [1]))


@shape
def trace_function_itself():
    def tracer(frame, event, arg):
        if event == "line" and frame.f_code.co_name == "body":
            sys.settrace(None)
            freeze()
        return tracer

    def body():
        return 1
    sys.settrace(tracer)
    body()


@shape
def gc_callback():
    ident = threading.get_ident()

    def callback(phase, info):
        if threading.get_ident() == ident and callback in gc.callbacks:
            gc.callbacks.remove(callback)
            freeze()
    gc.callbacks.append(callback)
    gc.collect()


@shape
def print_to_python_file():
    class File:
        def write(self, text):
            freeze()
    print("x", file=File())
