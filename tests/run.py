#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the unit tests (cmocka programs), the layer check and the end-to-end tests (pytest), and ends
with one line: N passed, N failed, N skipped. Exit status 1 if something failed or nothing ran."""
import argparse
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET

ROOT = pathlib.Path(__file__).resolve().parent.parent


def run_unit(program, totals):
    """A cmocka program, with its results as XML; one that dies is one failure."""
    with tempfile.TemporaryDirectory() as tmp:
        out = pathlib.Path(tmp) / "result.xml"
        env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="XML", CMOCKA_XML_FILE=str(out))
        try:
            done = subprocess.run([program], env=env, capture_output=True, text=True, errors="replace",
                                  timeout=300)
        except subprocess.TimeoutExpired:
            print(f"FAIL {program.name}: no end after 300 s")
            totals["failed"] += 1
            return
        ok = fail = skip = 0
        if out.exists():
            for case in ET.parse(out).iter("testcase"):
                if case.find("failure") is not None or case.find("error") is not None:
                    fail += 1
                    node = case.find("failure") if case.find("failure") is not None else case.find("error")
                    print(f"FAIL {program.name}: {case.get('name')}: {(node.text or '').strip()}")
                elif case.find("skipped") is not None:
                    skip += 1
                    print(f"SKIP {program.name}: {case.get('name')}")
                else:
                    ok += 1
        # cmocka's own exit status is the number of failed tests.
        if (done.returncode and not fail) or ok + fail + skip == 0:
            fail += 1
            print(f"FAIL {program.name}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        elif fail:
            print(done.stderr)
        print(f"{'ok  ' if not fail else 'FAIL'} {program.name}: {ok} passed, {fail} failed, {skip} skipped",
              flush=True)
        totals["passed"] += ok
        totals["failed"] += fail
        totals["skipped"] += skip


def run_layers(totals):
    done = subprocess.run([sys.executable, ROOT / "scripts/check-layers.py"])
    totals["failed" if done.returncode else "passed"] += 1


def has_xdist():
    return importlib.util.find_spec("xdist") is not None


def run_pytest(args, totals, *options):
    with tempfile.TemporaryDirectory() as tmp:
        out = pathlib.Path(tmp) / "junit.xml"
        env = dict(os.environ, CSAMPLE=str((ROOT / args.bin).resolve()), CSAMPLE_SAN="1" if args.san else "")
        command = [sys.executable, "-m", "pytest", "-q", "-rfEs", "-p", "no:cacheprovider",
                   f"--junit-xml={out}", *options, "--ignore", str(ROOT / "tests/e2e/test_backends.py"),
                   str(ROOT / "tests/e2e")]
        if args.k:
            command += ["-k", args.k]
        done = subprocess.run(command, env=env, cwd=ROOT)
        if not out.exists():
            totals["failed"] += 1
            return
        for suite in ET.parse(out).iter("testsuite"):
            n = {k: int(suite.get(k, 0)) for k in ("tests", "failures", "errors", "skipped")}
            totals["passed"] += n["tests"] - n["failures"] - n["errors"] - n["skipped"]
            totals["failed"] += n["failures"] + n["errors"]
            totals["skipped"] += n["skipped"]
        if done.returncode not in (0, 1, 5):
            totals["failed"] += 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--san", action="store_true")
    parser.add_argument("-k", help="only tests whose name matches")
    args = parser.parse_args()
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    programs = sorted(p for p in (ROOT / args.build / "tests").rglob("test_*")
                      if p.suffix == "" and os.access(p, os.X_OK) and p.is_file())
    for program in programs:
        if not args.k or re.search(args.k, program.name):
            run_unit(program, totals)
    if not args.k:
        run_layers(totals)
    # Most tests wait most of the time. Those that look at how threads are held want no neighbours.
    if has_xdist():
        run_pytest(args, totals, "-m", "not alone", "-n", "2", "--dist", "loadscope")
        run_pytest(args, totals, "-m", "alone")
    else:
        run_pytest(args, totals)
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**totals))
    return 1 if totals["failed"] or not totals["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
