# SPDX-License-Identifier: Apache-2.0
"""Pushing: whatever a backend does, each profile arrives once and in order, or is counted. Through
tests/tools/push_tool.c, which puts what a recording would."""
import email.utils
import json
import os
import pathlib
import random
import shutil
import signal
import ssl
import subprocess
import time

import pytest

from conftest import CSAMPLE
from emitting import FLAVOUR, ROOT, emit, fields
from faulty import Server

TOOL = ROOT / f"build/{FLAVOUR}/tools/push_tool"
PATHS = {"pyroscope": "/push.v1.PusherService/Push", "parca": "/api/profiles/writeraw",
         "otlp": "/v1development/profiles"}
BACKENDS = list(PATHS)


@pytest.fixture
def server():
    """server(plan, ...): a Server that stops with the test."""
    servers = []

    def server(*plan, **options):
        servers.append(Server(plan, **options))
        return servers[-1]

    yield server
    for one in servers:
        one.stop()


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.pb.gz"
    path.write_bytes(emit(["main;work;add 12", "main;idle 3"], "pprof"))
    return path


@pytest.fixture
def push(start, tmp_path):
    """push(url, file, options...): the running push_tool."""
    if not TOOL.exists():
        pytest.skip(f"{TOOL} is not built; make check builds it")

    def push(url, path, *options, spool=None, err=None, **more):
        errors = open(err or tmp_path / "stderr", "wb")
        return start(TOOL, "--spool", spool or tmp_path / "spool", "--label", "service_name=demo", *options, url,
                     path, stderr=errors, **more)

    return push


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.002)


def counts(tool, timeout=60):
    return json.loads(tool.read_line(timeout))


def after_an_attempt(tool):
    """What --serve counts once an attempt has failed; it is ended then."""
    def tried():
        tool.tell("stats\n")
        return counts(tool)["retried"] > 0
    until(tried)
    tool.tell("end\n")
    return counts(finish(tool))


def finish(tool, status=0):
    assert tool.popen.wait(60) == status
    return tool


def url_of(backend, server, scheme="http"):
    return f"{backend}+{scheme}://127.0.0.1:{server.port}"


def test_every_fault_is_survived(server, push, small, tmp_path):
    # Those that the server has stored and not confirmed ("late") come twice: same series, same time.
    faults = ["ok", "reset", "ok", "midbody", "ok", 503, "ok", "late", "ok", "trickle", "ok"]
    running = []
    for backend in BACKENDS:
        s = server(*faults)
        running.append((backend, s, push(url_of(backend, s), small, "--count", 12, "--wait", 60, "--timeout", 0.5,
                                         "--label", "env=a,b {}\"é", "--label", "version=1",
                                         err=tmp_path / f"{backend}.err")))
    for backend, s, tool in running:
        result = counts(tool)
        finish(tool)
        assert result["delivered"] == 12 and result["waiting"] == 0, result
        assert result["rejected"] == result["dropped"] == result["expired"] == 0
        # curl itself tries again at once when a connection that served before has just ended.
        assert 2 <= result["retried"] <= 5
        times = [p.time_ns for p in s.stored]
        assert times == sorted(times) and len(times) == 13
        assert len(set(times)) == 12
        assert {path for _, path, _ in s.seen} == {PATHS[backend]}
        if backend != "otlp":
            again = next(i for i in range(12) if times[i] == times[i + 1])
            assert s.stored[again].body == s.stored[again + 1].body
            wanted = {"__name__": "process_cpu", "service_name": "demo", "env": "a,b {}\"é", "version": "1"}
            wanted |= {"__delta__": "false"} if backend == "pyroscope" else {}
            assert all(p.labels == wanted for p in s.stored)
            assert all(p.samples() == (2, 15) for p in s.stored)
        said = (tmp_path / f"{backend}.err").read_text()
        assert said.count("profiles wait in") == said.count("takes profiles again") == result["retried"], said


