# SPDX-License-Identifier: Apache-2.0
"""Python frames in their places between native ones: extension modules, ctypes, NumPy, C programs that embed
Python, interpreters with other evaluators."""
import functools
import json
import os
import pathlib
import shutil
import subprocess

import pytest

import pythons
from conftest import ROOT, SAN, share_of, wait_until

PROGRAMS = ROOT / "tests/workloads/python"
BUILT = ROOT / "build/workloads/python"
VERSIONS = ("3.12", "3.14t") if SAN else pythons.ALL
SHOWN = ("native", "inlined", "python")


def compile_c(source, name, *options):
    """The path of a program or library made of a source of tests/workloads/python."""
    path = BUILT / name
    if not path.exists() or path.stat().st_mtime < (PROGRAMS / source).stat().st_mtime:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        subprocess.run(["gcc", "-O2", "-g", "-fomit-frame-pointer", "-Wall", str(PROGRAMS / source), "-o", str(fresh),
                        *map(str, options)], check=True)
        fresh.rename(path)
    return path


def embedding(python):
    try:
        return pythons.embedding(python)
    except pythons.Missing as reason:
        pytest.skip(str(reason))


@functools.lru_cache(None)
def extension(python):
    """The folder of the module "native", built with the headers of that interpreter; None without them."""
    try:
        flags = pythons.headers(python)
    except pythons.Missing:
        return None
    try:
        module = compile_c("native.c", f"{python.shown}-{python.source}/native.so", "-shared", "-fPIC", "-DWITH_PYTHON",
                           *flags)
    except subprocess.CalledProcessError:
        return None
    return module.parent


def frames_of(report, name):
    thread = next(t for t in report["threads"] if t["name"] == name)
    return [f for f in thread["frames"] if f["kind"] in SHOWN]


def base(frame):
    return frame["function"].rpartition(".")[2] if frame["kind"] == "python" else frame["function"]


def order(frames, words):
    """Leaf first, the frames of these names, with the kind of each."""
    return [("python" if f["kind"] == "python" else "native", base(f)) for f in frames if base(f) in words]


def chain(text):
    """"p:stop n:inner" -> [("python", "stop"), ("native", "inner")]."""
    return [({"p": "python", "n": "native"}[word[0]], word[2:]) for word in text.split()]


@pytest.fixture
def mixed(start):
    def mixed(version):
        python = pythons.require(version)
        library = compile_c("native.c", "libnative.so", "-shared", "-fPIC")
        folder = extension(python)
        process = start(python.exe, PROGRAMS / "mixed.py", library, *([folder] if folder else []))
        process.wait_for("ready")
        return process, bool(folder)
    return mixed


def dump(csample, pid, *options):
    result = csample("dump", "-p", pid, "--json", *options)
    assert result.status == 0, result
    return json.loads(result.out)


BY_CTYPES = chain("p:stop " + "p:callback n:native_inner n:native_middle n:native_outer p:by_ctypes " * 3)
BY_EXTENSION = chain("p:stop " + "p:by_extension n:extension_inner n:extension_outer " * 3 + "p:by_extension")


@pytest.mark.parametrize("version", VERSIONS)
def test_order_of_python_and_c(csample, mixed, version):
    process, extended = mixed(version)
    for option in "own", "all":
        report = dump(csample, process.pid, f"--native={option}")
        frames = frames_of(report, "ctypes")
        assert order(frames, {name for _, name in BY_CTYPES}) == BY_CTYPES, frames
        if extended:
            frames = frames_of(report, "extension")
            assert order(frames, {name for _, name in BY_EXTENSION}) == BY_EXTENSION, frames
        frames = frames_of(report, "sorted")
        names = [base(f) for f in frames if f["kind"] == "python"]
        assert names[:4] == ["stop", "<lambda>", "<lambda>", "by_sorted"], names
        for thread in report["threads"]:
            assert thread["rooted"], thread
            # What runs Python is replaced by what it runs.
            assert not any(f["function"].startswith("_PyEval_EvalFrameDefault") for f in thread["frames"]), thread
    plain = dump(csample, process.pid)
    everything = dump(csample, process.pid, "--native=all")
    none = dump(csample, process.pid, "--native=none")
    for name in "ctypes", "sorted":
        own, every, bare = (frames_of(r, name) for r in (plain, everything, none))
        pythonic = [(f["function"], f["line"]) for f in own if f["kind"] == "python"]
        assert pythonic == [(f["function"], f["line"]) for f in every if f["kind"] == "python"]
        assert pythonic == [(f["function"], f["line"]) for f in bare]
        assert len(every) > len(own) > len(bare)
    machinery = [f["function"] for f in frames_of(plain, "ctypes") if f["kind"] != "python" and "python" in
                 pathlib.Path(f.get("module", "")).name.split(".so")[0] and f["function"].startswith(("_Py", "PyObject_"))]
    assert not machinery, machinery


@pytest.mark.parametrize("version", VERSIONS[::2])
def test_c_that_works_below_python(record, mixed, version):
    process, extended = mixed(version)
    stacks, stats, _ = record(process.pid, "-d", "1", "-r", "500", "-F", "-t")
    assert share_of(stacks, "native_spin", leaf=True) > 0.9
    for stack in stacks:
        if stack[-1] != "native_spin":
            continue
        assert "by_work" in stack[:-1] or "extension_by_work" in stack[:-1], stack
        if "extension_by_work" in stack:
            assert stack.index("extension_by_work") < stack.index("extension_work"), stack
    assert not extended or share_of(stacks, "extension_work") > 0.1
    assert not stats["errors"].get("python_unmerged"), stats["errors"]


