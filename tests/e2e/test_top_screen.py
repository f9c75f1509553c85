# SPDX-License-Identifier: Apache-2.0
"""The live view on a real terminal: tmux presses each key, and the screen is read."""
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

import nodes
from conftest import CSAMPLE

pytestmark = pytest.mark.skipif(not shutil.which("tmux"), reason="no tmux")


class Screen:
    def __init__(self, path, command, size=(80, 24), **env):
        self.tmux = ["tmux", "-S", str(path / "tmux"), "-f", "/dev/null"]
        settings = {"LC_ALL": "C.UTF-8", "LINES": 24, "COLUMNS": 80, **env}
        words = " ".join(f"{name}={value}" for name, value in settings.items())
        self("new-session", "-d", "-x", size[0], "-y", size[1], "-c", path, "env", "PS1=shell> ", "bash", "--norc")
        self.wait(lambda text: "shell>" in text)
        self("send-keys", "-l", f"export {words}; clear; {' '.join(map(str, command))}; echo status $?")
        self("send-keys", "Enter")

    def __call__(self, *args):
        return subprocess.run([*self.tmux, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              check=False, text=True).stdout

    def text(self):
        return self("capture-pane", "-p")

    def wait(self, condition, timeout=30):
        end = time.monotonic() + timeout
        while not condition(text := self.text()):
            if time.monotonic() > end:
                raise AssertionError(f"not in {timeout} s on the screen:\n{text}")
            time.sleep(0.05)
        return text

    def press(self, *keys, until=None):
        self("send-keys", *keys)
        if until is None:
            return self.text()
        return self.wait(until if callable(until) else lambda text: until in text)

    def kill(self):
        self("kill-server")


def rows(text):
    """[(own%, total%, own time, total time, name)] of the table on the screen."""
    found = []
    for line in text.splitlines():
        m = re.match(r" *([\d.]+) +([\d.]+) +([\d.]+(?:s|ms|us)?) +([\d.]+(?:s|ms|us)?)  (.*)", line)
        if m:
            found.append((float(m[1]), float(m[2]), seconds(m[3]), seconds(m[4]), m[5].rstrip()))
    return found


def seconds(text):
    unit = {"ms": 1e-3, "us": 1e-6}.get(text[-2:], 1)
    return float(text.rstrip("mus")) * unit


def named(text, name):
    return next((row for row in rows(text) if row[4].lstrip(" ▾▸+-").startswith(name)), None)


@pytest.fixture
def screen(tmp_path):
    opened = []

    def screen(*command, size=(80, 24), **env):
        opened.append(Screen(tmp_path, command, size, **env))
        return opened[-1]

    yield screen
    for one in opened:
        one.kill()


@pytest.fixture
def top(screen, workload):
    """top of split, with figures: (screen, process)."""
    process = workload("split", 100)
    s = screen(CSAMPLE, "top", "-p", process.pid, "--delay", "300ms")
    s.wait(lambda text: all(named(text, name) for name in ("seventy", "twenty", "ten", "work")))
    return s, process


def test_views_and_the_call_tree(top):
    s, process = top
    text = s.press("w", until="| whole run |")
    assert f"pid {process.pid}" in text and "threads 1 running / 1" in text or "threads 0 running / 1" in text
    assert "samples" in text and "errors" in text and "median pause" in text and "rate" in text
    text = s.press("2", until="*total%")
    text = s.wait(lambda text: named(text, "work")[3] > 1)
    seventy, work = named(text, "seventy (split)"), named(text, "work (split)")
    assert abs(seventy[3] / work[3] - 0.7) < 0.2, text
    assert seventy[1] <= 101 and seventy[2] == 0
    text = s.press("l", until="[lines]")
    assert s.wait(lambda text: named(text, "seventy (split.c:20)"))
    text = s.press("m", until="[modules]")
    assert named(text, "split") and named(text, "libc.so.6")
    s.press("t", until="[threads]")
    s.wait(lambda text: named(text, f"split ({process.pid})"))
    s.press("Enter", until=f"| split ({process.pid})")  # only this thread
    s.wait(lambda text: "[functions]" in text and named(text, "work"))
    s.press("a", until=lambda text: f"split ({process.pid})" not in text)
    # The call tree of work.
    s.press("/", until="/_")
    s.press("work", until="/work_")
    s.press("Enter", until="? help")
    text = s.press("Enter", until="callees")
    assert [row[4].strip(" ▸▾") for row in rows(text)][:2] == ["work (split)", "seventy (split)"]
    assert abs(named(text, "seventy")[3] / named(text, "work")[3] - 0.7) < 0.2
    s.press("Down", "Right", until=lambda text: named(text, "rounds"))  # opened
    s.press("Left", until=lambda text: not named(text, "rounds"))       # and closed
    s.press("+", until=lambda text: named(text, "rounds"))
    s.press("-", until=lambda text: not named(text, "rounds"))
    text = s.press("c", until="callers")
    assert named(text, "main") and not named(text, "seventy")
    s.press("Escape", until="*total%")
    s.press("q", until="status 0")


def test_sorting_searching_moving(top):
    s, _ = top
    for key, column in (("1", "*own%"), ("2", "*total%"), ("3", "*own time"), ("4", "*total time"), ("5", "*name")):
        s.press(key, until=column)
    names = [row[4] for row in rows(s.text())]
    assert names == sorted(names, key=str.lower)
    s.press("I", until="turned round")
    names = [row[4] for row in rows(s.text())]
    assert names == sorted(names, key=str.lower, reverse=True)
    s.press("I", "4", until="*total time")
    times = [row[3] for row in rows(s.text())]
    assert times == sorted(times, reverse=True)
    s.press("/", until="/_")
    s.press("nothing-like-it", "Enter", until="no match for 'nothing-like-it'")
    s.press("/", until="/_")
    s.press("split)", "Enter", until="? help")
    before = s("capture-pane", "-p", "-e")
    after = s.press(";", until=lambda text: s("capture-pane", "-p", "-e") != before)  # the next match is chosen
    assert after
    s.press("?", until="keys (any key: back)")
    s.press("x", until="*total time")
    s.press("%", until="of all")
    text = s.press("1", until="*own%")
    assert abs(sum(row[0] for row in rows(text)) - 100) < 2
    s.press("End", "Home", "NPage", "PPage", "Down", "Up", "Right", "Left", "C-l", until="*own%")


def reversed_row(s):
    """The name in the row that is chosen: it stands reversed, as does the table's head above it."""
    on, chosen = False, None
    for line in s("capture-pane", "-p", "-e").splitlines():
        parts = re.split(r"\x1b\[([0-9;]*)m", line)
        for i, part in enumerate(parts):
            if i % 2:
                codes = part.split(";")
                on = "7" in codes or (on and not {"0", "27", ""} & set(codes))
            elif on and part.strip():
                chosen = "".join(parts[::2]).split()
                break
    return chosen[4] if chosen and re.match(r"[\d.]+$", chosen[0]) else None


def test_other_names_of_keys(top):
    s, _ = top
    s.press("5", until="*name")
    names = [row[4].split()[0] for row in rows(s.text())]
    assert len(names) > 5

    def choose(keys, name):
        s.press(*keys, until=lambda text: reversed_row(s) == name)

    choose("j", names[1])
    choose("jj", names[3])
    choose("k", names[2])
    choose("g", names[0])
    s.press("G")
    s.wait(lambda text: reversed_row(s) not in names[:4])
    choose("g", names[0])
    s.press("/", "sevX", "BSpace", until="/sev_")
    choose(["Enter"], "seventy")
    s.press("/", "w", "Enter", until=lambda text: "w" in (reversed_row(s) or ""))  # work, twenty, and what libc has
    first = reversed_row(s)
    s.press("F3", until=lambda text: reversed_row(s) != first)
    s.press(",", until=lambda text: reversed_row(s) == first)
    s.press("Enter", until="callees")
    s.press("BSpace", until="*name")
    for key in "h", "F1":
        s.press(key, until="any key: back")
        s.press("x", until="*name")
    s.press("Right", until=lambda text: not any(row[4].startswith(names[0]) for row in rows(text)))  # names move left
    s.press("Left", until=lambda text: any(row[4].startswith(names[0]) for row in rows(text)))
    s.press("Q", until="status 0")


def test_pause_reset_native_and_idle(top):
    s, _ = top
    text = s.press("Space", until="PAUSED")
    time.sleep(0.8)
    assert rows(s.text()) == rows(text) and "PAUSED" in s.text()
    s.press("Space", until=lambda text: "PAUSED" not in text)
    s.wait(lambda text: named(text, "work") and named(text, "work")[3] > 0.3)
    grown = named(s.text(), "work")[3]
    s.press("R", until="counting from now on")
    assert s.wait(lambda text: named(text, "work"))
    assert named(s.text(), "work")[3] < grown
    s.press("n", until="native off")
    s.wait(lambda text: not named(text, "work") and named(text, "[no frames]"))
    s.press("n", until=lambda text: "native off" not in text and named(text, "work"))
    s.press("i", until="idle on")
    s.wait(lambda text: named(text, "work") and named(text, "work")[1] > 85)  # wall time, whoever else runs
    s.press("i", until="| CPU")


def samplers(command):
    """The threads of the csample that was started so."""
    pid, = subprocess.run(["pgrep", "-xf", " ".join(map(str, command))], stdout=subprocess.PIPE, check=True,
                          text=True).stdout.split()
    return set(os.listdir(f"/proc/{pid}/task"))


@pytest.mark.parametrize("event", ["cpu", "wall"])
def test_a_reset_counts_from_then_on_and_sampling_goes_on(screen, workload, event):
    process = workload("crowd", 2, 1)  # one thread runs
    command = [CSAMPLE, "top", "-p", process.pid, "--delay", "300ms", "-e", event, "--by", "threads"]
    s = screen(*command, size=(100, 24))
    s.press("4", until="*total time")
    text = s.wait(lambda text: rows(text) and rows(text)[0][3] > 1.5)
    before, rows_before = samplers(command), len(rows(text))
    assert len(before) > 1, "it samples on threads of its own"
    s.press("Space", until="PAUSED")
    s.press("R", until=lambda text: "counting from now on" in text and "PAUSED" not in text)
    began = time.monotonic()
    text = s.wait(lambda text: rows(text) and rows(text)[0][3] > 0.1)
    assert rows(text)[0][3] < time.monotonic() - began + 0.5, text
    assert samplers(command) == before
    # Who waits, and has done so since before, is known on.
    s.wait(lambda text: len(rows(text)) == rows_before)
    samples = int(re.search(r"(\d+) samples", s.text())[1])
    s.wait(lambda text: int(re.search(r"(\d+) samples", text)[1]) > samples)
    s.press("i", until="idle on" if event == "cpu" else "| CPU")
    assert not samplers(command) <= before, "other samplers"
    s.press("q", until="status 0")


def test_a_reset_forgets_the_runtimes_of_who_has_ended(screen, start):
    python = "import select\nwhile not select.select([0], [], [], 0)[0]: pass"
    process = start("sh", "-c", 'python3 -c "$0"; while :; do :; done', python, stdin=subprocess.PIPE)
    s = screen(CSAMPLE, "top", "-s", "-p", process.pid, "--delay", "300ms")
    s.wait(lambda text: "CPython" in text)
    process.popen.stdin.close()
    s.wait(lambda text: not subprocess.run(["pgrep", "-P", str(process.pid)], stdout=subprocess.PIPE).stdout)
    s.press("R", until=lambda text: "counting from now on" in text and "CPython" not in text and rows(text))
    s.wait(lambda text: re.search(r"native +threads 1 running / 1|native +threads 0 running / 1", text) and rows(text))


def test_what_is_shown_is_saved(top, tmp_path, csample):
    s, _ = top
    s.press("w", until="whole run")
    s.press("s", until="saved as ")
    s.press("p", until=".pb.gz")
    svg, = tmp_path.glob("split-*.svg")
    assert "seventy" in svg.read_text()
    pprof, = tmp_path.glob("split-*.pb.gz")
    report = csample("report", pprof, "--cum")
    assert re.search(r"seventy", report.out) and report.status == 0, report


def test_it_is_as_large_as_the_terminal(top):
    s, _ = top
    s("resize-window", "-x", 40, "-y", 10)
    for _ in range(4):  # it goes on so
        text = s.wait(lambda text: re.search(r"^  \*own%  total%  name$", text, re.M) and "rounds (split)" in text)
        lines = text.splitlines()
        assert len(lines) == 10 and max(map(len, lines)) <= 40 and re.match(r" +[\d.]+ +[\d.]+  \S", lines[5]), text
        s.wait(lambda now: now != text)
    s.press("4", until=lambda text: re.search(r"^   own time \*total time  name$", text, re.M))
    s.wait(lambda text: re.search(r"^ +[\d.]+m?s? +[\d.]+m?s  rounds \(", text, re.M))
    s("resize-window", "-x", 20, "-y", 8)
    s.wait(lambda text: re.search(r"^ \*total time  name$", text, re.M))
    s.wait(lambda text: re.search(r"^ +[\d.]+m?s  (rounds|__libc|_start)", text, re.M))
    s.press("1", until=lambda text: re.search(r"^  \*own%  name$", text, re.M))
    s("resize-window", "-x", 132, "-y", 40)
    s.wait(lambda text: "? help" in text.splitlines()[-1] and named(text, "ten"))


def test_ctrl_z_gives_the_terminal_back_and_fg_the_screen(top):
    s, process = top
    s.press("C-z", until=lambda text: "Stopped" in text and "shell>" in text)
    assert "own%" not in s.text()
    assert open(f"/proc/{process.pid}/stat", encoding="ascii").read().rpartition(")")[2].split()[0] in "RS"
    s.press("fg", "Enter", until=lambda text: "own%" in text and named(text, "work"))
    before = rows(s.text())
    s.wait(lambda text: rows(text) and rows(text) != before)
    s.press("q", until=lambda text: text.rstrip().endswith("shell>"))
    s.press("echo status $?", "Enter", until="status 0")


def test_the_end_of_the_process_leaves_the_last_table(top):
    s, process = top
    s.wait(lambda text: named(text, "work") and named(text, "work")[3] > 0.2)
    process.signal(signal.SIGTERM)
    process.popen.wait()
    s.wait(lambda text: f"process {process.pid} has ended" in text and named(text, "work"))
    s.press("l", until="[lines]")
    s.press("R", until="nothing more can be counted")
    text = s.press("q", until="status 0")
    assert f"process {process.pid} has ended" in text and named(text, "work")


@pytest.mark.parametrize("term, utf8, colour", [("screen", False, True), ("vt100", True, False), ("screen-256color", True, True)])
def test_terminals(screen, workload, term, utf8, colour):
    process = workload("split", 100)
    s = screen(CSAMPLE, "top", "-p", process.pid, "--delay", "300ms", TERM=term, LC_ALL="C.UTF-8" if utf8 else "C")
    s.press("w", until=lambda text: "whole run" in text and named(text, "work"))
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-7]m", s("capture-pane", "-p", "-e"))) == colour
    s.press("/", until="/_")
    s.press("work", "Enter", until="? help")
    text = s.press("Enter", until="callees")
    assert ("▾ work" in text) == utf8 and ("- work" in text) != utf8


