#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/snapshots/cpython-VERSION-SOURCE/shapes.snapshot and .txt for each interpreter that
tests/e2e/pythons.py finds, tests/snapshots/node-VERSION for each Node.js of tests/e2e/nodes.py, or for
those named (3.12, node-20): runs tests/snapshots/shapes.py or .js, records it by `csample snapshot`,
compares what the replay says with what the program says, and leaves out what the replay does not
need. The interpreter is shown beneath /opt in a mount namespace of its own, so that files do not say
where it was installed; needs root. Build first: make build/csample tests."""
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
import nodes  # noqa: E402
import pythons  # noqa: E402

CSAMPLE = ROOT / "build/csample"
REPLAY = ROOT / "build/rel/tests/decode/test_snapshots"
MAGIC = b"CSREC 1\n"
PIECE = 1024  # of long runs of memory, left out where they are not needed
LONG = 4096
BLANK = 256  # of what is left, made void
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
    if prefix and path.startswith(str(prefix) + "/"):
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


def spaced(body):
    return re.sub(rb"[^\r\n]", b" ", body)


def blank(items, path, wanted):
    """What is read but does not matter becomes zeros; of text only where its lines end, may."""
    items = list(items)
    todo = []
    for i, (tag, body) in enumerate(items):
        if tag == b"MEMO":
            todo += [(i, at) for at in range(8, len(body), BLANK) if any(body[at:at + BLANK])]

    def with_void(some, void):
        bodies = {i: bytearray(items[i][1]) for i, _ in some}
        for i, at in some:
            piece = bytes(bodies[i][at:at + BLANK])
            bodies[i][at:at + BLANK] = void(piece)
        return [(tag, bytes(bodies.get(i, body))) for i, (tag, body) in enumerate(items)]

    def attempt(some, void):
        nonlocal items
        if not some:
            return []
        changed = with_void(some, void)
        if replay(changed, path) == wanted:
            items = changed
            return []
        if len(some) == 1:
            return some
        return attempt(some[:len(some) // 2], void) + attempt(some[len(some) // 2:], void)

    left = attempt(todo, lambda piece: bytes(len(piece)))
    text = [(i, at) for i, at in left if max(items[i][1][at:at + BLANK]) < 0x80 and min(items[i][1][at:at + BLANK]) >= 9]
    attempt(text, spaced)
    return items


def check_python(text, truth):
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


def check_node(text, truth):
    """Every JavaScript frame of the threads that say where they are, as Node.js itself has it."""
    threads, stack = [], None
    for line in text.decode().splitlines():
        if line.startswith("thread "):
            stack = []
            threads.append(stack)
        elif match := re.fullmatch(r"  (\S.*) \((.*?):([0-9]+)(?::([0-9]+))?\)", line):
            function, file, number, column = match.groups()
            anonymous = function.startswith("(anonymous)")
            stack.append(("(anonymous)" if anonymous else re.split(r"[. ]", function)[-1],
                          "<anonymous>" if file == "?" else file, int(number), int(column or 0)))
        elif not re.match(r"  \[|Node.js ", line):
            raise SystemExit(f"what is this? {line}")
    count = 0
    for name, (error_stack, status) in truth.items():
        assert NODE_TIERS[name](status), (name, status)
        frames = nodes.frames_of(error_stack)
        # The column of the leaf is not that of where it asked.
        alike = [s for s in threads if s and [f[:3] for f in s] == [f[:3] for f in frames]
                 and [f[3] for f in s[1:]] == [f[3] for f in frames[1:]]]
        assert len(alike) >= 1, (name, frames, threads)
        threads.remove(alike[0])
        count += len(frames)
    return count


def topmost(bit):
    """Of what the youngest frame of a function is: the bits of V8's OptimizationStatus after the one
    that says it has a frame, which has moved by one and back."""
    return lambda status: status >> (11 if status & 0x400 else 12) & 0xb1 == 1 << bit


NODE_TIERS = {"optimized": topmost(0), "interpreted": topmost(4), "baseline": topmost(5), "maglev": topmost(7)}


def command(*words):
    subprocess.run(words, check=True)


def isolate(exe, prefix, program):
    """Shows an installation at /opt/NAME: a folder, or a file."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    command("mount", "--make-rprivate", "/")
    command("mount", "-t", "tmpfs", "none", "/opt")
    shown = pathlib.Path("/opt/python" if prefix else "/opt/node")
    if prefix:
        shown.mkdir()
    else:
        shown.touch()
    if str(prefix) != "/usr":
        command("mount", "--bind", prefix or exe, shown)
    pathlib.Path("/opt", program).write_bytes((ROOT / "tests/snapshots" / program).read_bytes())


def record(argv, reports, prefix, check, folder, *options):
    """Runs the program until there are all its reports, and takes its recording."""
    out = pathlib.Path("/opt/out")
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "LD_LIBRARY_PATH": "/opt/python/lib"}
    target = subprocess.Popen(argv, env=env, cwd="/opt")
    try:
        for _ in range(3000):
            if all(r.exists() for r in reports.values()):
                break
            time.sleep(0.01)
        time.sleep(0.2)  # to where they sleep
        command(CSAMPLE, "snapshot", *options, "-p", str(target.pid), "-o", out)
    finally:
        target.send_signal(signal.SIGKILL)
        target.wait()
    items = list(rename(chunks(gzip.decompress(out.read_bytes())), prefix))
    items, text = reduce(items, out)
    frames = check(text, {name: json.loads(r.read_text()) for name, r in reports.items()})
    items = blank(items, out, text)
    folder.mkdir(parents=True, exist_ok=True)
    packed = gzip.compress(pack(items), mtime=0)
    (folder / "shapes.snapshot").write_bytes(packed)
    (folder / "shapes.txt").write_bytes(text)
    print(f"{folder.name}: {frames} frames as the program says, {len(packed)} bytes", flush=True)


def record_python(name):
    python = pythons.find(name)
    folder = ROOT / f"tests/snapshots/cpython-{python.shown}-{python.source}"
    isolate(python.exe, python.prefix, "shapes.py")
    exe = python.exe if str(python.prefix) == "/usr" else pathlib.Path("/opt/python") / python.exe.relative_to(python.prefix)
    report = pathlib.Path("/opt/report.json")
    record([exe, "-s", "-S", "/opt/shapes.py", report], {"": report}, python.prefix,
           lambda text, truth: check_python(text, truth[""]), folder, "-l")


def record_node(major):
    exe = nodes.find(major)
    if not exe:
        raise pythons.Missing(f"Node.js {major}")
    workers = ["baseline", "optimized"] + (["maglev"] if major in ("24", "26") else [])
    reports = {name: pathlib.Path(f"/opt/report.{name}") for name in ["interpreted"] + workers}
    isolate(exe, None, "shapes.js")
    record(["/opt/node", "--allow-natives-syntax", "/opt/shapes.js", "/opt/report", *workers], reports, None,
           check_node, ROOT / f"tests/snapshots/node-{nodes.VERSIONS[major]}")


def main(names):
    failed = 0
    for name in names or [*pythons.ALL, *(f"node-{major}" for major in nodes.ALL)]:
        pid = os.fork()  # each has its own mount namespace
        if not pid:
            try:
                if name.startswith("node-"):
                    record_node(name.removeprefix("node-"))
                else:
                    record_python(name)
            except pythons.Missing as missing:
                print(f"SKIP {missing}")
            os._exit(0)
        failed += os.waitpid(pid, 0)[1] != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
