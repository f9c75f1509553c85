# SPDX-License-Identifier: Apache-2.0
"""Each format against files that a person has read, against each other, and with hostile names."""
import os
import random
import re
import xml.etree.ElementTree as ET

import pytest

from conftest import parse_collapsed
from emitting import ROOT, SVG, emit, frames_of, parse_pprof

GOLDEN = ROOT / "tests/golden"
SHAPES = (GOLDEN / "shapes.txt").read_bytes()
META = ["--title", "app, pid 4242", "--command", "/bin/app --serve <all>", "--note", "timer fallback", "--lost", "12"]


def compare(name, got):
    """With the file of that name; UPDATE_GOLDEN=1 writes it anew, for a person to read the difference."""
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_bytes(got)
    assert path.read_bytes() == got


@pytest.mark.parametrize("name, options", [
    ("shapes.collapsed", []),
    ("shapes-annotate.collapsed", ["--annotate"]),
    ("shapes-functions.collapsed", ["--functions"]),
    ("shapes-full.collapsed", ["--full-filenames"]),
])
def test_golden_collapsed(name, options):
    compare(name, emit(SHAPES, "collapsed", *options))


def test_golden_pprof():
    pb = parse_pprof(emit(SHAPES, "pprof", *META))
    lines = [f"{key}: {pb[key]}" for key in ("types", "default", "period", "time", "duration")]
    lines += [f"comment: {c}" for c in pb["comments"]]
    lines += [f"mapping: {file} {build_id} {start:#x}-{limit:#x} {offset:#x}"
              for file, build_id, start, limit, offset in pb["mappings"]]
    for stack, values, labels in pb["samples"]:
        lines.append(f"sample: {values} {labels}")
        for address, mapping, functions in stack:
            lines.append(f"    {address:#x} {mapping or '-'}")
            lines += [f"        {name!r} {file or '-'}:{line}" for name, file, line in functions]
    compare("shapes.pprof.txt", "\n".join(lines).encode() + b"\n")


def test_golden_svg():
    svg = emit(SHAPES, "svg", *META)
    root = ET.fromstring(svg)
    head = next(g for g in root.iter(SVG + "g") if g.get("id") == "head")
    lines = [f"{t.get('class') or 'legend'}: {t.text}" for t in head.iter(SVG + "text")]
    rows = [g for g in root.iter(SVG + "g") if g.get("class") == "row"]
    for depth, row in enumerate(rows):
        lines.append(f"row {depth} {row.get('transform')}")
        for rect in row:
            title = rect.find(SVG + "title").text.replace("\n", " | ")
            lines.append(f"    {rect.get('class')} {rect.get('x')} + {rect.get('width')}: {title}")
    lines += [f"label {t.get('x')} {t.get('y')} {t.text}" for t in
              next(g for g in root.iter(SVG + "g") if g.get("id") == "labels")]
    compare("shapes.svg.txt", "\n".join(lines).encode() + b"\n")


def random_stacks(seed):
    """Many stacks of few names, some far too rare for the picture, some with time and without samples."""
    rng = random.Random(seed)
    names = [f"f{i}|{rng.choice('nikpjm')}|/lib/{rng.randrange(3)}.so|/src/{rng.randrange(3)}.c|{i}" for i in range(40)]
    for _ in range(2000):
        samples = rng.choice([0, 1, 1, 2, 50000])
        yield "main;" + ";".join(rng.choices(names, k=rng.randrange(1, 30))) + f" {samples}/{rng.randrange(10**9)}"


@pytest.mark.parametrize("seed", [1, 2])
def test_totals_agree(seed):
    stacks = list(random_stacks(seed))
    samples = sum(int(s.rpartition(" ")[2].partition("/")[0]) for s in stacks)
    time = sum(int(s.rpartition("/")[2]) for s in stacks)
    assert sum(parse_collapsed(emit(stacks, "collapsed").decode()).values()) == samples
    pb = parse_pprof(emit(stacks, "pprof"))
    assert [sum(values[i] for _, values, _ in pb["samples"]) for i in (0, 1)] == [samples, time]
    svg = emit(stacks, "svg")
    assert b"narrower than" in svg
    depth, x, width, title = frames_of(svg)[0]
    assert (depth, x, width) == (0, 0, 1000000)
    assert title[0] == f"all ({samples:,} samples, 100.00%)"
    assert title[1].startswith(f"{time // 3600e9:.0f} h" if time >= 3600e9 else f"{time / 1e9:.1f} s")


