# SPDX-License-Identifier: Apache-2.0
"""csample convert: what each format that holds enough gives back, and files of other producers."""
import gzip
import json
import os
import shutil
import subprocess

import pytest

from conftest import CSAMPLE, parse_collapsed
from emitting import ROOT, emit
from test_formats import HOSTILE, META, SHAPES, random_stacks

GOLDEN = ROOT / "tests/golden"


def convert(data, form, *options, status=0):
    """The bytes that a file of these becomes; or the message, when it is refused."""
    done = subprocess.run([CSAMPLE, "convert", "-", "-", "-f", form, *options], input=data, capture_output=True,
                          timeout=300)
    err = done.stderr.decode(errors="replace")
    assert "Sanitizer" not in err and "runtime error:" not in err, err
    assert done.returncode == status, err
    return err if status else done.stdout


def total(collapsed):
    return sum(parse_collapsed(collapsed.decode()).values())


@pytest.mark.parametrize("options", [[], ["--annotate"], ["--function"], ["--full-filenames"]])
def test_json_and_pprof_hold_all_that_collapsed_shows(options):
    want = emit(SHAPES, "collapsed", *options)
    assert convert(emit(SHAPES, "json"), "collapsed", *options) == want
    # A thread is a label there, and becomes the root again, with its number.
    got = convert(emit(SHAPES, "pprof"), "collapsed", *options)
    assert got.replace(b"worker (4243);", b"worker;") == want


def test_json_comes_back_byte_for_byte():
    data = emit(SHAPES, "json", *META)
    assert convert(data, "json") == data
    hostile = emit([f"{name} 1" for name in HOSTILE], "json", *META)
    assert convert(hostile, "json") == hostile


def test_golden_json():
    path = GOLDEN / "shapes.json"
    got = emit(SHAPES, "json", *META)
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_bytes(got)
    assert path.read_bytes() == got
    assert json.loads(got)["format"] == "csample"


@pytest.mark.parametrize("form", ["json", "pprof", "collapsed"])
def test_many_stacks(form):
    stacks = list(random_stacks(3))
    want = emit(stacks, "collapsed", "--functions")
    assert convert(emit(stacks, form, "--functions"), "collapsed", "--function") == want


def test_collapsed_names_come_back():
    stacks = [f"{name} 1" for name in HOSTILE]
    want = emit(stacks, "collapsed")
    assert convert(want, "collapsed") == want
    assert convert(gzip.compress(want), "collapsed") == want


def test_collapsed_of_others():
    text = b"# comment\nmain;a b;c_[k] 3\r\nmain;;d\\q 4\n\nmain;run (/srv/app.py:12);x (y) 5"
    assert convert(text, "collapsed", "--annotate") == (
        b"main;a b;c_[k] 3\nmain;d\\\\q 4\nmain;run (app.py:12);x (y) 5\n")


def test_perf_script_golden():
    data = (GOLDEN / "shapes.perf.txt").read_bytes()
    assert convert(data, "collapsed", "--annotate") == (
        b"[unknown [unknown]+0x0];operator()(int) const 1\n"
        b"main;do_syscall_64_[k] 1\nmain;work;add_[i] 1\n")
    file = json.loads(convert(data, "json"))
    assert sum(node[3] for node in file["nodes"]) == 2 * 10101010  # cycles are no time
    assert {f.get("module") for f in file["frames"]} == {None, "/bin/my app", "[kernel.kallsyms]", "[unknown]"}


def test_perf_script_live(tmp_path):
    if not shutil.which("perf"):
        pytest.skip("perf is not installed")
    done = subprocess.run(["perf", "record", "-e", "cpu-clock", "-F", "499", "-g", "-o", tmp_path / "data", "--",
                           "python3", "-c", "sum(i * i for i in range(3000000))"], capture_output=True, timeout=300)
    if done.returncode:
        pytest.skip(f"perf record: {done.stderr.decode()[-300:]}")
    text = subprocess.run(["perf", "script", "-i", tmp_path / "data"], capture_output=True, timeout=300).stdout
    headers = [line for line in text.split(b"\n") if b" cpu-clock" in line]
    assert headers
    got = json.loads(convert(text, "json"))
    assert sum(node[2] for node in got["nodes"]) == len(headers)
    assert any("python" in f.get("module", "") for f in got["frames"])