def test_no_color_and_a_terminal_that_cannot(screen, workload, tmp_path):
    process = workload("split", 100)
    s = screen(CSAMPLE, "top", "-p", process.pid, "--delay", "300ms", NO_COLOR=1)
    s.wait(lambda text: named(text, "work"))
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", s("capture-pane", "-p", "-e"))
    s.press("q", until="status 0")
    s.press(f"TERM=dumb {CSAMPLE} top -p {process.pid} --delay 300ms 2> said", "Enter",
            until=lambda text: "csample top" in text and named(text, "work"))
    assert "'dumb' cannot place text" in (tmp_path / "said").read_text()
    s.press("C-c", until=lambda text: text.rstrip().endswith("shell>"))


def test_a_command_is_quiet_unless_it_fails_and_ends_with_the_view(screen, tmp_path):
    s = screen(CSAMPLE, "top", "--", "sh", "-c",
               "'echo LOUD; echo $$ > pid; while :; do :; done'")
    s.wait(lambda text: "own%" in text and rows(text))
    pid = int((tmp_path / "pid").read_text())
    assert "LOUD" not in s.text().replace("echo LOUD", "")
    s.press("q", until="status 0")
    assert not os.path.exists(f"/proc/{pid}")
    s.press("clear; " + CSAMPLE + " top -- sh -c 'echo BROKEN; exit 5'; echo status $?", "Enter", until="has ended")
    text = s.press("q", until="status 5")
    assert "\nBROKEN\n" in text


