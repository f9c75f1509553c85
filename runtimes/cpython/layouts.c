/* SPDX-License-Identifier: Apache-2.0 */
/* Written by scripts/gen-cpython-layout.py, not by hand: a row for each release, oldest first, and
 * for those that describe themselves where in _Py_DebugOffsets they say what. The release's own
 * numbers then replace the row's. Free-threaded rows follow those with a lock. */
#include "layout.h"

/* clang-format off */
#define F(offset, bytes) FIELD(offset, bytes)

const struct py_layout py_layouts[] = {
	{ .version = PYVER(3, 6),
	  .origin = "DWARF of CPython 3.6.15",
	  .lines = LINES_LNOTAB, .instr = INSTR_LASTI_BYTES, .groups = GROUPS_EACH,
	  .marker = MARKER_NONE, .lock_at = LOCK_CURRENT, .instance = INSTANCE_DICTOFFSET,
	  .interp = {
	    .next = F(0, 8), .threads_head = F(8, 8), .modules = F(16, 8),
	  },
	  .thread = {
	    .size = 160, .prev = F(0, 8), .next = F(8, 8), .interp = F(16, 8), .frame = F(24, 8),
	    .thread_id = F(152, 8),
	  },
	  .frame = {
	    .size = 128, .code = F(32, 8), .previous = F(24, 8), .instr = F(120, 4),
	    .stackpointer = F(72, 8), .localsplus = F(376, 8), .locals = F(56, 8),
	  },
	  .code = {
	    .size = 120, .type = F(8, 8), .filename = F(96, 8), .name = F(104, 8),
	    .firstlineno = F(36, 4), .linetable = F(112, 8), .argcount = F(16, 4),
	    .kwonlyargcount = F(20, 4), .flags = F(32, 4), .nlocals = F(24, 4),
	    .varnames = F(64, 8), .cellvars = F(80, 8), .freevars = F(72, 8), .bytecode = F(40, 8),
	  },
	  .object = {
	    .size = 16, .type = F(8, 8),
	  },
	  .str = {
	    .ascii_data = 48, .compact_data = 72, .length = F(16, 8), .state = F(32, 4),
	    .kind_shift = 2, .compact_bit = 5, .ascii_bit = 6,
	  },
	  .bytes = {
	    .size = F(16, 8), .data = 32,
	  },
	  .tuple = {
	    .size = F(16, 8), .data = 24,
	  },
	  .list = {
	    .size = F(16, 8), .items = F(24, 8),
	  },
	  .dict = {
	    .used = F(16, 8), .keys = F(32, 8), .values = F(40, 8),
	  },
	  .dictkeys = {
	    .size = F(8, 8), .nentries = F(32, 8), .indices = 40,
	  },
	  .set = {
	    .used = F(24, 8), .mask = F(32, 8), .table = F(40, 8),
	  },
	  .integer = {
	    .size = F(16, 8), .digits = 24,
	  },
	  .float_value = F(16, 8),
	  .cell_ref = F(16, 8),
	  .module_dict = F(16, 8),
	  .type = {
	    .name = F(24, 8), .basicsize = F(32, 8), .flags = F(168, 8), .dictoffset = F(288, 8),
	    .base = F(256, 8), .cached_keys = F(856, 8), .dict = F(264, 8), .mro = F(344, 8),
	  },
	  .function = {
	    .code = F(16, 8), .qualname = F(104, 8), .name = F(64, 8),
	  },
	  .weakref_object = F(16, 8),
	  .gen = {
	    .iframe = 16,
	  }, },

	{ .version = PYVER(3, 7),
	  .origin = "DWARF of CPython 3.7.16",
	  .lines = LINES_LNOTAB, .instr = INSTR_LASTI_BYTES, .groups = GROUPS_EACH,
	  .marker = MARKER_NONE, .lock_at = LOCK_RUNTIME, .instance = INSTANCE_DICTOFFSET,
	  .runtime = {
	    .interpreters_head = F(24, 8), .finalizing = F(8, 8), .lock_locked = F(1280, 4),
	    .lock_holder = F(1272, 8), .tstate_current = F(1480, 8),
	  },
	  .interp = {
	    .next = F(0, 8), .id = F(16, 8), .threads_head = F(8, 8), .modules = F(40, 8),
	  },
	  .thread = {
	    .size = 184, .prev = F(0, 8), .next = F(8, 8), .interp = F(16, 8), .frame = F(24, 8),
	    .thread_id = F(176, 8),
	  },
	  .frame = {
	    .size = 112, .code = F(32, 8), .previous = F(24, 8), .instr = F(104, 4),
	    .stackpointer = F(72, 8), .localsplus = F(360, 8), .locals = F(56, 8),
	  },
	  .code = {
	    .size = 120, .type = F(8, 8), .filename = F(96, 8), .name = F(104, 8),
	    .firstlineno = F(36, 4), .linetable = F(112, 8), .argcount = F(16, 4),
	    .kwonlyargcount = F(20, 4), .flags = F(32, 4), .nlocals = F(24, 4),
	    .varnames = F(64, 8), .cellvars = F(80, 8), .freevars = F(72, 8), .bytecode = F(40, 8),
	  },
	  .object = {
	    .size = 16, .type = F(8, 8),
	  },
	  .str = {
	    .ascii_data = 48, .compact_data = 72, .length = F(16, 8), .state = F(32, 4),
	    .kind_shift = 2, .compact_bit = 5, .ascii_bit = 6,
	  },
	  .bytes = {
	    .size = F(16, 8), .data = 32,
	  },
	  .tuple = {
	    .size = F(16, 8), .data = 24,
	  },
	  .list = {
	    .size = F(16, 8), .items = F(24, 8),
	  },
	  .dict = {
	    .used = F(16, 8), .keys = F(32, 8), .values = F(40, 8),
	  },
	  .dictkeys = {
	    .size = F(8, 8), .nentries = F(32, 8), .indices = 40,
	  },
	  .set = {
	    .used = F(24, 8), .mask = F(32, 8), .table = F(40, 8),
	  },
	  .integer = {
	    .size = F(16, 8), .digits = 24,
	  },
	  .float_value = F(16, 8),
	  .cell_ref = F(16, 8),
	  .module_dict = F(16, 8),
	  .type = {
	    .name = F(24, 8), .basicsize = F(32, 8), .flags = F(168, 8), .dictoffset = F(288, 8),
	    .base = F(256, 8), .cached_keys = F(856, 8), .dict = F(264, 8), .mro = F(344, 8),
	  },
	  .function = {
	    .code = F(16, 8), .qualname = F(104, 8), .name = F(64, 8),
	  },
	  .weakref_object = F(16, 8),
	  .gen = {
	    .iframe = 16,
	  }, },

	{ .version = PYVER(3, 8),
	  .origin = "DWARF of CPython 3.8.18",
	  .lines = LINES_LNOTAB, .instr = INSTR_LASTI_BYTES, .groups = GROUPS_EACH,
	  .marker = MARKER_NONE, .lock_at = LOCK_RUNTIME, .instance = INSTANCE_DICTOFFSET,
	  .runtime = {
	    .interpreters_head = F(32, 8), .finalizing = F(16, 8), .lock_locked = F(1168, 4),
	    .lock_holder = F(1160, 8), .tstate_current = F(1368, 8),
	  },
	  .interp = {
	    .next = F(0, 8), .id = F(16, 8), .threads_head = F(8, 8), .modules = F(56, 8),
	  },
	  .thread = {
	    .size = 184, .prev = F(0, 8), .next = F(8, 8), .interp = F(16, 8), .frame = F(24, 8),
	    .thread_id = F(176, 8),
	  },
	  .frame = {
	    .size = 112, .code = F(32, 8), .previous = F(24, 8), .instr = F(104, 4),
	    .stackpointer = F(72, 8), .localsplus = F(360, 8), .locals = F(56, 8),
	  },
	  .code = {
	    .size = 128, .type = F(8, 8), .filename = F(104, 8), .name = F(112, 8),
	    .firstlineno = F(40, 4), .linetable = F(120, 8), .argcount = F(16, 4),
	    .posonlyargcount = F(20, 4), .kwonlyargcount = F(24, 4), .flags = F(36, 4),
	    .nlocals = F(28, 4), .varnames = F(72, 8), .cellvars = F(88, 8), .freevars = F(80, 8),
	    .bytecode = F(48, 8),
	  },
	  .object = {
	    .size = 16, .type = F(8, 8),
	  },
	  .str = {
	    .ascii_data = 48, .compact_data = 72, .length = F(16, 8), .state = F(32, 4),
	    .kind_shift = 2, .compact_bit = 5, .ascii_bit = 6,
	  },
	  .bytes = {
	    .size = F(16, 8), .data = 32,
	  },
	  .tuple = {
	    .size = F(16, 8), .data = 24,
	  },
	  .list = {
	    .size = F(16, 8), .items = F(24, 8),
	  },
	  .dict = {
	    .used = F(16, 8), .keys = F(32, 8), .values = F(40, 8),
	  },
	  .dictkeys = {
	    .size = F(8, 8), .nentries = F(32, 8), .indices = 40,
	  },
	  .set = {
	    .used = F(24, 8), .mask = F(32, 8), .table = F(40, 8),
	  },
	  .integer = {
	    .size = F(16, 8), .digits = 24,
	  },
	  .float_value = F(16, 8),
	  .cell_ref = F(16, 8),
	  .module_dict = F(16, 8),
	  .type = {
	    .name = F(24, 8), .basicsize = F(32, 8), .flags = F(168, 8), .dictoffset = F(288, 8),
	    .base = F(256, 8), .cached_keys = F(872, 8), .dict = F(264, 8), .mro = F(344, 8),
	  },
	  .function = {
	    .code = F(16, 8), .qualname = F(104, 8), .name = F(64, 8),
	  },
	  .weakref_object = F(16, 8),
	  .gen = {
	    .iframe = 16,
	  }, },

	{ .version = PYVER(3, 9),
	  .origin = "DWARF of CPython 3.9.18",
	  .lines = LINES_LNOTAB, .instr = INSTR_LASTI_BYTES, .groups = GROUPS_EACH,
	  .marker = MARKER_NONE, .lock_at = LOCK_RUNTIME, .instance = INSTANCE_DICTOFFSET,
	  .runtime = {
	    .interpreters_head = F(32, 8), .finalizing = F(16, 8), .lock_locked = F(368, 4),
	    .lock_holder = F(360, 8), .tstate_current = F(568, 8),
	  },
	  .interp = {
	    .next = F(0, 8), .id = F(24, 8), .threads_head = F(8, 8), .modules = F(856, 8),
	    .gc_collecting = F(816, 4),
	  },
	  .thread = {
	    .size = 184, .prev = F(0, 8), .next = F(8, 8), .interp = F(16, 8), .frame = F(24, 8),
	    .thread_id = F(176, 8),
	  },
	  .frame = {
	    .size = 112, .code = F(32, 8), .previous = F(24, 8), .instr = F(104, 4),
	    .stackpointer = F(72, 8), .localsplus = F(360, 8), .locals = F(56, 8),
	  },
	  .code = {
	    .size = 128, .type = F(8, 8), .filename = F(104, 8), .name = F(112, 8),
	    .firstlineno = F(40, 4), .linetable = F(120, 8), .argcount = F(16, 4),
	    .posonlyargcount = F(20, 4), .kwonlyargcount = F(24, 4), .flags = F(36, 4),
	    .nlocals = F(28, 4), .varnames = F(72, 8), .cellvars = F(88, 8), .freevars = F(80, 8),
	    .bytecode = F(48, 8),
	  },
	  .object = {
	    .size = 16, .type = F(8, 8),
	  },
	  .str = {
	    .ascii_data = 48, .compact_data = 72, .length = F(16, 8), .state = F(32, 4),
	    .kind_shift = 2, .compact_bit = 5, .ascii_bit = 6,
	  },
	  .bytes = {
	    .size = F(16, 8), .data = 32,
	  },
	  .tuple = {
	    .size = F(16, 8), .data = 24,
	  },
	  .list = {
	    .size = F(16, 8), .items = F(24, 8),
	  },
	  .dict = {
	    .used = F(16, 8), .keys = F(32, 8), .values = F(40, 8),
	  },
	  .dictkeys = {
	    .size = F(8, 8), .nentries = F(32, 8), .indices = 40,
	  },
	  .set = {
	    .used = F(24, 8), .mask = F(32, 8), .table = F(40, 8),
	  },
	  .integer = {
	    .size = F(16, 8), .digits = 24,
	  },
	  .float_value = F(16, 8),
	  .cell_ref = F(16, 8),
	  .module_dict = F(16, 8),
	  .type = {
	    .name = F(24, 8), .basicsize = F(32, 8), .flags = F(168, 8), .dictoffset = F(288, 8),
	    .base = F(256, 8), .cached_keys = F(864, 8), .dict = F(264, 8), .mro = F(344, 8),
	  },
	  .function = {
	    .code = F(16, 8), .qualname = F(104, 8), .name = F(64, 8),
	  },
	  .weakref_object = F(16, 8),
	  .gen = {
	    .iframe = 16,
	  }, },

	{ .version = PYVER(3, 10),
	  .origin = "DWARF of CPython 3.10.13",
	  .lines = LINES_PAIRS, .instr = INSTR_LASTI_UNITS, .groups = GROUPS_EACH,
	  .marker = MARKER_CFRAME, .lock_at = LOCK_RUNTIME, .instance = INSTANCE_DICTOFFSET,
	  .runtime = {
	    .interpreters_head = F(32, 8), .finalizing = F(16, 8), .lock_locked = F(368, 4),
	    .lock_holder = F(360, 8), .tstate_current = F(568, 8),
	  },
	  .interp = {
	    .next = F(0, 8), .id = F(24, 8), .threads_head = F(8, 8), .modules = F(856, 8),
	    .gc_collecting = F(816, 4),
	  },
	  .thread = {
	    .size = 272, .prev = F(0, 8), .next = F(8, 8), .interp = F(16, 8), .frame = F(24, 8),
	    .cframe = F(48, 8), .root_cframe = F(264, 8), .thread_id = F(176, 8),
	  },
	  .cframe = {
	    .size = 16, .previous = F(8, 8),
	  },
	  .frame = {
	    .size = 104, .code = F(32, 8), .previous = F(24, 8), .instr = F(96, 4),
	    .stackpointer = F(80, 4), .localsplus = F(352, 8), .locals = F(56, 8),
	  },
	  .code = {
	    .size = 128, .type = F(8, 8), .filename = F(104, 8), .name = F(112, 8),
	    .firstlineno = F(40, 4), .linetable = F(120, 8), .argcount = F(16, 4),
	    .posonlyargcount = F(20, 4), .kwonlyargcount = F(24, 4), .flags = F(36, 4),
	    .nlocals = F(28, 4), .varnames = F(72, 8), .cellvars = F(88, 8), .freevars = F(80, 8),
	    .bytecode = F(48, 8),
	  },
	  .object = {
	    .size = 16, .type = F(8, 8),
	  },
	  .str = {
	    .ascii_data = 48, .compact_data = 72, .length = F(16, 8), .state = F(32, 4),
	    .kind_shift = 2, .compact_bit = 5, .ascii_bit = 6,
	  },
	  .bytes = {
	    .size = F(16, 8), .data = 32,
	  },
	  .tuple = {
	    .size = F(16, 8), .data = 24,
	  },
	  .list = {
	    .size = F(16, 8), .items = F(24, 8),
	  },
	  .dict = {
	    .used = F(16, 8), .keys = F(32, 8), .values = F(40, 8),
	  },
	  .dictkeys = {
	    .size = F(8, 8), .nentries = F(32, 8), .indices = 40,
	  },
	  .set = {
	    .used = F(24, 8), .mask = F(32, 8), .table = F(40, 8),
	  },
	  .integer = {
	    .size = F(16, 8), .digits = 24,
	  },
	  .float_value = F(16, 8),
	  .cell_ref = F(16, 8),
	  .module_dict = F(16, 8),
	  .type = {
	    .name = F(24, 8), .basicsize = F(32, 8), .flags = F(168, 8), .dictoffset = F(288, 8),
	    .base = F(256, 8), .cached_keys = F(872, 8), .dict = F(264, 8), .mro = F(344, 8),
	  },
	  .function = {
	    .code = F(48, 8), .qualname = F(40, 8), .name = F(32, 8),
	  },
	  .weakref_object = F(16, 8),
	  .gen = {
	    .iframe = 16,
	  }, },

	{ .version = PYVER(3, 11),
	  .origin = "DWARF of CPython 3.11.7",
	  .lines = LINES_LOCATIONS, .instr = INSTR_PREV, .groups = GROUPS_IS_ENTRY,
	  .marker = MARKER_CFRAME, .lock_at = LOCK_RUNTIME, .instance = INSTANCE_MANAGED_PAIR,
	  .owner_generator = 1, .gen_ended = 1,
	  .runtime = {
	    .interpreters_head = F(40, 8), .finalizing = F(24, 8), .lock_locked = F(376, 4),
	    .lock_holder = F(368, 8), .tstate_current = F(576, 8),
	  },
	  .interp = {
	    .next = F(0, 8), .id = F(48, 8), .threads_head = F(16, 8), .modules = F(888, 8),
	    .gc_collecting = F(848, 4),
	  },
	  .thread = {
	    .size = 344, .prev = F(0, 8), .next = F(8, 8), .interp = F(16, 8), .cframe = F(56, 8),
	    .root_cframe = F(336, 8), .thread_id = F(152, 8), .native_thread_id = F(160, 8),
	    .initialized = F(24, 4), .datastack_chunk = F(296, 8), .datastack_top = F(304, 8),
	  },
	  .cframe = {
	    .size = 24, .current_frame = F(8, 8), .previous = F(16, 8),
	  },
	  .frame = {
	    .size = 72, .code = F(32, 8), .previous = F(48, 8), .instr = F(56, 8),
	    .owner = F(69, 1), .is_entry = F(68, 1), .stackpointer = F(64, 4),
	    .localsplus = F(72, 8), .locals = F(24, 8),
	  },
	  .chunk = {
	    .previous = F(0, 8), .size = F(8, 8), .top = F(16, 8), .data = 24,
	  },
	  .code = {
	    .size = 192, .type = F(8, 8), .filename = F(112, 8), .name = F(120, 8),
	    .qualname = F(128, 8), .firstlineno = F(72, 4), .linetable = F(136, 8),
	    .firsttraceable = F(168, 4), .argcount = F(56, 4), .posonlyargcount = F(60, 4),
	    .kwonlyargcount = F(64, 4), .flags = F(48, 4), .nlocals = F(80, 4),
	    .nlocalsplus = F(76, 4), .localsplusnames = F(96, 8), .localspluskinds = F(104, 8),
	    .bytecode = F(184, 1),
	  },
	  .object = {
	    .size = 16, .type = F(8, 8),
	  },
	  .str = {
	    .ascii_data = 48, .compact_data = 72, .length = F(16, 8), .state = F(32, 4),
	    .kind_shift = 2, .compact_bit = 5, .ascii_bit = 6,
	  },
	  .bytes = {
	    .size = F(16, 8), .data = 32,
	  },
	  .tuple = {
	    .size = F(16, 8), .data = 24,
	  },
	  .list = {
	    .size = F(16, 8), .items = F(24, 8),
	  },
	  .dict = {
	    .used = F(16, 8), .keys = F(32, 8), .values = F(40, 8),
	  },
	  .dictkeys = {
	    .log2_size = F(8, 1), .log2_index_bytes = F(9, 1), .kind = F(10, 1),
	    .nentries = F(24, 8), .indices = 32,
	  },
	  .set = {
	    .used = F(24, 8), .mask = F(32, 8), .table = F(40, 8),
	  },
	  .integer = {
	    .size = F(16, 8), .digits = 24,
	  },
	  .float_value = F(16, 8),
	  .cell_ref = F(16, 8),
	  .module_dict = F(16, 8),
	  .type = {
	    .name = F(24, 8), .basicsize = F(32, 8), .flags = F(168, 8), .dictoffset = F(288, 8),
	    .base = F(256, 8), .cached_keys = F(872, 8), .dict = F(264, 8), .mro = F(344, 8),
	  },
	  .function = {
	    .code = F(48, 8), .qualname = F(40, 8), .name = F(32, 8),
	  },
	  .weakref_object = F(16, 8),
	  .gen = {
	    .iframe = 80, .frame_state = F(75, 1),
	  }, },

	{ .version = PYVER(3, 12),
	  .origin = "DWARF of CPython 3.12.1",
	  .lines = LINES_LOCATIONS, .instr = INSTR_PREV, .groups = GROUPS_SHIM,
	  .marker = MARKER_SHIM, .lock_at = LOCK_INTERP, .instance = INSTANCE_MANAGED_TAG,
	  .owner_generator = 1, .owner_shim = 3, .gen_ended = 1, .status_unusable = 0xc4,
	  .runtime = {
	    .interpreters_head = F(40, 8), .finalizing = F(24, 8),
	  },
	  .interp = {
	    .next = F(0, 8), .id = F(8, 8), .threads_head = F(72, 8), .lock = F(384, 8),
	    .modules = F(944, 8), .gc_collecting = F(312, 4),
	  },
	  .lock = {
	    .locked = F(16, 4), .holder = F(8, 8),
	  },
	  .thread = {
	    .size = 280, .prev = F(0, 8), .next = F(8, 8), .interp = F(16, 8), .cframe = F(56, 8),
	    .root_cframe = F(272, 8), .thread_id = F(136, 8), .native_thread_id = F(144, 8),
	    .status = F(24, 4), .datastack_chunk = F(232, 8), .datastack_top = F(240, 8),
	  },
	  .cframe = {
	    .size = 16, .current_frame = F(0, 8), .previous = F(8, 8),
	  },
	  .frame = {
	    .size = 72, .code = F(0, 8), .previous = F(8, 8), .instr = F(56, 8), .owner = F(70, 1),
	    .stackpointer = F(64, 4), .localsplus = F(72, 8), .locals = F(40, 8),
	  },
	  .chunk = {
	    .previous = F(0, 8), .size = F(8, 8), .top = F(16, 8), .data = 24,
	  },
	  .code = {
	    .size = 200, .type = F(8, 8), .filename = F(112, 8), .name = F(120, 8),
	    .qualname = F(128, 8), .firstlineno = F(68, 4), .linetable = F(136, 8),
	    .firsttraceable = F(176, 4), .argcount = F(52, 4), .posonlyargcount = F(56, 4),
	    .kwonlyargcount = F(60, 4), .flags = F(48, 4), .nlocals = F(80, 4),
	    .nlocalsplus = F(72, 4), .localsplusnames = F(96, 8), .localspluskinds = F(104, 8),
	    .bytecode = F(192, 1),
	  },
	  .object = {
	    .size = 16, .type = F(8, 8),
	  },
	  .str = {
	    .ascii_data = 40, .compact_data = 56, .length = F(16, 8), .state = F(32, 4),
	    .kind_shift = 2, .compact_bit = 5, .ascii_bit = 6,
	  },
	  .bytes = {
	    .size = F(16, 8), .data = 32,
	  },
	  .tuple = {
	    .size = F(16, 8), .data = 24,
	  },
	  .list = {
	    .size = F(16, 8), .items = F(24, 8),
	  },
	  .dict = {
	    .used = F(16, 8), .keys = F(32, 8), .values = F(40, 8),
	  },
	  .dictkeys = {
	    .log2_size = F(8, 1), .log2_index_bytes = F(9, 1), .kind = F(10, 1),
	    .nentries = F(24, 8), .indices = 32,
	  },
	  .set = {
	    .used = F(24, 8), .mask = F(32, 8), .table = F(40, 8),
	  },
	  .integer = {
	    .tag = F(16, 8), .digits = 24,
	  },
	  .float_value = F(16, 8),
	  .cell_ref = F(16, 8),
	  .module_dict = F(16, 8),
	  .type = {
	    .name = F(24, 8), .basicsize = F(32, 8), .flags = F(168, 8), .dictoffset = F(288, 8),
	    .base = F(256, 8), .cached_keys = F(880, 8), .dict = F(264, 8), .mro = F(344, 8),
	  },
	  .function = {
	    .code = F(48, 8), .qualname = F(40, 8), .name = F(32, 8),
	  },
	  .weakref_object = F(16, 8),
	  .gen = {
	    .iframe = 72, .frame_state = F(67, 1),
	  }, },

	{ .version = PYVER(3, 13),
	  .origin = "DWARF of CPython 3.13.18",
	  .lines = LINES_LOCATIONS, .instr = INSTR_CURRENT, .groups = GROUPS_SHIM,
	  .marker = MARKER_SHIM, .lock_at = LOCK_INTERP, .instance = INSTANCE_MANAGED_INLINE,
	  .owner_generator = 1, .owner_shim = 3, .gen_yield_from = -1, .gen_ended = 1,
	  .status_unusable = 0x184, .managed_dict = -24,
	  .runtime = {
	    .interpreters_head = F(632, 8), .finalizing = F(608, 8),
	  },
	  .interp = {
	    .next = F(7264, 8), .id = F(7272, 8), .threads_head = F(7344, 8),
	    .threads_main = F(7352, 8), .lock = F(16, 8), .modules = F(7656, 8),
	    .gc_collecting = F(7600, 4),
	  },
	  .lock = {
	    .locked = F(16, 4), .holder = F(8, 8),
	  },
	  .thread = {
	    .size = 248, .prev = F(0, 8), .next = F(8, 8), .interp = F(16, 8),
	    .current_frame = F(72, 8), .thread_id = F(152, 8), .native_thread_id = F(160, 8),
	    .status = F(32, 4), .datastack_chunk = F(232, 8), .datastack_top = F(240, 8),
	  },
	  .frame = {
	    .size = 72, .code = F(0, 8), .previous = F(8, 8), .instr = F(56, 8), .owner = F(70, 1),
	    .stackpointer = F(64, 4), .localsplus = F(72, 8), .locals = F(40, 8),
	  },
	  .chunk = {
	    .previous = F(0, 8), .size = F(8, 8), .top = F(16, 8), .data = 24,
	  },
	  .code = {
	    .size = 208, .type = F(8, 8), .filename = F(112, 8), .name = F(120, 8),
	    .qualname = F(128, 8), .firstlineno = F(68, 4), .linetable = F(136, 8),
	    .firsttraceable = F(184, 4), .argcount = F(52, 4), .posonlyargcount = F(56, 4),
	    .kwonlyargcount = F(60, 4), .flags = F(48, 4), .nlocals = F(80, 4),
	    .nlocalsplus = F(72, 4), .localsplusnames = F(96, 8), .localspluskinds = F(104, 8),
	    .bytecode = F(200, 1),
	  },
	  .object = {
	    .size = 16, .type = F(8, 8),
	  },
	  .str = {
	    .ascii_data = 40, .compact_data = 56, .length = F(16, 8), .state = F(32, 4),
	    .kind_shift = 2, .compact_bit = 5, .ascii_bit = 6,
	  },
	  .bytes = {
	    .size = F(16, 8), .data = 32,
	  },
	  .tuple = {
	    .size = F(16, 8), .data = 24,
	  },
	  .list = {
	    .size = F(16, 8), .items = F(24, 8),
	  },
	  .dict = {
	    .used = F(16, 8), .keys = F(32, 8), .values = F(40, 8),
	  },
	  .dictkeys = {
	    .log2_size = F(8, 1), .log2_index_bytes = F(9, 1), .kind = F(10, 1),
	    .nentries = F(24, 8), .indices = 32,
	  },
	  .dictvalues = 8,
	  .set = {
	    .used = F(24, 8), .mask = F(32, 8), .table = F(40, 8),
	  },
	  .integer = {
	    .tag = F(16, 8), .digits = 24,
	  },
	  .float_value = F(16, 8),
	  .cell_ref = F(16, 8),
	  .module_dict = F(16, 8),
	  .type = {
	    .name = F(24, 8), .basicsize = F(32, 8), .flags = F(168, 8), .dictoffset = F(288, 8),
	    .base = F(256, 8), .cached_keys = F(880, 8), .dict = F(264, 8), .mro = F(344, 8),
	  },
	  .function = {
	    .code = F(48, 8), .qualname = F(40, 8), .name = F(32, 8),
	  },
	  .weakref_object = F(16, 8),
	  .gen = {
	    .iframe = 72, .frame_state = F(67, 1),
	  }, },

	{ .version = PYVER(3, 13),
	  .origin = "headers of CPython 3.13.18 with Py_GIL_DISABLED",
	  .free_threaded = true,
	  .lines = LINES_LOCATIONS, .instr = INSTR_CURRENT, .groups = GROUPS_SHIM,
	  .marker = MARKER_SHIM, .lock_at = LOCK_INTERP, .instance = INSTANCE_MANAGED_INLINE,
	  .owner_generator = 1, .owner_shim = 3, .gen_yield_from = -1, .gen_ended = 1,
	  .status_unusable = 0x184, .managed_dict = -8,
	  .runtime = {
	    .interpreters_head = F(632, 8), .finalizing = F(608, 8),
	  },
	  .interp = {
	    .next = F(7264, 8), .id = F(7272, 8), .threads_head = F(7344, 8),
	    .threads_main = F(7352, 8), .lock = F(16, 8), .modules = F(7664, 8),
	    .gc_collecting = F(7600, 4),
	  },
	  .lock = {
	    .locked = F(24, 4), .holder = F(16, 8), .enabled = F(0, 4),
	  },
	  .thread = {
	    .size = 248, .prev = F(0, 8), .next = F(8, 8), .interp = F(16, 8),
	    .current_frame = F(72, 8), .thread_id = F(152, 8), .native_thread_id = F(160, 8),
	    .status = F(32, 4), .datastack_chunk = F(232, 8), .datastack_top = F(240, 8),
	  },
	  .frame = {
	    .size = 72, .code = F(0, 8), .previous = F(8, 8), .instr = F(56, 8), .owner = F(70, 1),
	    .stackpointer = F(64, 4), .localsplus = F(72, 8), .locals = F(40, 8),
	  },
	  .chunk = {
	    .previous = F(0, 8), .size = F(8, 8), .top = F(16, 8), .data = 24,
	  },
	  .code = {
	    .size = 224, .type = F(24, 8), .filename = F(128, 8), .name = F(136, 8),
	    .qualname = F(144, 8), .firstlineno = F(84, 4), .linetable = F(152, 8),
	    .firsttraceable = F(200, 4), .argcount = F(68, 4), .posonlyargcount = F(72, 4),
	    .kwonlyargcount = F(76, 4), .flags = F(64, 4), .nlocals = F(96, 4),
	    .nlocalsplus = F(88, 4), .localsplusnames = F(112, 8), .localspluskinds = F(120, 8),
	    .bytecode = F(216, 1),
	  },
	  .object = {
	    .size = 32, .type = F(24, 8),
	  },
	  .str = {
	    .ascii_data = 56, .compact_data = 72, .length = F(32, 8), .state = F(48, 4),
	    .kind_shift = 2, .compact_bit = 5, .ascii_bit = 6,
	  },
	  .bytes = {
	    .size = F(32, 8), .data = 48,
	  },
	  .tuple = {
	    .size = F(32, 8), .data = 40,
	  },
	  .list = {
	    .size = F(32, 8), .items = F(40, 8),
	  },
	  .dict = {
	    .used = F(32, 8), .keys = F(48, 8), .values = F(56, 8),
	  },
	  .dictkeys = {
	    .log2_size = F(8, 1), .log2_index_bytes = F(9, 1), .kind = F(10, 1),
	    .nentries = F(24, 8), .indices = 32,
	  },
	  .dictvalues = 8,
	  .set = {
	    .used = F(40, 8), .mask = F(48, 8), .table = F(56, 8),
	  },
	  .integer = {
	    .tag = F(32, 8), .digits = 40,
	  },
	  .float_value = F(32, 8),
	  .cell_ref = F(32, 8),
	  .module_dict = F(32, 8),
	  .type = {
	    .name = F(40, 8), .basicsize = F(48, 8), .flags = F(184, 8), .dictoffset = F(304, 8),
	    .base = F(272, 8), .cached_keys = F(896, 8), .dict = F(280, 8), .mro = F(360, 8),
	  },
	  .function = {
	    .code = F(64, 8), .qualname = F(56, 8), .name = F(48, 8),
	  },
	  .weakref_object = F(32, 8),
	  .gen = {
	    .iframe = 88, .frame_state = F(83, 1),
	  }, },

	{ .version = PYVER(3, 14),
	  .origin = "DWARF of CPython 3.14.10",
	  .lines = LINES_LOCATIONS, .instr = INSTR_CURRENT, .groups = GROUPS_SHIM,
	  .marker = MARKER_SHIM, .lock_at = LOCK_INTERP, .instance = INSTANCE_MANAGED_INLINE,
	  .owner_generator = 1, .owner_shim = 3, .tag_mask = 3, .gen_yield_from = -1,
	  .gen_ended = 1, .yield_from_slots = 1, .status_unusable = 0xc4, .managed_dict = -24,
	  .runtime = {
	    .interpreters_head = F(808, 8), .finalizing = F(784, 8),
	  },
	  .interp = {
	    .next = F(7272, 8), .id = F(7280, 8), .threads_head = F(7344, 8),
	    .threads_main = F(7360, 8), .lock = F(16, 8), .modules = F(7688, 8),
	    .gc_collecting = F(7600, 4), .code_generation = F(7992, 8),
	    .asyncio_tasks_head = F(10880, 8),
	  },
	  .lock = {
	    .locked = F(16, 4), .holder = F(8, 8),
	  },
	  .thread = {
	    .size = 248, .prev = F(0, 8), .next = F(8, 8), .interp = F(16, 8),
	    .current_frame = F(72, 8), .thread_id = F(152, 8), .native_thread_id = F(160, 8),
	    .status = F(32, 4), .holds_lock = F(36, 4), .datastack_chunk = F(232, 8),
	    .datastack_top = F(240, 8), .asyncio_running_task = F(872, 8),
	    .asyncio_tasks_head = F(880, 8),
	  },
	  .frame = {
	    .size = 80, .code = F(0, 8), .previous = F(8, 8), .instr = F(56, 8), .owner = F(74, 1),
	    .stackpointer = F(64, 8), .localsplus = F(80, 8), .locals = F(40, 8),
	  },
	  .chunk = {
	    .previous = F(0, 8), .size = F(8, 8), .top = F(16, 8), .data = 24,
	  },
	  .code = {
	    .size = 216, .type = F(8, 8), .filename = F(112, 8), .name = F(120, 8),
	    .qualname = F(128, 8), .firstlineno = F(68, 4), .linetable = F(136, 8),
	    .firsttraceable = F(192, 4), .argcount = F(52, 4), .posonlyargcount = F(56, 4),
	    .kwonlyargcount = F(60, 4), .flags = F(48, 4), .nlocals = F(80, 4),
	    .nlocalsplus = F(72, 4), .localsplusnames = F(96, 8), .localspluskinds = F(104, 8),
	    .bytecode = F(208, 1),
	  },
	  .object = {
	    .size = 16, .type = F(8, 8),
	  },
	  .str = {
	    .ascii_data = 40, .compact_data = 56, .length = F(16, 8), .state = F(32, 4),
	    .kind_shift = 2, .compact_bit = 5, .ascii_bit = 6,
	  },
	  .bytes = {
	    .size = F(16, 8), .data = 32,
	  },
	  .tuple = {
	    .size = F(16, 8), .data = 32,
	  },
	  .list = {
	    .size = F(16, 8), .items = F(24, 8),
	  },
	  .dict = {
	    .used = F(16, 8), .keys = F(32, 8), .values = F(40, 8),
	  },
	  .dictkeys = {
	    .log2_size = F(8, 1), .log2_index_bytes = F(9, 1), .kind = F(10, 1),
	    .nentries = F(24, 8), .indices = 32,
	  },
	  .dictvalues = 8,
	  .set = {
	    .used = F(24, 8), .mask = F(32, 8), .table = F(40, 8),
	  },
	  .integer = {
	    .tag = F(16, 8), .digits = 24,
	  },
	  .float_value = F(16, 8),
	  .cell_ref = F(16, 8),
	  .module_dict = F(16, 8),
	  .type = {
	    .name = F(24, 8), .basicsize = F(32, 8), .flags = F(168, 8), .dictoffset = F(288, 8),
	    .base = F(256, 8), .cached_keys = F(880, 8), .dict = F(264, 8), .mro = F(344, 8),
	  },
	  .function = {
	    .code = F(48, 8), .qualname = F(40, 8), .name = F(32, 8),
	  },
	  .weakref_object = F(16, 8),
	  .gen = {
	    .iframe = 72, .frame_state = F(67, 1),
	  }, },

	{ .version = PYVER(3, 14),
	  .origin = "headers of CPython 3.14.10 with Py_GIL_DISABLED",
	  .free_threaded = true,
	  .lines = LINES_LOCATIONS, .instr = INSTR_CURRENT, .groups = GROUPS_SHIM,
	  .marker = MARKER_SHIM, .lock_at = LOCK_INTERP, .instance = INSTANCE_MANAGED_INLINE,
	  .owner_generator = 1, .owner_shim = 3, .tag_mask = 3, .gen_yield_from = -1,
	  .gen_ended = 1, .yield_from_slots = 1, .status_unusable = 0xc4, .managed_dict = -8,
	  .runtime = {
	    .interpreters_head = F(808, 8), .finalizing = F(784, 8),
	  },
	  .interp = {
	    .next = F(7272, 8), .id = F(7280, 8), .threads_head = F(7344, 8),
	    .threads_main = F(7360, 8), .lock = F(16, 8), .modules = F(7712, 8),
	    .gc_collecting = F(7600, 4), .code_generation = F(8024, 8),
	    .asyncio_tasks_head = F(17304, 8),
	  },
	  .lock = {
	    .locked = F(24, 4), .holder = F(16, 8), .enabled = F(0, 4),
	  },
	  .thread = {
	    .size = 248, .prev = F(0, 8), .next = F(8, 8), .interp = F(16, 8),
	    .current_frame = F(72, 8), .thread_id = F(152, 8), .native_thread_id = F(160, 8),
	    .status = F(32, 4), .holds_lock = F(36, 4), .datastack_chunk = F(232, 8),
	    .datastack_top = F(240, 8), .asyncio_running_task = F(872, 8),
	    .asyncio_tasks_head = F(880, 8), .tlbc_index = F(19128, 4),
	  },
	  .frame = {
	    .size = 80, .code = F(0, 8), .previous = F(8, 8), .instr = F(56, 8), .owner = F(78, 1),
	    .stackpointer = F(64, 8), .localsplus = F(80, 8), .tlbc_index = F(72, 4),
	    .locals = F(40, 8),
	  },
	  .chunk = {
	    .previous = F(0, 8), .size = F(8, 8), .top = F(16, 8), .data = 24,
	  },
	  .code = {
	    .size = 240, .type = F(24, 8), .filename = F(128, 8), .name = F(136, 8),
	    .qualname = F(144, 8), .firstlineno = F(84, 4), .linetable = F(152, 8),
	    .firsttraceable = F(208, 4), .argcount = F(68, 4), .posonlyargcount = F(72, 4),
	    .kwonlyargcount = F(76, 4), .flags = F(64, 4), .nlocals = F(96, 4),
	    .nlocalsplus = F(88, 4), .localsplusnames = F(112, 8), .localspluskinds = F(120, 8),
	    .bytecode = F(232, 1), .tlbc = F(224, 8),
	  },
	  .object = {
	    .size = 32, .type = F(24, 8),
	  },
	  .str = {
	    .ascii_data = 56, .compact_data = 72, .length = F(32, 8), .state = F(48, 4),
	    .kind_shift = 8, .compact_bit = 11, .ascii_bit = 12,
	  },
	  .bytes = {
	    .size = F(32, 8), .data = 48,
	  },
	  .tuple = {
	    .size = F(32, 8), .data = 48,
	  },
	  .list = {
	    .size = F(32, 8), .items = F(40, 8),
	  },
	  .dict = {
	    .used = F(32, 8), .keys = F(48, 8), .values = F(56, 8),
	  },
	  .dictkeys = {
	    .log2_size = F(8, 1), .log2_index_bytes = F(9, 1), .kind = F(10, 1),
	    .nentries = F(24, 8), .indices = 32,
	  },
	  .dictvalues = 8,
	  .set = {
	    .used = F(40, 8), .mask = F(48, 8), .table = F(56, 8),
	  },
	  .integer = {
	    .tag = F(32, 8), .digits = 40,
	  },
	  .float_value = F(32, 8),
	  .cell_ref = F(32, 8),
	  .module_dict = F(32, 8),
	  .type = {
	    .name = F(40, 8), .basicsize = F(48, 8), .flags = F(184, 8), .dictoffset = F(304, 8),
	    .base = F(272, 8), .cached_keys = F(896, 8), .dict = F(280, 8), .mro = F(360, 8),
	  },
	  .function = {
	    .code = F(64, 8), .qualname = F(56, 8), .name = F(48, 8),
	  },
	  .weakref_object = F(32, 8),
	  .gen = {
	    .iframe = 88, .frame_state = F(83, 1),
	  }, },

	{ .version = PYVER(3, 15),
	  .origin = "DWARF of CPython 3.15.2",
	  .lines = LINES_LOCATIONS, .instr = INSTR_CURRENT, .groups = GROUPS_SHIM,
	  .marker = MARKER_SHIM, .lock_at = LOCK_INTERP, .instance = INSTANCE_MANAGED_INLINE,
	  .owner_generator = 1, .owner_shim = 3, .tag_mask = 3, .gen_yield_from = 2, .gen_ended = 5,
	  .yield_from_slots = 2, .status_unusable = 0xc4, .managed_dict = -24,
	  .runtime = {
	    .interpreters_head = F(936, 8), .finalizing = F(912, 8),
	  },
	  .interp = {
	    .next = F(7264, 8), .id = F(7272, 8), .threads_head = F(7336, 8),
	    .threads_main = F(7352, 8), .lock = F(16, 8), .modules = F(7592, 8),
	    .gc_collecting = F(7512, 4), .code_generation = F(7944, 8),
	    .asyncio_tasks_head = F(10856, 8),
	  },
	  .lock = {
	    .locked = F(16, 4), .holder = F(8, 8),
	  },
	  .thread = {
	    .size = 272, .prev = F(0, 8), .next = F(8, 8), .interp = F(16, 8),
	    .current_frame = F(72, 8), .base_frame = F(80, 8), .thread_id = F(176, 8),
	    .native_thread_id = F(184, 8), .status = F(32, 4), .holds_lock = F(36, 4),
	    .datastack_chunk = F(256, 8), .datastack_top = F(264, 8),
	    .asyncio_running_task = F(1032, 8), .asyncio_tasks_head = F(1048, 8),
	  },
	  .frame = {
	    .size = 80, .code = F(0, 8), .previous = F(8, 8), .instr = F(56, 8), .owner = F(74, 1),
	    .stackpointer = F(64, 8), .localsplus = F(80, 8), .locals = F(40, 8),
	  },
	  .chunk = {
	    .previous = F(0, 8), .size = F(8, 8), .top = F(16, 8), .data = 24,
	  },
	  .code = {
	    .size = 216, .type = F(8, 8), .filename = F(112, 8), .name = F(120, 8),
	    .qualname = F(128, 8), .firstlineno = F(68, 4), .linetable = F(136, 8),
	    .firsttraceable = F(192, 4), .argcount = F(52, 4), .posonlyargcount = F(56, 4),
	    .kwonlyargcount = F(60, 4), .flags = F(48, 4), .nlocals = F(80, 4),
	    .nlocalsplus = F(72, 4), .localsplusnames = F(96, 8), .localspluskinds = F(104, 8),
	    .bytecode = F(208, 1),
	  },
	  .object = {
	    .size = 16, .type = F(8, 8),
	  },
	  .str = {
	    .ascii_data = 40, .compact_data = 56, .length = F(16, 8), .state = F(32, 4),
	    .kind_shift = 2, .compact_bit = 5, .ascii_bit = 6,
	  },
	  .bytes = {
	    .size = F(16, 8), .data = 32,
	  },
	  .tuple = {
	    .size = F(16, 8), .data = 32,
	  },
	  .list = {
	    .size = F(16, 8), .items = F(24, 8),
	  },
	  .dict = {
	    .used = F(16, 8), .keys = F(32, 8), .values = F(40, 8),
	  },
	  .dictkeys = {
	    .log2_size = F(8, 1), .log2_index_bytes = F(9, 1), .kind = F(10, 1),
	    .nentries = F(24, 8), .indices = 32,
	  },
	  .dictvalues = 8,
	  .set = {
	    .used = F(24, 8), .mask = F(32, 8), .table = F(40, 8),
	  },
	  .integer = {
	    .tag = F(16, 8), .digits = 24,
	  },
	  .float_value = F(16, 8),
	  .cell_ref = F(16, 8),
	  .module_dict = F(16, 8),
	  .type = {
	    .name = F(24, 8), .basicsize = F(32, 8), .flags = F(168, 8), .dictoffset = F(288, 8),
	    .base = F(256, 8), .cached_keys = F(888, 8), .dict = F(264, 8), .mro = F(344, 8),
	  },
	  .function = {
	    .code = F(48, 8), .qualname = F(40, 8), .name = F(32, 8),
	  },
	  .weakref_object = F(16, 8),
	  .gen = {
	    .iframe = 72, .frame_state = F(67, 1),
	  }, },

	{ .version = PYVER(3, 15),
	  .origin = "headers of CPython 3.15.2 with Py_GIL_DISABLED",
	  .free_threaded = true,
	  .lines = LINES_LOCATIONS, .instr = INSTR_CURRENT, .groups = GROUPS_SHIM,
	  .marker = MARKER_SHIM, .lock_at = LOCK_INTERP, .instance = INSTANCE_MANAGED_INLINE,
	  .owner_generator = 1, .owner_shim = 3, .tag_mask = 3, .gen_yield_from = 2, .gen_ended = 5,
	  .yield_from_slots = 2, .status_unusable = 0xc4, .managed_dict = -8,
	  .runtime = {
	    .interpreters_head = F(936, 8), .finalizing = F(912, 8),
	  },
	  .interp = {
	    .next = F(7264, 8), .id = F(7272, 8), .threads_head = F(7336, 8),
	    .threads_main = F(7352, 8), .lock = F(16, 8), .modules = F(7592, 8),
	    .gc_collecting = F(7512, 4), .code_generation = F(7952, 8),
	    .asyncio_tasks_head = F(17256, 8),
	  },
	  .lock = {
	    .locked = F(24, 4), .holder = F(16, 8), .enabled = F(0, 4),
	  },
	  .thread = {
	    .size = 272, .prev = F(0, 8), .next = F(8, 8), .interp = F(16, 8),
	    .current_frame = F(72, 8), .base_frame = F(80, 8), .thread_id = F(176, 8),
	    .native_thread_id = F(184, 8), .status = F(32, 4), .holds_lock = F(36, 4),
	    .datastack_chunk = F(256, 8), .datastack_top = F(264, 8),
	    .asyncio_running_task = F(1032, 8), .asyncio_tasks_head = F(1048, 8),
	    .tlbc_index = F(19328, 4),
	  },
	  .frame = {
	    .size = 80, .code = F(0, 8), .previous = F(8, 8), .instr = F(56, 8), .owner = F(78, 1),
	    .stackpointer = F(64, 8), .localsplus = F(80, 8), .tlbc_index = F(72, 4),
	    .locals = F(40, 8),
	  },
	  .chunk = {
	    .previous = F(0, 8), .size = F(8, 8), .top = F(16, 8), .data = 24,
	  },
	  .code = {
	    .size = 240, .type = F(24, 8), .filename = F(128, 8), .name = F(136, 8),
	    .qualname = F(144, 8), .firstlineno = F(84, 4), .linetable = F(152, 8),
	    .firsttraceable = F(208, 4), .argcount = F(68, 4), .posonlyargcount = F(72, 4),
	    .kwonlyargcount = F(76, 4), .flags = F(64, 4), .nlocals = F(96, 4),
	    .nlocalsplus = F(88, 4), .localsplusnames = F(112, 8), .localspluskinds = F(120, 8),
	    .bytecode = F(232, 1), .tlbc = F(224, 8),
	  },
	  .object = {
	    .size = 32, .type = F(24, 8),
	  },
	  .str = {
	    .ascii_data = 56, .compact_data = 72, .length = F(32, 8), .state = F(48, 4),
	    .kind_shift = 8, .compact_bit = 11, .ascii_bit = 12,
	  },
	  .bytes = {
	    .size = F(32, 8), .data = 48,
	  },
	  .tuple = {
	    .size = F(32, 8), .data = 48,
	  },
	  .list = {
	    .size = F(32, 8), .items = F(40, 8),
	  },
	  .dict = {
	    .used = F(32, 8), .keys = F(48, 8), .values = F(56, 8),
	  },
	  .dictkeys = {
	    .log2_size = F(8, 1), .log2_index_bytes = F(9, 1), .kind = F(10, 1),
	    .nentries = F(24, 8), .indices = 32,
	  },
	  .dictvalues = 8,
	  .set = {
	    .used = F(40, 8), .mask = F(48, 8), .table = F(56, 8),
	  },
	  .integer = {
	    .tag = F(32, 8), .digits = 40,
	  },
	  .float_value = F(32, 8),
	  .cell_ref = F(32, 8),
	  .module_dict = F(32, 8),
	  .type = {
	    .name = F(40, 8), .basicsize = F(48, 8), .flags = F(184, 8), .dictoffset = F(304, 8),
	    .base = F(272, 8), .cached_keys = F(904, 8), .dict = F(280, 8), .mro = F(360, 8),
	  },
	  .function = {
	    .code = F(64, 8), .qualname = F(56, 8), .name = F(48, 8),
	  },
	  .weakref_object = F(32, 8),
	  .gen = {
	    .iframe = 88, .frame_state = F(83, 1),
	  }, },
};
const unsigned py_n_layouts = sizeof(py_layouts) / sizeof(py_layouts[0]);