# NumPy


@functools.lru_cache(None)
def numpy_for(python):
    """A folder with NumPy, as pip has it for that interpreter; or why there is none."""
    folder = pythons.cache() / f"numpy-{python.version}-{python.source}"
    if not (folder / "whole").exists():
        command = [str(python.exe), "-m", "pip", "-q", "install", "--no-deps", "--only-binary", ":all:", "--target",
                   str(folder), "numpy"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            return None, "pip did not end"
        if done.returncode:
            return None, (done.stderr.strip().splitlines() or ["no message"])[-1]
        (folder / "whole").touch()
    return folder, None


@pytest.mark.parametrize("version", ("3.12",) if SAN else ("3.8", "3.10", "3.12", "3.13"))
def test_numpy(csample, record, start, version):
    python = pythons.require(version)
    folder, reason = numpy_for(python)
    if not folder:
        pytest.skip(f"no NumPy for {python}: {reason}")
    process = start(python.exe, PROGRAMS / "with_numpy.py", folder, env=dict(os.environ, OPENBLAS_NUM_THREADS="1"))
    process.wait_for("ready")
    frames = frames_of(dump(csample, process.pid), "called")
    python_at = [i for i, f in enumerate(frames) if f["kind"] == "python"]
    assert [base(frames[i]) for i in python_at[:2]] == ["element", "called"], frames
    between = frames[python_at[0] + 1:python_at[1]]
    assert between and all("numpy" in f["module"] or "libffi" in f["module"] for f in between), between
    stacks, _, _ = record(process.pid, "-d", "1", "-r", "200", "-F")
    inside = [s for s in stacks if "multiply" in s and s[-1] != "multiply"]
    assert share_of(stacks, "multiply") > 0.95 and inside, stacks


# C programs that embed Python


@pytest.mark.parametrize("version", ("3.12",) if SAN else (*pythons.MINORS, "3.14t"))
def test_a_program_that_embeds_python(csample, start, version):
    python = pythons.require(version)
    flags = embedding(python)
    host = compile_c("host.c", f"host-{python.shown}", *flags["compile"], *flags["link"], *flags["libs"])
    env = dict(os.environ, PYTHONHOME=str(python.prefix))
    process = start(host, PROGRAMS / "hosted.py", env=env)
    process.wait_for("ready")
    wait_until(lambda: pathlib.Path(f"/proc/{process.pid}/syscall").read_text().split()[0] not in ("0", "running"),
               what="its sleep")
    report = dump(csample, process.pid)
    frames = frames_of(report, report["threads"][0]["name"])
    expected = chain("p:handler p:request n:host_callback p:<module> n:host_serve n:main n:_start")
    assert order(frames, {name for _, name in expected}) == expected, frames


# Other evaluators


@pytest.mark.parametrize("version", ("3.14", "3.15"))
def test_compiled_code(record, start, version):
    """With the just-in-time compiler on, where it is built in, stacks are the same."""
    python = pythons.require(version)
    process = start(python.exe, PROGRAMS / "chains.py", env=dict(os.environ, PYTHON_JIT="1"))
    process.wait_for("ready")
    from test_python_samples import check_chains
    check_chains(record, process.pid, "-r", "5000", least=100)
    stacks, stats, _ = record(process.pid, "-d", "1", "-r", "1000", "-F")
    # Compiled code has no unwind information: its Python frames are then all that is known.
    assert share_of(stacks, "run") > 0.95 and not stats["errors"].get("python_torn"), (stats, list(stacks)[:5])


@pytest.mark.parametrize("version", ("3.12", "3.13", "3.15", "3.14t"))
def test_perf_trampolines(csample, start, version):
    """-X perf puts a frame of its own between each two."""
    python = pythons.require(version)
    library = compile_c("native.c", "libnative.so", "-shared", "-fPIC")
    process = start(python.exe, "-X", "perf", PROGRAMS / "mixed.py", library)
    process.wait_for("ready")
    for option in "own", "none":
        frames = frames_of(dump(csample, process.pid, f"--native={option}"), "ctypes")
        expected = [w for w in BY_CTYPES if option == "own" or w[0] == "python"]
        assert order(frames, {name for _, name in BY_CTYPES}) in (expected, [w for w in expected if w[0] == "python"]), frames
    pathlib.Path(f"/tmp/perf-{process.pid}.map").unlink(missing_ok=True)


@pytest.mark.parametrize("version", ("3.11@system", "3.13@sid", "3.15", "3.13t", "3.14@tailcall"))
def test_a_stripped_interpreter_under_another_name(csample, start, tmp_path, version):
    """Neither its name nor its symbol table tells what it is."""
    python = pythons.require(version)
    copy = tmp_path / "server"
    shutil.copy(python.exe, copy)  # Debian's are stripped
    if version in pythons.BUILT:
        subprocess.run(["strip", str(copy)], check=True)
    library = compile_c("native.c", "libnative.so", "-shared", "-fPIC")
    process = start(copy, PROGRAMS / "mixed.py", library, env=dict(os.environ, PYTHONHOME=str(python.prefix)))
    process.wait_for("ready")
    frames = frames_of(dump(csample, process.pid), "ctypes")
    assert order(frames, {name for _, name in BY_CTYPES}) == BY_CTYPES, frames