def test_names_cannot_write_to_the_terminal(screen, start):
    exe = shutil.which("python3")
    process = start(exe, "-u", "-c", r"""
import threading
code = compile("def f():\n while True: pass\nf()", "/tmp/a\x1b[2J\x1b]0;owned\x07b\u202ec.py", "exec")
print("ready")
exec(code)
""")
    process.wait_for("ready")
    s = screen(CSAMPLE, "top", "-p", process.pid, "--delay", "300ms", size=(120, 24))
    text = s.wait(lambda text: "^[[2J" in text and "GIL" in text)
    assert "owned^Gb<U+202E>c.py" in text
    assert s("display-message", "-p", "#{pane_title}").strip() != "owned"


PYTHON = """
import threading, time
def inner():
    return sum(range(2000))
def outer():
    while True:
        inner()
threading.Thread(target=time.sleep, args=(99,), daemon=True, name="waiter").start()
print("ready")
outer()
"""
NODE = """
function inner() { let sum = 0; for (let i = 0; i < 3e6; i++) sum += i % 7; return sum; }
function outer() { inner(); setTimeout(outer, 5); }
console.log("ready"); outer();
"""


@pytest.mark.parametrize("program, option, script, head", [
    ("python3", "-uc", PYTHON, r"CPython 3\.\d+\S*   threads \d running / 2   CPU [\d.]+%   GIL [\d.]+%   GC [\d.]+%"),
    ("node", "-e", NODE, r"Node.*threads \d+ running / \d+   CPU [\d.]+%   loop idle [\d.]+%   GC [\d.]+%")])
def test_interpreters_on_the_screen(screen, start, program, option, script, head):
    if not shutil.which(program):
        pytest.skip(f"no {program}")
    if program == "node" and (why := nodes.installed()):
        pytest.skip(why)
    process = start(program, option, script)
    process.wait_for("ready")
    s = screen(CSAMPLE, "top", "-p", process.pid, "--delay", "300ms", size=(100, 24))
    s.press("2", until=lambda text: "*total%" in text)  # C functions of some builds have more time of their own
    s.press("w", until=lambda text: re.search(head, text) and named(text, "inner") and named(text, "outer"))
    s.press("2", until="*total%")
    text = s.wait(lambda text: named(text, "inner")[3] > 0.1)
    inner, outer = named(text, "inner"), named(text, "outer")
    assert inner[3] <= outer[3] and outer[0] <= outer[1], text
    s.press("t", until=lambda text: ("gil%" in text) == (program == "python3"))
