# SPDX-License-Identifier: Apache-2.0
"""speedscope files: by its own schema's rules, and opened in speedscope itself, from npm, in a browser."""
import base64
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

import browser
from emitting import ROOT, emit
from test_formats import HOSTILE, SHAPES, random_stacks

VERSION = "1.25.0"


def check(data):
    """What the schema of the "sampled" type and speedscope's importer ask; returns each profile's total."""
    file = json.loads(data)
    frames = file["shared"]["frames"]
    assert file["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    for frame in frames:
        assert isinstance(frame["name"], str) and set(frame) <= {"name", "file", "line", "col"}
    assert len({json.dumps(f) for f in frames}) == len(frames)
    totals = {}
    for profile in file["profiles"]:
        assert profile["type"] == "sampled" and profile["unit"] in ("nanoseconds", "none")
        assert len(profile["samples"]) == len(profile["weights"])
        assert all(0 <= i < len(frames) for stack in profile["samples"] for i in stack)
        assert all(stack for stack in profile["samples"])
        assert sum(profile["weights"]) == profile["endValue"] - profile["startValue"]
        totals[profile["name"]] = profile["endValue"]
    return totals


def test_each_thread_is_a_profile():
    assert check(emit(SHAPES, "speedscope", "--title", "app")) == {"app": 249000000, "worker": 30000000}


def test_nothing_is_lost():
    stacks = list(random_stacks(1))
    time = sum(int(s.rpartition("/")[2]) for s in stacks)
    assert list(check(emit(stacks, "speedscope")).values()) == [time]


def test_hostile_names_and_nothing_at_all():
    check(emit([f"{name} 1" for name in HOSTILE], "speedscope"))
    assert list(check(emit([], "speedscope")).values()) == [0]


def test_samples_without_time_are_counted():
    file = json.loads(emit(["main;f 3/0", "main 1/0"], "speedscope"))
    assert [(p["unit"], p["endValue"]) for p in file["profiles"]] == [("none", 4)]


def from_npm(package, version):
    """The directory of a package, fetched once. Others may do the same meanwhile: the first wins."""
    place = ROOT / "build" / "npm" / f"{package.rpartition('/')[2]}-{version}"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as own:
            got = subprocess.run(["npm", "pack", f"{package}@{version}"], cwd=own, capture_output=True, text=True, timeout=300)
            if got.returncode:
                pytest.skip(f"npm does not give {package}: {got.stderr.strip()[-200:]}")
            archive, = pathlib.Path(own).glob("*.tgz")
            shutil.unpack_archive(archive, f"{own}/unpacked")
            try:
                os.rename(f"{own}/unpacked", place)
            except OSError:
                assert place.exists()
    return place / "package"


@pytest.fixture(scope="module")
def speedscope():
    """The index.html of the released viewer."""
    lacking = browser.missing(browser.Chromium)
    if lacking or not shutil.which("npm"):
        pytest.skip(f"{lacking or 'npm'} is not installed")
    return from_npm("speedscope", VERSION) / "dist/release/index.html"


def open_in(page, viewer, tmp_path, name, data):
    """Has the viewer load a file of that name, and waits until it shows it."""
    script = tmp_path / "profile.js"
    encoded = base64.b64encode(data).decode()
    script.write_text(f'speedscope.loadFileFromBase64("{name}", "{encoded}")')
    page.command("Navigate", url=f"{viewer.as_uri()}#localProfilePath={script}")
    page.wait("return document.body.innerText.includes(arguments[0]) || document.body.innerText.includes('(1/')", name)


def test_opens_in_speedscope(speedscope, tmp_path):
    data = emit(SHAPES, "speedscope", "--title", "app")
    page = browser.Chromium()
    try:
        open_in(page, speedscope, tmp_path, "app.speedscope.json", data)
        page.keys("3")  # the sandwich view: a table of functions
        page.wait("return document.querySelectorAll('table tr').length > 10")
        rows = page.run("return [...document.querySelectorAll('table tr')].map(r => r.innerText.split(/\\s*[\\n\\t]\\s*/))")
        assert ["91.00ms (37%)", "39.00ms (16%)", "work"] in rows, rows
        assert ["60.00ms (24%)", "60.00ms (24%)", "onData (page.js:9)"] in rows, rows
        assert ["232.00ms (93%)", "0.00ns (<0.01%)", "main"] in rows, rows
        page.screenshot(tmp_path / "speedscope.png")
        assert [c for c in page.complaints() if "rror" in c] == []
    finally:
        page.close()
