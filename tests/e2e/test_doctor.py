# SPDX-License-Identifier: Apache-2.0
"""csample doctor under real restrictions: users, capabilities, namespaces, seccomp, limits."""
import json
import os
import shutil
import subprocess
import tempfile

import pytest

from conftest import CSAMPLE, ROOT, SAN, built

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="drops privileges, so needs them: run as root")
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
# perf_event_open, process_vm_readv, ptrace, sched_setscheduler, sched_setaffinity
CALLS = {"x86_64": dict(perf=298, readv=310, ptrace=101, scheduler=144, affinity=203),
         "aarch64": dict(perf=241, readv=270, ptrace=117, scheduler=119, affinity=122)}[os.uname().machine]


def need(tool):
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")


def doctor(*args, prefix=()):
    """doctor's JSON, started by a prefix that takes something away."""
    # The leak checker uses ptrace itself: not where that is what is taken away.
    env = dict(os.environ, ASAN_OPTIONS="detect_leaks=0") if prefix else None
    done = subprocess.run([*map(str, prefix), CSAMPLE, "doctor", "--json", *map(str, args)], env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    assert not done.stderr, done.stderr
    report = json.loads(done.stdout)
    assert done.returncode == (0 if report["usable"] else 1)
    return report


def check(report, name):
    found = [c for c in report["checks"] if c["name"] == name]
    assert len(found) == 1, f"{name}: {found}"
    return found[0]


def assert_fix(report, name, level, *words):
    """The check is at that level and each place of its fix says one of the words."""
    c = check(report, name)
    assert c["level"] == level, c
    text = " ".join(c["fix"][place] for place in ("host", "docker", "kubernetes"))
    for word in words:
        assert word in text, c
    return c


def test_report_has_its_schema(workload):
    pid = workload("split").pid
    report = doctor("-p", pid)
    assert report["pid"] == pid and "split" in report["command"]
    assert set(report["capture"]) == {"cpu", "cycles", "wall", "dump"}
    for outlook in report["capture"].values():
        assert outlook["way"] in {"preempt", "asleep", "stop", "none"} and outlook["how"]
    for c in report["checks"]:
        assert c["level"] in {"ok", "note", "degraded", "missing"} and c["name"] and c["found"]
        if c["level"] in {"degraded", "missing"} and "fix" in c:
            assert set(c["fix"]) == {"what", "host", "docker", "kubernetes"}
            assert all(c["fix"].values())
    symbols = check(report, "symbols")
    assert symbols["level"] == "ok" and "modules" in symbols["found"]


@root_only
def test_root_gets_the_best(workload):
    report = doctor("-p", workload("split").pid)
    assert report["capture"]["cpu"]["way"] == "preempt", report
    assert report["capture"]["wall"]["way"] == "asleep"


def test_the_page_says_what_json_says(csample):
    report = doctor()
    text = csample("doctor").out
    assert "pid" not in report
    for c in report["checks"]:
        assert c["name"] in text
    assert all(len(line) <= 110 for line in text.splitlines()), "the page is wider than a terminal"
    assert len(text.splitlines()) <= 66, "more than a page"


def test_a_target_that_is_not_there(csample):
    result = csample("doctor", "-p", 4194304)
    assert result.status == 1
    assert "no process with pid 4194304" in result.out and "cannot sample" in result.out


@root_only
def test_as_nobody_the_way_is_stop(start):
    need("setpriv")
    target = start(*NOBODY, built("split"))
    target.wait_for("ready")
    report = doctor("-p", target.pid, prefix=NOBODY)
    if check(report, "memory")["level"] != "ok":
        pytest.skip("this machine's policy (yama) keeps users from their own processes")
    assert report["usable"] and report["capture"]["cpu"]["way"] == "stop"
    assert_fix(report, "real-time priority", "degraded", "cap_sys_nice", "--cap-add=SYS_NICE", "SYS_NICE")
    assert_fix(report, "perf events", "degraded", "perf_event_paranoid", "--cap-add=PERFMON")


@root_only
@pytest.mark.skipif(SAN, reason="the sanitizers do not run with file capabilities")
def test_file_capabilities_give_an_ordinary_user_the_best(start):
    need("setpriv")
    need("setcap")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        program = shutil.copy(CSAMPLE, folder)
        if subprocess.run(["setcap", "cap_sys_ptrace,cap_perfmon,cap_sys_nice+ep", program]).returncode:
            pytest.skip("no file capabilities in this file system")
        target = start(*NOBODY, built("split"))
        target.wait_for("ready")
        done = subprocess.run([*NOBODY, program, "doctor", "--json", "-p", str(target.pid)], stdout=subprocess.PIPE)
        report = json.loads(done.stdout)
        assert report["capture"]["cpu"]["way"] == "preempt", report
        done = subprocess.run([*NOBODY, program, "record", "-p", str(target.pid), "-d", "1s", "-o", "-"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert done.returncode == 0 and b"seventy" in done.stdout, done
        assert b"by preempt" in done.stderr and b"by stop" not in done.stderr, done


@root_only
def test_of_another_user_nothing_works(workload):
    need("setpriv")
    report = doctor("-p", workload("split").pid, prefix=NOBODY)
    assert not report["usable"]
    assert {o["way"] for o in report["capture"].values()} == {"none"}
    c = assert_fix(report, "memory", "missing", "sudo", "--cap-add=SYS_PTRACE", "SYS_PTRACE")
    assert "user 0" in c["found"] and "65534" in c["found"]


@root_only
@pytest.mark.parametrize("capability,name", [("cap_sys_nice", "real-time priority"),
                                             ("cap_perfmon,cap_sys_admin", "perf events")])
def test_without_a_capability(capability, name, workload):
    need("capsh")
    target = workload("split")
    done = subprocess.run(["capsh", f"--drop={capability}", "--", "-c",
                           f"exec {CSAMPLE} doctor --json -p {target.pid}"],
                          stdout=subprocess.PIPE, text=True)
    report = json.loads(done.stdout)
    assert done.returncode in (0, 1)
    assert check(report, name)["level"] == "degraded"
    if name == "real-time priority" and check(report, "memory")["level"] == "ok":
        assert report["capture"]["cpu"]["way"] == "stop"


@root_only
def test_without_ptrace_capability_a_privileged_target_is_out_of_reach(workload):
    need("capsh")
    done = subprocess.run(["capsh", "--drop=cap_sys_ptrace", "--", "-c",
                           f"exec {CSAMPLE} doctor --json -p {workload('split').pid}"],
                          stdout=subprocess.PIPE, text=True)
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert_fix(report, "memory", "missing", "SYS_PTRACE")


def refuse(**calls):
    """A prefix that runs csample under a seccomp filter with these errors."""
    return [built("refuse"), ",".join(f"{CALLS[name]}={errno}" for name, errno in calls.items())]


@root_only
def test_seccomp_refuses_perf_events(workload):
    report = doctor("-p", workload("split").pid, prefix=refuse(perf=1))
    assert report["capture"]["cpu"]["way"] == "stop"
    assert "timer" in report["capture"]["cpu"]["how"]
    assert_fix(report, "perf events", "degraded", "seccomp=unconfined", "seccompProfile")
    assert check(report, "seccomp")


@root_only
def test_seccomp_refuses_all_that_old_docker_did(workload):
    report = doctor("-p", workload("split").pid, prefix=refuse(perf=1, readv=1, ptrace=1))
    assert report["capture"]["cpu"]["way"] == "none"
    assert report["capture"]["dump"]["way"] == "asleep"
    for name in ("memory", "ptrace", "perf events"):
        assert_fix(report, name, "degraded", "seccomp=unconfined", "seccompProfile")


@root_only
def test_a_cpu_out_of_reach(workload):
    """A cpuset makes sched_setaffinity fail with EINVAL."""
    report = doctor("-p", workload("split").pid, prefix=refuse(affinity=22))
    assert report["capture"]["cpu"]["way"] == "stop"
    assert_fix(report, "CPUs", "degraded", "--cpuset-cpus")


@root_only
def test_realtime_refused_in_spite_of_the_capability(workload):
    need("capsh")
    report = doctor("-p", workload("split").pid, prefix=refuse(scheduler=1))
    assert report["capture"]["cpu"]["way"] == "stop"
    assert check(report, "real-time priority")["level"] == "degraded"


def test_in_a_user_namespace():
    need("unshare")
    if subprocess.run(["unshare", "-Ur", "true"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("user namespaces are not allowed here")
    report = doctor(prefix=["unshare", "-Ur"])
    assert "user namespace" in check(report, "privileges")["found"]
    assert_fix(report, "real-time priority", "degraded", "--userns=host", "hostUsers")
    assert report["capture"]["cpu"]["way"] == "stop"


@root_only
def test_in_a_pid_namespace():
    need("unshare")
    prefix = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*prefix, "true"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("namespaces are not allowed here")
    report = doctor(prefix=prefix)
    assert report["usable"] and check(report, "memory")["level"] == "ok"


@root_only
def test_on_one_cpu_the_others_are_reached_all_the_same():
    need("taskset")
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("there is one CPU only")
    report = doctor(prefix=["taskset", "-c", min(os.sched_getaffinity(0))])
    assert check(report, "CPUs")["level"] == "ok"


@pytest.mark.skipif(SAN, reason="the sanitizers need descriptors of their own")
def test_too_few_descriptors(workload):
    need("prlimit")
    target = workload("crowd", 200, 1)
    report = doctor("-p", target.pid, prefix=["prlimit", "--nofile=256:256"])
    assert_fix(report, "open files", "degraded", "ulimit -n", "--ulimit nofile")


@root_only
def test_a_traced_target(workload, start):
    need("strace")
    target = workload("split")
    tracer = start("strace", "-qq", "-e", "trace=none", "-p", target.pid, stderr=subprocess.DEVNULL)

    def traced():
        with open(f"/proc/{target.pid}/status") as status:
            return f"TracerPid:\t{tracer.pid}" in status.read()

    from conftest import wait_until
    wait_until(traced, what="strace's attachment")
    report = doctor("-p", target.pid)
    assert check(report, "ptrace")["level"] == "degraded"
    assert str(tracer.pid) in check(report, "ptrace")["found"]
    assert report["capture"]["cpu"]["way"] == "preempt"


@root_only
def test_a_target_of_highest_priority(start):
    need("chrt")
    target = start("chrt", "-f", "99", "sleep", "100")
    from conftest import wait_until
    wait_until(lambda: os.sched_getscheduler(target.pid) == os.SCHED_FIFO, what="real-time priority")
    report = doctor("-p", target.pid)
    assert check(report, "real-time priority")["level"] == "degraded"
    assert report["capture"]["cpu"]["way"] == "stop"


@root_only
def test_stripped_target_is_told(workload):
    report = doctor("-p", workload("split", variant="stripped").pid)
    c = assert_fix(report, "symbols", "degraded", "dbgsym")
    assert "split" in c["found"]


@pytest.mark.parametrize("what,says", [("self", "itself"), ("kernel", "kernel thread"), ("zombie", "zombie")])
def test_what_cannot_be_a_target(what, says, start, csample):
    if what == "kernel":
        pid = 2
        if not os.path.exists("/proc/2") or os.path.exists("/proc/2/exe") and os.access("/proc/2/maps", os.R_OK) \
                and open("/proc/2/maps").read():
            pytest.skip("process 2 is no kernel thread here")
    elif what == "zombie":
        child = subprocess.Popen(["true"])
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        pid = child.pid
    else:
        done = subprocess.run(["sh", "-c", f"exec {CSAMPLE} doctor -p $$"], stdout=subprocess.PIPE, text=True)
        assert done.returncode == 1 and says in done.stdout
        return
    result = csample("doctor", "-p", pid)
    assert result.status == 1 and says in result.out, result
