// SPDX-License-Identifier: Apache-2.0
// What an unwinder meets in C++ built with -O2 -fomit-frame-pointer: exceptions thrown through
// frames, calls through the PLT, leaf functions of glibc, callbacks from inside libraries, alloca.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <vector>

namespace
{
volatile uint64_t sink;
char big[1 << 16], other[1 << 16];

struct shape {
	virtual ~shape() = default;
	virtual double area(double x) const = 0;
};
struct circle : shape {
	double area(double x) const override
	{
		return std::sin(x) * std::exp(-x) + std::pow(x, 1.5);
	}
};

[[gnu::noinline]] int thrower(int depth, const std::string &why)
{
	std::string local = why + std::to_string(depth);
	if (depth == 0)
		throw std::runtime_error(local);
	return thrower(depth - 1, local) + 1;
}

[[gnu::noinline]] void exceptions()
{
	for (int i = 0; i < 20; i++) {
		try {
			sink += static_cast<uint64_t>(thrower(i % 8, "because "));
		} catch (const std::exception &e) {
			sink += std::strlen(e.what());
		}
	}
}

[[gnu::noinline]] void leafs()
{
	for (int i = 0; i < 20; i++) {
		std::memcpy(big, other, sizeof(big));
		sink += static_cast<uint64_t>(std::memcmp(big, other, sizeof(big)));
		std::memset(other, i, sizeof(other));
		sink += std::strlen(big) + (std::memchr(big, 77, sizeof(big)) != nullptr);
	}
}

int compare(const void *a, const void *b)
{
	int x = *static_cast<const int *>(a), y = *static_cast<const int *>(b);
	return (x > y) - (x < y);
}

[[gnu::noinline]] void callbacks()
{
	int numbers[2000];
	for (size_t i = 0; i < 2000; i++)
		numbers[i] = std::rand();
	std::qsort(numbers, 2000, sizeof(numbers[0]), compare);
	sink += static_cast<uint64_t>(numbers[0]);
}

[[gnu::noinline]] void containers()
{
	std::map<std::string, std::vector<int>> all;
	for (int i = 0; i < 400; i++)
		all["key " + std::to_string(i % 50)].push_back(i);
	std::ostringstream text;
	for (auto &[key, values] : all) {
		std::sort(values.begin(), values.end(), [](int a, int b) { return a > b; });
		text << key << values.size();
	}
	sink += text.str().size();
}

[[gnu::noinline]] void plt_calls(const shape &s)
{
	double sum = 0;
	for (int i = 0; i < 5000; i++)
		sum += s.area(i * 0.01);
	char line[200];
	for (int i = 0; i < 200; i++)
		sink += static_cast<uint64_t>(
		        std::snprintf(line, sizeof(line), "%d %f %s", i, sum, "text"));
}

[[gnu::noinline]] void on_the_stack(size_t n)
{
	auto *room = static_cast<char *>(__builtin_alloca(n));
	for (int i = 0; i < 50; i++) {
		std::memset(room, i, n);
		sink += static_cast<uint64_t>(room[n / 2]);
	}
}

[[gnu::noinline]] void round(int depth)
{
	if (depth > 0) {
		round(depth - 1);
		sink++;
		return;
	}
	exceptions();
	leafs();
	callbacks();
	containers();
	plt_calls(circle{});
	on_the_stack(1000 + sink % 3000);
	sink += static_cast<uint64_t>(getppid());
}
} // namespace

int main(int argc, char **argv)
{
	alarm(argc > 1 ? static_cast<unsigned>(std::strtoul(argv[1], nullptr, 10)) : 60);
	for (int i = 0;; i++)
		round(i % 12);
}
