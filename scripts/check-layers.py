#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who may include whom: a .c file takes <csample/*.h> and headers of its own room, and only the
contracts its room may know. Prints each breach; exit status 1 if there is one."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BASE = {"err", "mem", "log", "clock", "intern", "vec", "hash", "bytes", "strbuf", "rmem", "frame", "snapshot", "stats"}
TARGET = BASE | {"image", "target", "field", "runtime", "core"}
MAY = {
    "base": BASE,
    "target": TARGET | {"find"},
    "trigger": TARGET | {"trigger"},
    "capture": TARGET | {"trigger", "capture", "recorded", "recording"},
    "unwind": TARGET | {"unwinder"},
    "decode": TARGET | {"decode"},
    "symbols": TARGET | {"symbols"},
    "profile": BASE | {"profile", "view"},
    "top": BASE | {"profile", "view", "format", "top"},
    "emit": BASE | {"profile", "format"},
    "engine": TARGET | {"decode", "trigger", "capture", "unwinder", "symbols", "engine", "recorded", "ledger", "once", "profile"},
    "top": BASE | {"profile", "view", "format", "top"},
    "outlet": BASE | {"profile", "format", "outlet"},  # files, labels
    "store": BASE | {"profile", "format", "outlet", "store"},
    "push": BASE | {"profile", "format", "outlet"},
    "serve": BASE | {"profile", "format", "outlet", "serve"},
    "loop": TARGET | {"profile", "format", "outlet", "engine", "ledger", "symbols", "decode", "find", "serve", "loop"},
    "cmd": None,  # all
    "": None,  # src/main.c
}


def main():
    bad = 0
    files = [*ROOT.glob("src/**/*.[ch]"), *ROOT.glob("runtimes/**/*.[ch]")]
    for path in sorted(files):
        parts = path.relative_to(ROOT).parts
        room = parts[1] if parts[0] == "src" and len(parts) > 2 else ""
        allowed = TARGET if parts[0] == "runtimes" else MAY.get(room, set())
        for number, line in enumerate(path.read_text().splitlines(), 1):
            where = f"{path.relative_to(ROOT)}:{number}"
            contract = re.match(r"\s*#\s*include\s*<csample/(\w+)\.h>", line)
            if contract and allowed is not None and contract[1] not in allowed:
                print(f"{where}: room '{room}' may not know <csample/{contract[1]}.h>")
                bad += 1
            own = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
            if own and "/" in own[1] and (parts, own[1]) != (("src", "main.c"), "cmd/options.h"):
                print(f'{where}: "{own[1]}" is another room\'s header')
                bad += 1
    for header in sorted((ROOT / "include/csample").glob("*.h")):
        room_blind = header.stem in {"profile", "format"}
        for number, line in enumerate(header.read_text().splitlines(), 1):
            m = re.match(r"\s*#\s*include\s*<csample/(\w+)\.h>", line)
            if room_blind and m and m[1] in {"target", "image", "capture", "trigger"}:
                print(f"include/csample/{header.name}:{number}: a profile cannot see a process")
                bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
