# SPDX-License-Identifier: Apache-2.0
"""Names, files, lines and inlined functions of real programs, against what other tools say of them:
each source of names, one after the other, and what has to be true of them together."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from symnames import (SAN, addr2line, addresses, assert_same, build_symname, csample, find_llvm, need, run,
                      section)

HERE = pathlib.Path(__file__).resolve().parent / "symbols"


@pytest.fixture(scope="module")
def symname(tmp_path_factory):
    return build_symname(tmp_path_factory.mktemp("symname"))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Builds a variant of the C++ program once: built("g++", "-O2", ...) is its path."""
    made = {}

    def build(compiler, *flags):
        if (compiler, flags) not in made:
            need(compiler)
            directory = tmp_path_factory.mktemp("built")
            c = {"g++": "gcc", "clang++": "clang"}[compiler]
            run(c, "-g", *flags, "-c", "-o", directory / "c.o", HERE / "prog.c")
            run(compiler, "-std=gnu++17", "-g", *flags, "-o", directory / "prog", HERE / "prog.cc",
                directory / "c.o")
            made[compiler, flags] = directory / "prog"
        return made[compiler, flags]

    return build


def whole_names(symname, path, addrs):
    """What the program itself, with all that was built into it, gave."""
    return csample(symname, path, addrs, "--raw")[0]


def copy_of(path, tmp_path, name="prog"):
    return pathlib.Path(shutil.copy(path, tmp_path / name))


@pytest.mark.parametrize("dwarf", ["-gdwarf-4", "-gdwarf-5"])
@pytest.mark.parametrize("optimize", ["-O0", "-O2"])
def test_gcc(symname, built, dwarf, optimize):
    path = built("g++", dwarf, optimize)
    addrs = addresses(path)
    # (Of DWARF 5, binutils 2.40 takes a few files of headers for the main file.)
    tool = "addr2line" if dwarf == "-gdwarf-4" else find_llvm()
    assert_same(csample(symname, path, addrs, "--raw")[0], addr2line(path, addrs, tool))


@pytest.mark.parametrize("dwarf", ["-gdwarf-4", "-gdwarf-5"])
@pytest.mark.parametrize("optimize", ["-O0", "-O2"])
def test_clang(symname, built, dwarf, optimize):
    path = built("clang++", dwarf, optimize)
    addrs = addresses(path)
    assert_same(csample(symname, path, addrs, "--raw")[0], addr2line(path, addrs, find_llvm()))


def test_link_time_optimization(symname, built):
    path = built("g++", "-O2", "-flto")
    addrs = addresses(path)
    # (binutils 2.40 says "<artificial>" for a part of the files.)
    assert_same(csample(symname, path, addrs, "--raw")[0], addr2line(path, addrs, find_llvm()))


def test_sections_that_the_linker_drops(symname, built):
    path = built("g++", "-gdwarf-4", "-O1", "-ffunction-sections", "-Wl,--gc-sections")
    addrs = addresses(path)
    assert_same(csample(symname, path, addrs, "--raw")[0], addr2line(path, addrs))


def test_lines_of_dropped_code_are_not_those_of_kept_code(symname, tmp_path):
    """What the linker drops keeps its rows, at address 0 and up: here into the code that was kept."""
    source = tmp_path / "a.c"
    body = "\n".join('\t__asm__ volatile(".skip 36");' for _ in range(300))
    source.write_text(f"int dropped(void);\nint dropped(void)\n{{\n{body}\n\treturn 1;\n}}\n"
                      'int kept(void);\nint kept(void)\n{\n\t__asm__ volatile(".skip 8192");\n'
                      "\treturn 2;\n}\n")
    path = tmp_path / "a"
    run("gcc", "-g", "-O1", "-ffunction-sections", "-nostdlib", "-static", "-Wl,--gc-sections,-e,kept",
        "-Wl,-Ttext=0x1000,-z,max-page-size=4096", "-o", path, source)
    symbols = run("nm", path)
    assert "dropped" not in symbols
    start = int(re.search(r"(\w+) T kept", symbols)[1], 16)
    line = 1 + source.read_text().splitlines().index('\t__asm__ volatile(".skip 8192");')
    addrs = range(start + 16, start + 8192, 16)
    mine, _ = csample(symname, path, addrs)
    assert {(f[0].function, f[0].place[1]) for f in mine.values()} == {("kept", line)}


