# SPDX-License-Identifier: Apache-2.0
"""The flame graph in real browsers: it answers to clicks and keys, and counts what it finds right."""
import pytest

import browser
from emitting import emit

STACKS = [
    "main|n|/bin/app|/src/main.c|10;read_input|n|/bin/app|/src/in.c|7;entry_SYSCALL_64|k|[kernel] 10",
    "main|n|/bin/app|/src/main.c|11;work|n|/bin/app|/src/work.c|20;add|i|/bin/app|/src/add.h|3 30",
    "main|n|/bin/app|/src/main.c|11;work|n|/bin/app|/src/work.c|21;work|n|/bin/app|/src/work.c|21;Add|n|/bin/app 20",
    "main|n|/bin/app|/src/main.c|12;handle|p||/srv/app.py|5;render|j||/srv/app.js|9 40",
]
# The rect of a frame, by what its title begins with.
RECT = """const rect = name => [...document.querySelectorAll('#frames rect')].find(r =>
    (r.textContent || (r.away && r.away.textContent) || '').startsWith(name + ' ('));
    const box = name => { const b = rect(name).getBoundingClientRect();
        return [b.x, b.y, b.width, b.height]; };
    const labels = () => [...document.querySelectorAll('#labels text')].map(t => t.textContent);
"""


NEAR = 3  # pixels: Firefox counts the outline of what has the focus


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
    """The picture, opened anew; and at the end nothing was said on the console."""

    def open_page(stacks=STACKS, *options):
        path = tmp_path / "out.svg"
        emit(stacks, "svg", *options, path=path)
        started.open(path)
        started.wait(RECT + "return labels().length > 0 && document.getElementById('search') !== null")
        return started

    started.complaints()
    yield open_page
    assert started.complaints() == []


def box(page, name):
    return page.run(RECT + "return box(arguments[0])", name)


def click(page, name):
    x, y, width, height = box(page, name)
    x = max(x, 0)
    page.pointer(min(x + width / 2, 1000), y + height / 2, click=True)


def window_width(page):
    return page.run("return document.documentElement.getBoundingClientRect().width")


def is_whole(page):
    """Nothing is zoomed."""
    return box(page, "main")[2] == pytest.approx(window_width(page), abs=NEAR)


def test_click_zooms_and_ancestors_reset(page):
    page = page()
    width = window_width(page)
    assert box(page, "handle")[2] == pytest.approx(0.4 * width, abs=NEAR)
    click(page, "handle")
    assert box(page, "handle")[2] == pytest.approx(width, abs=NEAR)
    assert box(page, "render")[2] == pytest.approx(width, abs=NEAR)
    # A neighbour is out of the window, the caller is dimmed and wider than it.
    x, _, w, _ = box(page, "work")
    assert x >= width - 1 or x + w <= 1
    assert page.run(RECT + "return getComputedStyle(rect('main')).opacity") < "0.9"
    click(page, "main")
    assert is_whole(page)


def test_labels_are_fitted_again_on_zoom(page):
    name = "a_function_with_a_name_that_is_much_too_long_for_a_narrow_frame_but_not_for_a_wide_one"
    page = page([f"main;{name} 10", "main;other 90"])
    assert any(t.endswith("\u2026") and name.startswith(t[:-1]) for t in page.run(RECT + "return labels()"))
    click(page, name)
    page.wait(RECT + "return labels().includes(arguments[0])", name)
    for text, width in page.run("""const svg = document.documentElement.getBoundingClientRect();
            return [...document.querySelectorAll('#labels text')].map(t =>
                [t.textContent, t.getBoundingClientRect().right - svg.right])"""):
        assert width <= 1, f"{text} leaves the window"


def test_search_counts_overlapping_frames_once(page):
    page = page()
    page.keys("f", held="Control")
    assert page.run("return document.activeElement.id") == "search"
    page.keys(*"work|add")
    # work is in its own subtree twice, and calls add: 50 of 100 samples, not 30 + 20 + 20 + 30 + 20.
    matched = "return document.getElementById('matched').value"
    assert page.run(matched) == "50.00% matched"
    assert page.run(RECT + "return rect('work').classList.contains('hit') && !rect('main').classList.contains('hit')")
    assert page.run(RECT + "return getComputedStyle(rect('work')).fill != getComputedStyle(rect('main')).fill")
    # Capitals make it exact; an expression, not a plain text; nothing is no error.
    for text, answer in (("^Add$", "20.00% matched"), ("^(handle|read_input)\\b", "50.00% matched"),
                         ("nowhere", "0.00% matched"), ("(", "no regular expression")):
        page.run("const i = document.getElementById('search'); i.value = ''; i.focus()")
        page.keys(*text)
        assert page.run(matched) == answer, text
    page.keys("Escape")
    assert page.run(matched) == ""
    assert page.run("return document.getElementById('search').value") == ""
    assert page.run("return document.querySelectorAll('.hit').length") == 0


