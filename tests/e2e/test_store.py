# SPDX-License-Identifier: Apache-2.0
"""csample query and csample store, on stores that tests/tools/mkstore.c fills."""
import gzip
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

from conftest import CSAMPLE, parse_collapsed, share_of, wait_until
from emitting import MKPROFILE, emit, parse_pprof

MKSTORE = MKPROFILE.parent / "mkstore"
NOON = 1795262400  # 2026-11-21 12:00:00 UTC
UTC = dict(os.environ, TZ="UTC")


@pytest.fixture
def put(tmp_path):
    """put("main;work 3", start, version="v1"): into the store tmp_path/s."""

    def put(stacks, start=NOON, count=1, step=10, type="process_cpu", service_name="checkout", **labels):
        path = tmp_path / "one.pb.gz"
        path.write_bytes(emit([stacks], "pprof"))
        labels["service_name"] = service_name
        done = subprocess.run([MKSTORE, tmp_path / "s", path, str(start), str(count), str(step), type,
                               *(f"{k}={v}" for k, v in sorted(labels.items()))], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert "Sanitizer" not in done.stderr, done.stderr

    return put


@pytest.fixture
def query(csample, tmp_path):
    def query(selector, *options, status=0, times=("--from", "2026-11-21", "--to", "2026-11-22")):
        result = csample("query", "--store", tmp_path / "s", selector, *times, *options, env=UTC)
        assert result.status == status, result
        return result

    return query


def stacks_of(result):
    return {";".join(k): v for k, v in parse_collapsed(result.out).items()}


def test_query_merges_what_matches(put, query, tmp_path):
    put("main;work 3", version="v2.1", env="prod")
    put("main;work 4", NOON + 10, version="v2.2", env="prod")
    put("main;idle 1", NOON + 20, version="v3.0", env="prod")
    put("main;other 8", NOON + 30, version="v2.1", env="prod", service_name="cart")
    put("main;wait 9", NOON + 40, version="v2.1", env="prod", type="wall")
    selector = 'process_cpu{service_name="checkout",version=~"v2.*"}'
    result = query(selector, "-f", "collapsed")
    assert stacks_of(result) == {"main;work": 7}
    assert "2 profiles that began from 2026-11-21 12:00:00 to 2026-11-21 12:00:10" in result.err
    assert stacks_of(query("process_cpu", "-o", "-")) == {"main;work": 7, "main;idle": 1, "main;other": 8}
    assert stacks_of(query('wall{service_name="checkout"}', "-o", "-")) == {"main;wait": 9}
    assert stacks_of(query('process_cpu{version!~"v2.*"}', "-o", "-")) == {"main;idle": 1}
    assert stacks_of(query(selector, "-o", "-", times=("--from", str(NOON + 1), "--to", "2026-11-21T12:01:00Z"))) == {
        "main;work": 4}
    by = query("process_cpu", "--by", "version", "-o", "-")
    assert stacks_of(by) == {"version=v2.1;main;work": 3, "version=v2.2;main;work": 4, "version=v3.0;main;idle": 1,
                             "version=v2.1;main;other": 8}
    assert stacks_of(query("process_cpu", "--by", "zone", "-o", "-", ))["[no zone];main;work"] == 7
    # Without -o: the table of report.
    table = query(selector)
    assert "70.00ms" in table.out and "work" in table.out and "7 samples" in table.out, table
    for name in "out.svg", "out.pb.gz", "out.json":
        query(selector, "-o", tmp_path / name)
    pprof = parse_pprof((tmp_path / "out.pb.gz").read_bytes())
    assert sum(values[0] for _, values, _ in pprof["samples"]) == 7
    assert b"work" in (tmp_path / "out.svg").read_bytes()


def test_what_is_wrong_is_said(put, query, csample, tmp_path):
    put("main;work 3", version="v2.1", env="prod")
    put("main;wait 9", NOON + 40, version="v2.1", env="dev", type="wall")
    nothing = query('process_cpu{service_name="chekout"}', status=1).err
    assert "the store has 2 profiles" in nothing and "service_name (checkout)" in nothing, nothing
    assert "env (dev, prod)" in nothing and "types (process_cpu, wall)" in nothing, nothing
    early = query("process_cpu", status=1, times=("--from", "-1h")).err
    assert "nothing matches" in early and "in the time asked for" in early, early
    assert "both process_cpu and wall match" in query("{}", status=2).err
    assert "expected" in query("process_cpu{", status=2).err
    assert "no regular expression" in query('a{b=~"("}', status=2).err
    assert "does not tell the format" in query("process_cpu", "-o", tmp_path / "x.bogus", status=2).err
    assert "is not a time" in query("process_cpu", times=("--from", "soon"), status=2).err
    missing = csample("query", "--store", tmp_path / "missing", "process_cpu")
    assert missing.status == 1 and "is not a store" in missing.err
    assert not (tmp_path / "missing").exists()
    for args, text in (((), "ls, gc or check"), (("xs",), "none of ls, gc and check"), (("gc",), "--keep")):
        result = csample("store", *args, "--store", tmp_path / "s")
        assert result.status == 2 and text in result.err, result


def test_times(put, query):
    put("main;work 1", 1795132800)  # 2026-11-20 00:00 UTC
    put("main;work 10", NOON)
    now = time.time()
    put("main;work 100", now - 7200)
    put("main;work 1000", now - 60)

    def found(*times):
        return stacks_of(query("process_cpu", "-o", "-", times=times))["main;work"]

    assert found("--from", "2026-11-20", "--to", "2026-11-21") == 1
    assert found("--from", "2026-11-20T00:00:00Z", "--to", "2026-11-20 00:00:01") == 1
    assert found("--from", "2026-11-20T01:00:00+01:00", "--to", "1795132800.5") == 1
    assert found("--from", "1795132800000", "--to", "2026-11-20T00:00:00.001Z") == 1
    assert found() == 1000  # the last hour
    assert found("--from", "-3h", "--to", "now") >= 1100
    assert found("--from", "now-1d", "--to", "now-1h") >= 100


def test_ls_gc_and_check(put, csample, tmp_path):
    store = ("--store", tmp_path / "s")
    put("main;work 3", NOON, count=5, version="v\u001b[31m")
    put("main;work 3", NOON + 50, count=5, service_name="cart")

    def listed(*args):
        result = csample("store", "ls", *args, *store, "--json", env=UTC)
        assert result.status == 0, result
        return json.loads(result.out)

    rows = listed()
    assert len(rows) == 10
    first = listed('{service_name="checkout"}')[0]
    assert first["labels"] == {"service_name": "checkout", "version": "v\u001b[31m"}
    assert (first["type"], first["start_unix_ns"], first["samples"], first["total_ns"]) == (
        "process_cpu", NOON * 10**9, 3, 30000000)
    assert os.path.getsize(first["path"]) == first["bytes"]
    assert len(listed("--from", str(NOON + 20), "--to", str(NOON + 60))) == 4
    text = csample("store", "ls", *store, env=UTC)
    assert "2026-11-21 12:00:00" in text.out and "\033" not in text.out and "10 profiles" in text.err, text
    # A blob is pprof as any tool reads it.
    assert sum(values[0] for _, values, _ in parse_pprof(pathlib.Path(first["path"]).read_bytes())["samples"]) == 3
    done = csample("store", "gc", "--keep", "7", *store)
    assert done.status == 0 and "3 profiles removed" in done.out, done
    assert len(listed()) == 7
    assert csample("store", "check", *store).status == 0
    victims = listed()
    os.unlink(victims[0]["path"])
    with open(victims[1]["path"], "r+b") as f:
        f.truncate(victims[1]["bytes"] - 3)
    bad = csample("store", "check", *store)
    assert bad.status == 1 and ": missing" in bad.out and "damaged or cut" in bad.out, bad
    assert csample("store", "check", "--repair", *store).status == 0
    assert json.loads(csample("store", "check", "--json", *store).out) == {
        "profiles": 5, "missing": 0, "unindexed": 0, "damaged": 0, "unfinished": 0, "index_damaged": False, "repaired": 0}
    assert len(listed()) == 5


def test_damaged_blobs_and_index_do_not_stop_a_query(put, query, csample, tmp_path):
    put("main;work 3", NOON, count=3)
    blobs = sorted((tmp_path / "s/blobs/2026-11-21").iterdir())
    blobs[0].write_bytes(gzip.compress(b"no profile"))
    result = query("process_cpu", "-o", "-")
    assert stacks_of(result) == {"main;work": 6}
    assert "damaged" in result.err
    blobs[1].unlink()
    assert stacks_of(query("process_cpu", "-o", "-")) == {"main;work": 3}
    (tmp_path / "s/index.db").write_bytes(b"x" * 9000)
    result = query("process_cpu", "-o", "-")
    assert stacks_of(result) == {"main;work": 3}
    assert "has been made anew from 1 profiles" in result.err
    assert "are not profiles that csample stored" in result.err


def test_who_may_only_read_can_query(put, csample, tmp_path):
    if os.geteuid() or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv, to be somebody else")
    put("main;work 3", NOON, count=3)
    binary = tmp_path / "csample"
    shutil.copy(CSAMPLE, binary)
    for path in (tmp_path, *tmp_path.parents):
        if str(path).startswith("/tmp/"):
            path.chmod(path.stat().st_mode | 0o755)
    done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", binary, "query",
                           "--store", tmp_path / "s", "process_cpu", "--from", "2026-11-21", "-o", "-"],
                          capture_output=True, text=True, env=UTC, timeout=60)
    assert done.returncode == 0 and done.stdout == "main;work 9\n", done


