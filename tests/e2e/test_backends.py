# SPDX-License-Identifier: Apache-2.0
"""Real Pyroscope, Parca and OpenTelemetry collector servers: pushed to, and queried back until names
and totals agree. `make check-backends` runs these; scripts/backends/ builds and starts the servers."""
import base64
import gzip
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib

import pytest

from conftest import CSAMPLE
from emitting import FLAVOUR, ROOT, emit, fields, varints
from faulty import Server

TOOL = ROOT / f"build/{FLAVOUR}/tools/push_tool"
BUILT = os.environ.get("CSAMPLE_BACKENDS") or os.path.expanduser("~/.cache/csample-tests/backends")
MS = 10_000_000  # of a sample at 100 Hz, as mkprofile has it
STACKS = ["main;work;add 12", "main;work;mul 5", "main;idle 3"]
# Inclusive samples of each function.
TOTALS = {"main": 20, "work": 17, "add": 12, "mul": 5, "idle": 3}


def free_ports(n):
    """The first of n neighbours that nobody has."""
    for port in range(20000 + os.getpid() % 20000, 60000, n):
        sockets = []
        try:
            for i in range(n):
                sockets.append(socket.create_server(("127.0.0.1", port + i)))
            return port
        except OSError:
            continue
        finally:
            for s in sockets:
                s.close()
    raise OSError("no free ports")


class Backend:
    """A server that scripts/backends/NAME.sh runs, until it is stopped."""

    def __init__(self, name, place, ready, *flags):
        self.name, self.place, self.ready, self.flags = name, place, ready, flags
        self.script = ROOT / f"scripts/backends/{name}.sh"
        if subprocess.run([self.script, "has", BUILT]).returncode:
            pytest.skip(f"{name} is not built; scripts/backends/{name}.sh build {BUILT} does it, in minutes")
        place.mkdir(exist_ok=True)
        self.port = free_ports(4)
        self.start()

    def start(self):
        log = open(self.place / "log", "ab")
        self.popen = subprocess.Popen([self.script, "run", BUILT, self.place, str(self.port), *self.flags], stdout=log,
                                      stderr=log, stdin=subprocess.DEVNULL)
        end = time.monotonic() + 90
        while not self.is_ready():
            assert self.popen.poll() is None and time.monotonic() < end, (self.place / "log").read_text()[-2000:]
            time.sleep(0.05)

    def is_ready(self):
        path, status = self.ready
        try:
            return self.get(path)[0] == status
        except OSError:
            return False

    def stop(self):
        self.popen.send_signal(signal.SIGTERM)
        try:
            self.popen.wait(20)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()

    def get(self, path, body=None, **headers):
        """(status, bytes)."""
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=body, headers=headers)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"


def running(name, ready, *flags):
    @pytest.fixture(scope="module", name=name)
    def fixture(tmp_path_factory):
        backend = Backend(name, tmp_path_factory.mktemp(name), ready, *flags)
        yield backend
        backend.stop()

    return fixture


pyroscope = running("pyroscope", ("/ready", 200), "-auth.multitenancy-enabled=true")
parca = running("parca", ("/metrics", 200))
otelcol = running("otelcol", ("/v1development/profiles", 405))


@pytest.fixture
def push(start, tmp_path):
    """push(url, stacks or file, options...): what push_tool counted when nothing waited any more."""

    def begin(url, what, *options):
        path = what
        if isinstance(what, list):
            path = tmp_path / "profile.pb.gz"
            path.write_bytes(emit(what, "pprof"))
        return start(TOOL, "--spool", tmp_path / "spool", *options, url, path)

    def push(url, what, *options):
        tool = begin(url, what, "--wait", 60, *options)
        counts = json.loads(tool.read_line(90))
        assert tool.popen.wait(30) == 0
        return counts

    push.begin = begin
    return push


@pytest.fixture
def large(tmp_path):
    """A profile that is above Pyroscope's limits, and its totals (samples, nanoseconds)."""
    path = tmp_path / "large.pb.gz"
    path.write_bytes(emit([], "pprof", "--many", "30000,100000,10"))
    return path