def test_rust(symname, tmp_path):
    need("rustc")
    path = tmp_path / "prog"
    for flags in (["-O"], ["-C", "opt-level=0"], ["-O", "-C", "symbol-mangling-version=v0"]):
        run("rustc", "--edition=2021", "-g", *flags, "-o", path, HERE / "prog.rs")
        addrs = addresses(path)
        assert_same(csample(symname, path, addrs, "--raw")[0], addr2line(path, addrs, find_llvm()),
                    allowed=0.01)
        names = {f.function for frames in csample(symname, path, addrs)[0].values() for f in frames}
        assert any(n.startswith("prog::") for n in names)
        assert not any(re.search(r"::h[0-9a-f]{16}|^_R|^_ZN", n) for n in names), names


def test_musl_static(symname, tmp_path):
    need("musl-gcc")
    path = tmp_path / "prog"
    run("musl-gcc", "-static", "-O2", "-g", "-DWITH_MAIN", "-gdwarf-4", "-o", path, HERE / "prog.c")
    addrs = addresses(path)
    mine, source = csample(symname, path, addrs, "--raw")
    theirs = addr2line(path, addrs)
    for addr, want in theirs.items():
        if want[-1].place[0].endswith("prog.c"):
            assert [f.place for f in mine[addr]] == [f.place for f in want]
    known = {int(line.split()[0], 16): line.split()[2] for line in run("nm", path).splitlines()
             if line.split()[-1] in ("from_c", "sum", "main", "qsort")}
    mine, _ = csample(symname, path, list(known))
    assert {a: f[-1].function for a, f in mine.items()} == known
    assert source.startswith("symtab")


@pytest.mark.parametrize("how", ["zlib", "zlib-gnu", "zstd"])
def test_compressed_debug_sections(symname, built, tmp_path, how):
    whole = built("g++", "-gdwarf-5", "-O2")
    path = tmp_path / "prog"
    done = subprocess.run(["objcopy", f"--compress-debug-sections={how}", whole, path])
    if done.returncode:
        pytest.skip(f"objcopy does not do {how}")
    assert path.stat().st_size < whole.stat().st_size
    addrs = addresses(path)
    assert_same(csample(symname, path, addrs, "--raw")[0], whole_names(symname, whole, addrs))


def split(whole, directory):
    """(stripped program, its debug file)"""
    debug = directory / "prog.debug"
    stripped = directory / "prog"
    run("objcopy", "--only-keep-debug", whole, debug)
    run("objcopy", "--strip-all", f"--add-gnu-debuglink={debug}", whole, stripped)
    return stripped, debug


def build_id(path):
    return re.search(r"Build ID: (\w+)", run("readelf", "-n", path))[1]


def beneath(root, path):
    where = root / str(path).lstrip("/")
    where.parent.mkdir(parents=True, exist_ok=True)
    return where


@pytest.mark.parametrize("place", ["/usr/lib/debug/.build-id", "/app/prog.debug", "/app/.debug/prog.debug",
                                   "/usr/lib/debug/app/prog.debug"])
def test_debug_file_in_the_targets_root(symname, built, tmp_path, place):
    whole = built("g++", "-gdwarf-5", "-O2")
    stripped, debug = split(whole, tmp_path)
    ident = build_id(whole)
    if place.endswith(".build-id"):
        place += f"/{ident[:2]}/{ident[2:]}.debug"
    root = tmp_path / "root"
    shutil.move(debug, beneath(root, place))
    addrs = addresses(whole)
    mine, source = csample(symname, stripped, addrs, "--raw", "--root", root, "--as", "/app/prog")
    assert_same(mine, whole_names(symname, whole, addrs))
    assert source == f"debug file {place}, lines, inlines"


def test_debug_file_here(symname, built, tmp_path):
    whole = built("g++", "-gdwarf-5", "-O2")
    stripped, _ = split(whole, tmp_path)
    addrs = addresses(whole)
    assert_same(csample(symname, stripped, addrs, "--raw")[0], whole_names(symname, whole, addrs))


