// SPDX-License-Identifier: Apache-2.0
// What C++ programs are made of: templates, inlining, exceptions, virtual calls, calls through the
// PLT, and leaf functions of libc.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <vector>

namespace shapes {

struct Shape {
	virtual ~Shape() = default;
	virtual double area() const = 0;
};

template <typename T> struct Polygon : Shape {
	std::vector<T> sides;
	explicit Polygon(std::size_t n) : sides(n, T(3)) {}
	double area() const override;
};

static inline double one_side(double side, double angle)
{
	return side * side * std::sin(angle) / 2;
}

template <typename T> __attribute__((noinline)) double Polygon<T>::area() const
{
	double sum = 0;
	for (int k = 0; k < 400; k++)
		for (auto side : sides)
			sum += one_side(double(side), 0.001 * k);
	return sum;
}

__attribute__((noinline)) int parse(const std::string &text)
{
	if (text.size() % 3 == 0)
		throw std::invalid_argument("a multiple of three: " + text);
	return int(text.size());
}

__attribute__((noinline)) int with_exceptions()
{
	int sum = 0;
	std::string text;
	for (int i = 0; i < 300; i++) {
		text.push_back('x');
		try {
			sum += parse(text);
		} catch (const std::exception &e) {
			sum += int(std::strlen(e.what()));
		}
	}
	return sum;
}

__attribute__((noinline)) std::size_t with_sort()
{
	std::vector<unsigned> numbers(20000);
	unsigned x = 1;
	for (auto &n : numbers)
		n = x = x * 1664525u + 1013904223u;
	std::sort(numbers.begin(), numbers.end(), [](unsigned a, unsigned b) { return a % 1000 < b % 1000; });
	return numbers[0];
}

__attribute__((noinline)) std::size_t with_libc()
{
	static char from[1 << 16], to[1 << 16];
	std::size_t n = 0;
	std::memset(from, 'a', sizeof(from) - 1);
	for (int i = 0; i < 100; i++) {
		std::memcpy(to, from, sizeof(to));
		n += std::strlen(to);
	}
	return n;
}

__attribute__((noinline)) std::size_t with_map()
{
	std::map<std::string, int> words;
	for (int i = 0; i < 2000; i++)
		words["word" + std::to_string(i % 500)]++;
	return words.size();
}

} // namespace shapes

int main()
{
	std::unique_ptr<shapes::Shape> shape(new shapes::Polygon<float>(100));
	alarm(120);
	std::puts("ready");
	std::fflush(stdout);
	volatile double sink = 0;
	for (;;) {
		sink = sink + shape->area();
		sink = sink + shapes::with_exceptions();
		sink = sink + double(shapes::with_sort());
		sink = sink + double(shapes::with_libc());
		sink = sink + double(shapes::with_map());
	}
}