GO = """package main
import ("os"; "runtime/pprof"; "time")
func work() (n int) { for end := time.Now().Add(500*time.Millisecond); time.Now().Before(end); { n++ }; return }
func main() { pprof.StartCPUProfile(os.Stdout); work(); pprof.StopCPUProfile() }
"""


def test_profile_of_go(tmp_path):
    if not shutil.which("go"):
        pytest.skip("go is not installed")
    (tmp_path / "main.go").write_text(GO)
    done = subprocess.run(["go", "build", "-o", "prog", "main.go"], cwd=tmp_path, capture_output=True, text=True,
                          timeout=600)
    if done.returncode:
        pytest.skip(f"go build: {done.stderr[-300:]}")
    for _ in range(10):  # a thread that got no CPU has no samples
        data = subprocess.run([tmp_path / "prog"], capture_output=True, timeout=60).stdout
        (tmp_path / "cpu.pb.gz").write_bytes(data)
        raw = subprocess.run(["go", "tool", "pprof", "-raw", tmp_path / "cpu.pb.gz"], capture_output=True, text=True,
                             timeout=60).stdout
        if "main.work" in raw:
            break
    samples = raw.partition("Samples:\n")[2].partition("Locations\n")[0].splitlines()[1:]
    counts = [line.split(":")[0].split() for line in samples if ":" in line and line.split(":")[0].strip()]
    got = json.loads(convert(data, "json"))
    assert sum(node[2] for node in got["nodes"]) == sum(int(c[0]) for c in counts)
    assert sum(node[3] for node in got["nodes"]) == sum(int(c[1]) for c in counts)
    assert "main.work" in {f["function"] for f in got["frames"]}
    assert b"main.work" in convert(data, "svg")
    # And what go tool pprof itself writes, without gzip.
    assert total(convert(gzip.decompress(data), "collapsed")) == sum(int(c[0]) for c in counts)


def scope(*profiles):
    """A file of speedscope's with two frames."""
    return json.dumps({"shared": {"frames": [{"name": "f"}, {"name": "g", "file": "a.py", "line": 3}]},
                       "profiles": profiles, "$schema": "https://www.speedscope.app/file-format-schema.json"}).encode()


def test_speedscope_comes_back():
    """Names, kinds, places, threads and time; a sample is what has the least time."""
    want = json.loads(convert(emit(SHAPES, "json"), "json"))
    got = json.loads(convert(emit(SHAPES, "speedscope"), "json"))
    assert sum(n[3] for n in got["nodes"]) == sum(n[3] for n in want["nodes"])
    for kind in ["python", "javascript"]:
        shown = [{(f["function"], f.get("file"), f.get("line")) for f in profile["frames"] if f["kind"] == kind}
                 for profile in (got, want)]
        assert shown[0] == shown[1] and shown[0], kind
    roots = [location["name"] for location in got["locations"] if "tid" in location]
    assert len(roots) == 2 and any("worker" in name for name in roots)
    again = convert(emit(SHAPES, "speedscope"), "speedscope")
    assert [p["weights"] for p in json.loads(again)["profiles"]] == \
        [p["weights"] for p in json.loads(emit(SHAPES, "speedscope"))["profiles"]]


def test_speedscope_of_others():
    """Evented profiles, units, fractions."""
    events = [("O", 0, 1), ("O", 1, 1.5), ("C", 1, 3), ("C", 0, 4)]
    got = json.loads(convert(scope(
        {"type": "evented", "name": "main", "unit": "milliseconds", "startValue": 1, "endValue": 4,
         "events": [{"type": t, "frame": f, "at": at} for t, f, at in events]},
        {"type": "sampled", "name": "other", "unit": "seconds", "samples": [[0, 1], [1], []], "weights": [0.5, 2, 1]}),
        "json"))
    assert sorted(n[3] for n in got["nodes"] if n[3]) == [1_500_000, 1_500_000, 500_000_000, 10**9, 2 * 10**9]
    collapsed = parse_collapsed(convert(scope(
        {"type": "sampled", "name": "other", "unit": "seconds", "samples": [[0, 1], [1]], "weights": [0.5, 2]}),
        "collapsed").decode())
    assert collapsed == {("f", "g (a.py:3)"): 1, ("g (a.py:3)",): 4}


