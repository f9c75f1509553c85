# SPDX-License-Identifier: Apache-2.0
"""Strings: for each, its address and its text as UTF-8 (surrogates as \\udcxx), then "." and a wait."""
import sys


class Text(str):
    pass


keep = ["", "a", "name" * 300, "x" * 70000, u"\xe9t\xe9 \xff", u"\u0100\u20ac", u"\u4e2d\u6587" * 200, u"\ud7ff\ue000\uffff",
        u"\U00010000\U0010ffff", u"mixed \xe9\u4e2d\U0001f600", u"\udc80 \ud800\udfff", Text("sub \u20ac"),
        sys.intern("interned_name")]
out = []
for text in keep:
    shown = text if len(text) <= 65536 else text[:65536] + "..."
    out.append(b"%x " % id(text) + shown.encode("utf-8", "backslashreplace"))
sys.stdout.buffer.write(b"\n".join(out) + b"\n.\n")
sys.stdout.flush()
sys.stdin.readline()
