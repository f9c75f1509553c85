# SPDX-License-Identifier: Apache-2.0
"""Reads recorded snapshots: those of the floors (tests/bench/floor.c) and those of `record --snapshots`."""
import struct
from typing import NamedTuple

SP, PC = 7, 16  # x86_64, by DWARF number


class Snapshot(NamedTuple):
    by: str
    tid: int
    regs: dict  # known registers by DWARF number
    regions: list  # (address, bytes)

    def word(self, addr):
        """The 64-bit word at addr, or None if no region holds it."""
        for start, data in self.regions:
            if start <= addr and addr + 8 <= start + len(data):
                return int.from_bytes(data[addr - start:addr - start + 8], "little")
        return None


def read_floor(path):
    head = struct.Struct("<4sII17Q")
    with open(path, "rb") as file:
        while len(block := file.read(head.size)) == head.size:
            magic, tid, copied, *regs = head.unpack(block)
            assert magic == b"FLOR"
            yield Snapshot("floor", tid, dict(enumerate(regs)), [(regs[SP], file.read(copied))])


WAYS = ("preempt", "asleep", "stop")  # enum captured_by


def read_recorded(path):
    """A stream of records: u32 size of what follows, struct snapshot as in memory, its bytes."""
    fields = struct.Struct("<ii4Qic3xiHHII33QQ")
    regions_at, bytes_at = fields.size, 2392
    with open(path, "rb") as file:
        while len(block := file.read(4)) == 4:
            data = file.read(int.from_bytes(block, "little"))
            if len(data) < bytes_at:
                return
            values = fields.unpack_from(data)
            tid, by, n_regions = values[1], values[6], values[10]
            registers, valid = values[13:46], values[46]
            regions = []
            for i in range(n_regions):
                addr, size, at = struct.unpack_from("<QII", data, regions_at + 16 * i)
                regions.append((addr, data[bytes_at + at:bytes_at + at + size]))
            yield Snapshot(WAYS[by], tid, {i: r for i, r in enumerate(registers) if valid >> i & 1}, regions)
