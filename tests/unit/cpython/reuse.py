# SPDX-License-Identifier: Apache-2.0
"""A code object, as code.py shows it, then "." and a wait; then one of the same shape, which the
allocator likes to put into the same memory; and so on."""
import sys
import types

for i in range(40):
    name = "name_%03d" % i
    code = compile("def %s(a, b):\n return a + b\n" % name, "made up", "exec")
    code = [c for c in code.co_consts if isinstance(c, types.CodeType)][0]
    text = "\t".join(["%x" % id(code), str(code.co_firstlineno), name, code.co_filename, "0:1"]) + "\n.\n"
    sys.stdout.write(text)
    sys.stdout.flush()
    sys.stdin.readline()
    del code, name, text