def test_frames_lie_in_their_callers_in_the_order_of_their_names():
    """And a frame's width is its share: what its callees leave is its own."""
    frames = frames_of(emit(list(random_stacks(3)), "svg", "--min-width", "0.0001"))
    rows = {}
    for depth, x, width, title in frames:
        rows.setdefault(depth, []).append((x, x + width, title))
    for depth in range(1, len(rows)):
        for (_, end, title), (start, _, after) in zip(rows[depth], rows[depth][1:]):
            assert end <= start + 0.02, "they overlap"
        for start, end, title in rows[depth]:
            callers = [c for c in rows[depth - 1] if c[0] - 0.02 <= start and end <= c[1] + 0.02]
            assert len(callers) >= 1
        for caller in rows[depth - 1]:
            names = [t[0].rpartition(" (")[0] for s, e, t in rows[depth] if caller[0] - 0.005 <= s and e <= caller[1] + 0.005
                     and e - s > 0.02]
            assert names == sorted(names)


HOSTILE = [
    "".join(f"\\x{byte:02x}" for byte in range(1, 256)),
    "</title></svg><script>alert(1)</script>\\x3b\\x7c\\x5c",
    "]]>&lt;&#0;&notanentity;<![CDATA[<!-- -- -->",
    "\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80\\xc0\\xaf\\xe2\\x82",  # surrogates, beyond Unicode, overlong, cut
    "\\xef\\xbf\\xbe\\xef\\xbf\\xbf\\xf0\\x9f\\x94\\xa5",  # U+FFFE, U+FFFF, a flame
    "\\xe2\\x80\\xae\\xe2\\x81\\xa6gnp.exe\\xe2\\x80\\xa8",  # overrides and a line separator
    "x" * 10000, "<" * 10000, "\\xf0\\x9f\\x94\\xa5" * 3000, " ", "",
]


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: name[:12])
def test_hostile_names(name):
    """In every place a target's text can come to: a frame, its module and file, title, command, note."""
    name = name.replace(";", "\\x3b").replace("|", "\\x7c")
    stacks = [f"main|n|{name}|{name}|3;{name}|{kind}|{name}|{name}|3 {2 + i}" for i, kind in enumerate("nikpjm")]
    stacks += [f"{name}|t||||77;{name} 1"]
    meta = ["--title", name or "-", "--command", name, "--note", name]
    svg = emit(stacks, "svg", *meta)
    root = ET.fromstring(svg)
    assert len(list(root.iter(SVG + "script"))) == 1
    assert frames_of(svg)[0][3][0] == "all (28 samples, 100.00%)"
    texts = "".join(root.itertext()) + "".join(v for el in root.iter() for v in el.attrib.values())
    assert not re.search("[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufffe\uffff]", texts)
    collapsed = emit(stacks, "collapsed", *meta).decode()
    assert collapsed.splitlines() == collapsed[:-1].split("\n"), "a name ends a line"
    assert all(" " <= c and c != "\x7f" for c in collapsed.replace("\n", ""))
    assert sum(parse_collapsed(collapsed).values()) == 28
    assert {len(stack) for stack in parse_collapsed(collapsed)} == {2}
    pb = parse_pprof(emit(stacks, "pprof", *meta))  # which decodes all its strings
    assert sum(values[0] for _, values, _ in pb["samples"]) == 28


def test_long_names_are_in_the_tooltip():
    name = "".join(f"<{i}>" for i in range(2500))
    assert len(name) > 10000
    svg = emit([f"main;{name} 1"], "svg")
    assert frames_of(svg)[-1][3][0] == f"{name} (1 sample, 100.00%)"
    # A megabyte for each frame that shows it would be too much.
    svg = emit([f"main;{'y' * 1000000} 1"], "svg")
    assert len(svg) < 100000
    assert frames_of(svg)[-1][3][0].endswith("y\u2026 (1 sample, 100.00%)")


