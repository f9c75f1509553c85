# SPDX-License-Identifier: Apache-2.0
"""Other systems to run csample on: trees of Debian releases made by debootstrap, and one with musl and
busybox, entered with chroot in namespaces of their own. What is done there is forgotten afterwards."""
import fcntl
import os
import pathlib
import shutil
import subprocess
import tempfile

import pythons

ROOTS = pythons.cache() / "roots"
ENTER = r"""
set -e
mkdir "$1/root"
mount -t tmpfs tmpfs "$1/root"  # an overlay's upper layer cannot be on another overlay
mkdir "$1/root/upper" "$1/root/work" "$1/root/root"
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/root/upper,workdir=$1/root/work" "$1/root/root"
root=$1/root/root
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
for pair in $4; do  # from:to
	mkdir -p "$root${pair#*:}"
	mount --bind "${pair%:*}" "$root${pair#*:}"
done
cp -L /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true
mkdir -p "$root/etc/apt/apt.conf.d"
cp /etc/apt/apt.conf.d/*proxy* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
exec chroot "$root" /bin/sh -c "$3"
"""


class Missing(Exception):
    """Why there is no such system here."""


def _may_make():
    if os.geteuid() != 0:
        raise Missing("needs root for chroot")
    for tool in ("debootstrap", "unshare"):
        if not shutil.which(tool):
            raise Missing(f"{tool} is not installed")


def debian(suite):
    """The tree of a minimal Debian of that release, made once."""
    _may_make()
    ROOTS.mkdir(parents=True, exist_ok=True)
    root = ROOTS / suite
    with open(ROOTS / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (root / ".done").exists():
            return root
        shutil.rmtree(root, ignore_errors=True)
        done = subprocess.run(["debootstrap", "--variant=minbase", suite, root, pythons.mirror()],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=280)
        if done.returncode:
            raise Missing(f"debootstrap {suite}: {done.stdout[-300:]}")
        (root / ".done").touch()
    return root


def musl(folder):
    """A tree without glibc: a static busybox and the musl C library."""
    _may_make()
    busybox, libc = shutil.which("busybox"), pathlib.Path("/lib/ld-musl-x86_64.so.1")
    if not busybox or not libc.exists() or b"ld-linux" in pathlib.Path(busybox).read_bytes()[:4096]:
        raise Missing("no static busybox (busybox-static) or no musl here")
    for name in ("bin", "lib", "proc", "dev", "sys", "tmp", "etc"):
        (folder / name).mkdir(parents=True)
    shutil.copy(busybox, folder / "bin/busybox")
    shutil.copy(libc, folder / "lib")
    for applet in subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split():
        if applet != "busybox":
            (folder / "bin" / applet).symlink_to("busybox")
    return folder


def enter(root, script, timeout=200, visible=()):
    """Runs a shell script in that tree, with /proc of its own; directories of visible ("from:to") are there too."""
    with tempfile.TemporaryDirectory() as work:
        return subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER, "sh", work, root,
                               script, " ".join(map(str, visible))],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=timeout,
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/root",
                                   **{k: v for k, v in os.environ.items() if k.lower().endswith("_proxy")}})
