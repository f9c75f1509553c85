#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The interpreters that the tests run on: what is installed, and what Debian's suites have.

pythons.py          lists them all, downloading what can be had
pythons.py 3.14     prints the path of that one; exit status 77 and the reason if it is not to be had

A name is a minor version ("3.14", "3.14t": the first source that has it) or a version at a source
("3.13@sid", "3.14@tailcall"). Packages are downloaded and checked by apt itself, as the user who
runs the tests, with apt's own directories in a cache folder, and are unpacked there; nothing is
installed. They bring their own C library, so that they also run on a Debian older than theirs.
"""
import contextlib
import dataclasses
import fcntl
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

# The order in which one minor version is looked for; "system" is the distribution's own.
SOURCES = ("pyenv", "system", "trixie", "sid")
# Builds out of the ordinary: each is itself only when asked for by this name.
SPECIAL = ("tailcall",)
SUITES = {"3.13": ("trixie", "sid"), "3.14": ("sid",), "3.15": ("sid",)}
MINORS = ("3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15")
# What no suite has, and scripts/build-pythons makes.
BUILT = ("3.13t", "3.14t", "3.15t", "3.14@tailcall")
# Every build worth a test run of its own.
ALL = (*MINORS, "3.11@system", "3.13@trixie", "3.13@sid", *BUILT)
# What a test runs on that would take too long on all of them with sanitizers as well.
CHOSEN = ("3.6", "3.10", "3.12", "3.15", "3.14t") if os.environ.get("CSAMPLE_SAN") else ALL

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
PACKAGES = ("python{0}-minimal", "libpython{0}-minimal", "libpython{0}-stdlib", "libc6", "libgcc-s1",
            "libexpat1", "zlib1g", "libffi8", "libssl3t64", "libuuid1", "libbz2-1.0", "liblzma5",
            "libzstd1", "libsqlite3-0")
# For programs that embed the interpreter, and for extension modules.
EMBED = ("libpython{0}", "libpython{0}-dev")
RETRY_AFTER = 900  # seconds after a download that failed, before the next try


class Missing(Exception):
    """An interpreter that is not to be had here, and why."""


@dataclasses.dataclass(frozen=True)
class Python:
    version: str  # "3.14.10"
    source: str
    exe: pathlib.Path  # the real file, no link and no shell script
    free_threaded: bool = False

    @property
    def minor(self):
        return ".".join(self.version.split(".")[:2]) + ("t" if self.free_threaded else "")

    @property
    def shown(self):
        """As csample tells its version."""
        return self.version + ("t" if self.free_threaded else "")

    @property
    def prefix(self):
        return self.exe.parent.parent

    def __str__(self):
        return f"{self.shown}@{self.source}"


def cache():
    root = os.environ.get("CSAMPLE_TESTS_CACHE") or os.path.expanduser("~/.cache/csample-tests")
    path = pathlib.Path(root)
    path.mkdir(parents=True, exist_ok=True)
    return path


def ask(exe, source):
    """The interpreter at exe, by its own word; None: it does not run."""
    code = ("import sys, os, sysconfig; sys.stdout.write('%d.%d.%d %d %s' % (sys.version_info[:3] + "
            "(sysconfig.get_config_var('Py_GIL_DISABLED') or 0, os.path.realpath(sys.executable))))")
    try:
        done = subprocess.run([str(exe), "-ES", "-c", code], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = done.stdout.split(None, 2)
    if done.returncode or len(words) != 3:
        return None
    return Python(words[0], source, pathlib.Path(words[2].strip()), words[1] == "1")


def built(name):
    """Where scripts/build-pythons installs it; the file "whole" is made last."""
    return cache() / f"built-{name.replace('@', '-')}"


@functools.lru_cache(None)
def installed():
    """What is on this machine. $CSAMPLE_PYTHONS (paths with ':') comes first."""
    found = []
    for path in filter(None, os.environ.get("CSAMPLE_PYTHONS", "").split(":")):
        found.append(ask(path, "given"))
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv"))
    with contextlib.suppress(PermissionError):
        for folder in sorted(pyenv.glob("versions/[23].*")):
            found.append(ask(folder / f"bin/python{folder.name[0]}", "pyenv"))
    for name in BUILT:
        prefix = built(name)
        if (prefix / "whole").exists():
            minor, _, source = name.partition("@")
            found.append(ask(prefix / f"bin/python{minor}", source or "built"))
    for folder in ("/usr/bin", "/usr/local/bin"):
        for exe in sorted(pathlib.Path(folder).iterdir()):
            if re.fullmatch(r"python(2\.7|3\.\d+t?)", exe.name):
                found.append(ask(exe, "system"))
    return [python for python in found if python]


# -- Debian's suites ------------------------------------------------------------------------------

def mirror():
    """Where this machine's own apt gets Debian from: the tests name no host."""
    if os.environ.get("CSAMPLE_DEBIAN_MIRROR"):
        return os.environ["CSAMPLE_DEBIAN_MIRROR"]
    if not shutil.which("apt-get") or not os.path.exists(KEYRING):
        raise Missing("no apt, or no keyring of Debian's archive")
    lines = run(["apt-get", "indextargets", "--format", "$(ORIGIN)|$(REPO_URI)", "Created-By: Packages"],
                timeout=60).splitlines()
    for line in lines:
        origin, uri = line.split("|", 1)
        if origin == "Debian" and "security" not in uri:
            return uri
    raise Missing("apt of this machine knows no Debian mirror")