def test_retry_after_is_honoured(server, push, small):
    date = email.utils.formatdate(time.time() + 4, usegmt=True)
    s = server((429, {"Retry-After": "2"}, b""), "ok")
    t = server((503, {"Retry-After": date}, b""), "ok")
    tools = [push(url_of("pyroscope", x), small, "--wait", 30, spool=small.parent / str(x.port)) for x in (s, t)]
    for tool in tools:
        assert counts(tool)["delivered"] == 1
        finish(tool)
    # Without it the second attempt comes after 0.8 to 1.2 s.
    assert s.times[1] - s.times[0] >= 1.9
    assert t.times[1] - t.times[0] >= 1.9


def test_what_is_refused_is_moved_aside_with_the_reason(server, push, small, tmp_path):
    refusal = (400, {}, b'{"code":"invalid_argument","message":"no \x1b[31mgood"}')
    s = server("ok", refusal, "ok", 500, 500, 500, "ok")
    tool = push(url_of("parca", s), small, "--count", 5, "--wait", 30)
    result = counts(tool)
    finish(tool)
    assert (result["delivered"], result["rejected"], result["waiting"]) == (3, 2, 0)
    (rejected,) = (tmp_path / "spool").glob("*/rejected")
    kept = sorted(rejected.glob("*.pb.gz"))
    assert [p.read_bytes()[:2] for p in kept] == [b"\x1f\x8b"] * 2
    reasons = [p.with_name(p.name.replace(".pb.gz", ".reason")).read_text() for p in kept]
    assert 'rejected: it answered 400: {"code":"invalid_argument","message":"no ^[[31mgood"}' in reasons[0]
    assert 'service_name="demo"' in reasons[0] and f"http://127.0.0.1:{s.port}" in reasons[0]
    assert "it answered 500" in reasons[1]
    assert "\x1b" not in (tmp_path / "stderr").read_text() + "".join(reasons)
    times = [p.time_ns for p in s.stored]
    assert times == sorted(times)


def test_what_is_too_old_is_told_apart(server, push, small, tmp_path):
    late = (400, {}, b"profile with labels '{}' is outside of ingestion window (profile timestamp: x)")
    s = server(late, "ok")
    tool = push(url_of("pyroscope", s), small, "--count", 2, "--wait", 30)
    result = counts(tool)
    finish(tool)
    assert (result["delivered"], result["expired"], result["dropped"], result["rejected"]) == (1, 1, 1, 0)
    (reason,) = (tmp_path / "spool").glob("*/rejected/*.reason")
    assert reason.read_text().startswith("expired: ")
    assert "came too late" in (tmp_path / "stderr").read_text()


def test_an_old_pyroscope_gets_ingest(server, push, small):
    s = server(404, "ok", "ok", 422, "ok")
    tool = push(url_of("pyroscope", s) + "/base/", small, "--count", 3, "--wait", 30, "--label", "env=a,b}")
    result = counts(tool)
    finish(tool)
    assert (result["delivered"], result["retried"], result["rejected"]) == (3, 1, 0)
    paths = [path for _, path, _ in s.seen]
    assert paths[0] == "/base/push.v1.PusherService/Push"
    assert all(p.startswith("/base/ingest?name=demo%7Benv%3Da_b_%7D&format=pprof&from=") for p in paths[1:])
    assert [p.samples() for p in s.stored] == [(2, 15)] * 3


