# SPDX-License-Identifier: Apache-2.0
"""The rows of runtimes/cpython/layouts.c are what scripts/gen-cpython-layout.py makes of a build."""
import re
import shutil
import subprocess

import pytest

import conftest
import pythons

SCRIPT = conftest.ROOT / "scripts/gen-cpython-layout.py"
ROWS = conftest.ROOT / "runtimes/cpython/layouts.c"


def rows_of(text):
    """{"3.12": its row}, without the origin."""
    rows = {}
    for row in re.findall(r"^\t\{ \.version = .*?^\t  \}, \},$", text, re.M | re.S):
        major, minor = re.search(r"PYVER\((\d+), (\d+)\)", row).groups()
        name = f"{major}.{minor}" + ("t" if ".free_threaded = true" in row else "")
        rows[name] = re.sub(r'\.origin = "[^"]*"', "", row)
    return rows


def generate(release, source):
    if not shutil.which("gdb"):
        pytest.skip("no gdb")
    return subprocess.run([SCRIPT, f"{release}={source}"], stdout=subprocess.PIPE, check=True, text=True).stdout


def test_all_releases_have_rows():
    assert set(rows_of(ROWS.read_text())) == {*pythons.MINORS, "3.13t", "3.14t", "3.15t"}


@pytest.mark.skipif(conftest.SAN, reason="csample is not asked")
@pytest.mark.parametrize("name", [name for name in pythons.MINORS if name not in ("3.14", "3.15")])
def test_row_of_debug_information(name):
    """Also of other patch releases than the row's: what we read does not move within a release."""
    python = pythons.require(name)
    libraries = sorted(python.prefix.glob("lib/libpython3.*.so.1.0"))
    if not libraries or b".debug_info" not in libraries[0].read_bytes():
        pytest.skip(f"{python} has no debug information")
    made = rows_of(generate(python.version, libraries[0]))
    assert made[name] == rows_of(ROWS.read_text())[name]


@pytest.mark.parametrize("name", ["3.14", "3.15", "3.14t", "3.15t"])
def test_row_of_headers(name):
    """The same rows from the headers of that release, which have them for free-threaded builds too."""
    minor = name.rstrip("t")
    if not shutil.which("gcc"):
        pytest.skip("no gcc")
    try:
        root = pythons.debian_root("sid", minor, embed=True)
    except pythons.Missing as reason:
        pytest.skip(str(reason))
    made = rows_of(generate(minor + ".0" + name[len(minor):], root / f"usr/include/python{minor}"))
    assert made[name] == rows_of(ROWS.read_text())[name]
