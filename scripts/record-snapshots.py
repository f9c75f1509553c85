#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/snapshots/cpython-VERSION-SOURCE/shapes.snapshot and .txt for each interpreter that
tests/e2e/pythons.py finds, or for those named: runs tests/snapshots/shapes.py, records it by `csample
snapshot`, compares what the replay says with what Python says, and leaves out what the replay does
not need. The interpreter is shown at /opt/python in a mount namespace of its own, so that files do
not say where it was installed; needs root. Build first: make build/csample tests."""
import ctypes
import gzip
import json
import os
import pathlib
import re
import signal
import struct
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/e2e"))
import pythons  # noqa: E402

CSAMPLE = ROOT / "build/csample"
REPLAY = ROOT / "build/rel/tests/cpython/test_snapshots"
MAGIC = b"CSREC 1\n"
PIECE = 1024  # of long runs of memory, left out where they are not needed
LONG = 4096
CLONE_NEWNS = 0x20000


def chunks(data):
    at = len(MAGIC)
    while at < len(data):
        tag, size = data[at:at + 4], struct.unpack_from("<I", data, at + 4)[0]
        yield tag, data[at + 8:at + 8 + size]
        at += 8 + size


def pack(items):
    return MAGIC + b"".join(tag + struct.pack("<I", len(body)) + body for tag, body in items)


def neutral(path, prefix):
    """Where a file of the interpreter is shown; of what came with it only the name."""
    path = path.decode(errors="surrogateescape")
    if path.startswith(str(prefix) + "/"):
        path = "/opt/python" + path[len(str(prefix)):]
    elif path.startswith("/") and not path.startswith(("/usr/", "/opt/", "/lib")):
        path = "/opt/lib/" + path.rpartition("/")[2]
    return path.encode(errors="surrogateescape")


def rename(items, prefix):
    home = os.fsencode(pathlib.Path.home())
    for tag, body in items:
        if tag == b"PROC":
            name, said = body[20:].split(b"\0")[:2]
            body = body[:20] + name + b"\0" + b" ".join(neutral(w, prefix) for w in said.split()) + b"\0"
        if tag in (b"MEMO", b"SNAP"):
            body = re.sub(re.escape(home) + rb"/[\w./+-]*", lambda m: b"/" + b"h" * (len(m[0]) - 1), body)
        if tag == b"IMAG":
            path, _, elf = body.partition(b"\0")
            body = neutral(path, prefix) + b"\0" + elf
        elif tag == b"MAPS":
            at, out = 0, b""
            while at < len(body):
                end = body.index(b"\0", at + 40)
                out += body[at:at + 40] + neutral(body[at + 40:end], prefix) + b"\0"
                at = end + 1
            body = out
        yield tag, body


def split(items):
    for tag, body in items:
        if tag != b"MEMO" or len(body) < LONG:
            yield tag, body
            continue
        start = struct.unpack_from("<Q", body)[0]
        for at in range(0, len(body) - 8, PIECE):
            yield tag, struct.pack("<Q", start + at) + body[8 + at:8 + at + PIECE]


def join(items):
    """Neighbours in memory into one run."""
    out = []
    for tag, body in items:
        if tag == b"MEMO" and out and out[-1][0] == b"MEMO":
            last = out[-1][1]
            if struct.unpack_from("<Q", last)[0] + len(last) - 8 == struct.unpack_from("<Q", body)[0]:
                out[-1] = (tag, last + body[8:])
                continue
        out.append((tag, body))
    return out


def replay(items, path):
    path.write_bytes(pack(join(items)))
    return subprocess.run([REPLAY, path], capture_output=True, timeout=60).stdout


def reduce(items, path):
    """Leaves out pieces without which the replay says the same."""
    wanted = replay(items, path)
    items = list(split(items))
    todo = [i for i, (tag, body) in enumerate(items) if tag == b"MEMO" and len(body) == PIECE + 8]
    gone = set()

    def without(some):
        return [item for i, item in enumerate(items) if i not in gone and i not in some]

    def attempt(some):
        if not some:
            return
        if replay(without(set(some)), path) == wanted:
            gone.update(some)
        elif len(some) > 1:
            attempt(some[:len(some) // 2])
            attempt(some[len(some) // 2:])

    attempt(todo)
    return join(without(set())), wanted


def check(text, truth):
    """Every Python frame as Python itself has it; the native ones are not known to it."""
    stacks, name = {}, None
    for line in text.decode().splitlines():
        if match := re.fullmatch(r"thread (.*): whole(, holds the lock)?", line):
            name = match[1]
            stacks[name] = []
        elif match := re.fullmatch(r"  (\S.*) \((.*):([0-9]+)\)", line):
            stacks[name].append([match[1], match[2], int(match[3])])
        elif not re.match(r"  (\[|    )|CPython ", line):
            raise SystemExit(f"what is this? {line}")
    assert set(truth) <= set(stacks), (set(truth), set(stacks))
    count = 0
    for name, frames in truth.items():
        assert len(frames) == len(stacks[name]), (name, frames, stacks[name])
        for (plain, qualified, file, line), got in zip(frames, stacks[name]):
            assert got[1:] == [file, line] and got[0] in (plain, qualified), (name, got, plain, qualified, file, line)
            count += 1
    return count


def command(*words):
    subprocess.run(words, check=True)


def isolate(prefix):
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    command("mount", "--make-rprivate", "/")
    command("mount", "-t", "tmpfs", "none", "/opt")
    os.mkdir("/opt/python")
    if str(prefix) != "/usr":
        command("mount", "--bind", prefix, "/opt/python")
    pathlib.Path("/opt/shapes.py").write_bytes((ROOT / "tests/snapshots/shapes.py").read_bytes())


def record(python, folder):
    isolate(python.prefix)
    exe = python.exe if str(python.prefix) == "/usr" else pathlib.Path("/opt/python") / python.exe.relative_to(python.prefix)
    report, out = pathlib.Path("/opt/report.json"), pathlib.Path("/opt/out")
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "LD_LIBRARY_PATH": "/opt/python/lib"}
    target = subprocess.Popen([exe, "-s", "-S", "/opt/shapes.py", report], env=env, cwd="/opt")
    try:
        for _ in range(3000):
            if report.exists():
                break
            time.sleep(0.01)
        command(CSAMPLE, "snapshot", "-l", "-p", str(target.pid), "-o", out)
    finally:
        target.send_signal(signal.SIGKILL)
        target.wait()
    items = list(rename(chunks(gzip.decompress(out.read_bytes())), python.prefix))
    items, text = reduce(items, out)
    frames = check(text, json.loads(report.read_text()))
    folder.mkdir(parents=True, exist_ok=True)
    packed = gzip.compress(pack(items), mtime=0)
    (folder / "shapes.snapshot").write_bytes(packed)
    (folder / "shapes.txt").write_bytes(text)
    print(f"{folder.name}: {frames} frames as Python says, {len(packed)} bytes", flush=True)


def main(names):
    failed = 0
    for name in names or pythons.ALL:
        try:
            python = pythons.find(name)
        except pythons.Missing as missing:
            print(f"SKIP {missing}")
            continue
        folder = ROOT / f"tests/snapshots/cpython-{python.version}{'t' if python.free_threaded else ''}-{python.source}"
        pid = os.fork()  # each has its own mount namespace
        if not pid:
            record(python, folder)
            os._exit(0)
        failed += os.waitpid(pid, 0)[1] != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