def test_full_file_system(put, tmp_path):
    """On a file system of 2 MiB: what does not fit fails, nothing half is left, and it goes on."""
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", place], capture_output=True).returncode:
        pytest.skip("needs to mount a small tmpfs")
    try:
        path = tmp_path / "one.pb.gz"
        path.write_bytes(emit([f"main;f{i} 1" for i in range(20000)], "pprof"))

        def fill(count, start):
            return subprocess.run([MKSTORE, place / "s", path, str(start), str(count), "1", "process_cpu", "a=b"],
                                  capture_output=True, text=True, timeout=120)

        full = fill(1000, NOON)
        assert full.returncode == 1 and ("No space left" in full.stderr or "is full" in full.stderr), full
        csample = CSAMPLE

        def run(*args):
            return subprocess.run([csample, "store", *args, "--store", place / "s"], capture_output=True, text=True,
                                  timeout=60)

        before = json.loads(run("ls", "--json").stdout)
        assert before and run("check").returncode == 0, run("check")
        assert not list(place.glob("s/blobs/*/.new-*"))
        assert run("gc", "--keep", "2").returncode == 0
        assert fill(2, NOON + 5000).returncode == 0
        assert len(json.loads(run("ls", "--json").stdout)) == 4
        assert run("check").returncode == 0
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_recording_fills_it_and_may_be_killed(workload, start, csample, tmp_path):
    target = workload("split", "60")
    store = ("--store", tmp_path / "s")

    def listed():
        result = csample("store", "ls", "--json", *store)
        return json.loads(result.out) if result.status == 0 else []

    def recording():
        return start(CSAMPLE, "record", "-p", target.pid, "--loop", "1s", "-r", "200", "--label", "service_name=split",
                     *store, stderr=subprocess.DEVNULL)

    first = recording()
    wait_until(lambda: len(listed()) >= 2, what="two intervals in the store")
    first.signal(signal.SIGKILL)
    first.popen.wait()
    before = len(listed())
    second = recording()
    wait_until(lambda: len(listed()) >= before + 2, what="two intervals more")
    second.signal(signal.SIGTERM)
    second.popen.wait(timeout=60)
    rows = listed()
    assert csample("store", "check", *store).status == 0
    assert {(row["type"], row["labels"]["service_name"]) for row in rows} == {("process_cpu", "split")}
    result = csample("query", 'process_cpu{service_name="split"}', *store, "-o", "-")
    assert result.status == 0, result
    stacks = parse_collapsed(result.out)
    assert sum(stacks.values()) == sum(row["samples"] for row in rows)
    assert share_of(stacks, "seventy") > 0.5
