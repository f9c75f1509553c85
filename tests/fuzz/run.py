#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds each tests/fuzz/fuzz_NAME.c with libFuzzer and AddressSanitizer and runs it for some seconds,
starting from tests/fuzz/corpus/NAME (or corpus/NAME.txt, one input a line; or what is packed in
tests/snapshots). What is found on the way
stays in build/fuzz/corpus/NAME, what makes it fail in build/fuzz/NAME-*: when fixed, it joins the
corpus. --seconds 0 only runs what is in the corpus. Ends with: N passed, N failed."""
import argparse
import gzip
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OUT = ROOT / "build/fuzz"
PACKED = {"snapshot": "tests/snapshots/*/*.snapshot"}  # by gzip
SANITIZERS = "address,undefined"


def variable(name):
    text = (ROOT / "Makefile").read_text()
    return re.search(rf"^{name}\s*:=\s*((?:.*\\\n)*.*)$", text, re.M)[1].replace("\\\n", " ").split()


def build_library(jobs):
    """All of csample, with what libFuzzer needs to see where an input leads."""
    flags = f"-O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,{SANITIZERS} -fno-sanitize-recover=undefined"
    subprocess.run(["make", "-s", f"-j{jobs}", "CC=clang", "B=build/fuzz", f"CFLAGS={flags}",
                    "build/fuzz/libcsample.a"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def build_target(source):
    program = OUT / source.stem
    packages = variable("PKGS")
    libraries = subprocess.run(["pkg-config", "--libs", *packages], check=True, capture_output=True,
                               text=True).stdout.split()
    newest = max(source.stat().st_mtime, (OUT / "libcsample.a").stat().st_mtime)
    if not program.exists() or program.stat().st_mtime < newest:
        subprocess.run(["clang", "-std=gnu17", "-D_GNU_SOURCE", "-O1", "-g", "-Wall", "-Wextra",
                        f"-fsanitize=fuzzer,{SANITIZERS}", "-fno-sanitize-recover=undefined",
                        f"-I{ROOT}/include", f"-I{ROOT}/build/gen", "-o", program, source,
                        OUT / "libcsample.a", *libraries, "-liberty", "-lm", "-ldl", "-pthread"],
                       check=True)
    return program


def corpus_of(name):
    """Seed directories; a text file becomes one input a line, backslash escapes undone."""
    seeds = []
    if (HERE / "corpus" / name).is_dir():
        seeds.append(HERE / "corpus" / name)
    lines = HERE / "corpus" / f"{name}.txt"
    if lines.exists():
        made = OUT / "seeds" / name
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        for i, line in enumerate(lines.read_bytes().splitlines()):
            data = re.sub(rb"\\(n|\\|x[0-9a-f]{2})", lambda m: {b"n": b"\n", b"\\": b"\\"}.get(
                m[1]) or bytes([int(m[1][1:], 16)]), line)
            (made / f"{i:04}").write_bytes(data)
        seeds.append(made)
    packed = sorted(ROOT.glob(PACKED.get(name, "none")))
    if packed:
        made = OUT / "seeds" / name
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        for path in packed:
            (made / f"{path.parent.name}-{path.stem}").write_bytes(gzip.decompress(path.read_bytes()))
        seeds.append(made)
    return seeds


def run_target(program, name, seconds):
    found = OUT / "corpus" / name
    found.mkdir(parents=True, exist_ok=True)
    # Leaks are looked for once at the end: a longjmp() out of a library may cost it a buffer.
    env = dict(os.environ, ASAN_OPTIONS="detect_leaks=0:allocator_may_return_null=1",
               UBSAN_OPTIONS="print_stacktrace=1")
    limits = ["-timeout=20", "-rss_limit_mb=2048", f"-artifact_prefix={OUT}/{name}-",
              "-print_final_stats=0", "-verbosity=0"]
    seeds = corpus_of(name)
    if seconds:
        command = [program, f"-max_total_time={seconds}", *limits, found, *seeds]
    else:
        inputs = sorted(f for d in seeds for f in d.iterdir())
        if not inputs:
            return True
        command = [program, *limits, *inputs]
    done = subprocess.run([str(c) for c in command], cwd=OUT, env=env, capture_output=True, text=True,
                          errors="replace")
    if done.returncode:
        print(done.stderr[-6000:])
    return done.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("targets", nargs="*", help="names; all, if none is given")
    args = parser.parse_args()
    if not shutil.which("clang"):
        print("SKIP: clang is not installed")
        print("0 passed, 0 failed, 1 skipped")
        return 77
    OUT.mkdir(parents=True, exist_ok=True)
    build_library(args.jobs)
    passed = failed = 0
    for source in sorted(HERE.glob("fuzz_*.c")):
        name = source.stem.removeprefix("fuzz_")
        if args.targets and name not in args.targets:
            continue
        ok = run_target(build_target(source), name, args.seconds)
        print(f"{'ok  ' if ok else 'FAIL'} {name}", flush=True)
        passed += ok
        failed += not ok
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
