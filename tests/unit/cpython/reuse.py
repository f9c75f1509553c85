# SPDX-License-Identifier: Apache-2.0
"""A code object, as code.py shows it, then "." and a wait; then one that differs in nothing but its
name, which the allocator likes to put into the same memory, name and all; and so on."""
import sys
import types


def base(a, b):
    return a + b


def renamed(code, name):
    if hasattr(code, "replace"):
        more = {"co_qualname": name} if hasattr(code, "co_qualname") else {}
        return code.replace(co_name=name, **more)
    return types.CodeType(code.co_argcount, code.co_kwonlyargcount, code.co_nlocals, code.co_stacksize, code.co_flags,
                          code.co_code, code.co_consts, code.co_names, code.co_varnames, code.co_filename, name,
                          code.co_firstlineno, code.co_lnotab)


first = base.__code__.co_firstlineno
filename = base.__code__.co_filename
for i in range(40):
    name = "name_%03d" % i
    code = renamed(base.__code__, name)
    sys.stdout.write("%x\t%d\t%s\t%s\t0:%d\n.\n" % (id(code), first, name, filename, first + 1))
    sys.stdout.flush()
    sys.stdin.readline()
    del code, name
