# SPDX-License-Identifier: Apache-2.0
"""Whether registers and memory of a snapshot belong to one instant: the other half of the contract in
tests/workloads/soundness_loop.h."""
import collections

from snapshots import PC, SP

RBX, RBP = 3, 6
MAGIC = 0x5EED50F7C0FFEE11


class Loop:
    """The addresses that soundness_target prints."""

    def __init__(self, described):
        self.pid = described["pid"]
        self.start, self.near, self.far = described["start"], described["near"], described["far"]
        self.sp, self.end = described["sp"], described["end"]


def check(loop, snap):
    """'other': not in the loop; 'short': the stack was not copied; 'skewed: ...'; or 'true'."""
    pc, sp = snap.regs.get(PC), snap.regs.get(SP)
    if pc is None or not loop.start <= pc < loop.end:
        return "other"
    slot, base = snap.word(sp), snap.word(sp + 8)
    if slot is None or base is None:
        return "short"
    near, magic = snap.word(base), snap.word(base + 8)
    if near is None or magic is None:
        # A base that is not ours is memory of another instant, too.
        return "short" if base == snap.regs.get(RBP, base) else "skewed: base"
    if magic != MAGIC:
        return "skewed: magic"
    if RBP in snap.regs and snap.regs[RBP] != base:
        return "skewed: rbp"
    # How far the words lag behind the register, by what the instruction at pc has still to do.
    near_lag = pc == loop.near
    far_lag = loop.near <= pc <= loop.far
    slot_lag = loop.start < pc < loop.sp
    counter = snap.regs.get(RBX, near + near_lag)
    if near != counter - near_lag:
        return "skewed: near"
    far_at = snap.word(base + 16)
    far = snap.word(far_at) if far_at is not None else None
    if far is not None and far != counter - far_lag:
        return "skewed: far"
    if slot != counter - slot_lag:
        return "skewed: slot"
    if sp != base - 64 - 16 * (slot % 64):
        return "skewed: sp"
    return "true" if far is not None else "true, small copy"


def verdicts(loop, snapshots):
    """{way of capture: Counter of verdicts}."""
    result = collections.defaultdict(collections.Counter)
    for snap in snapshots:
        result[snap.by][check(loop, snap)] += 1
    return result


def count(counter, word):
    return sum(n for verdict, n in counter.items() if verdict.startswith(word))
