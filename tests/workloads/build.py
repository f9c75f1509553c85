#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the workloads, each once for its source and its way of being built, under build/workloads.

    from build import build, MissingTool
    path = build("split")                # tests/workloads/split.c, -O2 -g
    path = build("split", "stripped")    # see VARIANTS

On the command line: build.py NAME [VARIANT] prints the path."""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE.parent.parent / "build/workloads"

C = ["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-g", "-fomit-frame-pointer", "-Wall",
     "-Wextra", "-pthread", "-Wl,--build-id"]
CXX = ["g++", "-std=gnu++17", "-O2", "-g", "-fomit-frame-pointer", "-Wall", "-pthread"]
COMPILERS = {".c": C, ".cpp": CXX, ".rs": ["rustc", "-O", "-g", "--edition=2021"],
             ".go": ["go", "build"]}
# What is added for a language, and what is done to the file afterwards.
VARIANTS = {
    "": {},
    "O0": {".c": ["-O0"], ".cpp": ["-O0"]},
    "fp": {".c": ["-fno-omit-frame-pointer"], ".cpp": ["-fno-omit-frame-pointer"]},
    "nopie": {".c": ["-no-pie", "-fno-pie"], ".cpp": ["-no-pie", "-fno-pie"]},
    "static": {".c": ["-static"], ".cpp": ["-static"], ".rs": ["-C", "target-feature=+crt-static"]},
    "musl": {".c": "musl-gcc"},
    "muslstatic": {".c": "musl-gcc", "flags": ["-static"]},
    "muslstripped": {".c": "musl-gcc", "flags": ["-static"], "after": "strip"},
    "stripped": {".go": ["-ldflags=-s -w"], "after": "strip"},
    "split": {"after": "split"},  # .debug beside it, named by .gnu_debuglink
    "buildid": {"after": "buildid"},  # build-id.debug beside it, for who puts it in its place
    "minidebug": {"after": "minidebug"},  # .gnu_debugdata: a compressed symbol table
    "shared": {".c": ["-shared", "-fPIC"]},
    "m32": {".c": ["-m32", "-nostdlib", "-static", "-ffreestanding", "-fno-pic", "-no-pie"]},
    "nodebug": {".c": ["-g0"], ".cpp": ["-g0"], ".rs": ["-C", "debuginfo=0"]},
    "clang": {".c": "clang", ".cpp": "clang++"},
}


class MissingTool(Exception):
    """A compiler or tool that is not installed, or cannot do this."""


def run(command, cwd=None, env=None):
    if not shutil.which(command[0]):
        raise MissingTool(f"{command[0]} is not installed")
    done = subprocess.run([str(c) for c in command], cwd=cwd, env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}")


def source_of(name):
    for suffix in COMPILERS:
        path = HERE / (name + suffix)
        if path.exists():
            return path
    raise FileNotFoundError(f"no workload {name}")


def compile_command(source, variant, target):
    rules = VARIANTS[variant]
    extra = rules.get(source.suffix, [])
    command = list(COMPILERS[source.suffix])
    if isinstance(extra, str):
        command[0] = extra
        extra = rules.get("flags", [])
    command += extra
    command += ["-o", str(target), str(source)]
    if source.suffix in (".c", ".cpp") and variant != "m32":
        command += ["-lm", "-ldl"]
    return command


def after(what, path):
    if what == "split":
        debug = path.with_name(path.name + ".debug")
        run(["objcopy", "--only-keep-debug", path, debug])
        run(["strip", "-s", path])
        run(["objcopy", f"--add-gnu-debuglink={debug.name}", path.name], cwd=path.parent)
    elif what == "buildid":
        run(["objcopy", "--only-keep-debug", path, path.with_name("build-id.debug")])
        run(["strip", "-s", path])
    elif what == "minidebug":
        mini = path.with_name("mini")
        run(["objcopy", "--strip-debug", path, mini])
        run(["objcopy", "--only-keep-debug", mini, mini])
        run(["xz", "-f", mini])
        run(["strip", "-s", path])
        run(["objcopy", f"--add-section=.gnu_debugdata={mini}.xz", path])
        mini.with_name("mini.xz").unlink()
    elif what == "strip" and path.suffix != ".go":
        run(["strip", "-s", path])


def build(name, variant=""):
    """The path of the program; builds it if its source or its command changed."""
    source = source_of(name)
    digest = hashlib.sha256(repr((compile_command(source, variant, "X"), VARIANTS[variant])).encode())
    digest.update(source.read_bytes())
    digest.update((HERE / "workload.h").read_bytes())
    folder = OUT / digest.hexdigest()[:16]
    program = folder / name
    if program.exists():
        return program
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=OUT) as tmp:
        target = pathlib.Path(tmp) / name
        env = dict(os.environ, GOFLAGS="-mod=mod -trimpath", GO111MODULE="off", CGO_ENABLED="0")
        run(compile_command(source, variant, target), env=env)
        if "after" in VARIANTS[variant] and source.suffix != ".go":
            after(VARIANTS[variant]["after"], target)
        os.chmod(tmp, 0o755)
        folder.mkdir(exist_ok=True)
        for made in sorted(pathlib.Path(tmp).iterdir(), key=lambda p: p.name == name):
            made.replace(folder / made.name)  # the program last: it says that all is there
    return program


if __name__ == "__main__":
    print(build(*sys.argv[1:3]))