def inclusive(pprof, column):
    """{function: value} of a pprof, and the total."""
    if pprof[:2] == b"\x1f\x8b":
        pprof = gzip.decompress(pprof)
    message = list(fields(pprof))
    text = [v.decode() for f, v in message if f == 6]
    functions = {dict(fields(v))[1]: text[dict(fields(v)).get(2, 0)] for f, v in message if f == 5}
    locations = {}
    for f, v in message:
        if f == 4:
            lines = [dict(fields(line)) for n, line in fields(v) if n == 4]
            locations[dict(fields(v))[1]] = [functions[line[1]] for line in lines]
    totals, total = {}, 0
    for f, v in message:
        if f != 2:
            continue
        parts = [(n, w) for n, w in fields(v)]
        def repeated(number):
            for n, w in parts:
                if n == number:
                    yield from varints(w) if isinstance(w, bytes) else [w]
        value = list(repeated(2))[column]
        total += value
        for name in {name for at in repeated(1) for name in locations[at]}:
            totals[name] = totals.get(name, 0) + value
    return totals, total


def eventually(ask, wanted, seconds=30):
    """ask() until it is what is wanted."""
    end = time.monotonic() + seconds
    while (got := ask()) != wanted:
        assert time.monotonic() < end, f"{got} instead of {wanted}"
        time.sleep(0.1)
    return got


def scaled(totals, factor):
    return {name: n * factor for name, n in totals.items()}


# ---- Pyroscope ----


def varint(n):
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def from_pyroscope(server, kind, selector, tenant="team-a"):
    now = int(time.time() * 1000)
    body = b""
    for number, text in ((1, kind), (2, selector)):
        body += bytes([number << 3 | 2]) + varint(len(text.encode())) + text.encode()
    body += b"\x18" + varint(now - 3600_000) + b"\x20" + varint(now + 60_000)
    status, answer = server.get("/querier.v1.QuerierService/SelectMergeProfile", body,
                                Content_Type="application/proto", X_Scope_OrgID=tenant)
    assert status == 200, answer[:500]
    return inclusive(answer, 0)


CPU = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
SAMPLES = "process_cpu:samples:count:cpu:nanoseconds"


def test_pyroscope_has_names_and_totals(pyroscope, push):
    url = f"pyroscope+http://{pyroscope.address}"
    options = ["--tenant", "team-a", "--label", "service_name=checkout", "--label", "env=prod é"]
    assert push(url, STACKS, "--count", 3, *options)["delivered"] == 3
    selector = '{service_name="checkout",env="prod é"}'
    wanted = scaled(TOTALS, 3)
    eventually(lambda: from_pyroscope(pyroscope, SAMPLES, selector), (wanted, 60))
    assert from_pyroscope(pyroscope, CPU, selector) == (scaled(wanted, MS), 60 * MS)
    assert from_pyroscope(pyroscope, SAMPLES, '{service_name="checkout",env="test"}')[1] == 0
    assert from_pyroscope(pyroscope, SAMPLES, selector, tenant="team-b")[1] == 0


def test_pyroscope_without_its_tenant_refuses(pyroscope, push):
    counts = push(f"pyroscope+http://{pyroscope.address}", STACKS, "--label", "service_name=nobody")
    assert counts["rejected"] == 1 and "401" in counts["last_error"]


def test_pyroscope_takes_large_profiles_in_pieces(pyroscope, push, large):
    options = ["--tenant", "team-a", "--label", "service_name=large"]
    assert push(f"pyroscope+http://{pyroscope.address}", large, *options)["delivered"] == 1
    wanted, total = inclusive(large.read_bytes(), 0)
    eventually(lambda: from_pyroscope(pyroscope, SAMPLES, '{service_name="large"}')[1], total)
    assert from_pyroscope(pyroscope, SAMPLES, '{service_name="large"}')[0] == wanted


def test_pyroscope_drops_the_second_of_two_equal_ones(pyroscope, push):
    """What was taken but not confirmed is sent again, and its first storage knows it by its time."""
    def take_and_die(path, headers, body):
        status, answer = pyroscope.get(path, body, Content_Type=headers["Content-Type"], X_Scope_OrgID="team-a")
        return ["late", "ok"][len(between.seen) > 1] if status == 200 else (status, {}, answer)
    between = Server()
    between.default = take_and_die
    try:
        counts = push(f"pyroscope+http://127.0.0.1:{between.port}", STACKS, "--tenant", "team-a", "--label",
                      "service_name=twice")
    finally:
        between.stop()
    assert counts["delivered"] == 1 and len(between.seen) == 2
    time.sleep(0.5)
    eventually(lambda: from_pyroscope(pyroscope, SAMPLES, '{service_name="twice"}'), (TOTALS, 20))


