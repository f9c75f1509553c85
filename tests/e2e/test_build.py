# SPDX-License-Identifier: Apache-2.0
"""make: nothing is built in vain, headers are tracked, and it installs."""
import os
import subprocess

import pytest

from conftest import ROOT, SAN

pytestmark = pytest.mark.skipif(SAN, reason="the same for every flavour")


def make(*args):
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}
    return subprocess.run(["make", *args], cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=300)


def compiled(*changed):
    """The sources that would be compiled if these files had changed."""
    done = make("-n", *[f"-W{name}" for name in changed], "all")
    assert done.returncode == 0, done.stdout
    return {line.split()[-1].strip('"') for line in done.stdout.splitlines() if line.startswith('echo "  CC')}


def test_nothing_is_built_twice():
    assert compiled() == set()


def test_a_header_rebuilds_what_includes_it_and_no_more():
    made = compiled("src/cmd/options.h")
    assert "src/main.c" in made and "src/cmd/options.c" in made
    assert "src/base/err.c" not in made


def test_install(tmp_path):
    done = make("install", f"DESTDIR={tmp_path}", "PREFIX=/opt/csample")
    assert done.returncode == 0, done.stdout
    program = tmp_path / "opt/csample/bin/csample"
    assert subprocess.run([program, "version"], stdout=subprocess.PIPE, text=True).stdout.startswith("csample ")
    assert (tmp_path / "opt/csample/share/doc/csample/LICENSE").read_text().lstrip().startswith("Apache License")
