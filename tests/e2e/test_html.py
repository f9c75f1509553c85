# SPDX-License-Identifier: Apache-2.0
"""The html format in real browsers: its numbers are the profile's, and each control does what it says."""
import json
import re

import pytest

import browser
from conftest import wait_until
from emitting import ROOT, emit
from test_formats import HOSTILE, SIGHT, luminance_and_lab, random_stacks

STACKS = [
    "main|n|/bin/app|/src/main.c|10;read_input|n|/bin/app|/src/in.c|7;entry_SYSCALL_64|k|[kernel] 10",
    "main|n|/bin/app|/src/main.c|11;work|n|/bin/app|/src/work.c|20;add|i|/bin/app|/src/add.h|3 30",
    "main|n|/bin/app|/src/main.c|11;work|n|/bin/app|/src/work.c|21;work|n|/bin/app|/src/work.c|25;Add|n|/bin/app 20",
    "main|n|/bin/app|/src/main.c|12;handle|p||/srv/app.py|5;render|j||/srv/app.js|9 25",
    "main|n|/bin/app|/src/main.c|12;handle|p||/srv/app.py|6;render|j||/srv/app.js|9 15",
]
THREADS = ["one|t||||11;main;f 30", "one|t||||11;main 10", "two|t||||12;main;g 50", "main;f 10"]
BOX = """const node = name => { const t = flame.tree; for (let i = 0; i < t.n; i++)
        if (flame.nameOf(i) === name && flame.boxOf(i)) return i; return -1; };
    const box = name => { const i = node(name); if (i < 0) return null;
        const b = flame.boxOf(i), c = flame.canvas.getBoundingClientRect();
        return [b.x + c.left, b.y + c.top, b.width, b.height]; };
"""


def data_of(page):
    """The JSON of a page."""
    return json.loads(re.search(rb'<script type="application/json" id="profile">(.*?)</script>', page, re.S)[1])


def sums_of(data, column):
    """Per name: own, and total with each stack counted once."""
    kids, labels, values = data["kids"], data["labels"], data[column]
    parent, at = {}, 1
    for i, n in enumerate(kids):
        for k in range(at, at + n):
            parent[k] = i
        at += n
    assert at == len(kids) == len(labels) == len(values)
    own, total = {}, {}
    for i, value in enumerate(values):
        names, k = [], i
        while k:
            names.append(data["strings"][data["names"][labels[k]]])
            k = parent[k]
        if names:
            own[names[0]] = own.get(names[0], 0) + value
        for name in set(names):
            total[name] = total.get(name, 0) + value
    return own, total


def sums_of_stacks(stacks, value):
    own, total = {}, {}
    for stack in stacks:
        names, _, counts = stack.rpartition(" ")
        names = [f.split("|")[0] for f in names.split(";")]
        n = int(counts.split("/")[value])
        own[names[-1]] = own.get(names[-1], 0) + n
        for name in set(names):
            total[name] = total.get(name, 0) + n
    return {k: v for k, v in own.items() if v}, total


def test_data_is_the_profile():
    stacks = list(random_stacks(5))
    data = data_of(emit(stacks, "html", "--functions"))
    for value, column in enumerate(("samples", "ns")):
        own, total = sums_of(data, column)
        assert ({k: v for k, v in own.items() if v}, total) == sums_of_stacks(stacks, value)
    assert data["meta"]["left_out"] == 0


def test_of_too_many_frames_the_smallest_are_drawn_as_one():
    stacks = [f"main;f{i % 500};{';'.join(f'g{i}.{k}' for k in range(10))} {1 + i % 7}" for i in range(30000)]
    data = data_of(emit(stacks, "html"))
    own, total = sums_of(data, "samples")
    whole = sum(int(s.rpartition(" ")[2]) for s in stacks)
    assert total["main"] == whole == sum(own.values())
    assert len(data["kids"]) < 201000 and data["meta"]["left_out"] > 100000
    assert own["[too small to show]"] > 0


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: name[:12])
def test_hostile_names_stay_text(name):
    name = name.replace(";", "\\x3b").replace("|", "\\x7c")
    stacks = [f"main|n|{name}|{name}|3;{name}|{kind}|{name}|{name}|3 {2 + i}" for i, kind in enumerate("nikpjm")]
    page = emit(stacks + [f"{name}|t||||77;{name} 1"], "html", "--title", name or "-", "--command", name, "--note", name)
    text = page.decode()
    assert text.count("<script") == text.count("</script>") == 4 and text.count("</title>") == 1
    assert not re.search("[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]", text)
    inside = re.search(r'id="profile">(.*?)</script>', text, re.S)[1]
    assert not re.search("[<>&]", inside)
    assert sum(data_of(page)["samples"]) == 28


