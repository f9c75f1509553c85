# SPDX-License-Identifier: Apache-2.0
"""Defaults from the user's file."""
import gzip
import json
import os

import pytest


@pytest.fixture
def configured(csample, tmp_path):
    """configured(text, args...): a run with that file of defaults."""
    file = tmp_path / "csample" / "config"

    def run(text, *args, env=None, **options):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        environ = {k: v for k, v in os.environ.items() if k != "CSAMPLE_CONFIG"}
        return csample(*args, env={**environ, "XDG_CONFIG_HOME": str(tmp_path), **(env or {})}, **options)

    run.file = file
    return run


@pytest.fixture
def sleeping(start):
    return start("sleep", "1000").pid


def test_defaults_and_who_has_the_last_word(configured, sleeping):
    def is_json(result):
        assert result.status == 0, result
        return result.out.startswith("{")

    assert is_json(configured("# mine\n\n  json = yes\n", "dump", "-p", sleeping))
    assert is_json(configured("json", "dump", "-p", sleeping))
    assert is_json(configured("json = no\ndump.json = on\r\n", "dump", "-p", sleeping))
    assert is_json(configured("dump.json = on\njson = no", "dump", "-p", sleeping))
    assert not is_json(configured("doctor.json = yes\nrate = 7", "dump", "-p", sleeping))
    assert not is_json(configured("json = yes", "dump", "--no-config", "-p", sleeping))
    assert not is_json(configured("json = yes", "dump", "-p", sleeping, env={"CSAMPLE_CONFIG": ""}))


def test_values_and_endings(configured, workload, tmp_path):
    target = workload("split", "60").pid
    stats, out = tmp_path / "stats", tmp_path / "out.folded"
    text = "format = pprof\nduration = 1s\nrate = 222\n"
    result = configured(text, "record", "-p", target, "-o", "-", "--stats-json", stats, binary=True)
    assert result.status == 0 and gzip.decompress(result.out)
    assert json.loads(stats.read_text())["rate_asked"] == 222
    assert configured(text, "record", "-p", target, "-r", "333", "-o", out, "--stats-json", stats).status == 0
    assert json.loads(stats.read_text())["rate_asked"] == 333
    assert "main" in out.read_text()


@pytest.mark.parametrize("text,says", [
    ("\n\nraet = 5", "config:3: no option 'raet'; did you mean 'rate'?"),
    ("rate = fast", "config:1: rate: 'fast' is not a rate"),
    ("# one\nrecord.kernel = maybe", "config:2: kernel: 'maybe' is neither yes nor no"),
    ("dump.rate = 5", "dump has no option 'rate'"),
    ("recrod.rate = 5", "did you mean 'record'"),
    ("pid = 1", "pid belongs on the command line"),
    ("--help", "help belongs on the command line"),
    ("= 5", "config:1:"),
    ("capture = no", "auto|preempt|stop"),
])
def test_mistakes_name_the_line(configured, text, says):
    result = configured(text, "record", "-p", "1")
    assert result.status == 2 and says in result.err and result.err.count("\n") == 1, result


def test_strange_files(configured, csample, sleeping):
    assert configured("x" * 70000, "dump", "-p", sleeping).status == 2
    configured.file.unlink()
    os.mkfifo(configured.file)
    environ = {**os.environ, "CSAMPLE_CONFIG": str(configured.file)}
    assert "not a regular file" in csample("dump", "-p", sleeping, env=environ).err
    environ["CSAMPLE_CONFIG"] = "/nonexistent/config"
    assert csample("dump", "-p", sleeping, env=environ).status == 0


def test_others_do_not_command(configured, csample, sleeping):
    result = configured("json = yes", "dump", "-p", sleeping)
    assert result.out.startswith("{")
    configured.file.chmod(0o666)
    environ = {**os.environ, "CSAMPLE_CONFIG": str(configured.file)}
    result = csample("dump", "-p", sleeping, env=environ)
    assert not result.out.startswith("{") and "others may write" in result.err
    if os.geteuid() != 0:
        pytest.skip("needs root to give a file away")
    configured.file.chmod(0o644)
    os.chown(configured.file, 65534, 65534)
    result = csample("dump", "-p", sleeping, env=environ)
    assert result.status == 0 and not result.out.startswith("{") and "belongs to user 65534" in result.err