static const struct py_told told_3_13[] = {
	FIELD_AT(runtime.interpreters_head, 40, 0, 0, 24),
	FIELD_AT(runtime.finalizing, 32, 0, 0, 24),
	FIELD_AT(interp.next, 64, 0, 0, 48),
	FIELD_AT(interp.id, 56, 0, 0, 48),
	FIELD_AT(interp.threads_head, 72, 0, 0, 48),
	FIELD_AT(interp.lock, 112, 0, 0, 48),
	FIELD_AT(interp.modules, 88, 0, 0, 48),
	FIELD_AT(interp.gc_collecting, 80, 576, 0, 48),
	FIELD_AT(lock.locked, 136, 0, 120, 48),
	FIELD_AT(lock.holder, 144, 0, 120, 48),
	FIELD_AT(lock.enabled, 128, 0, 0, 48),
	FIELD_AT(thread.prev, 160, 0, 0, 152),
	FIELD_AT(thread.next, 168, 0, 0, 152),
	FIELD_AT(thread.interp, 176, 0, 0, 152),
	FIELD_AT(thread.current_frame, 184, 0, 0, 152),
	FIELD_AT(thread.thread_id, 192, 0, 0, 152),
	FIELD_AT(thread.native_thread_id, 200, 0, 0, 152),
	FIELD_AT(thread.status, 216, 0, 0, 152),
	FIELD_AT(thread.datastack_chunk, 208, 0, 0, 152),
	FIELD_AT(frame.code, 240, 0, 0, 224),
	FIELD_AT(frame.previous, 232, 0, 0, 224),
	FIELD_AT(frame.instr, 248, 0, 0, 224),
	FIELD_AT(frame.owner, 264, 0, 0, 224),
	FIELD_AT(frame.localsplus, 256, 0, 0, 224),
	FIELD_AT(code.filename, 280, 0, 0, 272),
	FIELD_AT(code.name, 288, 0, 0, 272),
	FIELD_AT(code.qualname, 296, 0, 0, 272),
	FIELD_AT(code.linetable, 304, 0, 0, 272),
	FIELD_AT(code.firstlineno, 312, 0, 0, 272),
	FIELD_AT(code.argcount, 320, 0, 0, 272),
	FIELD_AT(code.localsplusnames, 328, 0, 0, 272),
	FIELD_AT(code.localspluskinds, 336, 0, 0, 272),
	FIELD_AT(code.bytecode, 344, 0, 0, 272),
	FIELD_AT(object.type, 360, 0, 0, 352),
	FIELD_AT(code.type, 360, 0, 0, 352),
	NUMBER_AT(str.ascii_data, 560, 0, 0, 536),
	FIELD_AT(str.length, 552, 0, 0, 536),
	FIELD_AT(str.state, 544, 0, 0, 536),
	FIELD_AT(bytes.size, 520, 0, 0, 512),
	NUMBER_AT(bytes.data, 528, 0, 0, 512),
	FIELD_AT(tuple.size, 416, 0, 0, 400),
	NUMBER_AT(tuple.data, 408, 0, 0, 400),
	FIELD_AT(list.size, 440, 0, 0, 424),
	FIELD_AT(list.items, 432, 0, 0, 424),
	FIELD_AT(dict.keys, 456, 0, 0, 448),
	FIELD_AT(dict.values, 464, 0, 0, 448),
	FIELD_AT(integer.tag, 496, 0, 0, 488),
	NUMBER_AT(integer.digits, 504, 0, 0, 488),
	FIELD_AT(float_value, 480, 0, 0, 472),
	FIELD_AT(type.name, 376, 0, 0, 368),
	FIELD_AT(type.flags, 392, 0, 0, 368),
};