@pytest.mark.parametrize("data, words", [
    (b"", "empty"),
    (b"hello\nworld\n", "not a profile"),
    (b'{"traceEvents":[]}', "record with -o FILE.json"),
    (scope(), "no profile"),
    (scope({"type": "sampled", "unit": "bytes"}), "profile 0 counts bytes"),
    (scope({"type": "sampled", "unit": "none", "samples": [[0], [2]], "weights": [1, 1]}), "sample 1"),
    (scope({"type": "sampled", "unit": "none", "samples": [[0], [-1]], "weights": [1, 1]}), "sample 1"),
    (scope({"type": "sampled", "unit": "none", "samples": [[0], [0]], "weights": [1]}), "sample 1"),
    (scope({"type": "sampled", "unit": "none", "samples": [[0]], "weights": [-1]}), "sample 0"),
    (scope({"type": "sampled", "unit": "seconds", "samples": [[0]], "weights": [1e300]}), "sample 0"),
    (scope({"type": "evented", "unit": "none", "events": [{"type": "C", "frame": 0, "at": 1}]}), "event 0"),
    (scope({"type": "evented", "unit": "none", "events": [{"type": "O", "frame": 0, "at": 2},
                                                          {"type": "C", "frame": 0, "at": 1}]}), "event 1"),
    (b'<?xml version="1.0"?><svg/>', "record with -o FILE.json"),
    (b"\x1f\x8b\x08\x00garbage", "gzip"),
    (emit, "gzip"),  # cut off
    (b'{"format":"csample","version":1,"nodes":[[0,0,1,1],[5,0,1,1]]}', "node 1"),
    (b'{"format":"csample","version":1,"nodes":[[-1,-1,-5,1]]}', "node 0"),
    (b'{"format":"csample","version":2}', "version"),
    (b'{"format":"csample", oops', "line 1"),
    (b"main;f 1\nmain;g x\n", "line 2"),
    (b"main 99999999999999999999\n", "not a profile"),
])
def test_refused(data, words):
    if data is emit:
        data = emit(SHAPES, "pprof")[:-20]
    assert words in convert(data, "collapsed", status=1)


def varint(n):
    return bytes([n & 0x7f | 0x80]) + varint(n >> 7) if n > 0x7f else bytes([n])


def message(*fields):
    """(number, integer or bytes) as protobuf has them."""
    return b"".join(varint(n << 3 | 2) + varint(len(v)) + v if isinstance(v, bytes) else varint(n << 3) + varint(v)
                    for n, v in fields)


@pytest.mark.parametrize("period_ms, want", [(10, {("f",): 70, ("g",): 30}), (0, {("f",): 1, ("g",): 1})])
def test_stacks_that_only_time_is_known_of_keep_their_shares(period_ms, want):
    """As profilers and backends write that count no samples, and merge equal stacks."""
    strings = [b"", b"cpu", b"nanoseconds", b"f", b"g"]
    data = message(
        (1, message((1, 1), (2, 2))),
        *((2, message((1, bytes([i])), (2, varint(ns)))) for i, ns in ((1, 700_000_000), (2, 296_000_000))),
        *((4, message((1, i), (4, message((1, i))))) for i in (1, 2)),
        *((5, message((1, i), (2, i + 2))) for i in (1, 2)),
        *((6, s) for s in strings),
        *([(11, message((1, 1), (2, 2))), (12, period_ms * 1_000_000)] if period_ms else []))
    assert parse_collapsed(convert(data, "collapsed").decode()) == want


def test_file_names_tell_the_format(tmp_path):
    (tmp_path / "in").write_bytes(emit(SHAPES, "pprof"))
    for name, begin in [("o.svg", b"<?xml"), ("o.speedscope.json", b'{"$schema"'), ("o.json", b'{"format":"csample"'),
                        ("o.folded", b"[truncated]"), ("o.pb.gz", b"\x1f\x8b")]:
        subprocess.run([CSAMPLE, "convert", tmp_path / "in", tmp_path / name], check=True, timeout=60)
        assert (tmp_path / name).read_bytes().startswith(begin)
    done = subprocess.run([CSAMPLE, "convert", tmp_path / "in", tmp_path / "o.xyz"], capture_output=True, text=True)
    assert done.returncode == 2 and "-f" in done.stderr
    done = subprocess.run([CSAMPLE, "convert", tmp_path / "none", tmp_path / "o.svg"], capture_output=True, text=True)
    assert done.returncode == 1 and "none" in done.stderr and "svg" not in os.listdir(tmp_path)
