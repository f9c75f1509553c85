# SPDX-License-Identifier: Apache-2.0
"""Makes a program with more than 100 MiB of debug info, once: a unit of many template instances,
linked in many copies."""
import pathlib
import subprocess

INSTANCES = 100
WANTED_BYTES = 100 << 20

UNIT = """
#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <vector>
namespace {
template <int N> struct tag { static constexpr int value = N; int field[N % 7 + 1]; };
template <class T, int N> struct layer {
	std::map<int, std::vector<tag<N>>> rows;
	std::tuple<T, tag<N>, std::string> parts;
	int visit(int x) {
		rows[x % 3].resize(static_cast<size_t>(x % 2) + 1);
		auto f = [this, x](int y) { return x + y + std::get<1>(parts).field[0]; };
		std::vector<int> v{f(x), f(x + 1), N};
		std::sort(v.begin(), v.end(), [](int a, int b) { return a > b; });
		return v[0];
	}
};
template <int N> int call(int x) {
	layer<std::string, N> l{};
	std::function<int(int)> g = [&](int y) { return l.visit(y); };
	return g(x);
}
using entry = int (*)(int);
const entry table[] = { CALLS };
}
int unit(int i) __asm__("unit");
int unit(int i) { return table[i % COUNT](i % 1000); }
"""

MAIN = """
#include <stdlib.h>
#include <unistd.h>
DECLARED
static int (*const units[])(int) = { UNITS };
static volatile int sink;
/* Deep enough to be a real stack, and not a tail call. */
__attribute__((noinline)) static void descend(int depth, int turn)
{
	if (depth > 0)
		descend(depth - 1, turn);
	else
		for (int i = 0; i < 100; i++)
			sink += units[(turn + i) % COUNT](turn + i);
	sink++;
}
int main(int argc, char **argv)
{
	alarm(argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 60);
	for (int turn = 0;; turn = (turn + 1) % 100000)
		descend(12, turn);
}
"""


def debug_bytes(path):
    """Size of the debug sections of an ELF file."""
    text = subprocess.run(["size", "-A", str(path)], check=True, capture_output=True, text=True).stdout
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(".debug"))


def build(out):
    """The path of the program, made in folder out if it is not there yet."""
    path = pathlib.Path(out).resolve() / "bench_debuginfo"
    if path.exists() and debug_bytes(path) >= WANTED_BYTES:
        return path
    work = path.with_name("debuginfo")
    work.mkdir(parents=True, exist_ok=True)
    calls = ", ".join(f"call<{i}>" for i in range(INSTANCES))
    (work / "unit.cpp").write_text(UNIT.replace("CALLS", calls).replace("COUNT", str(INSTANCES)))
    subprocess.run(["nice", "c++", "-std=gnu++17", "-g", "-O1", "-c", "unit.cpp", "-o", "unit.o"], cwd=work, check=True)
    # Strings are merged when linked: they do not count.
    strings = [line for line in subprocess.run(["size", "-A", "unit.o"], cwd=work, check=True, capture_output=True,
                                               text=True).stdout.splitlines() if line.startswith(".debug_str ")]
    copies = WANTED_BYTES // (debug_bytes(work / "unit.o") - int(strings[0].split()[1])) + 1
    for i in range(copies):
        subprocess.run(["objcopy", "--redefine-sym", f"unit=unit_{i}", "unit.o", f"unit_{i}.o"], cwd=work, check=True)
    main = MAIN.replace("DECLARED", "\n".join(f"int unit_{i}(int);" for i in range(copies)))
    main = main.replace("UNITS", ", ".join(f"unit_{i}" for i in range(copies))).replace("COUNT", str(copies))
    (work / "main.c").write_text(main)
    subprocess.run(["cc", "-D_GNU_SOURCE", "-g", "-O1", "-c", "main.c", "-o", "main.o"], cwd=work, check=True)
    subprocess.run(["nice", "c++", "-o", path, "main.o", *(f"unit_{i}.o" for i in range(copies))], cwd=work, check=True)
    for file in work.iterdir():
        file.unlink()
    return path
