# SPDX-License-Identifier: Apache-2.0
"""The unit as a real systemd runs it: booted in namespaces of its own, where csample is installed from its package."""
import os
import re
import shutil
import subprocess

import pytest

import roots
from conftest import CSAMPLE, ROOT

pytestmark = pytest.mark.skipif(not os.environ.get("CSAMPLE_TEST_PACKAGES"), reason="takes minutes: make check-packages")

SETUP = r"""
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update && apt-get -qq install -y --no-install-recommends systemd systemd-sysv dbus python3-minimal procps /pack/*.deb \
	>/tmp/apt.log 2>&1 || { tail /tmp/apt.log; exit 1; }
sed s,/usr/local/bin,/usr/bin, /pack/csample.service >/etc/systemd/system/csample.service
mkdir -p /etc/systemd/system/csample.service.d
printf '[Service]\nRestartSec=1\nWatchdogSec=4\nSystemCallErrorNumber=\n' >/etc/systemd/system/csample.service.d/soon.conf
# Where the service manager may not raise limits: what gives real-time priority besides, as in the manifest.
prlimit --rtprio=99 true 2>/dev/null || printf '[Service]\n%s=CAP_SYS_NICE\n%s=CAP_SYS_NICE\n' AmbientCapabilities \
	CapabilityBoundingSet >/etc/systemd/system/csample.service.d/nice.conf
cat >/etc/default/csample <<'END'
CSAMPLE_TARGET=--cmdline known_[b]y_this
CSAMPLE_OPTIONS=--loop 1s --label env=test --listen 127.0.0.1:6063 --store /var/lib/csample/store
END
cat >/busy.py <<'END'
def known_by_this():
    while True:
        sum(range(1000))
known_by_this()
END
"""
PROBE = r"""
until_true() {  # up to 15 s or so
	for i in $(seq 150); do "$@" && return; sleep 0.1; done
	echo "never: $*"
	return 1
}
store=/var/lib/csample/store
profiles() { [ "$(csample store ls --store $store 2>/dev/null | grep -c process_cpu)" -ge "$1" ]; }
restarted() { [ "$(systemctl show -P NRestarts csample)" -ge 1 ] && systemctl -q is-active csample; }
logged() { journalctl -u csample | grep -q "$1"; }
systemd-run -q --uid=nobody --unit=busy python3 -c 'exec(open("/busy.py").read())' known_by_this
systemctl start csample || { journalctl -u csample; exit 1; }
echo "started: $(systemctl is-active csample)"
until_true profiles 3
echo "status: $(systemctl show -P StatusText csample)"
pid=$(systemctl show -P MainPID csample)
echo "user: $(ps -o uid= -p $pid) $(grep CapEff /proc/$pid/status)"
sleep 9  # longer than two times what the watchdog waits
echo "watchdog: $(systemctl show -P NRestarts csample) restarts"
systemctl reload csample
until_true logged 'opened anew' && echo "reloaded: $(systemctl is-active csample)"
systemctl kill -s KILL csample
until_true restarted && echo "killed: $(systemctl is-active csample)"
before=$(csample store ls --store $store | grep -c process_cpu)
until_true profiles $((before + 2)) && echo "goes on"
csample store check --store $store && echo "store: sound"
systemctl stop csample
echo "stopped: $(systemctl is-active csample) $(systemctl show -P Result csample) $(systemctl show -P ExecMainStatus csample)"
csample query --store $store --from -1h '{env="test"}' -f collapsed -o - | grep -c known_by_this
systemd-analyze security csample.service --no-pager | tail -1
journalctl -u csample --no-pager | grep -iE 'warning|stopped for each' | head
echo "all is well"
"""


def test_the_unit_under_systemd(tmp_path):
    """Becomes ready, is watched, records another user's process, reloads, comes back after SIGKILL, and ends well."""
    folder = tmp_path / "pack"
    folder.mkdir()
    os.chmod(tmp_path, 0o755)
    done = subprocess.run([ROOT / "scripts/make-deb", CSAMPLE, folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(done.stderr.strip())
    shutil.copy(ROOT / "scripts/csample.service", folder)
    try:
        release = dict(line.split("=", 1) for line in open("/etc/os-release").read().splitlines() if "=" in line)
        text = roots.boot(roots.system(release.get("VERSION_CODENAME", "bookworm")), SETUP, PROBE, folder)
    except roots.Missing as why:
        pytest.skip(str(why))
    said = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    assert "never" not in said and text.rstrip().endswith("all is well"), text
    assert said["started"] == said["reloaded"] == said["killed"] == "active", text
    assert re.search(r"\d+ profiles, \d+ samples, [\d.]+ Hz", said["status"]), text
    uid, _, caps = said["user"].split()
    assert 61184 <= int(uid) < 65520 and int(caps, 16) & ~(1 << 23) == 1 << 19 | 1 << 38, text
    assert said["watchdog"] == "0 restarts", text
    assert said["store"] == "sound" and "goes on" in text, text
    assert said["stopped"] == "inactive success 0", text
    assert re.search(r"^[1-9]\d*$", text, re.M), text
    assert "exposure level" in text and "OK" in text, text