def test_nothing_is_loaded():
    page = emit(STACKS, "html").decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy and "http" not in policy
    assert not re.search(r"https?://|@import|url\(|\bsrc=|\bhref=|\bon[a-z]+=|\bstyle=", page)


@pytest.mark.parametrize("sight", SIGHT)
def test_dark_kinds_differ_for_every_sight(sight):
    """The light ones are those of the SVG."""
    flame, page = ((ROOT / "src/emit" / name).read_text() for name in ("flame.css", "html.css"))
    light, dark = page.split(":root.dark")
    for kind, shade, hexed in re.findall(r"\.([nikpjm])([0-3]) \{ fill: (#[0-9a-f]{6}); \}", flame):
        assert f"--{kind}{shade}: {hexed};" in light
    colours = {}
    for kind, hexed in re.findall(r"--([nikpjm])[0-3]: #([0-9a-f]{6});", dark):
        linear = [c / 12.92 if c <= .04045 else ((c + .055) / 1.055) ** 2.4
                  for c in (int(hexed[i:i + 2], 16) / 255 for i in (0, 2, 4))]
        seen = [min(1, max(0, sum(m * c for m, c in zip(row, linear)))) for row in SIGHT[sight]]
        colours.setdefault(kind, []).append(luminance_and_lab(seen))
    assert {kind: len(shades) for kind, shades in colours.items()} == dict.fromkeys("nikpjm", 4)
    for kind, shades in colours.items():
        for y, lab in shades:
            assert (y + .05) / (.004 + .05) >= 4.5, f"text on {kind}"
            for other in colours:
                for _, far in colours[other] if other != kind else []:
                    assert sum((a - b) ** 2 for a, b in zip(lab, far)) ** .5 > 9, f"{kind} and {other}"


@pytest.fixture(scope="module", params=[browser.Chromium, browser.Firefox], ids=["chromium", "firefox"])
def started(request):
    lacking = browser.missing(request.param)
    if lacking:
        pytest.skip(f"{lacking} is not installed")
    it = request.param()
    yield it
    it.close()


@pytest.fixture
def page(started, tmp_path):
    """The page, opened anew; and at the end nothing was said on the console."""

    def open_page(stacks=STACKS, *options):
        path = tmp_path / "out.html"
        emit(stacks, "html", *options, path=path)
        started.open(path)
        started.wait("return typeof flame === 'object' && flame.tree !== null && flame.canvas.width > 0")
        return started

    started.complaints()
    yield open_page
    assert started.complaints() == []


def box(page, name):
    return page.run(BOX + "return box(arguments[0])", name)


def click(page, name):
    x, y, width, height = box(page, name)
    page.pointer(x + min(width / 2, 500), y + height / 2, click=True)


def width_of(page):
    return page.run("return flame.canvas.getBoundingClientRect().width")


def zoomed(page):
    return page.run("return flame.nameOf(flame.zoomed)")


def table(page):
    return page.run("return [...document.querySelectorAll('tbody tr')].map(r => [...r.cells].map(c => c.textContent))")


def test_graph_has_the_profiles_shares(page):
    page = page()
    width = width_of(page)
    for name, share in (("all", 1), ("main", 1), ("work", .5), ("read_input", .1), ("handle (app.py:5)", .25),
                        ("render (app.js:9)", .25)):
        assert box(page, name)[2] == pytest.approx(share * width, abs=1), name
    # Drawn, in its kind's colour: the pixel in the corner of its box.
    x, y, *_ = box(page, "read_input")
    assert page.run("""const c = flame.canvas.getBoundingClientRect(), pen = flame.canvas.getContext('2d');
        const at = pen.getImageData(arguments[0] - c.left + 1, arguments[1] - c.top + 1, 1, 1).data;
        const hex = '#' + [...at].slice(0, 3).map(v => v.toString(16).padStart(2, '0')).join('');
        const style = getComputedStyle(document.documentElement);
        return [0, 1, 2, 3].some(s => style.getPropertyValue('--n' + s).trim() === hex) || hex""", x, y) is True


