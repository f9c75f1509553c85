# SPDX-License-Identifier: Apache-2.0
"""Code that is no plain function of a plain file: class bodies, exec, imports, strange names, and line
tables of every kind."""
import os
import sys
import tempfile

from frozen import freeze, shape


@shape
def class_body():
    class Outer:
        class Inner:
            value = [freeze() for _ in "x"]


@shape
def class_body_with_metaclass():
    class Meta(type):
        @classmethod
        def __prepare__(mcs, name, bases):
            return dict(stop=freeze)

        def __new__(mcs, name, bases, namespace):
            return super().__new__(mcs, name, bases, namespace)

    class Made(metaclass=Meta):
        stop()  # noqa: F821 - from __prepare__


@shape
def metaclass_new():
    class Meta(type):
        def __new__(mcs, name, bases, namespace):
            freeze()
            return super().__new__(mcs, name, bases, namespace)
    Meta("Made", (), {})


@shape
def comprehensions():
    def table(n):
        return {x: [y for y in range(x) if freeze() or y] for x in range(n) if x}
    {len(table(3)) for _ in (1,)}


@shape
def generator_expressions():
    any(sum(freeze() or y for y in (1, 2)) for x in [1])


@shape
def lambdas():
    (lambda f: (lambda: f())())(lambda: freeze())


def run_code(source, filename, **names):
    exec(compile(source, filename, "exec"), dict(names, freeze=freeze, __name__="made"))


@shape
def exec_non_ascii_file_names():
    inner = "def innermost():\n    freeze()\ninnermost()\n"
    middle = "\n\nrun(%r, '/tmp/\u00e4\u00f6\u00fc/gr\u00fc\u00dfe.py', run=run)" % inner
    outer = "x = 1\nrun(%r, '/tmp/\u6f22\u5b57/\u30d5\u30a1\u30a4\u30eb.py', run=run)" % middle
    run_code(outer, "/tmp/\U00020000\U0001f40d.py", run=run_code)


@shape
def exec_and_eval_anonymous():
    exec("def f():\n  return eval('stop()')\nf()", {"stop": freeze})


@shape
def exec_surrogate_and_control_characters_in_file_name():
    run_code("freeze()", "/tmp/odd \udc80\udcff\t\n\"'<>&;%s\\x.py")


@shape
def empty_file_name():
    run_code("freeze()", "")


@shape
def long_names():
    name = "n" * 1000
    run_code("def %s():\n    freeze()\nclass %s:\n    @staticmethod\n    def m():\n        %s()\n%s.m()"
             % (name, name.upper(), name, name.upper()), "/tmp/" + "d" * 200 + "/" + "f" * 800 + ".py")


@shape
def names_latin1_cjk_and_beyond():
    run_code("def \u00e9\u00e8\u00fc\u00df():\n    freeze()\n"
             "def \u51fd\u6570\u540d():\n    \u00e9\u00e8\u00fc\u00df()\n"
             "def \U00020000\U00020001():\n    \u51fd\u6570\u540d()\n"
             "class \u0416\u0434:\n    def \u30e1():\n        \U00020000\U00020001()\n"
             "\u0416\u0434.\u30e1()", "names.py")


@shape
def name_that_is_no_identifier():
    def victim():
        freeze()
    code = victim.__code__
    strange = "a b;c\n<d>&\"'\\\x1b[31m\u202e()"
    if hasattr(code, "replace"):
        changed = {"co_name": strange}
        if hasattr(code, "co_qualname"):
            changed["co_qualname"] = "X." + strange
        victim.__code__ = code.replace(**changed)
    victim()


@shape
def late_first_line():
    run_code("\n" * 70000 + "def f():\n" + "\n" * 300 + "    freeze()\n" + "\n" * 40000 + "f()", "late.py")


@shape
def line_jumps_back():
    source = "def f(a, b, c):\n  pass\ndef g():\n  f(\n" + "\n" * 200 + "   1,\n" + "\n" * 300 + "   2,\n" + "   freeze(\n" \
             + "\n" * 150 + "   )\n  )\ng()"
    run_code(source, "jumps.py")


@shape
def call_over_many_lines():
    (freeze
     (
         1,

         2
     )
     )


@shape
def long_function():
    """Needs EXTENDED_ARG, a line table of more than 64 KiB, and stops near its end."""
    body = "".join("  x%d = (%d,\n     a + %d)\n" % (i, i, i) for i in range(6000))
    run_code("def f(a):\n" + body + "  for i in range(2):\n    if a:\n      freeze()\nf(1)", "long.py")


@shape
def many_arguments():
    names = ["a%d" % i for i in range(250)]  # 255 is 3.6's limit
    run_code("def f(%s):\n  return freeze()\nf(%s)" % (",".join(names), ",".join("1" for _ in names)), "many.py")


@shape
def loops_and_jumps():
    for i in range(3):
        while True:
            if i == 2:
                assert freeze() or \
                    True
            else:
                break


@shape
def deep_imports():
    folder = tempfile.mkdtemp(prefix="csample-imports-")
    package = os.path.join(folder, "outer_package")
    os.mkdir(package)
    files = {"outer_package/__init__.py": "from . import middle\n",
             "outer_package/middle.py": "import importlib\nimportlib.import_module('innermost_module')\n",
             "innermost_module.py": "\n\nfrom frozen import freeze\n\nfreeze()\n"}
    for name, text in files.items():
        with open(os.path.join(folder, name), "w") as file:
            file.write(text)
    sys.path.append(folder)
    import outer_package  # noqa: F401


@shape
def import_hook():
    class Finder:
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            return freeze() if name == "no_such_module_at_all" else None
    sys.meta_path.append(Finder)
    import no_such_module_at_all  # noqa: F401