def test_pyroscope_ingest_when_there_is_no_push(pyroscope, push):
    def old_one(path, headers, body):
        if path.startswith("/push.v1"):
            return 404
        status, answer = pyroscope.get(path, body, Content_Type=headers["Content-Type"], X_Scope_OrgID="team-a")
        return "ok" if status == 200 else (status, {}, answer)
    between = Server()
    between.default = old_one
    try:
        counts = push(f"pyroscope+http://127.0.0.1:{between.port}", STACKS, "--count", 2, "--label",
                      "service_name=old/app", "--label", "env=prod")
    finally:
        between.stop()
    assert counts["delivered"] == 2, counts
    eventually(lambda: from_pyroscope(pyroscope, CPU, '{service_name="old/app",env="prod"}'),
               (scaled(TOTALS, 2 * MS), 40 * MS))


def test_pyroscope_takes_nothing_older_than_an_hour(pyroscope, push):
    counts = push(f"pyroscope+http://{pyroscope.address}", STACKS, "--age", 7200, "--tenant", "team-a", "--label",
                  "service_name=late")
    assert counts["expired"] == 1 and counts["rejected"] == 0 and "ingestion window" in counts["last_error"]


def test_pyroscope_is_restarted_in_mid_run(pyroscope, push):
    url = f"pyroscope+http://{pyroscope.address}"
    tool = push.begin(url, STACKS, "--count", 5, "--wait", 60, "--serve", "--tenant", "team-a", "--label",
                      "service_name=restarted")
    eventually(lambda: from_pyroscope(pyroscope, SAMPLES, '{service_name="restarted"}')[1], 100)
    pyroscope.stop()
    for _ in range(5):
        tool.tell("put\n")
    pyroscope.start()
    tool.tell("end\n")
    counts = json.loads(tool.read_line(90))
    assert counts["delivered"] == 10 and counts["dropped"] == counts["rejected"] == 0, counts
    eventually(lambda: from_pyroscope(pyroscope, SAMPLES, '{service_name="restarted"}'), (scaled(TOTALS, 10), 200))


def test_pyroscope_reads_our_otlp(pyroscope, push):
    options = ["--tenant", "team-a", "--label", "service_name=by-otlp"]
    assert push(f"otlp+http://{pyroscope.address}", STACKS, "--count", 2, *options)["delivered"] == 2
    # samples x period, under the name of a CPU profile.
    eventually(lambda: from_pyroscope(pyroscope, CPU, '{service_name="by-otlp"}'), (scaled(TOTALS, 2 * MS), 40 * MS))


# ---- Parca ----


def from_parca(server, service, kind="process_cpu:cpu:nanoseconds:cpu:nanoseconds:delta", label="service_name"):
    query = urllib.parse.urlencode({
        "mode": "MODE_MERGE", "merge.query": f'{kind}{{{label}="{service}"}}',
        "merge.start": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 7200)),
        "merge.end": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60)),
        "report_type": "REPORT_TYPE_PPROF"})
    status, answer = server.get(f"/api/profiles/query?{query}")
    return inclusive(base64.b64decode(json.loads(answer)["pprof"]), 0) if status == 200 else ({}, 0)


def test_parca_has_names_and_totals(parca, push):
    url = f"parca+http://{parca.address}"
    assert push(url, STACKS, "--count", 3, "--label", "service_name=checkout")["delivered"] == 3
    eventually(lambda: from_parca(parca, "checkout"), (scaled(TOTALS, 3 * MS), 60 * MS))
    _, types = parca.get("/api/profiles/types")
    assert b'"process_cpu"' in types
    assert push(url, STACKS, "--type", "wall", "--label", "service_name=checkout")["delivered"] == 1
    eventually(lambda: from_parca(parca, "checkout", "wall:cpu:nanoseconds:cpu:nanoseconds:delta"),
               (scaled(TOTALS, MS), 20 * MS))


def test_parca_scrapes(start, workload, tmp_path, monkeypatch):
    target = workload("split", "100")
    recording = start(CSAMPLE, "record", "-p", target.pid, "--listen", "127.0.0.1:0", "--max-overhead", "off",
                      stderr=subprocess.PIPE)
    line = recording.wait_for("serving http://", stream=recording.popen.stderr)
    monkeypatch.setenv("SCRAPE", line.split("http://")[1].split("/")[0])
    monkeypatch.setenv("SCRAPE_EVERY", "2s")
    server = Backend("parca", tmp_path / "parca", ("/metrics", 200))
    try:
        end, total = time.monotonic() + 60, 0
        while total < 1e9:
            by_name, total = from_parca(server, "csample", label="job")
            assert time.monotonic() < end, server.get("/api/targets")
            time.sleep(0.1)
    finally:
        server.stop()
    assert by_name["work"] > 0.9 * total and abs(by_name["seventy"] / total - 0.7) < 0.15, (by_name, total)


