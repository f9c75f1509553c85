# SPDX-License-Identifier: Apache-2.0
"""csample list: who is there, what each runs, how busy it is."""
import json
import os
import re
import shutil
import struct
import subprocess

import pytest

import nodes
import pythons
from conftest import built, wait_until

PYTHON_WAITS = "import sys; print('ready', flush=True); sys.stdin.read()"
NODE_WAITS = "console.log('ready'); process.stdin.resume();"


def rows(csample, *args, **options):
    result = csample("list", "--json", *args, **options)
    assert result.status == 0, result
    assert not result.err, result
    return {row["pid"]: row for row in json.loads(result.out)}


@pytest.mark.parametrize("name", ["3.8", "3.12", "3.14"])
def test_python_and_its_version(csample, start, name):
    python = pythons.require(name)
    target = start(python.exe, "-c", PYTHON_WAITS)
    target.wait_for("ready")
    row = rows(csample)[target.pid]
    version = subprocess.run([python.exe, "-c", "import platform; print(platform.python_version())"],
                             capture_output=True, text=True).stdout.strip()
    assert row["usable"] and row["runtimes"] == [{"name": "python", "version": version}]
    assert row["command"].endswith(PYTHON_WAITS) and row["ppid"] == os.getpid() and row["uid"] == os.getuid()
    line = next(line for line in csample("list").out.splitlines() if line.split()[0] == str(target.pid))
    assert f"CPython {version}" in line
    result = csample("doctor", "-p", target.pid)
    assert re.search(rf"^  ok +CPython +{version}: ", result.out, re.M), result
    assert json.loads(csample("doctor", "-j", "-p", target.pid).out)["runtimes"] == row["runtimes"]


def test_node_and_its_version(csample, start):
    node = nodes.require("20")
    target = start(node, "-e", NODE_WAITS)
    target.wait_for("ready")
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip().lstrip("v")
    runtimes = wait_until(lambda: [r for r in rows(csample, "-p", target.pid)[target.pid]["runtimes"] if "version" in r])
    assert [r["name"] for r in runtimes] == ["javascript"] and runtimes[0]["version"].startswith(version)


def test_a_version_that_csample_does_not_know(csample, start, tmp_path):
    """A CPython that says it is 3.25: the number is where every CPython since 3.11 has it."""
    python = pythons.require("3.12")
    ask = "import sys; print(sys.executable, sys.hexversion, sys.base_prefix)"
    exe, number, home = subprocess.run([python.exe, "-c", ask], capture_output=True, text=True).stdout.split()
    libraries = re.findall(r"(/\S*libpython\S*)", subprocess.run(["ldd", exe], capture_output=True, text=True).stdout)
    file = libraries[0] if libraries else exe
    future = tmp_path / os.path.basename(file)
    with open(file, "rb") as f:
        future.write_bytes(f.read().replace(struct.pack("<I", int(number)), struct.pack("<I", 0x031900F0)))
    future.chmod(0o755)
    env = {**os.environ, "PYTHONHOME": home, **({"LD_PRELOAD": future} if libraries else {})}
    target = start(exe if libraries else future, "-c", PYTHON_WAITS, env=env)
    target.wait_for("ready")
    row = rows(csample, "-p", target.pid)[target.pid]
    assert row["usable"] and row["runtimes"][0]["name"] == "python" and "version" not in row["runtimes"][0]
    assert "3.25" in row["runtimes"][0]["why_not"]
    result = csample("doctor", "-p", target.pid)
    assert result.status == 0 and re.search(r"less +CPython +.*3\.25", result.out), result


def test_cpu_use_and_order(csample, workload, start):
    busy, idle = workload("split", "60"), start("sleep", "1000")
    found = rows(csample)
    assert found[busy.pid]["cpu_percent"] > 5 > found[idle.pid]["cpu_percent"]
    order = [row["cpu_percent"] for row in found.values()]
    assert order == sorted(order, reverse=True)
    assert found[idle.pid]["runtimes"] == []
    assert re.search(r"^ +runtimes +none that csample knows \(CPython 3.6 to", csample("doctor", "-p", idle.pid).out, re.M)


def test_only_those_asked_for(csample, start):
    one, two = start("sleep", "1000"), start("sleep", "1000")
    assert set(rows(csample, "-p", one.pid, "-p", two.pid)) == {one.pid, two.pid}
    assert set(rows(csample, "--cmdline", "^sleep 1000$")) >= {one.pid, two.pid}
    result = csample("list", "-p", 2 ** 22 + 1)
    assert result.status == 1 and "no process" in result.err


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_why_not_when_it_cannot_be_read(csample, start):
    target = start("sleep", "1000")

    def become_nobody():
        os.setgid(65534)
        os.setuid(65534)

    row = rows(csample, preexec_fn=become_nobody)[target.pid]
    assert not row["usable"] and "CAP_SYS_PTRACE" in row["why_not"] and "runtimes" not in row
    text = csample("list", preexec_fn=become_nobody).out
    assert re.search(rf"^ *{target.pid} root +[0-9.]+ +\(not permitted\) +sleep 1000", text, re.M)
    assert re.search(r"^\d+ cannot be read: .*sudo", text, re.M)


def test_32_bit(csample, start):
    target = start(built("bits32", "m32"))
    wait_until(lambda: "bits32" in rows(csample, "-p", target.pid).get(target.pid, {}).get("command", ""))
    row = rows(csample, "-p", target.pid)[target.pid]
    assert not row["usable"] and "32-bit" in row["why_not"]


def test_a_hostile_name_stays_in_its_row(csample, start, tmp_path):
    program = tmp_path / "evil\n\x1b[31m"
    shutil.copy("/bin/sleep", program)
    target = start(program, "1000")
    wait_until(lambda: open(f"/proc/{target.pid}/comm").read().startswith("evil"))
    text = csample("list", "-p", target.pid).out
    assert "\x1b" not in text and text.count("\n") == 2
    assert rows(csample, "-p", target.pid)[target.pid]["name"].startswith("evil\n")