def test_slash_searches_too_and_enter_goes_to_the_widest(page):
    page = page()
    page.keys("/")
    page.keys(*"work", "Enter")
    assert page.run(RECT + "return document.activeElement === rect('work')")


@pytest.mark.parametrize("how", ["button", "key"])
def test_reset(page, how):
    page = page()
    page.keys("/", *"work")
    click(page, "work")
    assert not is_whole(page)
    if how == "button":
        page.click("#reset")
    else:
        page.keys("Escape")
    assert is_whole(page)
    assert page.run("return document.querySelectorAll('.hit').length") == 0


@pytest.mark.parametrize("how", ["button", "key"])
def test_inversion(page, how):
    page = page()
    assert box(page, "main")[1] > box(page, "work")[1], "flames grow upwards"
    for below in (False, True):
        if how == "button":
            page.click("#invert")
        else:
            page.keys("i")
        assert (box(page, "main")[1] > box(page, "work")[1]) == below
    # The label goes with its frame.
    page.keys("i")
    page.wait(RECT + """const label = [...document.querySelectorAll('#labels text')].find(t =>
        t.textContent.startsWith('handle')).getBoundingClientRect(), frame = rect('handle').getBoundingClientRect();
        return label.top > frame.top - 4 && label.bottom < frame.bottom + 4""")


def test_inverted_from_the_start(page):
    page = page(STACKS, "--inverted")
    assert box(page, "main")[1] < box(page, "work")[1]
    assert page.run("return document.getElementById('invert').getAttribute('aria-pressed')") == "true"


def test_arrows_move_and_enter_zooms(page):
    page = page()
    focused = "return (document.activeElement.textContent || document.activeElement.away.textContent).split(' (')[0]"
    page.keys("Up")
    assert page.run(focused) == "all"
    page.keys("Up", "Up")
    assert page.run(focused) == "work", "the widest callee"
    page.keys("Left", "Left")
    assert page.run(focused) == "handle"
    page.keys("Left")
    assert page.run(focused) == "handle", "there is none further left"
    page.keys("Right")
    assert page.run(focused) == "read_input"
    page.keys("Down")
    assert page.run(focused) == "main"
    page.keys("Up", "Enter")
    assert box(page, "work")[2] == pytest.approx(window_width(page), abs=NEAR)
    page.keys("Backspace")
    assert is_whole(page)
    page.keys("i", "Up")
    assert page.run(focused) == "main", "the caller is above now"


def test_tooltip(page):
    page = page()
    x, y, width, height = box(page, "handle")
    page.pointer(x + width / 2, y + height / 2)
    lines = page.wait("""const tip = document.getElementById('tip');
        return tip.style.display !== 'none' && [...tip.firstChild.children].map(line => line.textContent)""")
    assert lines == ["handle (app.py:5)", "40 samples, 40.00% of all", "400 ms", "Python", "/srv/app.py:5"]
    click(page, "handle")
    x, y, width, height = box(page, "render")
    page.pointer(500, y + height / 2)
    assert "40 samples, 40.00% of all, 100.00% of what is shown" in page.wait(
        "const tip = document.getElementById('tip'); return tip.style.display !== 'none' && tip.textContent")


def test_width_and_labels_follow_the_window(page):
    name = "a_function_whose_name_is_as_wide_as_a_large_window_but_not_as_a_small_one_" + "x" * 40
    page = page([f"main;{name} 9", "main;other 1"])
    whole = RECT + "return Math.abs(box('main')[2] - window.innerWidth) < 2 && labels().includes(arguments[0]) == arguments[1]"
    page.wait(whole, name, True)
    page.resize(700, 700)
    page.wait(whole, name, False)
    page.resize(1280, 900)
    page.wait(whole, name, True)


def test_deep_stacks_scroll_below_a_heading_that_stays(page):
    page = page(["main;" + ";".join(["recurse"] * 2500) + ";leaf 5", "main;other 5"])
    assert page.run("return window.scrollY") > 40000, "it opens at the root"
    assert 0 <= box(page, "main")[1] < page.run("return window.innerHeight")
    page.wait("const top = document.getElementById('search').getBoundingClientRect().top; return top > 0 && top < 200")
    page.keys("i")
    assert page.run("return window.scrollY") == 0


def test_hostile_names(page):
    hostile = "<script>alert(1)</script>]]&gt;\\x1b[31m\\xe2\\x80\\xae\\xff\"'&"
    page = page([f"main;{hostile} 1", "main;" + "x" * 10000 + " 1"], "--title", hostile, "--command", hostile)
    assert page.run("return document.querySelectorAll('script').length") == 1
    assert len(page.run(RECT + "return labels()")) >= 4