def test_parca_takes_large_profiles(parca, push, large):
    assert push(f"parca+http://{parca.address}", large, "--label", "service_name=large")["delivered"] == 1
    wanted, total = inclusive(large.read_bytes(), 1)
    eventually(lambda: from_parca(parca, "large")[1], total)
    assert from_parca(parca, "large")[0] == wanted


def test_parca_survives_what_it_could_not(parca, push, tmp_path):
    """A profile without a period type takes the server down: it is moved aside here."""
    bad = gzip.decompress(emit(STACKS, "pprof"))
    kept, at = b"", 0
    for f, v in fields(bad):
        if f != 11:
            kept += bytes([f << 3 | (2 if isinstance(v, bytes) else 0)])
            kept += varint(len(v)) + v if isinstance(v, bytes) else varint(v)
    packed = gzip.compress(kept)
    path = tmp_path / "good.pb.gz"
    path.write_bytes(emit(STACKS, "pprof"))
    # By way of the spool, as an older csample might have left it.
    tool = push.begin("parca+http://127.0.0.1:9", path, "--close", 0, "--label", "service_name=odd")
    tool.popen.wait(30)
    (waiting,) = (tmp_path / "spool").glob("parca-127.0.0.1_9-*/0/*.profile")
    head, _, _ = waiting.read_bytes().partition(b"\n")
    fields_of_head = json.loads(head.split(b" ", 1)[1])
    fields_of_head["crc32"] = zlib.crc32(packed)
    target = push(f"parca+http://{parca.address}", path, "--label", "service_name=even")
    assert target["delivered"] == 1
    (place,) = (tmp_path / "spool").glob(f"parca-127.0.0.1_{parca.port}-*/0")
    line = head.split(b" ", 1)[0] + b" " + json.dumps(fields_of_head).encode()
    (place / waiting.name).write_bytes(line + b"\n" + packed)
    counts = push(f"parca+http://{parca.address}", path, "--label", "service_name=even")
    assert (counts["delivered"], counts["rejected"]) == (1, 1) and "period type" in counts["last_error"]
    eventually(lambda: from_parca(parca, "even")[1], 40 * MS)


def test_parca_is_restarted_in_mid_run(parca, push):
    """It keeps profiles in memory: what was there before is not asked for."""
    tool = push.begin(f"parca+http://{parca.address}", STACKS, "--wait", 60, "--serve", "--label",
                      "service_name=restarted")
    eventually(lambda: from_parca(parca, "restarted")[1], 20 * MS)
    parca.stop()
    for _ in range(5):
        tool.tell("put\n")
    parca.start()
    tool.tell("end\n")
    assert json.loads(tool.read_line(90))["delivered"] == 6
    eventually(lambda: from_parca(parca, "restarted")[1] % (100 * MS), 0)


# ---- OpenTelemetry collector ----


def from_collector(server, service):
    """{type: ({function: inclusive value}, total)}, resource and sample attributes of all that came."""
    found, resources, attributes = {}, [], set()
    path = server.place / "profiles.jsonl"
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            request = json.loads(line)
        except ValueError:
            break  # being written
        tables = request["dictionary"]
        text = tables["stringTable"]
        names = [text[f.get("nameStrindex", 0)] for f in tables["functionTable"]]
        places = [[names[line.get("functionIndex", 0)] for line in at.get("lines", [])] for at in tables["locationTable"]]
        for rp in request["resourceProfiles"]:
            # The collector moves these into its string table.
            resource = {text[a["keyStrindex"]] if "keyStrindex" in a else a["key"]:
                        a["value"].get("stringValue") or text[a["value"].get("stringValueStrindex", 0)]
                        for a in rp["resource"]["attributes"]}
            if resource.get("service.name") != service:
                continue
            resources.append(resource)
            for profile in rp["scopeProfiles"][0]["profiles"]:
                kind = text[profile["sampleType"]["typeStrindex"]] + "/" + text[profile["sampleType"]["unitStrindex"]]
                totals, total = found.get(kind, ({}, 0))
                for sample in profile["samples"]:
                    (value,) = map(int, sample["values"])
                    total += value
                    stack = tables["stackTable"][sample["stackIndex"]]["locationIndices"]
                    for name in {name for at in stack for name in places[at]}:
                        totals[name] = totals.get(name, 0) + value
                    for a in sample.get("attributeIndices", []):
                        a = tables["attributeTable"][a]
                        value = a["value"].get("stringValue") or int(a["value"]["intValue"])
                        attributes.add((text[a["keyStrindex"]], value))
                found[kind] = (totals, total)
    return found, resources, attributes


