# SPDX-License-Identifier: Apache-2.0
"""asyncio tasks that wait for each other, one of which blocks the loop. Prints "ready" then."""
import asyncio
import os
import sys


class Service(object):
    async def handle(self):
        await asyncio.sleep(600)


async def numbers():
    yield 1
    await Service().handle()
    yield 2


async def consume():
    async for _ in numbers():
        pass


async def parent():
    children = [asyncio.ensure_future(consume()), asyncio.ensure_future(Service().handle())]
    if hasattr(children[1], "set_name"):
        children[1].set_name(u"s\xe9rvice")
    await asyncio.gather(*children)


async def spin():
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    os._exit(0)


async def finished():
    pass


async def main():
    global done
    done = asyncio.ensure_future(finished())
    task = asyncio.ensure_future(parent())
    blocker = asyncio.ensure_future(spin())
    await task
    await blocker


asyncio.new_event_loop().run_until_complete(main())
