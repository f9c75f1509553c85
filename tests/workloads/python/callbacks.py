# SPDX-License-Identifier: Apache-2.0
"""Functions that C code calls and that return at once: most of the time is between the two. What is called
by NAME is called NAME_leaf."""
import sys


class Unequal:
    def __init__(self, how):
        self.how = how

    def __eq__(self, other):
        return compared_leaf(other)


def mapped_leaf(x):
    return x


def sorted_leaf(x):
    return -x


def filtered_leaf(x):
    return x


def compared_leaf(x):
    return False


def generated_leaf(items):
    yield from items


def mapped(items):
    for _ in map(mapped_leaf, items):
        pass


def sorted_(items):
    sorted(items, key=sorted_leaf)


def filtered(items):
    list(filter(filtered_leaf, items))


def compared(items):
    items in [Unequal(len)] * 20


def generated(items):
    sum(generated_leaf(items))


def main():
    items = list(range(20))
    print("ready", flush=True)
    while True:
        mapped(items)
        sorted_(items)
        filtered(items)
        compared(items)
        generated(items)


if __name__ == "__main__":
    sys.exit(main())
