# SPDX-License-Identifier: Apache-2.0
"""What tests/workloads/python/host.c runs: stands still, called back by its host."""
import signal
import sys
import time

import host


def request():
    return handler()


def handler():
    sys.stdout.write("ready\n") and sys.stdout.flush() or time.sleep(600)


signal.alarm(300)
host.call(request)