def test_click_and_keys_zoom_and_back_and_forward_restore(page):
    page = page()
    click(page, "handle (app.py:5)")
    assert zoomed(page) == "handle (app.py:5)"
    wait_until(lambda: abs(box(page, "render (app.js:9)")[2] - width_of(page)) <= 1, what="the width of the page")
    assert box(page, "work") is None
    click(page, "render (app.js:9)")
    assert page.run("return document.getElementById('path').textContent").startswith("all \u203a main \u203a handle")
    page.run("history.back()")
    page.wait("return flame.nameOf(flame.zoomed) === 'handle (app.py:5)'")
    page.run("history.back()")
    page.wait("return flame.zoomed === 0")
    page.run("history.forward()")
    page.wait("return flame.nameOf(flame.zoomed) === 'handle (app.py:5)'")
    page.keys("Backspace")
    assert zoomed(page) == "main"
    page.keys("Escape")
    assert zoomed(page) == "all"
    # Without the pointer: the widest callee is up, Enter zooms.
    page.run("flame.canvas.focus()")
    page.keys("Up", "Up", "Up")
    assert page.run("return flame.nameOf(flame.current)") == "work"
    assert "500 ms" in page.run("return document.getElementById('chosen').textContent")
    page.keys("Enter")
    assert zoomed(page) == "work"


def test_search_counts_overlapping_frames_once(page):
    page = page()
    page.keys("f", held="Control")
    assert page.run("return document.activeElement.id") == "search"
    page.keys(*"work|add")
    matched = "return document.getElementById('matched').value"
    assert page.run(matched) == "50.00% matched"
    for text, answer in (("^Add$", "20.00% matched"), ("^(handle|read_input)\\b", "50.00% matched"),
                         ("nowhere", "0.00% matched"), ("(", "no regular expression")):
        page.run("const i = document.getElementById('search'); i.value = ''; i.focus()")
        page.keys(*text)
        assert page.run(matched) == answer, text
    page.run("const i = document.getElementById('search'); i.value = ''; i.focus()")
    page.keys(*"render", "Enter")
    assert page.run("return flame.nameOf(flame.current)") == "render (app.js:9)"
    page.keys("Escape")
    assert page.run(matched) == ""


def test_table_is_the_profile_and_sorts(page):
    page = page(STACKS)
    page.keys("t")
    assert table(page)[:3] == [
        ["400 ms", "40.00%", "400 ms", "40.00%", "40", "render (app.js:9)", "/srv/app.js"],
        ["300 ms", "30.00%", "300 ms", "30.00%", "30", "add", "/bin/app"],
        ["200 ms", "20.00%", "200 ms", "20.00%", "20", "Add", "/bin/app"]]
    assert ["0 \u00b5s", "0.00%", "250 ms", "25.00%", "25", "handle (app.py:5)", "/srv/app.py"] in table(page)
    page.run("document.getElementById('lines').click()")
    assert ["0 \u00b5s", "0.00%", "400 ms", "40.00%", "40", "handle", "/srv/app.py"] in table(page)
    page.run("document.querySelectorAll('th button')[2].click()")
    assert [row[2] for row in table(page)] == ["1.00 s", "500 ms", "400 ms", "400 ms", "300 ms", "200 ms", "100 ms", "100 ms"]
    assert ["0 \u00b5s", "0.00%", "500 ms", "50.00%", "50", "work", "/bin/app"] in table(page), "recursion counts once"
    assert page.run("return document.querySelectorAll('th')[2].getAttribute('aria-sort')") == "descending"
    page.run("document.querySelectorAll('th button')[5].click()")
    names = [row[5] for row in table(page)]
    assert names == sorted(names)
    page.keys("/", *"wor")
    assert [row[5] for row in table(page)] == ["work"]
    page.keys("Escape")
    page.run("document.querySelector('tbody tr').click()")
    assert page.run("return document.getElementById('matched').value") == "20.00% matched", "Add, and not add"


def test_threads_are_chosen(page):
    page = page(THREADS)
    options = page.run("return [...document.querySelectorAll('#threads option')].map(o => o.textContent.trim())")
    assert options == ["all", "all, threads merged", "two \u2013 50.00%", "one \u2013 40.00%"]
    choose = """const s = document.getElementById('threads'); s.value = [...s.options].find(o =>
        o.textContent.trim().startsWith(arguments[0])).value; s.dispatchEvent(new Event('change'));
        return [flame.tree.whole, [...model.sums(flame.tree)].map(r => [r.name, r.own, r.total]).sort()]"""
    ms = 1000000
    assert page.run(choose, "one") == [400 * ms, [["f", 300 * ms, 300 * ms], ["main", 100 * ms, 400 * ms]]]
    assert page.run(choose, "all, threads") == [1000 * ms, [["f", 400 * ms, 400 * ms], ["g", 500 * ms, 500 * ms],
                                                            ["main", 100 * ms, 1000 * ms]]]
    page.run("history.back()")
    page.wait("return flame.tree.name.startsWith('one') && document.getElementById('threads').selectedIndex === 3")
    assert page.run(choose, "all")[0] == 1000 * ms