def test_debug_file_without_build_id_is_proven_by_its_checksum(symname, built, tmp_path):
    whole = built("g++", "-O2", "-Wl,--build-id=none")
    stripped, debug = split(whole, tmp_path)
    addrs = addresses(whole)
    assert_same(csample(symname, stripped, addrs, "--raw")[0], whole_names(symname, whole, addrs))
    with open(debug, "ab") as f:
        f.write(b"x")
    _, source = csample(symname, stripped, addrs, "--raw")
    assert source == "dynsym"


def test_debug_file_of_another_build_is_refused(symname, built, tmp_path):
    stripped, debug = split(built("g++", "-gdwarf-5", "-O2"), tmp_path)
    run("objcopy", "--only-keep-debug", built("g++", "-gdwarf-5", "-O0"), debug)
    _, source = csample(symname, stripped, [0x1000])
    assert source == "dynsym"


def test_links_out_of_the_targets_root_stay_inside(symname, built, tmp_path):
    whole = built("g++", "-gdwarf-5", "-O2")
    stripped, debug = split(whole, tmp_path)
    root = tmp_path / "root"
    outside = tmp_path / "outside.debug"
    shutil.move(debug, outside)
    beneath(root, "/app/prog.debug").symlink_to(outside)
    _, source = csample(symname, stripped, [0x1000], "--root", root, "--as", "/app/prog")
    assert source == "dynsym"
    # An absolute link means what it means inside.
    shutil.move(outside, beneath(root, outside))
    _, source = csample(symname, stripped, [0x1000], "--root", root, "--as", "/app/prog")
    assert source.startswith("debug file /app/prog.debug")


def test_a_fifo_in_place_of_a_debug_file_does_not_block(symname, built, tmp_path):
    stripped, debug = split(built("g++", "-gdwarf-5", "-O2"), tmp_path)
    debug.unlink()
    os.mkfifo(debug)
    _, source = csample(symname, stripped, [0x1000])
    assert source == "dynsym"


@pytest.mark.parametrize("dwarf", ["-gdwarf-4", "-gdwarf-5"])
def test_split_dwarf(symname, tmp_path, dwarf):
    """Functions and lines are in the program itself; no file is opened because a program names it."""
    need("strace")
    path = tmp_path / "prog"
    run("gcc", "-O1", "-DWITH_MAIN", dwarf, "-gsplit-dwarf", "-o", path, HERE / "prog.c", cwd=tmp_path)
    assert list(tmp_path.glob("*.dwo"))
    addrs = addresses(path, 200)
    mine, _ = csample(symname, path, addrs)
    known = [f for frames in mine.values() for f in frames if f.place[0].endswith("/prog.c")]
    assert known and all(f.place[1] for f in known)
    opened = subprocess.run(["strace", "-f", "-e", "trace=open,openat,openat2", symname, path, hex(addrs[0])],
                            capture_output=True, text=True, errors="replace")
    if not SAN:
        assert "prog" in opened.stderr and ".dwo" not in opened.stderr


def test_supplementary_debug_file(symname, built, tmp_path):
    need("dwz")
    whole = [built("g++", "-gdwarf-4", "-O2"), built("g++", "-gdwarf-4", "-O0")]
    copies = [copy_of(p, tmp_path, f"prog{i}") for i, p in enumerate(whole)]
    common = tmp_path / "common.debug"
    run("dwz", "-m", common, "-M", common, *copies)
    assert ".gnu_debugaltlink" in run("readelf", "-SW", copies[0])
    addrs = addresses(whole[0])
    assert_same(csample(symname, copies[0], addrs, "--raw")[0], whole_names(symname, whole[0], addrs))
    # Without it, half of the names are missing: then none is taken from DWARF.
    common.unlink()
    mine, source = csample(symname, copies[0], addrs, "--raw")
    assert source == "symtab"
    assert not any(f.place[1] for frames in mine.values() for f in frames)