def test_needs_nothing_else():
    """No reference leads out of the file."""
    svg = emit(SHAPES, "svg", *META).decode()
    urls = set(re.findall(r"[a-z]+://[^\s'\"<)]+", svg))
    assert urls == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml", "file:///srv/page.js:9"}
    assert not re.search(r"@import|url\(|<image|xlink|\bhref", svg)


def test_same_profile_same_bytes():
    stacks = list(random_stacks(4))
    for form in ("svg", "collapsed", "pprof"):
        assert emit(stacks, form) == emit(stacks, form)


def luminance_and_lab(rgb):
    """CIE L*a*b* of linear RGB, D65."""
    r, g, b = rgb
    xyz = ((.4124 * r + .3576 * g + .1805 * b) / .95047, .2126 * r + .7152 * g + .0722 * b,
           (.0193 * r + .1192 * g + .9505 * b) / 1.08883)
    x, y, z = (t ** (1 / 3) if t > .008856 else 7.787 * t + 16 / 116 for t in xyz)
    return xyz[1], (116 * y - 16, 500 * (x - y), 200 * (y - z))


# Machado, Oliveira and Fernandes 2009, severity 1.0, for linear RGB.
SIGHT = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((.152286, 1.052583, -.204868), (.114503, .786281, .099216), (-.003882, -.048116, 1.051998)),
    "deuteranopia": ((.367322, .860646, -.227968), (.280085, .672501, .047413), (-.011820, .042940, .968881)),
    "tritanopia": ((1.255528, -.076749, -.178779), (-.078411, .930809, .147602), (.004733, .691367, .303900)),
}


@pytest.mark.parametrize("sight", SIGHT)
def test_kinds_differ_for_every_sight(sight):
    css = emit(SHAPES, "svg").decode()
    colours = {}
    for kind, _, hexed in re.findall(r"\.([nikpjm])([0-3]) \{ fill: #([0-9a-f]{6}); \}", css):
        linear = [c / 12.92 if c <= .04045 else ((c + .055) / 1.055) ** 2.4
                  for c in (int(hexed[i:i + 2], 16) / 255 for i in (0, 2, 4))]
        seen = [min(1, max(0, sum(m * c for m, c in zip(row, linear)))) for row in SIGHT[sight]]
        colours.setdefault(kind, []).append(luminance_and_lab(seen))
    assert {kind: len(shades) for kind, shades in colours.items()} == dict.fromkeys("nikpjm", 4)
    for kind, shades in colours.items():
        for y, lab in shades:
            assert (y + .05) / (.0056 + .05) >= 4.5, f"text #111 on {kind}"
            for other in colours:
                for _, far in colours[other] if other != kind else []:
                    assert sum((a - b) ** 2 for a, b in zip(lab, far)) ** .5 > 11, f"{kind} and {other}"


def test_no_more_frames_than_a_browser_bears():
    """130,000 frames are wide enough, and only the widest 100,000 are shown, each with its callers."""
    stacks = [f"{'shared;' * 3}{';'.join(f'f{i}.{k}' for k in range(26))} {3000 + i}" for i in range(5000)]
    frames = frames_of(emit(stacks, "svg"))
    assert 90000 < len(frames) <= 100000
    shown = {title[0].partition(" ")[0] for _, _, _, title in frames}
    assert all(f"f{i}.0" in shown and f"f{i}.25" in shown for i in range(4000, 5000))
    assert not any(f"f{i}.0" in shown for i in range(1000))
    assert len(frames_of(emit(stacks, "svg", "--min-width", "0.1"))) == 130004, "asked for is asked for"


def test_deep_and_many():
    """4,000 frames deep, and 20,000 distinct stacks: nothing recurses and nothing is lost."""
    stacks = [f"root;{'f;g;' * 2000}leaf{i % 20} {i}" for i in range(1, 60)]
    stacks += [f"root;a{i % 100};b{i % 1000};c{i} 1" for i in range(20000)]
    total = sum(range(1, 60)) + 20000
    assert sum(parse_collapsed(emit(stacks, "collapsed").decode()).values()) == total
    assert sum(values[0] for _, values, _ in parse_pprof(emit(stacks, "pprof"))["samples"]) == total
    svg = emit(stacks, "svg")
    assert frames_of(svg)[0][3][0] == f"all ({total:,} samples, 100.00%)"
    assert max(depth for depth, *_ in frames_of(svg)) == 4002
