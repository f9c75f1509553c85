# SPDX-License-Identifier: Apache-2.0
"""csample as a service: what it gives up, and that the unit's privileges are enough."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

import pytest

from conftest import CSAMPLE, ROOT, SAN, built, wait_until

UNIT = ROOT / "scripts/csample.service"
NUMBERS = {"CAP_DAC_OVERRIDE": 1, "CAP_DAC_READ_SEARCH": 2, "CAP_IPC_LOCK": 14, "CAP_SYS_PTRACE": 19,
           "CAP_SYS_NICE": 23, "CAP_SYSLOG": 34, "CAP_PERFMON": 38}
NOBODY, OTHER = 65534, 65533


def unit(key):
    return re.findall(rf"^{key}=(.*)$", UNIT.read_text(), re.M)


def status_of(task):
    return dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)


def threads_of(pid):
    return [status_of(t) for t in pathlib.Path(f"/proc/{pid}/task").iterdir()]


def caps(names):
    return sum(1 << NUMBERS[n] for n in names)


@pytest.fixture
def state():
    """A directory that other users can use: those of pytest they cannot."""
    (ROOT / "build").mkdir(exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(dir=ROOT / "build", prefix="service-"))
    os.chmod(folder, 0o755)
    yield folder
    shutil.rmtree(folder)


def blobs(folder):
    return list(folder.glob("**/*.pb.gz"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to give up")
def test_root_gives_up_what_it_does_not_need(start, workload, state):
    target = workload("split")
    run = start(CSAMPLE, "record", "-p", target.pid, "--loop-any", "200ms", "--listen", "127.0.0.1:0", "--store", state,
                stderr=subprocess.PIPE)
    wait_until(lambda: blobs(state), what="a profile")
    had = int(status_of(pathlib.Path("/proc/self"))["CapPrm"], 16)
    kept = caps(NUMBERS) & had
    for thread in threads_of(run.pid):
        assert thread["NoNewPrivs"] == "1", thread["Name"]
        for which in ("CapPrm", "CapEff", "CapBnd"):
            assert int(thread[which], 16) & ~kept == 0, (thread["Name"], which)
        assert int(thread["CapEff"], 16) == kept
    run.signal(signal.SIGTERM)
    assert run.popen.wait(timeout=60) == 0


def test_the_unit_is_sound(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    copy = tmp_path / "csample.service"
    copy.write_text(UNIT.read_text().replace("/usr/local/bin/csample", CSAMPLE))
    done = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=30", copy], capture_output=True,
                          text=True)
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze does not look at files")
    assert done.returncode == 0, done.stdout[-2000:]


def setpriv_name(cap):
    """As setpriv calls it: old ones know newer capabilities by number alone."""
    name = cap[len("CAP_"):].lower()
    listed = subprocess.run(["setpriv", "--list-caps"], capture_output=True, text=True).stdout.split()
    return name if name in listed else f"cap_{NUMBERS[cap]}"


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
@pytest.mark.skipif(not shutil.which("setpriv") or not shutil.which("unshare"), reason="setpriv or unshare is missing")
def test_another_user_with_the_capabilities_of_the_unit(start, state):
    wanted = unit("AmbientCapabilities")[0].split()
    assert unit("CapabilityBoundingSet")[0].split() == wanted
    limits = ["prlimit", f"--rtprio={unit('LimitRTPRIO')[0]}", f"--nice={20 - int(unit('LimitNICE')[0])}"]
    if subprocess.run([*limits, "true"], stderr=subprocess.DEVNULL).returncode:
        # Who may not raise limits: what gives real-time priority besides, as in the manifest.
        limits, wanted = [], [*wanted, "CAP_SYS_NICE"]
    names = ["+" + setpriv_name(cap) for cap in wanted]
    become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs",
              "--inh-caps=" + ",".join(["-all"] + names), "--ambient-caps=" + ",".join(["-all"] + names),
              "--bounding-set=" + ",".join(["-all"] + names)]
    # Of the unit's limits and file systems what can be had without systemd.
    hidden = "/var/tmp" if str(ROOT).startswith("/tmp/") else "/tmp"
    private = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs tmpfs {hidden} && exec "$@"', "sh"]
    if subprocess.run(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "test", "-x", state],
                      check=False).returncode:
        pytest.skip(f"other users may not enter {ROOT}")
    target = start("setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups", built("split"))
    target.wait_for("ready")
    os.chown(state, NOBODY, NOBODY)
    stats = state / "stats.json"
    run = start(*private, *limits, *become, CSAMPLE, "record", "-p", target.pid, "--loop-any", "300ms", "--stats-json", stats,
                env={**os.environ, "STATE_DIRECTORY": str(state)}, stderr=subprocess.PIPE)
    wait_until(lambda: len(blobs(state)) >= 3 or run.popen.poll() is not None, what="three profiles")
    assert run.popen.poll() is None, run.popen.stderr.read()
    for thread in threads_of(run.pid):
        assert thread["Uid"].split() == [str(NOBODY)] * 4
        assert int(thread["CapEff"], 16) == caps(wanted)
    run.signal(signal.SIGTERM)
    assert run.popen.wait(timeout=60) == 0, run.popen.stderr.read()
    said = stats.read_text()
    text = run.pending.decode() + run.popen.stderr.read().decode()
    assert int(re.search(r'"preempt": (\d+)', said)[1]) > 0, (said, text)
    assert int(re.search(r'"stop": (\d+)', said)[1]) == 0 or SAN, (said, text)


def test_the_manifest_asks_for_no_more():
    yaml = pytest.importorskip("yaml")
    documents = list(yaml.safe_load_all((ROOT / "scripts/csample.yaml").read_text()))
    assert [d["kind"] for d in documents] == ["DaemonSet", "Pod"]
    pods = [documents[0]["spec"]["template"]["spec"], documents[1]["spec"]]
    assert pods[0]["hostPID"] and pods[1]["shareProcessNamespace"]
    for pod in pods:
        ours = next(c for c in pod["containers"] if c["name"] == "csample")
        rights = ours["securityContext"]
        assert rights["capabilities"] == {"drop": ["ALL"], "add": ["SYS_PTRACE", "PERFMON", "SYS_NICE"]}
        assert not rights["allowPrivilegeEscalation"] and rights["readOnlyRootFilesystem"]
        mounts = {m["name"] for m in ours["volumeMounts"]}
        assert mounts <= {v["name"] for v in pod["volumes"]}