def test_large_profiles_go_in_pieces(server, push, tmp_path):
    path = tmp_path / "large.pb.gz"
    path.write_bytes(emit([], "pprof", "--many", "30000,100000,10"))
    s = server("ok", 503, "ok")
    tool = push(url_of("pyroscope", s), path, "--wait", 60)
    result = counts(tool)
    finish(tool)
    assert result["delivered"] == 1
    sizes = [p.samples() for p in s.stored]
    assert len(sizes) >= 2 and all(n <= 16000 for n, _ in sizes) and all(len(p.pprof) < 2 << 20 for p in s.stored)
    assert sum(total for _, total in sizes) == 100000
    times = [p.time_ns // 1000000 for p in s.stored]
    assert times == list(range(times[0], times[0] + len(times)))
    # Each is a profile of its own: dense ids, all that is named is there.
    for p in s.stored:
        message = list(fields(p.pprof))
        locations = [v for f, v in message if f == 4]
        assert [dict(fields(v))[1] for v in locations] == list(range(1, len(locations) + 1))
        functions = [dict(fields(v)) for f, v in message if f == 5]
        assert [f[1] for f in functions] == list(range(1, len(functions) + 1))
        n_strings = sum(f == 6 for f, _ in message)
        assert all(f.get(2, 0) < n_strings for f in functions)


def test_what_is_too_large_is_halved_until_it_passes(server, push, tmp_path):
    path = tmp_path / "large.pb.gz"
    path.write_bytes(emit([f"main;f{i} 1" for i in range(1000)], "pprof"))

    def limit(_path, _headers, body):
        return 413 if len(body) > 8000 else "ok"
    s = server()
    s.default = limit
    tool = push(url_of("parca", s), path, "--count", 2, "--wait", 30)
    result = counts(tool)
    finish(tool)
    assert (result["delivered"], result["rejected"]) == (2, 0)
    assert sum(p.samples()[1] for p in s.stored) == 2000 and len(s.stored) >= 4


def test_a_dead_backend_delays_nobody_and_restarts_lose_nothing(server, push, small, tmp_path):
    s = server()
    s.default = "hang"
    tool = push(url_of("pyroscope", s), small, "--count", 50, "--wait", 60, "--close", 0.2)
    tool.tell("stats\n")
    assert counts(tool)["waiting"] == 50
    tool.tell("put\n")
    tool.popen.stdin.close()  # nothing more to obey
    tool.popen.terminate()
    tool.popen.wait(60)
    # Its successor cannot send either, and ends in time; the third one can.
    second = push(url_of("pyroscope", s), small, "--step", 0.001, "--close", 0.2)
    assert counts(second)["waiting"] >= 51
    finish(second)
    assert "they wait in" in (tmp_path / "stderr").read_text()
    s.default = "ok"
    third = push(url_of("pyroscope", s), small, "--count", 0, "--wait", 60)
    result = counts(third)
    finish(third)
    times = [p.time_ns for p in s.stored]
    assert result["delivered"] == len(times) == len(set(times)) and len(times) in (51, 52)
    assert times[:50] == sorted(times[:50])


def test_processes_share_a_spool(server, push, small):
    s = server()
    tools = [push(url_of("parca", s), small, "--count", 20, "--wait", 30, "--label", f"n={i}") for i in range(4)]
    for tool in tools:
        assert counts(tool)["delivered"] == 20
        finish(tool)
    for i in range(4):
        times = [p.time_ns for p in s.stored if p.labels["n"] == str(i)]
        assert len(times) == 20 and times == sorted(times)


def test_killed_at_any_moment(server, push, small):
    """Each profile put arrives; one that was in flight may come twice, with the same time."""
    def slowly(_path, _headers, _body):
        time.sleep(0.002)
        return "ok"
    s = server()
    s.default = slowly
    rng, kills, put = random.Random(7), 6, 0
    for i in range(kills):
        before = len(s.stored)
        tool = push(url_of("pyroscope", s), small, "--count", 60, "--wait", 60, "--step", 0.002,
                    "--label", f"run={i}")
        wanted = before + rng.randrange(1, 50)
        until(lambda: len(s.stored) >= wanted)
        # It has put its 60 by now, or is at it: what it was told is asked of the last run only.
        tool.signal(signal.SIGKILL)
        tool.popen.wait()
    last = push(url_of("pyroscope", s), small, "--count", 60, "--wait", 60, "--step", 0.002, "--label", "run=last")
    result = counts(last)
    finish(last)
    assert result["waiting"] == result["rejected"] == result["dropped"] == 0
    by_run = {}
    for p in s.stored:
        assert p.samples() == (2, 15)
        by_run.setdefault(p.labels["run"], []).append(p.time_ns)
    assert sorted(by_run) == sorted([*map(str, range(kills)), "last"])
    assert len(set(by_run["last"])) == 60
    twice = 0
    for run, times in by_run.items():
        assert times == sorted(times)
        steps = sorted(set(times))
        # None missing between the first and the last.
        assert all(abs(b - a - 2000000) < 1000 for a, b in zip(steps, steps[1:])), run
        twice += len(times) - len(steps)
    assert twice <= kills


def test_hosts_that_begin_together_do_not_share_a_millisecond(server, push, small):
    """Pyroscope drops the second of two profiles of a series and a millisecond."""
    s, other = server(), server()
    assert counts(push(url_of("pyroscope", s), small, "--count", 16, "--wait", 30))["delivered"] == 16
    assert counts(push(url_of("parca", other), small, "--count", 16, "--wait", 30))["delivered"] == 16
    moved, as_they_were = ({(p.time_ns // 10**6 - s.stored[0].time_ns // 10**6) % 10_000 for p in x.stored}
                           for x in (s, other))
    assert len(moved) >= 8 and len(as_they_were) <= 2
    times = [p.time_ns for p in s.stored]
    assert all(9.4e9 < b - a < 10.6e9 for a, b in zip(times, times[1:]))


def test_record_pushes_each_interval(server, csample, workload, tmp_path):
    target = workload("split")
    environment = dict(os.environ, XDG_STATE_HOME=str(tmp_path / "state"))
    environment.pop("STATE_DIRECTORY", None)
    servers = {backend: server("ok", 503, "reset") for backend in BACKENDS}
    urls = [f"--push={url_of(backend, s).replace('//', '//me:hidden@')}" for backend, s in servers.items()]
    seen = []

    def look(_path, _headers, _body):
        for process in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                arguments = process.read_bytes()
            except OSError:
                continue
            if b"--push" in arguments and str(target.pid).encode() in arguments:
                seen.append(arguments)
        return "ok"
    servers["parca"].plan.append(look)
    done = csample("record", "-p", target.pid, "--loop", "1s", "-d", "4", *urls, "--label", "service_name=split", "--label",
                   "env=test", "--push-tenant", "team-a", env=environment)
    assert done.status == 0, done
    said = int(next(line for line in done.err.splitlines() if "profiles," in line).split(" samples")[0].split()[-1])
    for backend in ("pyroscope", "parca"):
        stored = servers[backend].stored
        assert len(stored) >= 4
        assert sum(p.samples()[1] for p in stored) == said, done
        assert all(p.labels["service_name"] == "split" and p.labels["env"] == "test" for p in stored)
        assert all(p.headers["X-Scope-OrgID"] == "team-a" for p in stored)
        assert all(b"seventy" in p.pprof for p in stored[1:-1])
    assert len(servers["otlp"].stored) == len(servers["parca"].stored)
    assert seen and not any(b"hidden" in arguments for arguments in seen)
    assert "hidden" not in done.err
    assert list((tmp_path / "state/csample/spool").glob("*/0")) and not list(tmp_path.glob("state/csample/spool/*/*/*"))


def test_record_ends_in_time_and_the_next_one_delivers(server, csample, workload, tmp_path):
    target = workload("split")
    dead = server()
    port = dead.port
    dead.stop()
    options = ["--loop", "1s", "--push", f"parca+http://127.0.0.1:{port}", "--push-spool", tmp_path / "spool"]
    first = csample("record", "-p", target.pid, "-d", "2", *options)
    assert first.status == 0 and "they wait in" in first.err, first
    waiting = len(list((tmp_path / "spool").glob("*/0/*.profile")))
    assert waiting >= 2
    alive = server(port=port)
    second = csample("record", "-p", target.pid, "-d", "1", *options)
    assert second.status == 0 and "they wait in" not in second.err, second
    times = [p.time_ns for p in alive.stored]
    assert len(times) > waiting and times == sorted(times)


def test_a_killed_recording_loses_the_present_interval_only(server, start, csample, workload, tmp_path):
    target = workload("split")
    s = server()
    s.default = 503
    options = ["-p", target.pid, "--loop", "1s", "--push", url_of("parca", s), "--push-spool", tmp_path / "spool"]
    with open(tmp_path / "stderr", "wb") as err:
        run = start(CSAMPLE, "record", *options, stderr=err)
        until(lambda: run.popen.poll() is not None or len(list((tmp_path / "spool").glob("*/0/*.profile"))) >= 3)
        waiting = len(list((tmp_path / "spool").glob("*/0/*.profile")))
        assert waiting >= 3
        time.sleep(random.random() / 2)  # wherever in the interval
        run.signal(signal.SIGKILL)
        run.popen.wait()
    s.default = "ok"
    again = csample("record", *options, "-d", "1")
    assert again.status == 0, again
    spans = [(p.time_ns, dict(fields(p.pprof))[10]) for p in s.stored]
    assert len(spans) > waiting and spans == sorted(spans)
    for (begin, length), (next_one, _) in zip(spans[:waiting - 1], spans[1:]):
        assert abs(begin + length - next_one) < 20e6, spans


@pytest.mark.parametrize("options, said", [
    (["--push", "http://localhost:4040"], "use pyroscope+http://HOST:4040"),
    (["--push", "parca+http://x:hidden@localhost/?a"], "cannot push to 'localhost/?a': it may not have a query"),
    (["--push", "parca+http://localhost", "--push-spool-size", "7d"], "is not a size"),
    (["--push", "parca+http://localhost", "--push-token-file", "/nonexistent/t"], "cannot read a token from '/nonexistent/t'"),
    (["--push", "parca+http://localhost", "--push-tenant", "a b"], "'a b' is no tenant"),
    (["--push", "parca+http://localhost", "--push-header", "hidden"], "header 1 is not of the form"),
    (["--push", "parca+http://localhost", "--push-spool", "/proc/x"], "cannot keep profiles to be pushed in '/proc/x"),
])
def test_mistakes_are_told(csample, workload, options, said):
    done = csample("record", "-p", os.getpid(), "--loop", "1s", *options)
    assert done.status in (1, 2) and said in done.err and "hidden" not in done.err, done


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if not shutil.which("openssl"):
        pytest.skip("no openssl to make a certificate with")
    place = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", place / "key.pem", "-out", place / "cert.pem"], check=True, capture_output=True)
    return place


def tls_server(server, certificate, client=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    if client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificate / "cert.pem")
    return server(tls=context)


def test_certificates(server, push, small, certificate, tmp_path):
    s = tls_server(server, certificate)
    url = url_of("otlp", s, "https")
    result = after_an_attempt(push(url, small, "--serve", "--close", 0))
    assert result["delivered"] == 0 and result["waiting"] == 1 and "certificate" in result["last_error"]
    assert not s.stored
    tool = push(url, small, "--wait", 30, "--ca", certificate / "cert.pem")
    assert counts(tool)["delivered"] == 2  # that one too
    tool = push(url, small, "--wait", 30, "--insecure")
    assert counts(tool)["delivered"] == 1
    s = tls_server(server, certificate, client=True)
    ours = ["--ca", certificate / "cert.pem"]
    result = after_an_attempt(push(url_of("parca", s, "https"), small, "--serve", "--close", 0, *ours))
    assert result["delivered"] == 0
    tool = push(url_of("parca", s, "https"), small, "--wait", 30, *ours, "--cert", certificate / "cert.pem",
                "--key", certificate / "key.pem")
    assert counts(tool)["delivered"] == 2
    tool = push(url, small, "--ca", "/nonexistent/ca.pem", err=tmp_path / "ca.err")
    finish(tool, status=1)
    assert "/nonexistent/ca.pem" in (tmp_path / "ca.err").read_text()


def test_who_we_are_and_that_nobody_else_learns_it(server, push, small, tmp_path):
    def echo(_path, headers, _body):
        text = f"{headers.get('Authorization')} {headers.get('X-Key')} hunter2hunter2"
        return 403, {}, text.encode()
    user, token = tmp_path / "user", tmp_path / "token"
    user.write_text("me:hunter2hunter2\n")
    token.write_text("tok-secret-1\n")
    s = server()
    run = {"err": tmp_path / "auth.err"}
    tool = push(url_of("pyroscope", s), small, "--wait", 30, "--user-file", user, "--tenant", "team-a",
                "--header", "X-Key: k-secret", **run)
    arguments = pathlib.Path(f"/proc/{tool.pid}/cmdline").read_bytes()
    assert b"hunter2" not in arguments
    assert counts(tool)["delivered"] == 1
    headers = s.stored[0].headers
    assert headers["Authorization"] == "Basic bWU6aHVudGVyMmh1bnRlcjI=" and headers["X-Scope-OrgID"] == "team-a"
    assert headers["X-Key"] == "k-secret" and headers["User-Agent"] == "csample/test"
    s.default = echo
    tool = push(url_of("pyroscope", s), small, "--wait", 30, "--user-file", user, "--header", "X-Key: k-secret", **run)
    result = counts(tool)
    finish(tool)
    assert result["rejected"] == 1
    seen = json.dumps(result) + run["err"].read_text()
    seen += "".join(p.read_text() for p in (tmp_path / "spool").glob("*/rejected/*.reason"))
    assert "403" in seen
    for secret in ("hunter2", "k-secret", "bWU6aHVudGVy"):
        assert secret not in seen
    # Of the URL, and of the environment; the file is read each time.
    s.default = "ok"
    tool = push(url_of("parca", s).replace("//", "//me:p%40ss@"), small, "--wait", 30, **run)
    result = counts(tool)
    assert result["delivered"] == 1 and "p%40ss" not in json.dumps(result) and "p@ss" not in json.dumps(result)
    assert s.stored[-1].headers["Authorization"] == "Basic bWU6cEBzcw=="
    tool = push(url_of("otlp", s), small, "--wait", 30, env=dict(os.environ, CSAMPLE_PUSH_TOKEN="t0ken"))
    assert counts(tool)["delivered"] == 1 and s.stored[-1].headers["Authorization"] == "Bearer t0ken"
    tool = push(url_of("otlp", s), small, "--serve", "--wait", 30, "--token-file", token)
    until(lambda: len(s.stored) >= 4)
    token.write_text("tok-secret-2\n")
    tool.tell("put\n")
    until(lambda: len(s.stored) >= 5)
    tool.tell("end\n")
    assert counts(tool)["delivered"] == 2
    assert [p.headers["Authorization"] for p in s.stored[3:]] == ["Bearer tok-secret-1", "Bearer tok-secret-2"]


def test_proxies_are_used_as_curl_does(server, push, small):
    s = server()
    environment = dict(os.environ, http_proxy=f"http://127.0.0.1:{s.port}", no_proxy="")
    tool = push("parca+http://backend.invalid:7070", small, "--wait", 30, env=environment)
    assert counts(tool)["delivered"] == 1
    assert s.seen[0][1] == "http://backend.invalid:7070/api/profiles/writeraw"


def test_damaged_profiles_in_the_spool_harm_nobody(server, push, small, tmp_path):
    s = server()
    s.default = 503
    tool = push(url_of("parca", s), small, "--count", 4, "--close", 0)
    counts(tool)
    finish(tool)
    files = sorted((tmp_path / "spool").glob("*/0/*.profile"))
    assert len(files) == 4
    files[0].write_bytes(files[0].read_bytes()[:-20])
    files[1].write_bytes(b"")
    files[2].write_bytes(os.urandom(5000))
    s.default = "ok"
    tool = push(url_of("parca", s), small, "--count", 0, "--wait", 30)
    result = counts(tool)
    finish(tool)
    assert (result["delivered"], result["rejected"], result["waiting"]) == (1, 3, 0)
    reasons = [p.read_text() for p in sorted((tmp_path / "spool").glob("*/rejected/*.reason"))]
    assert "checksum" in reasons[0] and "not a profile" in reasons[1] and "not a profile" in reasons[2]