static const struct py_told told_3_14[] = {
	FIELD_AT(runtime.interpreters_head, 40, 0, 0, 24),
	FIELD_AT(runtime.finalizing, 32, 0, 0, 24),
	FIELD_AT(interp.next, 64, 0, 0, 48),
	FIELD_AT(interp.id, 56, 0, 0, 48),
	FIELD_AT(interp.threads_head, 72, 0, 0, 48),
	FIELD_AT(interp.threads_main, 80, 0, 0, 48),
	FIELD_AT(interp.lock, 120, 0, 0, 48),
	FIELD_AT(interp.modules, 96, 0, 0, 48),
	FIELD_AT(interp.gc_collecting, 88, 656, 0, 48),
	FIELD_AT(interp.code_generation, 160, 0, 0, 48),
	FIELD_AT(lock.locked, 144, 0, 128, 48),
	FIELD_AT(lock.holder, 152, 0, 128, 48),
	FIELD_AT(lock.enabled, 136, 0, 0, 48),
	FIELD_AT(thread.prev, 184, 0, 0, 176),
	FIELD_AT(thread.next, 192, 0, 0, 176),
	FIELD_AT(thread.interp, 200, 0, 0, 176),
	FIELD_AT(thread.current_frame, 208, 0, 0, 176),
	FIELD_AT(thread.thread_id, 216, 0, 0, 176),
	FIELD_AT(thread.native_thread_id, 224, 0, 0, 176),
	FIELD_AT(thread.status, 240, 0, 0, 176),
	FIELD_AT(thread.datastack_chunk, 232, 0, 0, 176),
	FIELD_AT(frame.code, 264, 0, 0, 248),
	FIELD_AT(frame.previous, 256, 0, 0, 248),
	FIELD_AT(frame.instr, 272, 0, 0, 248),
	FIELD_AT(frame.owner, 288, 0, 0, 248),
	FIELD_AT(frame.stackpointer, 296, 0, 0, 248),
	FIELD_AT(frame.localsplus, 280, 0, 0, 248),
	FIELD_AT(frame.tlbc_index, 304, 0, 0, 248),
	FIELD_AT(code.filename, 320, 0, 0, 312),
	FIELD_AT(code.name, 328, 0, 0, 312),
	FIELD_AT(code.qualname, 336, 0, 0, 312),
	FIELD_AT(code.linetable, 344, 0, 0, 312),
	FIELD_AT(code.firstlineno, 352, 0, 0, 312),
	FIELD_AT(code.argcount, 360, 0, 0, 312),
	FIELD_AT(code.localsplusnames, 368, 0, 0, 312),
	FIELD_AT(code.localspluskinds, 376, 0, 0, 312),
	FIELD_AT(code.bytecode, 384, 0, 0, 312),
	FIELD_AT(code.tlbc, 392, 0, 0, 312),
	FIELD_AT(object.type, 408, 0, 0, 400),
	FIELD_AT(code.type, 408, 0, 0, 400),
	NUMBER_AT(str.ascii_data, 640, 0, 0, 616),
	FIELD_AT(str.length, 632, 0, 0, 616),
	FIELD_AT(str.state, 624, 0, 0, 616),
	FIELD_AT(bytes.size, 600, 0, 0, 592),
	NUMBER_AT(bytes.data, 608, 0, 0, 592),
	FIELD_AT(tuple.size, 464, 0, 0, 448),
	NUMBER_AT(tuple.data, 456, 0, 0, 448),
	FIELD_AT(list.size, 488, 0, 0, 472),
	FIELD_AT(list.items, 480, 0, 0, 472),
	FIELD_AT(dict.keys, 536, 0, 0, 528),
	FIELD_AT(dict.values, 544, 0, 0, 528),
	FIELD_AT(set.used, 504, 0, 0, 496),
	FIELD_AT(set.mask, 520, 0, 0, 496),
	FIELD_AT(set.table, 512, 0, 0, 496),
	FIELD_AT(integer.tag, 576, 0, 0, 568),
	NUMBER_AT(integer.digits, 584, 0, 0, 568),
	FIELD_AT(float_value, 560, 0, 0, 552),
	FIELD_AT(type.name, 424, 0, 0, 416),
	FIELD_AT(type.flags, 440, 0, 0, 416),
	NUMBER_AT(gen.iframe, 680, 0, 0, 664),
	FIELD_AT(gen.frame_state, 688, 0, 0, 664),
};