def test_minidebuginfo(symname, built, tmp_path):
    need("xz")
    whole = built("g++", "-O0")
    mini = tmp_path / "mini"
    # As Fedora does it: what .dynsym has not, without debug sections, in a section of its own.
    run("objcopy", "--only-keep-debug", whole, mini)
    run("strip", "--strip-debug", mini)
    run("xz", mini)
    stripped = tmp_path / "prog"
    run("strip", "-s", "-o", stripped, whole)
    run("objcopy", f"--add-section=.gnu_debugdata={mini}.xz", stripped)
    addrs = addresses(whole)
    mine, source = csample(symname, stripped, addrs, "--raw")
    assert source == "minidebuginfo"
    theirs = csample(symname, whole, addrs, "--raw")[0]
    assert [mine[a][-1].function for a in addrs] == [theirs[a][-1].function for a in addrs]


def test_stripped(symname, built, tmp_path):
    stripped = tmp_path / "prog"
    run("strip", "-s", "-o", stripped, built("g++", "-gdwarf-5", "-O2"))
    start, _ = section(stripped)
    mine, source = csample(symname, stripped, [start])
    assert source == "dynsym"
    assert mine[start][0].function == f"prog+{start:#x}"


@pytest.mark.parametrize("flags", [[], ["-fcf-protection", "-Wl,-z,ibtplt"], ["-Wl,-z,now"],
                                   ["-fuse-ld=gold"], ["-fuse-ld=lld"]])
