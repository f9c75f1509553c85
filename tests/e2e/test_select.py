# SPDX-License-Identifier: Apache-2.0
"""Saying which process is meant: by name, command line, cgroup, container, pid file."""
import json
import os
import pathlib
import secrets
import subprocess
import sys

import pytest

from conftest import CSAMPLE, wait_until

SLEEPER = "import sys; print('ready', flush=True); sys.stdin.read()"


@pytest.fixture
def sleeper(start):
    """Starts a process with a word of its own on its command line; it waits."""
    def run(*words, **options):
        process = start(sys.executable, "-c", SLEEPER, *words, **options)
        process.wait_for("ready")
        return process
    return run


def dumped(result):
    """The pids that a dump --json shows."""
    assert result.status == 0, result
    found = json.loads(result.out)
    return sorted(d["pid"] for d in (found if isinstance(found, list) else [found]))


def a_word():
    return "cs-" + secrets.token_hex(8)


def test_by_command_line(csample, sleeper):
    word = a_word()
    one, two = sleeper(word, "one"), sleeper(word, "two")
    assert dumped(csample("dump", "-j", "--cmdline", word)) == sorted([one.pid, two.pid])
    assert dumped(csample("dump", "-j", "--cmdline", f"{word} (two|three)$")) == [two.pid]
    assert dumped(csample("dump", "-j", "--cmdline", f"{word} one", "-p", two.pid)) == sorted([one.pid, two.pid])


def test_who_starts_csample_is_not_who_it_looks_for(csample, sleeper):
    """As with pgrep -f: the shell has the expression in its own command line."""
    word = a_word()
    target = sleeper(word)
    command = f"true; {CSAMPLE} dump -j --cmdline {word}; true"
    run = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
    assert json.loads(run.stdout)["pid"] == target.pid, run


def test_by_name(csample, start, tmp_path):
    name = a_word()[:12]
    program = tmp_path / name
    program.symlink_to("/bin/sleep")
    target = start(program, "1000")
    comm = pathlib.Path(f"/proc/{target.pid}/comm")
    wait_until(lambda: comm.read_text().strip() == name)
    assert dumped(csample("dump", "-j", "--comm", name)) == [target.pid]
    assert dumped(csample("dump", "-j", "--comm", "no-such-name", "--comm", name)) == [target.pid]
    result = csample("dump", "--comm", name.replace("-", "_"))
    assert result.status == 1 and not result.out
    assert f"there is {name} (pid {target.pid})" in result.err
    result = csample("dump", "--comm", name.upper())
    assert result.status == 1 and f"process {target.pid}: " in result.err


def test_by_pid_file(csample, sleeper, tmp_path):
    target = sleeper()
    path = tmp_path / "app.pid"
    path.write_text(f"{target.pid}\n")
    assert dumped(csample("dump", "-j", "--pidfile", path)) == [target.pid]
    target.end()
    result = csample("dump", "--pidfile", path)
    assert result.status == 1 and str(path) in result.err and "has it ended" in result.err
    result = csample("dump", "--pidfile", tmp_path / "none")
    assert result.status == 1 and "No such file" in result.err


@pytest.fixture
def cgroup():
    """Makes a cgroup of that name and puts a process there; its path as /proc/PID/cgroup has it."""
    made = []

    def put(name, pid):
        for root in ("/sys/fs/cgroup/pids", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
            path = pathlib.Path(root) / name
            try:
                path.mkdir()
                made.append(path)
                (path / "cgroup.procs").write_text(f"{pid}\n")
                return path
            except OSError:
                continue
        pytest.skip("no cgroup can be made here")

    yield put
    for path in reversed(made):
        path.rmdir()


def test_by_cgroup_and_container(csample, sleeper, cgroup):
    target = sleeper()
    container = secrets.token_hex(32)
    path = cgroup(f"docker-{container}.scope", target.pid)
    try:
        assert dumped(csample("dump", "-j", "--container", container[:12])) == [target.pid]
        assert dumped(csample("dump", "-j", "--container", f"docker://{container}")) == [target.pid]
        assert dumped(csample("dump", "-j", "--cgroup", path)) == [target.pid]
        assert dumped(csample("dump", "-j", "--cgroup", path.name)) == [target.pid]
        other = secrets.token_hex(32)
        result = csample("dump", "--container", other)
        assert result.status == 1 and other in result.err and container[:16] in result.err
    finally:
        target.end()


def test_several_go_into_one_profile_with_the_process_as_root(record, workload):
    word = a_word()
    one, two = (workload("split", "60", word) for _ in range(2))
    stacks, _, _ = record("--cmdline", f"split.* {word}", "-d", "1s", "-r", "200")
    roots = {stack[0] for stack in stacks}
    assert len(roots) == 2 and all(any(str(p.pid) in root for root in roots) for p in (one, two)), roots


# Children that wait for some milliseconds, many at a time.
FORKS = """import os, time
print('ready', flush=True)
while True:
    for i in range(12):
        if not os.fork():
            time.sleep(0.002 * i)
            os._exit(0)
    for i in range(12):
        os.wait()
"""


@pytest.mark.parametrize("command", ["record", "dump"])
def test_who_ends_before_it_is_opened_is_left_out(csample, start, tmp_path, command):
    word = a_word()
    process = start(sys.executable, "-c", FORKS, word)
    process.wait_for("ready")
    options = ("-e", "wall", "-d", "300ms", "-o", tmp_path / "out.txt") if command == "record" else ("-j",)
    left_out = False
    for _ in range(40 if command == "record" else 8):
        result = csample(command, "--cmdline", word, *options)
        assert result.status == 0, result
        left_out = "left out" in result.err
        if left_out:
            break
    assert left_out or command == "dump", "none ended at the right time"


def test_doctor_looks_at_each(csample, sleeper):
    word = a_word()
    pids = sorted(sleeper(word).pid for _ in range(2))
    result = csample("doctor", "-j", "--cmdline", word)
    assert [d["pid"] for d in json.loads(result.out)] == pids
    assert csample("doctor", "--cmdline", word).out.count("on process") == 2


@pytest.mark.parametrize("line,says", [
    ("dump --cmdline (", "not an extended regular expression"),
    ("dump --comm a --core core", "only one of them"),
    ("record --comm a -- true", "only one of them"),
    ("record --comm=", "--comm"),
    ("dump", "--comm NAME"),
])
def test_mistakes(csample, line, says):
    result = csample(*line.split())
    assert result.status == 2 and says in result.err and result.err.count("\n") == 1, result


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_those_that_cannot_be_read_are_left_out(csample, sleeper):
    """Two fit, one of them another user's."""
    word = a_word()
    mine = sleeper(word, preexec_fn=lambda: (os.setgid(65534), os.setuid(65534)))
    others = sleeper(word)
    result = csample("dump", "-j", "--cmdline", word, preexec_fn=lambda: (os.setgid(65534), os.setuid(65534)))
    assert dumped(result) == [mine.pid]
    assert "1 of 2 processes that fit cannot be read" in result.err
    result = csample("dump", "-j", "--cmdline", word, "-p", others.pid,
                     preexec_fn=lambda: (os.setgid(65534), os.setuid(65534)))
    assert result.status == 1
