// SPDX-License-Identifier: Apache-2.0
// Code of many shapes for the names test: templates, lambdas, local classes, exceptions, inlining.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

extern "C" int from_c(int n);

namespace app
{
namespace
{
template <class T> struct Box {
	T v;
	int get(int x) const
	{
		return (int)(v * x);
	}
	static int twice(T t)
	{
		return Box<T>{t}.get(2);
	}
};

__attribute__((noinline)) int hot(int n)
{
	std::vector<int> v;
	for (int i = 0; i < n; i++)
		v.push_back(i ^ (n * 7));
	std::sort(v.begin(), v.end());
	int s = 0;
	for (auto x : v)
		s += Box<double>::twice(x) + Box<int>::twice(x);
	return s;
}
} // namespace

struct Local {
	virtual ~Local() = default;
	virtual int f(int) = 0;
};

int run(int n)
{
	struct L : Local {
		int f(int x) override
		{
			std::map<std::string, int> m;
			m[std::to_string(x)] = x;
			return (int)m.size() + hot(x);
		}
	};
	std::unique_ptr<Local> l = std::make_unique<L>();
	auto lam = [&](auto y) { return l->f((int)y) + hot(n); };
	std::function<int(int)> fn = lam;
	try {
		if (n > 100)
			throw std::runtime_error("x" + std::to_string(n));
		return fn(n) + lam(2.0);
	} catch (std::exception &e) {
		return (int)std::string(e.what()).size();
	}
}
} // namespace app

int main(int argc, char **)
{
	int s = 0;
	for (int i = 0; i < 10; i++)
		s += app::run(argc * i) + from_c(i);
	printf("%d\n", s);
	return s == 42;
}
