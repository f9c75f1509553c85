# SPDX-License-Identifier: Apache-2.0
"""The manual page and the completions, as real shells and groff take them."""
import os
import re
import shutil
import subprocess

import pytest

from conftest import CSAMPLE

# As the overview lists them, before the examples.
COMMANDS = set(re.findall(r"^  ([a-z]+) ", subprocess.run([CSAMPLE, "help"], check=True, stdout=subprocess.PIPE,
                                                         text=True).stdout, re.M)) - {"csample"}
assert {"record", "dump", "list", "help"} <= COMMANDS


def page(topic):
    return subprocess.run([CSAMPLE, "help", topic], check=True, stdout=subprocess.PIPE, text=True).stdout


def need(tool):
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")


def options_of(command):
    """Long options that the whole help of a command shows."""
    text = subprocess.run([CSAMPLE, command, "--help=all"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return set(re.findall(r"^ {2,6}(?:-\w, )?(--[\w-]+)", text, re.M))


def complete_bash(script, *words):
    """What bash offers when Tab is pressed behind the last word."""
    program = (f'source "{script}"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _csample; '
               'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", program, "bash", *words], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    assert not done.stderr
    return set(done.stdout.split())


@pytest.fixture
def script(tmp_path):
    def script(shell):
        path = tmp_path / f"csample.{shell}"
        path.write_text(page(shell))
        return path

    return script


def test_bash_completes(script):
    path = script("bash")
    assert complete_bash(path, "csample", "") == COMMANDS
    # A letter means what it means to the command: record's -n takes no value, report's does.
    assert "--rate" in complete_bash(path, "csample", "record", "-n", "--ra")
    assert {"functions", "modules"} <= complete_bash(path, "csample", "report", "--by", "")
    assert "bash" in complete_bash(path, "csample", "dump", "--comm", "bas")
    assert str(path) in complete_bash(path, "csample", "report", f"{path.parent}/")
    assert "--peek" in complete_bash(path, "csample", "report", "--p")
    assert complete_bash(path, "csample", "rec") == {"record"}
    assert complete_bash(path, "csample", "record", "--") == options_of("record")
    assert complete_bash(path, "csample", "doctor", "-") == options_of("doctor")
    assert complete_bash(path, "csample", "record", "-e", "") == {"cpu", "cycles", "wall"}
    assert complete_bash(path, "csample", "help", "d") == {"dump", "doctor"}
    assert str(os.getpid()) in complete_bash(path, "csample", "dump", "--pid", "")
    assert "bash" in complete_bash(path, "csample", "record", "--", "bas")


def test_zsh_completes(script, tmp_path):
    """In a zsh that somebody types into."""
    need("zsh")
    shutil.copy(script("zsh"), tmp_path / "_csample")
    program = r"""
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "PS1=; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -d $1/dump; zstyle ':completion:*' list-prompt ''; LISTMAX=0; print READ''Y"
zpty -r -m z line '*READY*'
zpty -w -n z "$2"$'\t\t'
zpty -r -m z line "*$3*"
print -r -- $line
while zpty -r -t z line; do print -r -- $line; done
zpty -d z
"""

    def complete(line, last):
        """What is offered, up to the last of it."""
        done = subprocess.run(["zsh", "-f", "-c", program, "zsh", str(tmp_path), line, last], stdout=subprocess.PIPE,
                              text=True, timeout=60, env=dict(os.environ, TERM="dumb", COLUMNS="200", LINES="60"))
        return done.stdout

    offered = complete("csample record --", max(options_of("record")))
    for option in options_of("record"):
        assert option in offered, offered
    assert "cycles" in complete("csample record -e ", "wall")
    assert all(command in complete("csample ", "version") for command in COMMANDS)


def test_fish_completes(script):
    need("fish")
    path = script("fish")

    def complete(line):
        done = subprocess.run(["fish", "--no-config", "-c", f'source "{path}"; complete -C "{line}"'], check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert not done.stderr
        return {offered.split("\t")[0] for offered in done.stdout.splitlines()}

    assert complete("csample ") == COMMANDS
    assert f"{path}" in complete(f"csample report {path.parent}/")
    assert options_of("record") <= complete("csample record --")
    assert {"cpu", "cycles", "wall"} <= complete("csample record -e ")


def test_the_manual_page_is_clean():
    need("groff")
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-P-c", "-P-b", "-P-u"], input=page("man"), check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert not done.stderr
    shown = done.stdout.replace("\N{HYPHEN}", "-")
    for command in COMMANDS:
        assert f"CSAMPLE {command.upper()}" in shown
    for option in options_of("record") | options_of("dump"):
        assert option in shown