def run(command, timeout, **options):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL, **options)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise Missing(f"{command[0]}: {problem}") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Missing(f"{command[0]}: {last}")
    return done.stdout


class Apt:
    """apt-get with directories of its own: needs no root and changes nothing of the system's."""

    def __init__(self, folder, suites, kind="deb"):
        self.folder = folder
        for name in ("lists/partial", "archives/partial", "etc"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        sources = "".join(f"{kind} [signed-by={KEYRING}] {mirror()} {suite} main\n" for suite in suites)
        (folder / "etc/sources.list").write_text(sources)
        options = {
            "Dir::State": folder, "Dir::State::status": folder / "status",
            "Dir::State::lists": folder / "lists", "Dir::Cache": folder,
            "Dir::Cache::archives": folder / "archives",
            "Dir::Etc::sourcelist": folder / "etc/sources.list", "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null", "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::Log": folder, "Acquire::Languages": "none", "Acquire::Retries": "2",
            "Acquire::http::Timeout": "30", "APT::Architecture": "amd64",
            "APT::Sandbox::User": "root" if os.getuid() == 0 else "",
        }
        self.command = ["apt-get", "-qq"]
        for key, value in options.items():
            self.command += ["-o", f"{key}={value}"]

    def update(self):
        # Of the lists only that of the packages: the others are as big again.
        run([*self.command, "-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
             "-o", "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false",
             "-o", "APT::Update::Error-Mode=any", "update"], timeout=180)

    def download(self, suite, names, folder):
        run([*self.command, "download", *(f"{name}/{suite}" for name in names)], timeout=300, cwd=folder)

    def source(self, suite, name, folder):
        run([*self.command, "source", "--download-only", f"{name}/{suite}"], timeout=600, cwd=folder)


@contextlib.contextmanager
def alone(folder):
    """One process at a time fetches."""
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def bring_own_libc(root):
    """Makes the programs and the interpreter's library below root use the C library below root."""
    libs = root / "usr/lib/x86_64-linux-gnu"
    loader = libs / "ld-linux-x86-64.so.2"
    # DT_RPATH, not DT_RUNPATH: it also holds for what the libraries themselves need.
    rpath = ["--force-rpath", "--set-rpath", str(libs)]
    for exe in (root / "usr/bin").glob("python3.*[0-9]"):
        run(["patchelf", "--set-interpreter", str(loader), *rpath, str(exe)], timeout=60)
    for library in libs.glob("libpython3.*.so.1.0"):
        run(["patchelf", *rpath, str(library)], timeout=60)


def unpack(suite, minor, packages, root):
    apt = Apt(cache() / "apt", ("trixie", "sid"))
    stamp = apt.folder / "updated"
    if not stamp.exists() or time.time() - stamp.stat().st_mtime > 86400:
        apt.update()
        stamp.touch()
    scratch = root.with_name(root.name + ".new")
    shutil.rmtree(scratch, ignore_errors=True)
    debs = scratch / "debs"
    debs.mkdir(parents=True)
    names = [name.format(minor) for name in packages]
    try:
        apt.download(suite, names, debs)
    except Missing:
        stamp.unlink(missing_ok=True)  # a package replaced since: next time with new lists
        raise
    for deb in debs.glob("*.deb"):
        run(["dpkg-deb", "-x", str(deb), str(scratch)], timeout=120)
    shutil.rmtree(debs)
    shutil.rmtree(root, ignore_errors=True)
    scratch.rename(root)
    bring_own_libc(root)
    (root / "whole").touch()


@functools.lru_cache(None)
def debian_root(suite, minor, embed=False):
    """The folder into which a suite's packages of a version are unpacked; fetched if need be."""
    if os.uname().machine != "x86_64":
        raise Missing("the tests fetch interpreters for x86_64 only")
    if not shutil.which("patchelf"):
        raise Missing("no patchelf")
    name = f"{suite}-{minor}" + ("-embed" if embed else "")
    root, failed = cache() / name, cache() / f"{name}.failed"
    with alone(cache()):
        if (root / "whole").exists():
            return root
        with contextlib.suppress(FileNotFoundError):
            if time.time() - failed.stat().st_mtime < RETRY_AFTER:
                raise Missing(failed.read_text() + " (tried a while ago)")
        try:
            unpack(suite, minor, PACKAGES + (EMBED if embed else ()), root)
        except Missing as reason:
            failed.write_text(str(reason))
            raise
        failed.unlink(missing_ok=True)
    return root


def from_debian(suite, minor):
    python = ask(debian_root(suite, minor) / f"usr/bin/python{minor}", suite)
    if not python:
        raise Missing(f"python{minor} of Debian's {suite} does not run here")
    return python


def headers(python):
    """What gcc needs for an extension module."""
    if python.source in ("trixie", "sid"):
        root = debian_root(python.source, python.minor, embed=True)
        return [f"-I{root}/usr/include/python{python.minor}", f"-I{root}/usr/include"]
    code = "import sysconfig; print(sysconfig.get_config_var('INCLUDEPY'))"
    include = run([str(python.exe), "-c", code], timeout=60).strip()
    if not os.path.exists(f"{include}/Python.h"):
        raise Missing(f"{python} has no headers")
    return [f"-I{include}"]


def embedding(python):
    """What gcc needs for a program that embeds it: lists "compile", "link" (with the shared library) and
    "libs", and the path "archive", where the static library would be."""
    if python.source in ("trixie", "sid"):
        root = debian_root(python.source, python.minor, embed=True)
        libs = root / "usr/lib/x86_64-linux-gnu"
        return {"compile": headers(python),
                # Its C library is newer than the one that gcc knows.
                "link": [f"-L{libs}", f"-lpython{python.minor}", "-Wl,--unresolved-symbols=ignore-in-shared-libs",
                         f"-Wl,--dynamic-linker={libs}/ld-linux-x86-64.so.2",
                         f"-Wl,--disable-new-dtags,-rpath,{libs}"],
                "libs": [], "archive": str(libs / f"libpython{python.minor}.a")}
    code = ("import sysconfig, json; v = sysconfig.get_config_var; print(json.dumps([v(n) or '' for n in "
            "('LIBDIR', 'LDLIBRARY', 'LIBPL', 'LIBRARY', 'LIBS', 'SYSLIBS', 'MODLIBS')]))")
    libdir, library, folder, archive, *libs = json.loads(run([str(python.exe), "-c", code], timeout=60))
    if not library.endswith(".so"):
        raise Missing(f"{python} has no shared library")
    return {"compile": headers(python),
            "link": [f"-L{libdir}", f"-Wl,-rpath,{libdir}", "-l" + library[len("lib"):-len(".so")]],
            "libs": " ".join(libs).split() + ["-lm", "-ldl", "-lutil", "-lpthread"],
            "archive": f"{folder}/{archive}"}


# -- what the tests ask ---------------------------------------------------------------------------

@functools.lru_cache(None)
def find(name):
    """The interpreter of that name; Missing says why there is none."""
    minor, _, source = name.partition("@")
    there = [p for p in installed() if p.minor == minor and
             (p.source == source if source else p.source not in SPECIAL)]
    if there:
        return there[0]
    suites = [suite for suite in SUITES.get(minor, ()) if source in ("", suite)]
    if name in BUILT:
        raise Missing(f"CPython {name} is not installed; scripts/build-pythons builds it")
    if not suites:
        raise Missing(f"CPython {name} is not installed, and no suite of Debian's has it")
    reasons = []
    for suite in suites:
        try:
            return from_debian(suite, minor)
        except Missing as reason:
            reasons.append(f"{suite}: {reason}")
    raise Missing(f"CPython {name}: " + "; ".join(reasons))


def require(name):
    """find() for a test: what is not to be had is a skip that says why."""
    import pytest
    try:
        return find(name)
    except Missing as reason:
        pytest.skip(str(reason))


def every(names=ALL):
    """All that can be had, without repeats."""
    found = {}
    for name in names:
        with contextlib.suppress(Missing):
            python = find(name)
            found.setdefault(python.exe, python)
    return list(found.values())


def main(names):
    if not names:
        for name in ALL:
            try:
                python = find(name)
                print(f"{name:12} {python!s:16} {python.exe}")
            except Missing as reason:
                print(f"{name:12} not here: {reason}")
        return 0
    for name in names:
        try:
            print(find(name).exe)
        except Missing as reason:
            print(f"SKIP {reason}", file=sys.stderr)
            return 77
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