def test_stubs_are_named_by_their_target(symname, tmp_path, flags):
    path = tmp_path / "prog"
    done = subprocess.run(["gcc", "-O2", "-DWITH_MAIN", *flags, "-o", path, HERE / "prog.c"],
                          capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot link with {' '.join(flags)}")
    wanted = {}
    for line in run("objdump", "-d", path).splitlines():
        if m := re.match(r"([0-9a-f]+) <(\w+@plt)>:", line):
            wanted[int(m[1], 16)] = m[2]
    if not wanted and re.search("now|gold|lld", str(flags)):
        pytest.skip(f"objdump tells no stubs of {' '.join(flags)}")
    assert wanted
    mine, _ = csample(symname, path, [*wanted, *(a + 4 for a in wanted)])
    for addr, name in wanted.items():
        assert mine[addr][0].function == mine[addr + 4][0].function == name
    if "-Wl,-z,ibtplt" in flags:
        # The halves that bind lazily come in the order of the relocations.
        relocations = re.findall(r"JUMP_SLO\w*\s+\w+ (\w+)", run("readelf", "-rW", path))
        start, _ = section(path, ".plt")
        halves = {start + 16 * (i + 1) + 4: f"{name}@plt" for i, name in enumerate(relocations)}
        mine, _ = csample(symname, path, list(halves))
        assert {a: f[0].function for a, f in mine.items()} == halves


def test_stubs_of_aarch64(symname, tmp_path):
    need("aarch64-linux-gnu-gcc")
    path = tmp_path / "prog"
    for flags in ([], ["-mbranch-protection=standard", "-Wl,-z,force-bti"]):
        run("aarch64-linux-gnu-gcc", "-O2", "-g", "-DWITH_MAIN", *flags, "-o", path, HERE / "prog.c")
        wanted = {}
        for line in run("aarch64-linux-gnu-objdump", "-d", path).splitlines():
            if m := re.match(r"([0-9a-f]+) <(\w+@plt)>:", line):
                wanted[int(m[1], 16)] = m[2]
        assert wanted
        mine, _ = csample(symname, path, [*wanted, *(a + 8 for a in wanted)])
        for addr, name in wanted.items():
            assert mine[addr][0].function == mine[addr + 8][0].function == name


def test_symbols_without_size_and_aliases(symname, tmp_path):
    source = tmp_path / "a.s"
    source.write_text("""
        .text
        .globl __impl, nice
        .type __impl, @function
        .weak nice
        .type nice, @function
__impl: nice:
        nop
        nop
        .size __impl, 2
        .size nice, 2
        .space 14, 0x90
        .globl unsized
unsized: nop
inside: nop
        .space 14, 0x90
        .globl versioned_1
        .type versioned_1, @function
versioned_1: ret
        .size versioned_1, 1
        .symver versioned_1, versioned@@NEW
        .space 15, 0x90
last:   nop
        .section other, "ax"
        .space 16, 0x90
""")
    script = tmp_path / "a.map"
    script.write_text("NEW { global: *; };")
    path = tmp_path / "a.so"
    run("gcc", "-shared", "-nostdlib", "-o", path, source, f"-Wl,--version-script={script}")
    start, size = section(path)
    other, _ = section(path, "other")
    wanted = {start: "nice", start + 1: "nice",
              start + 2: f"a.so+{start + 2:#x}",  # behind a function whose size is known
              start + 16: "unsized", start + 17: "inside", start + 31: "inside",
              start + 32: "versioned", start + 33: f"a.so+{start + 33:#x}",
              start + 48: "last",
              other: f"a.so+{other:#x}", other + 8: f"a.so+{other + 8:#x}"}
    mine, _ = csample(symname, path, list(wanted))
    assert {a: f[0].function for a, f in mine.items()} == wanted


def test_public_names_of_libc(symname):
    libc = next((p for p in pathlib.Path("/usr/lib").glob("*-linux-gnu/libc.so.6")), None)
    if not libc:
        pytest.skip("no libc.so.6")
    wanted = {}
    for line in run("nm", "-D", "--defined-only", libc).splitlines():
        addr, _, name = line.split(None, 2)
        if (base := name.split("@")[0]) in ("write", "malloc", "pthread_mutex_lock", "qsort", "nanosleep"):
            wanted[int(addr, 16)] = base
    assert len(wanted) >= 5
    mine, _ = csample(symname, libc, list(wanted))
    for addr, name in wanted.items():
        assert mine[addr][-1].function == name


def go_says(program, addrs):
    out = run("go", "tool", "addr2line", program, input="\n".join(map(hex, addrs)) + "\n").splitlines()
    for i, addr in enumerate(addrs):
        file, line = out[2 * i + 1].rsplit(":", 1)
        yield addr, out[2 * i], file, int(line)


@pytest.mark.parametrize("flags", [[], ["-buildmode=pie"]])
def test_go(symname, tmp_path, flags):
    need("go")
    env = dict(os.environ, GOFLAGS="-mod=mod", GO111MODULE="off", CGO_ENABLED="0")
    shutil.copy(HERE / "prog.go", tmp_path / "prog.go")
    whole, stripped = tmp_path / "whole", tmp_path / "stripped"
    run("go", "build", *flags, "-o", whole, "prog.go", cwd=tmp_path, env=env)
    run("go", "build", *flags, "-ldflags=-s -w", "-o", stripped, "prog.go", cwd=tmp_path, env=env)
    # The two differ in their layout: each is asked with a table of its own.
    addrs = addresses(whole)
    mine, _ = csample(symname, whole, addrs)
    wrong = [(hex(a), f, l, mine[a]) for a, _, f, l in go_says(whole, addrs)
             if l > 0 and f != "?" and mine[a][0].place != (f, l)]
    assert not wrong, wrong[:5]
    assert any(f[0].inlined for f in mine.values())
    addrs = addresses(stripped)
    mine, source = csample(symname, stripped, addrs)
    assert source == "gopclntab, lines, inlines"
    assert sum(f[-1].function.startswith("runtime.") for f in mine.values()) > len(mine) // 5
    known = [f for f in mine.values() if f[0].place[1]]
    assert len(known) > 0.9 * len(mine)


def test_go_inlined(symname, tmp_path):
    """scale() in mix() in hot(): each with the line it is at."""
    need("go")
    shutil.copy(HERE / "prog.go", tmp_path / "prog.go")
    path = tmp_path / "prog"
    run("go", "build", "-ldflags=-s -w", "-o", path, "prog.go", cwd=tmp_path,
        env=dict(os.environ, GO111MODULE="off", CGO_ENABLED="0"))
    start, size = section(path)
    mine, _ = csample(symname, path, range(start + size // 2, start + size, 3))
    chains = {tuple((f.function, f.place[1]) for f in frames) for frames in mine.values()
              if frames[-1].function == "main.hot" and len(frames) == 3}
    assert chains
    text = (HERE / "prog.go").read_text().splitlines()
    for inner, middle, outer in chains:
        assert inner[0] == "main.scale" and text[inner[1] - 1].strip() in ("if a > 3 {", "return a * 7",
                                                                          "return a")
        assert middle == ("main.mix", 1 + next(i for i, l in enumerate(text) if "func mix" in l))
        assert outer == ("main.hot", 1 + next(i for i, l in enumerate(text) if "mix(i, n)" in l))


def test_truncated_and_damaged_files(symname, built, tmp_path):
    """Nothing to say is fine, to end is not."""
    whole = built("g++", "-gdwarf-5", "-O2").read_bytes()
    path = tmp_path / "prog"
    for i in range(40):
        data = bytearray(whole[:len(whole) * (i + 1) // 41] if i % 2 else whole)
        for k in range(0, len(data), 97 + i * 13):
            if i > 4 and k > 64:
                data[k] ^= (k * 31 + i) & 0xff
        path.write_bytes(data)
        done = subprocess.run([symname, path, "1100", "1200", "2000", "3000"], capture_output=True,
                              timeout=60)
        assert done.returncode in (0, 1), (i, done)


def test_memory_beside_large_debug_information(symname, tmp_path):
    """100 MiB of it, asked for in 2000 places."""
    run("g++", "-std=gnu++17", "-g", "-O1", "-fPIC", "-include", "regex", "-c", "-o", tmp_path / "one.o",
        HERE / "prog.cc")
    one = section(tmp_path / "one.o", ".debug_info")[1]
    copies = (75 << 20) // one
    for i in range(copies):
        run("objcopy", f"--prefix-symbols=copy{i}_", tmp_path / "one.o", tmp_path / f"copy{i}.o")
    path = tmp_path / "all.so"
    run("g++", "-shared", "-o", path, *sorted(tmp_path.glob("copy*.o")))
    assert path.stat().st_size > 100 << 20
    done = subprocess.run([symname, "--time", path], capture_output=True, text=True,
                          input="\n".join(map(hex, addresses(path, 2000))) + "\n")
    assert done.returncode == 0, done.stderr
    if not SAN:
        peak = int(re.search(r"VmHWM:\s+(\d+) kB", done.stderr)[1]) << 10
        assert peak < 32 << 20, done.stderr
    for made in tmp_path.iterdir():
        made.unlink()


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_debuginfod(symname, built, tmp_path):
    """A real server on loopback."""
    need("debuginfod")
    import time
    import urllib.request
    whole = built("g++", "-gdwarf-5", "-O2")
    stripped, debug = split(whole, tmp_path)
    served = tmp_path / "served"
    served.mkdir()
    shutil.move(debug, served / "prog.debug")
    port = free_port()
    env = {"DEBUGINFOD_URLS": f"http://127.0.0.1:{port}", "DEBUGINFOD_CACHE_PATH": str(tmp_path / "cache"),
           "XDG_CACHE_HOME": str(tmp_path / "cache")}
    addrs = addresses(whole, 300)
    _, source = csample(symname, stripped, addrs, env=env)
    assert source == "dynsym"
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    server = subprocess.Popen(["debuginfod", "-F", "-p", str(port), "-d", ":memory:", served],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}/buildid/{build_id(whole)}/debuginfo"
        for _ in range(300):
            try:
                urllib.request.urlopen(url, timeout=5).read(1)
                break
            except OSError:
                time.sleep(0.1)
        else:
            pytest.skip("the server does not serve")
        mine, source = csample(symname, stripped, addrs, "--raw", env=env)
        assert source.startswith("debug file ") and source.endswith(", lines, inlines")
        assert_same(mine, whole_names(symname, whole, addrs))
    finally:
        server.terminate()
        server.wait()


def test_debuginfod_that_never_answers(symname, built, tmp_path):
    """It costs some seconds, once, and the names."""
    import socket
    need("debuginfod")
    stripped, debug = split(built("g++", "-gdwarf-5", "-O2"), tmp_path)
    debug.unlink()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        env = {"DEBUGINFOD_URLS": f"http://127.0.0.1:{silent.getsockname()[1]}",
               "DEBUGINFOD_CACHE_PATH": str(tmp_path / "cache")}
        mine, source = csample(symname, stripped, [0x1200, 0x1300], env=env)
    assert source == "dynsym"
    assert mine[0x1200][0].function == "prog+0x1200"
