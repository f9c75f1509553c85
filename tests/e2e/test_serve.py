# SPDX-License-Identifier: Apache-2.0
"""record --listen: what go tool pprof, curl and scrapers get, of real processes."""
import concurrent.futures
import gzip
import http.client
import json
import re
import shutil
import subprocess
import time

import pytest

from conftest import CSAMPLE, built, wait_until

HOST = "127.0.0.1"


class Served:
    def __init__(self, running, port):
        self.running, self.port = running, port
        self.url = f"http://{HOST}:{port}"

    def ask(self, path, method="GET", body=None, headers=None):
        """(status, headers, body)"""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()


@pytest.fixture
def serve(start):
    def serve(pid, *options):
        running = start(CSAMPLE, "record", "-p", pid, "--listen", f"{HOST}:0", *options, stderr=subprocess.PIPE)
        line = running.wait_for("serving http://", stream=running.popen.stderr)
        return Served(running, int(re.search(r"http://[^/]*:(\d+)/", line)[1]))

    return serve


@pytest.fixture
def busy(workload):
    """A process that spends 70% of its time in a function of that name."""
    return workload("split", "100")


def test_go_tool_pprof_reads_a_profile(serve, busy):
    if not shutil.which("go"):
        pytest.skip("go is not installed")
    served = serve(busy.pid)
    done = subprocess.run(["go", "tool", "pprof", "-symbolize=remote", "-top", f"{served.url}/debug/pprof/profile?seconds=2"],
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Type: cpu" in done.stdout
    total = {m[2]: float(m[1]) for m in re.finditer(r"([\d.]+)%\s+(\w+)(?: \(.*\))?$", done.stdout, re.M)}
    assert abs(total["seventy"] - 70) < 15 and total["work"] > 90, done.stdout
    duration = float(re.search(r"Duration: ([\d.]+)", done.stdout)[1])
    assert 1.9 <= duration <= 10


def test_concurrent_scrapes_share_one_sampling(serve, busy):
    served = serve(busy.pid)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        paths = ["/debug/pprof/profile?seconds=2"] * 3 + ["/debug/pprof/wall?seconds=2"]
        answers = list(pool.map(served.ask, paths))
    for status, headers, body in answers:
        assert status == 200, body
        assert headers["Content-Type"] == "application/octet-stream"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert gzip.decompress(body)


def test_threads_as_text(serve, busy):
    served = serve(busy.pid)
    status, headers, one = served.ask("/debug/pprof/threads?debug=1")
    assert status == 200 and headers["Content-Type"].startswith("text/plain"), one
    status, _, two = served.ask("/debug/pprof/goroutine?debug=2")
    assert status == 200
    for text in one.decode(), two.decode():
        assert "main" in text
    status, _, body = served.ask("/debug/pprof/threads")
    assert status == 200 and gzip.decompress(body)


def test_small_pages(serve, busy):
    served = serve(busy.pid)
    assert served.ask("/healthz")[0] == 200
    command = open(f"/proc/{busy.pid}/cmdline", "rb").read().rstrip(b"\0")
    assert served.ask("/debug/pprof/cmdline")[2].rstrip(b"\0") == command
    assert b"num_symbols: 1" in served.ask("/debug/pprof/symbol")[2]
    assert served.ask("/debug/pprof/heap")[0] == 404
    status, headers, text = served.ask("/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert re.search(rb"^csample_samples_total(\{[^}]*\})? \d+", text, re.M), text


def test_metrics_count_samples(serve, busy):
    served = serve(busy.pid)
    served.ask("/debug/pprof/profile?seconds=1")

    def samples():
        text = served.ask("/metrics")[2].decode()
        return sum(float(m[1]) for m in re.finditer(r"^csample_samples_total(?:\{[^}]*\})? (\S+)", text, re.M))

    assert samples() > 0


def test_end_of_the_target_ends_a_scrape(serve, busy):
    served = serve(busy.pid)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(served.ask, "/debug/pprof/profile?seconds=60")
        time.sleep(1)  # of the window, so that there is something in it
        busy.end()
        status, _, body = asked.result(timeout=60)
    assert status == 200, body
    assert gzip.decompress(body)
    assert served.running.popen.wait(timeout=60) == 0


def test_a_target_that_is_another_now(start, tmp_path):
    """Found by name: what is asked about processes is told of those that are there."""
    program = tmp_path / "split-served"
    shutil.copy(built("split"), program)
    first = start(program, "100")
    running = start(CSAMPLE, "record", "--comm", "split-served", "--listen", f"{HOST}:0", "--loop-any", "200ms",
                    "-o", tmp_path / "p-%p-%n.json", stderr=subprocess.PIPE)
    line = running.wait_for("serving http://", stream=running.popen.stderr)
    served = Served(running, int(re.search(r"http://[^/]*:(\d+)/", line)[1]))
    wait_until(lambda: list(tmp_path.glob(f"p-{first.pid}-*.json")), what="a profile of the first")
    first.end()
    wait_until(lambda: served.ask("/debug/pprof/threads?debug=2")[0] == 503, what="the end of the first")
    assert served.ask("/debug/pprof/cmdline")[0] == 503
    others = [start(program, "101"), start(program, "102")]

    def told():
        return served.ask("/debug/pprof/threads?debug=2")[2].decode()
    wait_until(lambda: all(f"({o.pid})" in told() for o in others), what="threads of both that came later")
    assert served.ask("/debug/pprof/cmdline")[2].split(b"\0")[1] in (b"101", b"102")
    body = gzip.decompress(served.ask("/debug/pprof/threads")[2])
    assert all(f"split-served ({o.pid})".encode() in body for o in others)
    assert b"total 2" in served.ask("/debug/pprof/threads?debug=1")[2]
    paths = lambda: [p for o in others for p in tmp_path.glob(f"p-{o.pid}-*.json")]
    wait_until(paths, what="a profile of the others")
    meta = json.loads(paths()[0].read_text())["meta"]
    assert meta["pid"] != first.pid and meta["title"].startswith(f"split-served, pid {meta['pid']}")
    assert meta["command"].endswith((" 101", " 102"))


def test_a_token_is_asked_for(serve, busy, tmp_path):
    token = tmp_path / "token"
    token.write_text("open-sesame-42\n")
    served = serve(busy.pid, "--token-file", token)
    assert served.ask("/debug/pprof/cmdline")[0] == 401
    assert served.ask("/debug/pprof/cmdline", headers={"Authorization": "Bearer open-sesame-42"})[0] == 200


def test_other_hosts_are_kept_out(csample, busy):
    done = csample("record", "-p", busy.pid, "--listen", "0.0.0.0:0")
    assert done.status == 2
    assert "--token-file" in done.err and "--insecure" in done.err


def test_an_address_in_use_is_told(serve, csample, busy):
    served = serve(busy.pid)
    done = csample("record", "-p", busy.pid, "--listen", f"{HOST}:{served.port}")
    assert done.status == 1
    assert "another process" in done.err


def test_interrupt_while_scraped(serve, busy):
    served = serve(busy.pid)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(served.ask, "/debug/pprof/profile?seconds=60")
        time.sleep(1)
        served.running.popen.terminate()
        assert asked.result(timeout=60)[0] == 200
    assert served.running.popen.wait(timeout=60) == 0
