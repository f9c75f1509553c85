# SPDX-License-Identifier: Apache-2.0
"""The local store: how fast profiles go in, and an hour of them comes out as one."""
import os
import shutil
import subprocess
import time

import measure
from tools import OUT, ROOT, harmlib

TOOLS = ROOT / "build/rel/tools"
QUICK = bool(os.environ.get("QUICK"))


def case_store_query(report):
    report.heading("The store: profiles of 10 s, of 80 stacks, 30 deep")
    programs = [TOOLS / name for name in ("mkprofile", "mkstore")]
    subprocess.run(["make", "-s", *(p.relative_to(ROOT) for p in programs)], cwd=ROOT, check=True)
    store, one = OUT / "store", OUT / "one.pb.gz"
    shutil.rmtree(store, ignore_errors=True)
    subprocess.run([programs[0], "--many", "80,1000,30", "-f", "pprof", "-o", one], check=True, capture_output=True)
    start, count = int(time.time()) - 3600, 360
    then = time.monotonic()
    for service in "checkout", "cart":
        subprocess.run([programs[1], store, one, str(start), str(count), "9.9", "process_cpu", f"service_name={service}"],
                       check=True, capture_output=True)
    seconds = (time.monotonic() - then) / (2 * count)
    report.at_least("profiles stored a minute", 60 / seconds, 1000, 0)
    query = [harmlib.CSAMPLE, "query", "--store", store, 'process_cpu{service_name="checkout"}', "--from", "-2h", "-f", "pprof",
             "-o", OUT / "hour.pb.gz"]
    times = []
    for _ in range(3 if QUICK else 7):
        then = time.monotonic()
        subprocess.run([str(a) for a in query], check=True, capture_output=True)
        times.append(time.monotonic() - then)
    report.at_most(f"query that merges {count} of {2 * count}", 1000 * measure.middle(times)[0], 1000, "ms", 0,
                   f"worst {1000 * max(times):.0f} ms")
    shutil.rmtree(store)
