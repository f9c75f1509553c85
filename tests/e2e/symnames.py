# SPDX-License-Identifier: Apache-2.0
"""Names of addresses as csample gives them (through tests/tools/symname.c) and as other tools do."""
import os
import pathlib
import random
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SAN = bool(os.environ.get("CSAMPLE_SAN"))


def need(tool):
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")
    return tool


def run(*command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, errors="replace",
                          **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


def build_symname(directory):
    library = ROOT / ("build/san" if SAN else "build/rel") / "libcsample.a"
    if not library.exists():
        pytest.skip(f"{library} is not built")
    lines = re.search(r"^PKGS\s*:=\s*((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(), re.M)[1]
    packages = lines.replace("\\\n", " ").split()
    libraries = run("pkg-config", "--libs", *packages).split()
    program = directory / "symname"
    sanitize = ["-fsanitize=address,undefined"] if SAN else []
    run("cc", "-std=gnu17", "-D_GNU_SOURCE", "-O1", "-g", *sanitize, f"-I{ROOT}/include", "-o", program,
        ROOT / "tests/tools/symname.c", library, *libraries, "-liberty", "-lm", "-ldl", "-pthread")
    return program


def section(path, name=".text"):
    for line in run("readelf", "-SW", path).splitlines():
        if m := re.search(re.escape(f" {name} ") + r"\s*\w+\s+(\w+) \w+ (\w+)", line):
            return int(m[1], 16), int(m[2], 16)
    raise AssertionError(f"{path} has no {name}")


def addresses(path, n=1500, name=".text"):
    """The same ones for the same file, all over its code."""
    start, size = section(path, name)
    chosen = random.Random(1)
    return sorted({start + chosen.randrange(size) for _ in range(n)})


def as_input(addrs):
    return "\n".join(hex(a) for a in addrs) + "\n"


def plain(file, line):
    """One way to write what has no line; paths without "." and ".."."""
    return ("?", 0) if not line or file in ("?", "??") else (os.path.normpath(file), line)


class Frame:
    def __init__(self, function, file, line, inlined=None):
        self.function = function
        self.place = plain(file, line)
        self.inlined = inlined

    def __repr__(self):
        return f"{self.function} ({self.place[0]}:{self.place[1]})"


def csample(symname, path, addrs, *options, env=None):
    """{address: [Frame, innermost first]} and what it says of where the names come from."""
    done = subprocess.run([str(c) for c in (symname, *options, path)], input=as_input(addrs),
                          capture_output=True, text=True, errors="replace",
                          env=dict(os.environ, **(env or {})))
    assert done.returncode == 0, done.stderr
    names = {}
    for line in done.stdout.splitlines():
        addr, kind, function, file, number, _ = line.split("\t")
        names.setdefault(int(addr, 16), []).append(
            Frame(function, file, int(number), kind == "inlined"))
    assert sorted(names) == sorted(addrs)
    return names, re.search(r"^source: (.*)$", done.stderr, re.M)[1]


def addr2line(path, addrs, tool="addr2line"):
    out = run(need(tool), "-a", "-i", "-f", "-e", path, input=as_input(addrs)).splitlines()
    names, i = {}, 0
    while i < len(out):
        if re.fullmatch(r"0x[0-9a-f]+", out[i]):
            frames = names[int(out[i], 16)] = []
            i += 1
            continue
        file, line = re.sub(r" \(discriminator \d+\)", "", out[i + 1]).rsplit(":", 1)
        frames.append(Frame(out[i], file, int(line) if line.isdigit() else 0))
        i += 2
    return names


def same_inlined(mine, theirs):
    """Where DWARF has no linkage name, csample composes one, where others give the bare name, or that
    of the function around it (binutils)."""
    return mine == theirs or mine.endswith("::" + theirs) or not mine.startswith("_")


def assert_same(mine, theirs, allowed=0.0):
    """Places must be equal, and names of inlined functions; share allowed may differ."""
    wrong = []
    for addr, want in theirs.items():
        got = mine[addr]
        ok = [f.place for f in got] == [f.place for f in want]
        if ok:
            ok = all(same_inlined(g.function, w.function) for g, w in zip(got[:-1], want[:-1]))
        if not ok:
            wrong.append(f"{addr:#x}: {got}\n    but {want}")
    assert len(wrong) <= allowed * len(theirs), \
        f"{len(wrong)} of {len(theirs)} differ\n" + "\n".join(wrong[:10])
    # Not by agreeing that nothing is known.
    assert sum(f[0].place[1] > 0 for f in mine.values()) > len(mine) // 4


def find_llvm():
    for name in ["llvm-addr2line", *(f"llvm-addr2line-{n}" for n in range(22, 11, -1))]:
        if shutil.which(name):
            return name
    pytest.skip("llvm-addr2line is not installed")
    return None
