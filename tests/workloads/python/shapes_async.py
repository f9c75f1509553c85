# SPDX-License-Identifier: Apache-2.0
"""Generators, coroutines, asynchronous generators and event loops."""
import asyncio
import concurrent.futures.thread
import contextlib
import threading

import frozen
from frozen import freeze, shape


@shape
def generator_by_next():
    def numbers():
        yield 1
        freeze()
        yield 2
    it = numbers()
    next(it)
    next(it)


@shape
def generator_by_for():
    def numbers(stop):
        for i in range(stop):
            yield i
        freeze()

    def consume(n):
        total = 0
        for x in numbers(n):
            total += x
        return total
    consume(50)


@shape
def yield_from_chain():
    def inner():
        yield 1
        yield freeze()

    def middle():
        yield from inner()

    def outer():
        x = yield from middle()
        return x
    list(outer())


@shape
def generator_in_c_consumers():
    def words():
        yield "a"
        yield "".join(c or freeze() for c in ["b", ""])
    dict(enumerate(sorted(set(words()))))


@shape
def generator_throw_and_close():
    def careful():
        try:
            yield 1
        except ValueError:
            try:
                yield 2
            finally:
                freeze()
    g = careful()
    next(g)
    g.throw(ValueError())
    g.close()


@shape
def generator_send():
    def accumulate():
        total = 0
        while True:
            x = yield total
            if x is None:
                freeze()
            total += x
    g = accumulate()
    next(g)
    for x in [1, 2, None]:
        g.send(x)


@shape
def recursive_generators():
    def tree(n):
        if n:
            for x in tree(n - 1):
                yield x
        else:
            freeze()
            yield 1
    list(tree(60))


@shape
def await_chain():
    class Awaitable:
        def __await__(self):
            yield from self.steps()

        def steps(self):
            yield freeze()

    async def leaf():
        await Awaitable()

    async def middle(n):
        if n:
            return await middle(n - 1)
        return await leaf()

    async def outer():
        return await middle(5)
    outer().send(None)


@shape
def asynchronous_generators():
    async def ticks(n):
        for i in range(n):
            yield i
        freeze()

    class Manager:
        async def __aenter__(self):
            return [x async for x in ticks(2)]

        async def __aexit__(self, *error):
            return None

    async def main():
        async with Manager() as values:
            return values
    main().send(None)


def run_loop(main):
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(main())


@shape
def event_loop_task():
    async def handler():
        await asyncio.sleep(0)
        freeze()

    async def main():
        await asyncio.gather(handler(), asyncio.sleep(60))
    run_loop(main)


@shape
def event_loop_callback():
    async def main():
        asyncio.get_event_loop().call_soon(freeze, 1)
        await asyncio.sleep(60)
    run_loop(main)


@shape
def event_loop_python_task():
    """The tasks written in Python, which an application may choose."""
    task_type = asyncio.tasks._PyTask

    async def handler():
        freeze()

    async def main():
        await task_type(handler(), loop=asyncio.get_event_loop())
    run_loop(main)


@shape
def coroutine_close():
    class Suspend:
        def __await__(self):
            yield

    async def careful():
        try:
            await Suspend()
        finally:
            freeze()
    c = careful()
    c.send(None)
    c.close()


@shape
def generator_del():
    def careful():
        try:
            yield 1
        finally:
            freeze()

    def owner():
        g = careful()
        next(g)
        del g
    owner()


@shape
def pool_worker():
    executor = concurrent.futures.ThreadPoolExecutor(1)

    def work():
        frozen.register(threading.current_thread().name)
        freeze()
    executor.submit(work).result()


@shape
def context_manager_decorator():
    @contextlib.contextmanager
    def manager():
        yield
        freeze()

    @manager()
    def function():
        return 1
    function()
