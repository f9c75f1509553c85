# SPDX-License-Identifier: Apache-2.0
"""Code objects: address, first line, name, file and offset:line of each instruction, then "." and a wait."""
import dis
import functools
import json
import os
import sys
import threading
import types

out = []
keep = []


def lines_of(code):
    if hasattr(code, "co_lines"):
        spans = [(start, line or 0) for start, end, line in code.co_lines() if end > start]
    else:
        spans = [(start, line) for start, line in dis.findlinestarts(code)]
    return " ".join("%d:%d" % span for span in spans)


def show(code):
    keep.append(code)
    out.append("\t".join(["%x" % id(code), str(code.co_firstlineno),
                          getattr(code, "co_qualname", code.co_name), code.co_filename, lines_of(code)]))
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            show(const)


def compiled(text, filename="made up"):
    return compile(text, filename, "exec")


def say():
    sys.stdout.buffer.write(("\n".join(out) + "\n.\n").encode("utf-8", "backslashreplace"))
    sys.stdout.flush()
    del out[:]
    sys.stdin.readline()


for module in (dis, functools, json, threading, os):
    source = getattr(module, "__cached__", None) and module.__spec__.loader.get_code(module.__name__)
    if source:
        show(source)
    else:
        for value in vars(module).values():
            if isinstance(value, types.FunctionType):
                show(value.__code__)
show(compiled(u"def caf\xe9():\n pass\ndef \u4e2d\u6587():\n pass\ndef \U00020000():\n pass\n"))
show(compiled("def %s():\n pass\n" % ("long" * 250)))
show(compiled("x = 1\n", u"dir/\u4e2d \udc80.py"))
show(compiled("\n" * 70000 + "def far():\n return 1\n"))
show(compiled("\n".join("x%d = %d" % (i, i) for i in range(30000)), "generated.py"))
say()