static const struct py_told told_3_15[] = {
	FIELD_AT(runtime.interpreters_head, 40, 0, 0, 24),
	FIELD_AT(runtime.finalizing, 32, 0, 0, 24),
	FIELD_AT(interp.next, 64, 0, 0, 48),
	FIELD_AT(interp.id, 56, 0, 0, 48),
	FIELD_AT(interp.threads_head, 72, 0, 0, 48),
	FIELD_AT(interp.threads_main, 80, 0, 0, 48),
	FIELD_AT(interp.lock, 120, 0, 0, 48),
	FIELD_AT(interp.modules, 96, 0, 0, 48),
	FIELD_AT(interp.gc_collecting, 88, 760, 0, 48),
	FIELD_AT(interp.code_generation, 160, 0, 0, 48),
	FIELD_AT(lock.locked, 144, 0, 128, 48),
	FIELD_AT(lock.holder, 152, 0, 128, 48),
	FIELD_AT(lock.enabled, 136, 0, 0, 48),
	FIELD_AT(thread.prev, 184, 0, 0, 176),
	FIELD_AT(thread.next, 192, 0, 0, 176),
	FIELD_AT(thread.interp, 200, 0, 0, 176),
	FIELD_AT(thread.current_frame, 208, 0, 0, 176),
	FIELD_AT(thread.base_frame, 216, 0, 0, 176),
	FIELD_AT(thread.thread_id, 240, 0, 0, 176),
	FIELD_AT(thread.native_thread_id, 248, 0, 0, 176),
	FIELD_AT(thread.status, 264, 0, 0, 176),
	FIELD_AT(thread.holds_lock, 272, 0, 0, 176),
	FIELD_AT(thread.datastack_chunk, 256, 0, 0, 176),
	FIELD_AT(frame.code, 328, 0, 0, 312),
	FIELD_AT(frame.previous, 320, 0, 0, 312),
	FIELD_AT(frame.instr, 336, 0, 0, 312),
	FIELD_AT(frame.owner, 352, 0, 0, 312),
	FIELD_AT(frame.stackpointer, 360, 0, 0, 312),
	FIELD_AT(frame.localsplus, 344, 0, 0, 312),
	FIELD_AT(frame.tlbc_index, 368, 0, 0, 312),
	FIELD_AT(code.filename, 384, 0, 0, 376),
	FIELD_AT(code.name, 392, 0, 0, 376),
	FIELD_AT(code.qualname, 400, 0, 0, 376),
	FIELD_AT(code.linetable, 408, 0, 0, 376),
	FIELD_AT(code.firstlineno, 416, 0, 0, 376),
	FIELD_AT(code.argcount, 424, 0, 0, 376),
	FIELD_AT(code.localsplusnames, 432, 0, 0, 376),
	FIELD_AT(code.localspluskinds, 440, 0, 0, 376),
	FIELD_AT(code.bytecode, 448, 0, 0, 376),
	FIELD_AT(code.tlbc, 456, 0, 0, 376),
	FIELD_AT(object.type, 472, 0, 0, 464),
	FIELD_AT(code.type, 472, 0, 0, 464),
	NUMBER_AT(str.ascii_data, 736, 0, 0, 712),
	NUMBER_AT(str.compact_data, 744, 0, 0, 712),
	FIELD_AT(str.length, 728, 0, 0, 712),
	FIELD_AT(str.state, 720, 0, 0, 712),
	FIELD_AT(bytes.size, 696, 0, 0, 688),
	NUMBER_AT(bytes.data, 704, 0, 0, 688),
	FIELD_AT(tuple.size, 560, 0, 0, 544),
	NUMBER_AT(tuple.data, 552, 0, 0, 544),
	FIELD_AT(list.size, 584, 0, 0, 568),
	FIELD_AT(list.items, 576, 0, 0, 568),
	FIELD_AT(dict.keys, 632, 0, 0, 624),
	FIELD_AT(dict.values, 640, 0, 0, 624),
	FIELD_AT(set.used, 600, 0, 0, 592),
	FIELD_AT(set.mask, 616, 0, 0, 592),
	FIELD_AT(set.table, 608, 0, 0, 592),
	FIELD_AT(integer.tag, 672, 0, 0, 664),
	NUMBER_AT(integer.digits, 680, 0, 0, 664),
	FIELD_AT(float_value, 656, 0, 0, 648),
	FIELD_AT(type.name, 488, 0, 0, 480),
	FIELD_AT(type.basicsize, 512, 0, 0, 480),
	FIELD_AT(type.flags, 504, 0, 0, 480),
	FIELD_AT(type.dictoffset, 520, 0, 0, 480),
	FIELD_AT(type.cached_keys, 536, 0, 0, 528),
	NUMBER_AT(gen.iframe, 808, 0, 0, 792),
	FIELD_AT(gen.frame_state, 816, 0, 0, 792),
};

const struct py_self_description py_self_descriptions[] = {
	{ PYVER(3, 13), 584, told_3_13, sizeof(told_3_13) / sizeof(told_3_13[0]) },
	{ PYVER(3, 14), 760, told_3_14, sizeof(told_3_14) / sizeof(told_3_14[0]) },
	{ PYVER(3, 15), 888, told_3_15, sizeof(told_3_15) / sizeof(told_3_15[0]) },
};
const unsigned py_n_self_descriptions =
	sizeof(py_self_descriptions) / sizeof(py_self_descriptions[0]);
