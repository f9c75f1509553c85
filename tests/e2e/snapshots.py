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
    """The stream that include/csample/recorded.h describes."""
    head = struct.Struct("<IIii4QIi4IQ")
    with open(path, "rb") as file:
        while len(block := file.read(head.size)) == head.size:
            magic, size, _, tid, *_, way, _, n_regs, n_regions, n_bytes, _, valid = head.unpack(block)
            assert magic == 0x31535343, f"not a snapshot: {magic:#x}"
            body = file.read(size - head.size)
            if len(body) < size - head.size:
                return  # cut off with its writer
            registers = struct.unpack_from(f"<{n_regs}Q", body)
            at = 8 * n_regs
            data_at = at + 16 * n_regions
            assert data_at + n_bytes == len(body)
            regions = []
            for i in range(n_regions):
                addr, length, offset = struct.unpack_from("<QII", body, at + 16 * i)
                regions.append((addr, body[data_at + offset:data_at + offset + length]))
            yield Snapshot(WAYS[way], tid, {i: r for i, r in enumerate(registers) if valid >> i & 1}, regions)