def test_collector_has_names_and_totals(otelcol, push):
    threads = [stack.replace("main;", f"worker|t||||{77 + i};main;", 1) for i, stack in enumerate(STACKS)]
    options = ["--label", "service_name=checkout", "--label", "version=v2", "--label", "env=prod é"]
    assert push(f"otlp+http://{otelcol.address}", threads, "--count", 3, *options)["delivered"] == 3
    wanted = {"samples/count": (scaled(TOTALS, 3), 60), "cpu/nanoseconds": (scaled(TOTALS, 3 * MS), 60 * MS)}
    eventually(lambda: from_collector(otelcol, "checkout")[0], wanted)
    _, resources, attributes = from_collector(otelcol, "checkout")
    assert resources[0] == {"service.name": "checkout", "service.version": "v2", "deployment.environment.name": "prod é"}
    assert attributes == {("thread.name", "worker"), ("thread.id", 77), ("thread.id", 78), ("thread.id", 79)}


def test_collector_takes_large_profiles(otelcol, push, large):
    assert push(f"otlp+http://{otelcol.address}", large, "--label", "service_name=large")["delivered"] == 1
    want = inclusive(large.read_bytes(), 0), inclusive(large.read_bytes(), 1)
    eventually(lambda: from_collector(otelcol, "large")[0],
               {"samples/count": want[0], "cpu/nanoseconds": want[1]})


def test_collector_is_restarted_in_mid_run(otelcol, push):
    tool = push.begin(f"otlp+http://{otelcol.address}", STACKS, "--wait", 60, "--serve", "--label",
                      "service_name=restarted")
    eventually(lambda: from_collector(otelcol, "restarted")[0].get("samples/count"), (TOTALS, 20))
    otelcol.stop()
    for _ in range(5):
        tool.tell("put\n")
    otelcol.start()
    tool.tell("end\n")
    assert json.loads(tool.read_line(90))["delivered"] == 6
    eventually(lambda: from_collector(otelcol, "restarted")[0]["samples/count"][1], 120)


# ---- a recording that feeds all of them ----


def test_a_recording_feeds_all_three(pyroscope, parca, otelcol, start, workload, tmp_path):
    """Two of them restart meanwhile. Each has, at the end, each sample that csample took."""
    target = workload("split")
    stats = tmp_path / "stats.json"
    urls = [f"--push={b}+http://{server.address}" for b, server in
            (("pyroscope", pyroscope), ("parca", parca), ("otlp", otelcol))]
    run = start(CSAMPLE, "record", "-p", target.pid, "--loop", "1s", *urls, "--push-tenant", "team-a", "--push-spool",
                tmp_path / "spool", "--label", "service_name=live", "--label-from", "hostname", "--stats-json", stats,
                stderr=subprocess.PIPE)
    eventually(lambda: from_pyroscope(pyroscope, SAMPLES, '{service_name="live"}')[1] > 0, True)
    pyroscope.stop()
    otelcol.stop()
    run.wait_for("profiles wait in", stream=run.popen.stderr)
    pyroscope.start()
    otelcol.start()
    run.wait_for("takes profiles again", stream=run.popen.stderr)
    run.signal(signal.SIGTERM)
    said = run.wait_for(" samples, ", stream=run.popen.stderr)
    assert run.popen.wait(30) == 0
    samples = int(said.split(" samples")[0].split()[-1])
    seconds = json.loads(stats.read_text())["profile_cpu_seconds"]
    eventually(lambda: from_pyroscope(pyroscope, SAMPLES, '{service_name="live"}')[1], samples)
    by_name, total = from_pyroscope(pyroscope, CPU, '{service_name="live"}')
    assert abs(total / 1e9 - seconds) < 0.001 and 0.6 < by_name["seventy"] / total < 0.8
    at_parca, total_of_parca = from_parca(parca, "live")
    assert total_of_parca == total and at_parca["seventy"] == by_name["seventy"]
    found, resources, _ = from_collector(otelcol, "live")
    assert found["samples/count"][1] == samples and found["cpu/nanoseconds"][1] == total
    assert found["cpu/nanoseconds"][0]["seventy"] == by_name["seventy"]
    assert resources[0]["host.name"] == socket.gethostname()
