# SPDX-License-Identifier: Apache-2.0
"""The seeds of tests/fuzz and the same damaged copies of them each time, under ASan and UBSan: a short pass
over every parser of foreign bytes. `make fuzz` looks for new ones."""
import importlib.util
import os
import subprocess

import pytest

from conftest import ROOT, SAN

pytestmark = pytest.mark.skipif(not SAN, reason="only memory errors would show: make check SAN=1")
BUDGET = 1000  # damaged copies of all seeds of a target together
# These take a hundredth of a second each: recordings and core files are mapped, attached to, walked.
BUDGETS = {"snapshot": 60, "core": 40, "cpython_objects": 300, "emit_names": 200}

spec = importlib.util.spec_from_file_location("fuzz_run", ROOT / "tests/fuzz/run.py")
fuzz = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fuzz)

NAMES = sorted(path.stem.removeprefix("fuzz_") for path in (ROOT / "tests/fuzz").glob("fuzz_*.c"))


@pytest.mark.parametrize("name", NAMES)
def test_seeds_and_damaged_copies(name, tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz, "OUT", tmp_path)
    seeds = sorted(file for folder in fuzz.corpus_of(name) for file in folder.iterdir())
    assert seeds, f"no seeds for {name}"
    program = ROOT / "build/san/fuzz" / name
    env = dict(os.environ, ASAN_OPTIONS="detect_leaks=0:allocator_may_return_null=1")
    done = subprocess.run([program, str(-(-BUDGETS.get(name, BUDGET) // len(seeds))), *seeds], env=env,
                          capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stderr[-6000:]
    assert done.stdout == f"{len(seeds)} inputs\n"
