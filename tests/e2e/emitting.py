# SPDX-License-Identifier: Apache-2.0
"""Profiles of known shape in each format, made by tests/tools/mkprofile.c (which says how its text is
written) from the same library that csample is made of."""
import os
import pathlib
import subprocess
import xml.etree.ElementTree as ET

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FLAVOUR = "san" if os.environ.get("CSAMPLE_SAN") else "rel"
MKPROFILE = ROOT / f"build/{FLAVOUR}/tools/mkprofile"
SVG = "{http://www.w3.org/2000/svg}"


def emit(stacks, form, *options, path=None, status=0):
    """The bytes of a profile of these lines; or its standard error, when a failure is expected."""
    if not MKPROFILE.exists():
        pytest.skip(f"{MKPROFILE} is not built; make check builds it")
    text = stacks if isinstance(stacks, bytes) else "\n".join(stacks).encode()
    done = subprocess.run([MKPROFILE, "-f", form, *map(str, options), "-o", path or "-"], input=text,
                          capture_output=True, timeout=300)
    err = done.stderr.decode(errors="replace")
    assert done.returncode == status, err
    assert "Sanitizer" not in err and "runtime error:" not in err, err
    return err if status else done.stdout


def frames_of(svg):
    """Per rect of a flame graph, root row first: (depth, x, width, the lines of its title). Parsing is
    strict: what is no XML raises."""
    frames = []
    rows = [g for g in ET.fromstring(svg).iter(SVG + "g") if g.get("class") == "row"]
    for depth, row in enumerate(rows):
        for rect in row:
            lines = rect.find(SVG + "title").text.split("\n")
            frames.append((depth, float(rect.get("x")), float(rect.get("width")), lines))
    return frames
