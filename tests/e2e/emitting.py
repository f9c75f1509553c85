# SPDX-License-Identifier: Apache-2.0
"""Profiles of known shape in each format, made by tests/tools/mkprofile.c (which says how its text is
written) from the same library that csample is made of."""
import gzip
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


def fields(message):
    """The (number, value) pairs of a protobuf message: ints, or bytes of what has a length or eight bytes."""

    def varint(at):
        value = shift = 0
        while True:
            byte = message[at]
            value |= (byte & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if byte < 0x80:
                return value, at

    at = 0
    while at < len(message):
        key, at = varint(at)
        assert key & 7 in (0, 1, 2), f"wire type {key & 7}"
        value, at = (8, at) if key & 7 == 1 else varint(at)
        if key & 7:
            value, at = message[at:at + value], at + value
            assert at <= len(message), "cut short"
        yield key >> 3, value


def varints(packed):
    """A packed repeated field; small enough values only need the framing of fields()."""
    values, value, shift = [], 0, 0
    for byte in packed:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            values.append(value)
            value = shift = 0
    return values


def parse_pprof(data):
    """A profile.proto with its references resolved: {"samples": [(stack leaf first, values, labels)],
    "types", "period", "time", "duration", "comments", "mappings"}; a stack is of (address, mapping file,
    ((function, file, line), ...)) with the innermost inlined function first."""
    pb = {}
    for number, value in fields(gzip.decompress(data)):
        pb.setdefault(number, []).append(value)
    text = [s.decode() for s in pb[6]]
    assert text[0] == ""

    def one(message):
        return {number: value for number, value in fields(message)}

    def value_type(message):
        return text[one(message)[1]], text[one(message)[2]]

    functions = [one(f) for f in pb.get(5, [])]
    mappings = [one(m) for m in pb.get(3, [])]
    assert [f[1] for f in functions] == list(range(1, len(functions) + 1))
    assert [m[1] for m in mappings] == list(range(1, len(mappings) + 1))

    def line(message):
        found = one(message)
        function = functions[found[1] - 1]
        return text[function[2]], text[function.get(4, 0)], found.get(2, 0)

    def location(message):
        parts = list(fields(message))
        found = dict(parts)
        mapping = text[mappings[found[2] - 1].get(5, 0)] if 2 in found else None
        return found.get(3, 0), mapping, tuple(line(value) for number, value in parts if number == 4)

    locations = [location(message) for message in pb.get(4, [])]
    assert [one(m)[1] for m in pb.get(4, [])] == list(range(1, len(locations) + 1))

    def label(message):
        found = one(message)
        return text[found[1]], text[found[2]] if 2 in found else found.get(3, 0)

    def sample(message):
        parts = list(fields(message))
        found = dict(parts)
        return (tuple(locations[i - 1] for i in varints(found[1])), tuple(varints(found[2])),
                dict(label(value) for number, value in parts if number == 3))

    return {
        "samples": [sample(message) for message in pb.get(2, [])],
        "types": [value_type(message) for message in pb[1]],
        "default": text[pb.get(14, [0])[0]],
        "period": (value_type(pb[11][0]), pb.get(12, [0])[0]),
        "time": pb.get(9, [0])[0],
        "duration": pb.get(10, [0])[0],
        "comments": [text[i] for i in varints(pb.get(13, [b""])[0])],
        "mappings": [(text[m.get(5, 0)], text[m.get(6, 0)], m.get(2, 0), m.get(3, 0), m.get(4, 0)) for m in mappings],
    }