def test_order_lines_icicle_and_dark(page):
    page = page()
    names = "return [...Array(flame.tree.n).keys()].filter(i => flame.tree.depth[i] === 2).map(flame.nameOf)"
    assert page.run(names) == ["handle (app.py:5)", "handle (app.py:6)", "read_input", "work"]
    page.keys("h")
    assert page.run(names) == ["work", "handle (app.py:5)", "handle (app.py:6)", "read_input"]
    page.keys("l")
    assert page.run(names) == ["work", "handle", "read_input"]
    assert box(page, "handle")[2] == pytest.approx(.4 * width_of(page), abs=1)
    assert box(page, "main")[1] > box(page, "work")[1], "flames grow upwards"
    page.keys("i")
    assert box(page, "main")[1] < box(page, "work")[1]
    background = "return getComputedStyle(document.body).backgroundColor"
    before = page.run(background)
    page.keys("d")
    assert page.run(background) != before
    assert page.run("return document.getElementById('theme').getAttribute('aria-pressed')") == "true"
    page.click("#theme")
    assert page.run(background) == before


def test_inverted_from_the_start(page):
    page = page(STACKS, "--inverted")
    assert box(page, "main")[1] < box(page, "work")[1]


def test_tooltip_and_copy(page):
    page = page()
    x, y, width, height = box(page, "handle (app.py:5)")
    page.pointer(x + width / 2, y + height / 2)
    lines = page.wait("""const tip = document.getElementById('tip');
        return !tip.hidden && [...tip.children].map(line => line.textContent)""")
    assert lines == ["handle (app.py:5)", "25 samples, 25.00%", "250 ms", "Python", "/srv/app.py:5"]
    x, y, width, height = box(page, "work")
    page.pointer(x + width / 2, y + height / 2)
    page.wait("return document.getElementById('tip').textContent.startsWith('work50 samples, 50.00%')")
    assert page.run("return document.getElementById('tip').lastChild.textContent") == "/src/work.c:20\u201321"
    click(page, "work")
    page.run("window.copied = ''; document.addEventListener('copy', () => { window.copied = String(document.activeElement.value); });"
             "Object.defineProperty(navigator, 'clipboard', { value: undefined, configurable: true })")
    page.keys("c")
    page.wait("return document.getElementById('copy').textContent === 'Copied'")
    assert page.run("return window.copied") == "work"


def test_hostile_names(page):
    hostile = "<script>alert(1)</script>\\x1b[31m\\xe2\\x80\\xae\\xff\"'&<img src=x onerror=alert(1)>" + "x" * 1000
    page = page([f"main;{hostile}|n|{hostile}|{hostile}|1 1", f"{hostile}|t||||9;{hostile} 1"], "--title", hostile,
                "--command", hostile, "--note", hostile)
    page.keys("t")
    assert page.run("return document.querySelectorAll('script, img').length") == 4
    assert table(page)[0][5].startswith("<script>alert(1)</script>^[[31m<U+202E>\ufffd\"'&<img")
    assert page.run("return document.title").startswith("<script>alert(1)")


def test_fifty_thousand_frames_stay_fluid(page):
    """A drawing costs what the screen holds: far fewer rectangles than frames."""
    stacks = [f"main;a{i % 50};b{i % 1000};{';'.join(f'f{i}.{k}' for k in range(9))} {1 + i % 5}" for i in range(6000)]
    page = page(stacks)
    assert page.run("return flame.tree.n") > 50000
    drawn = page.run("""const pen = flame.canvas.getContext('2d'), real = pen.fillRect; let n = 0;
        pen.fillRect = function () { n++; real.apply(pen, arguments); };
        flame.redraw();
        return new Promise(done => requestAnimationFrame(() => { pen.fillRect = real; done(n); }))""")
    assert 1000 < drawn < 2 * 12 * (width_of(page) + 1) < 57000
    assert page.run("return model.sums(flame.tree).find(r => r.name === 'main').total") == 10000000 * sum(1 + i % 5 for i in range(6000))


def test_follows_the_window_and_deep_stacks_scroll(page):
    page = page(["main;" + ";".join(["recurse"] * 2500) + ";leaf 5", "main;other 5"])
    assert page.run("return document.getElementById('graph').scrollTop") > 40000, "it opens at the root"
    assert box(page, "main")[1] < page.run("return innerHeight")
    page.resize(640, 700)
    page.wait("return Math.abs(flame.canvas.getBoundingClientRect().width - innerWidth) < 20")
    page.run("flame.redraw()")
    page.wait(BOX + "return Math.abs(box('main')[2] - flame.canvas.getBoundingClientRect().width) < 2")
    page.resize(1280, 900)
    page.keys("i")
    assert page.run("return document.getElementById('graph').scrollTop") == 0
