#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles every source file for aarch64 with Debian's cross compiler, warnings as errors. The headers
of the libraries are Debian's for arm64, unpacked under build/; nothing is installed, and apt's own
state is not touched. Exit status 77 when the compiler or the packages are not to be had."""
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "build/aarch64"
SYSROOT = OUT / "sysroot"
CC = "aarch64-linux-gnu-gcc"
PACKAGES = ["libunwind-dev", "libdw-dev", "libelf-dev", "zlib1g-dev", "liblzma-dev", "libprotobuf-c-dev", "libjansson-dev",
            "libiberty-dev", "libdebuginfod-dev", "libcurl4-openssl-dev"]


def skip(why):
    print(f"SKIP aarch64: {why}")
    sys.exit(77)


def apt(*command, cwd=None):
    """apt-get for arm64, with lists and cache of its own."""
    state = OUT / "apt"
    (state / "lists/partial").mkdir(parents=True, exist_ok=True)
    (state / "cache/archives/partial").mkdir(parents=True, exist_ok=True)
    options = {"APT::Architecture": "arm64", "APT::Architectures": "arm64",
               "Dir::State::Lists": state / "lists", "Dir::State::status": "/dev/null",
               "Dir::Cache": state / "cache", "APT::Sandbox::User": "root"}
    flags = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
    return subprocess.run(["apt-get", "-qq", *flags, *command], cwd=cwd, capture_output=True,
                          text=True, errors="replace")


def fetch_headers():
    wanted = " ".join(PACKAGES)
    done = SYSROOT / "complete"
    if done.exists() and done.read_text() == wanted:
        return
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        skip("no apt-get to get the libraries' headers with")
    shutil.rmtree(SYSROOT, ignore_errors=True)
    SYSROOT.mkdir(parents=True)
    result = apt("update")
    if result.returncode == 0:
        result = apt("download", *PACKAGES, cwd=SYSROOT)
    if result.returncode:
        skip("apt-get has no arm64 packages: " + (result.stderr.strip().splitlines() or ["?"])[-1])
    for deb in SYSROOT.glob("*.deb"):
        subprocess.run(["dpkg", "-x", deb, SYSROOT], check=True)
        deb.unlink()
    done.write_text(wanted)


def main():
    if not shutil.which(CC):
        skip(f"{CC} is not installed (package gcc-aarch64-linux-gnu)")
    fetch_headers()
    include = SYSROOT / "usr/include"
    objects = "build/aarch64/rel"
    done = subprocess.run(["make", f"-j{os.cpu_count()}", f"CC={CC}", "PKG_CONFIG=true", "WERROR=1", f"B={objects}",
                           f"CFLAGS=-isystem {include} -isystem {include}/aarch64-linux-gnu",
                           f"{objects}/libcsample.a", f"{objects}/src/main.o"], cwd=ROOT)
    if done.returncode == 0:
        print(f"aarch64: {len(list((ROOT / objects).rglob('*.o')))} files compiled")
    return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
