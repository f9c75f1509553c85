#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes runtimes/cpython/layouts.c: the rows of CPython's releases, from debug information.

gen-cpython-layout.py SOURCE... > runtimes/cpython/layouts.c

A SOURCE is one of
  3.12.1=FILE              an interpreter, libpython or its detached debug file, with DWARF
  3.14.10t=FOLDER          the include folder of that release (…/include/python3.14): a probe is
                           compiled against its internal headers, with Py_GIL_DISABLED for a 't'
Needs gdb, which reads the DWARF; a probe needs cc. Only what DWARF cannot tell stands in BY_RELEASE;
the rest is found by the names of structs and members, so that a new release is mostly one more
argument.
"""
import json
import os
import subprocess
import sys
import tempfile

# What the code does with the fields; from the sources of each release.
BY_RELEASE = {
    # release: lines, instr, groups, marker, lock_at, instance
    (3, 6): "LNOTAB LASTI_BYTES EACH NONE CURRENT DICTOFFSET",
    (3, 7): "LNOTAB LASTI_BYTES EACH NONE RUNTIME DICTOFFSET",
    (3, 8): "LNOTAB LASTI_BYTES EACH NONE RUNTIME DICTOFFSET",
    (3, 9): "LNOTAB LASTI_BYTES EACH NONE RUNTIME DICTOFFSET",
    (3, 10): "PAIRS LASTI_UNITS EACH CFRAME RUNTIME DICTOFFSET",
    (3, 11): "LOCATIONS PREV IS_ENTRY CFRAME RUNTIME MANAGED_PAIR",
    (3, 12): "LOCATIONS PREV SHIM SHIM INTERP MANAGED_TAG",
    (3, 13): "LOCATIONS CURRENT SHIM SHIM INTERP MANAGED_INLINE",
}
# Low bits of a _PyStackRef that are no address; where a suspended frame keeps what it awaits.
TAG_MASK = {(3, 14): 3}
YIELD_FROM_SLOTS = {(3, 14): 1, (3, 15): 2}

# Members of struct py_layout, each with the names it had, oldest last. "sizeof T" is a size; a
# trailing "?" marks what may be missing from releases that have the struct.
FIELDS = {
    "runtime": {
        "interpreters_head": "_PyRuntimeState.interpreters.head",
        "finalizing": "_PyRuntimeState._finalizing _PyRuntimeState.finalizing",
        "lock_locked": "_PyRuntimeState.ceval.gil.locked",
        "lock_holder": "_PyRuntimeState.ceval.gil.last_holder",
        "tstate_current": "_PyRuntimeState.gilstate.tstate_current",
    },
    "interp": {
        "next": "PyInterpreterState.next",
        "id": "PyInterpreterState.id",
        "threads_head": "PyInterpreterState.threads.head PyInterpreterState.tstate_head",
        "threads_main": "PyInterpreterState.threads.main",
        "lock": "PyInterpreterState.ceval.gil",
        "modules": "PyInterpreterState.imports.modules PyInterpreterState.modules",
        "gc_collecting": "PyInterpreterState.gc.collecting",
        "code_generation": "PyInterpreterState._code_object_generation",
        "asyncio_tasks_head": "PyInterpreterState.asyncio_tasks_head",
    },
    "lock": {
        "locked": "_gil_runtime_state.locked",
        "holder": "_gil_runtime_state.last_holder",
        "enabled": "_gil_runtime_state.enabled",
    },
    "thread": {
        "prev": "PyThreadState.prev",
        "next": "PyThreadState.next",
        "interp": "PyThreadState.interp",
        "frame": "PyThreadState.frame",
        "cframe": "PyThreadState.cframe",
        "root_cframe": "PyThreadState.root_cframe",
        "current_frame": "PyThreadState.current_frame",
        "base_frame": "PyThreadState.base_frame",
        "thread_id": "PyThreadState.thread_id",
        "native_thread_id": "PyThreadState.native_thread_id",
        "status": "PyThreadState._status",
        "initialized": "PyThreadState._initialized",
        "holds_lock": "PyThreadState.holds_gil",
        "datastack_chunk": "PyThreadState.datastack_chunk",
        "datastack_top": "PyThreadState.datastack_top",
        "asyncio_running_task": "_PyThreadStateImpl.asyncio_running_task",
        "asyncio_tasks_head": "_PyThreadStateImpl.asyncio_tasks_head",
        "tlbc_index": "_PyThreadStateImpl.tlbc_index",
    },
    "cframe": {
        "current_frame": "_PyCFrame.current_frame",
        "previous": "_PyCFrame.previous CFrame.previous",
    },
    "frame": {
        "code": "_PyInterpreterFrame.f_executable _PyInterpreterFrame.f_code PyFrameObject.f_code",
        "previous": "_PyInterpreterFrame.previous PyFrameObject.f_back",
        "instr": "_PyInterpreterFrame.instr_ptr _PyInterpreterFrame.prev_instr PyFrameObject.f_lasti",
        "owner": "_PyInterpreterFrame.owner",
        "is_entry": "_PyInterpreterFrame.is_entry",
        "stackpointer": "_PyInterpreterFrame.stackpointer _PyInterpreterFrame.stacktop "
                        "PyFrameObject.f_stackdepth PyFrameObject.f_stacktop",
        "localsplus": "_PyInterpreterFrame.localsplus PyFrameObject.f_localsplus",
        "tlbc_index": "_PyInterpreterFrame.tlbc_index",
        "locals": "_PyInterpreterFrame.f_locals PyFrameObject.f_locals",
    },
    "chunk": {
        "previous": "_PyStackChunk.previous",
        "size": "_PyStackChunk.size",
        "top": "_PyStackChunk.top",
        "data": "@_PyStackChunk.data",
    },
    "code": {
        "type": "PyObject.ob_type",
        "filename": "PyCodeObject.co_filename",
        "name": "PyCodeObject.co_name",
        "qualname": "PyCodeObject.co_qualname",
        "firstlineno": "PyCodeObject.co_firstlineno",
        "linetable": "PyCodeObject.co_linetable PyCodeObject.co_lnotab",
        "firsttraceable": "PyCodeObject._co_firsttraceable",
        "argcount": "PyCodeObject.co_argcount",
        "posonlyargcount": "PyCodeObject.co_posonlyargcount",
        "kwonlyargcount": "PyCodeObject.co_kwonlyargcount",
        "flags": "PyCodeObject.co_flags",
        "nlocals": "PyCodeObject.co_nlocals",
        "nlocalsplus": "PyCodeObject.co_nlocalsplus",
        "localsplusnames": "PyCodeObject.co_localsplusnames",
        "localspluskinds": "PyCodeObject.co_localspluskinds",
        "varnames": "PyCodeObject.co_varnames",
        "cellvars": "PyCodeObject.co_cellvars",
        "freevars": "PyCodeObject.co_freevars",
        "bytecode": "PyCodeObject.co_code_adaptive PyCodeObject.co_code",
        "tlbc": "PyCodeObject.co_tlbc",
    },
    "object": {"type": "PyObject.ob_type"},
    "str": {
        "ascii_data": "sizeof PyASCIIObject",
        "compact_data": "sizeof PyCompactUnicodeObject",
        "length": "PyASCIIObject.length",
        "state": "PyASCIIObject.state",
    },
    "bytes": {"size": "PyVarObject.ob_size", "data": "@PyBytesObject.ob_sval"},
    "tuple": {"size": "PyVarObject.ob_size", "data": "@PyTupleObject.ob_item"},
    "list": {"size": "PyVarObject.ob_size", "items": "PyListObject.ob_item"},
    "dict": {
        "used": "PyDictObject.ma_used",
        "keys": "PyDictObject.ma_keys",
        "values": "PyDictObject.ma_values",
    },
    "dictkeys": {
        "size": "PyDictKeysObject.dk_size",
        "log2_size": "PyDictKeysObject.dk_log2_size",
        "log2_index_bytes": "PyDictKeysObject.dk_log2_index_bytes",
        "kind": "PyDictKeysObject.dk_kind",
        "nentries": "PyDictKeysObject.dk_nentries",
        "indices": "@PyDictKeysObject.dk_indices",
    },
    "dictvalues": "@PyDictValues.values",
    "set": {
        "used": "PySetObject.used",
        "mask": "PySetObject.mask",
        "table": "PySetObject.table",
    },
    "integer": {
        "tag": "PyLongObject.long_value.lv_tag",
        "size": "PyVarObject.ob_size",
        "digits": "@PyLongObject.long_value.ob_digit @PyLongObject.ob_digit",
    },
    "float_value": "PyFloatObject.ob_fval",
    "cell_ref": "PyCellObject.ob_ref",
    "module_dict": "PyModuleObject.md_dict",
    "type": {
        "name": "PyTypeObject.tp_name",
        "basicsize": "PyTypeObject.tp_basicsize",
        "flags": "PyTypeObject.tp_flags",
        "dictoffset": "PyTypeObject.tp_dictoffset",
        "base": "PyTypeObject.tp_base",
        "cached_keys": "PyHeapTypeObject.ht_cached_keys",
        "dict": "PyTypeObject.tp_dict",
        "mro": "PyTypeObject.tp_mro",
    },
    "function": {
        "code": "PyFunctionObject.func_code",
        "qualname": "PyFunctionObject.func_qualname",
        "name": "PyFunctionObject.func_name",
    },
    "weakref_object": "PyWeakReference.wr_object",
    "gen": {
        "iframe": "@PyGenObject.gi_iframe @PyGenObject.gi_frame",
        "frame_state": "PyGenObject.gi_frame_state",
    },
}
# Structs that are copied whole; these members may lie behind what the copy holds.
SIZED = {
    "thread": ("asyncio_running_task", "asyncio_tasks_head", "tlbc_index"),
    "cframe": (),
    "frame": ("localsplus",),
    "code": (),
    "object": (),
}
BITFIELD_BITS = ("unbound", "cleared", "finalized")

# Names of _Py_DebugOffsets whose values are taken, and what they are in struct py_layout. A value
# with "-" is relative to another, one with "+" comes in two parts.
TOLD = {
    "runtime.interpreters_head": "runtime_state.interpreters_head",
    "runtime.finalizing": "runtime_state.finalizing",
    "interp.next": "interpreter_state.next",
    "interp.id": "interpreter_state.id",
    "interp.threads_head": "interpreter_state.threads_head",
    "interp.threads_main": "interpreter_state.threads_main",
    "interp.lock": "interpreter_state.ceval_gil",
    "interp.modules": "interpreter_state.imports_modules",
    "interp.gc_collecting": "interpreter_state.gc+gc.collecting",
    "interp.code_generation": "interpreter_state.code_object_generation",
    "lock.locked": "interpreter_state.gil_runtime_state_locked-interpreter_state.gil_runtime_state",
    "lock.holder": "interpreter_state.gil_runtime_state_holder-interpreter_state.gil_runtime_state",
    # Alone of its kind relative to the lock itself; only free-threaded builds tell it.
    "lock.enabled": "interpreter_state.gil_runtime_state_enabled",
    "thread.prev": "thread_state.prev",
    "thread.next": "thread_state.next",
    "thread.interp": "thread_state.interp",
    "thread.current_frame": "thread_state.current_frame",
    "thread.base_frame": "thread_state.base_frame",
    "thread.thread_id": "thread_state.thread_id",
    "thread.native_thread_id": "thread_state.native_thread_id",
    "thread.status": "thread_state.status",
    "thread.holds_lock": "thread_state.holds_gil",
    "thread.datastack_chunk": "thread_state.datastack_chunk",
    "frame.code": "interpreter_frame.executable",
    "frame.previous": "interpreter_frame.previous",
    "frame.instr": "interpreter_frame.instr_ptr",
    "frame.owner": "interpreter_frame.owner",
    "frame.stackpointer": "interpreter_frame.stackpointer",
    "frame.localsplus": "interpreter_frame.localsplus",
    "frame.tlbc_index": "interpreter_frame.tlbc_index",
    "code.filename": "code_object.filename",
    "code.name": "code_object.name",
    "code.qualname": "code_object.qualname",
    "code.linetable": "code_object.linetable",
    "code.firstlineno": "code_object.firstlineno",
    "code.argcount": "code_object.argcount",
    "code.localsplusnames": "code_object.localsplusnames",
    "code.localspluskinds": "code_object.localspluskinds",
    "code.bytecode": "code_object.co_code_adaptive",
    "code.tlbc": "code_object.co_tlbc",
    "object.type": "pyobject.ob_type",
    "code.type": "pyobject.ob_type",
    "str.ascii_data": "unicode_object.asciiobject_size",
    "str.compact_data": "unicode_object.compactunicodeobject_size",
    "str.length": "unicode_object.length",
    "str.state": "unicode_object.state",
    "bytes.size": "bytes_object.ob_size",
    "bytes.data": "bytes_object.ob_sval",
    "tuple.size": "tuple_object.ob_size",
    "tuple.data": "tuple_object.ob_item",
    "list.size": "list_object.ob_size",
    "list.items": "list_object.ob_item",
    "dict.keys": "dict_object.ma_keys",
    "dict.values": "dict_object.ma_values",
    "set.used": "set_object.used",
    "set.mask": "set_object.mask",
    "set.table": "set_object.table",
    "integer.tag": "long_object.lv_tag",
    "integer.digits": "long_object.ob_digit",
    "float_value": "float_object.ob_fval",
    "type.name": "type_object.tp_name",
    "type.basicsize": "type_object.tp_basicsize",
    "type.flags": "type_object.tp_flags",
    "type.dictoffset": "type_object.tp_dictoffset",
    "type.cached_keys": "heap_type_object.ht_cached_keys",
    "gen.iframe": "gen_object.gi_iframe",
    "gen.frame_state": "gen_object.gi_frame_state",
}

# Old names of types.
TYPE_NAMES = {"CFrame": ("CFrame", "struct _cframe"), "_PyCFrame": ("_PyCFrame",),
              "PyDictValues": ("PyDictValues", "struct _dictvalues"),
              "PyInterpreterState": ("struct _is",), "PyThreadState": ("struct _ts",),
              "PyDictKeysObject": ("struct _dictkeysobject",), "PyLongObject": ("struct _longobject",),
              "_PyStackChunk": ("struct _stack_chunk",), "PyHeapTypeObject": ("struct _heaptypeobject",),
              "PyTypeObject": ("struct _typeobject",), "PyFrameObject": ("struct _frame",),
              "_gil_runtime_state": ("struct _gil_runtime_state",),
              "_Py_DebugOffsets": ("struct _Py_DebugOffsets", "_Py_DebugOffsets"),
              "_PyRuntimeState": ("struct pyruntimestate",),
              "PyWeakReference": ("struct _PyWeakReference",),
              "_PyThreadStateImpl": ("struct _PyThreadStateImpl",),
              "_PyInterpreterFrame": ("struct _PyInterpreterFrame",)}
ENUMS = ("FRAME_SUSPENDED_YIELD_FROM", "FRAME_OWNED_BY_GENERATOR", "FRAME_OWNED_BY_INTERPRETER",
         "FRAME_OWNED_BY_CSTACK", "FRAME_OWNED_BY_THREAD", "FRAME_COMPLETED", "FRAME_CLEARED")


# -- within gdb -----------------------------------------------------------------------------------

def read_types(gdb):
    """What FIELDS asks for, from the program that gdb has open: name -> [bit offset, bits]."""
    def struct(name):
        for candidate in TYPE_NAMES.get(name, (name, f"struct {name}")):
            try:
                found = gdb.lookup_type(candidate).strip_typedefs()
            except gdb.error:
                continue
            if found.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION) and found.fields():
                return found
        return None

    def member(type_, name):
        """Bit offset and field, also in unnamed structs within."""
        for field in type_.fields():
            if field.name == name:
                return field.bitpos, field
            if not field.name:
                inner = field.type.strip_typedefs()
                if inner.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
                    found = member(inner, name)
                    if found:
                        return field.bitpos + found[0], found[1]
        return None

    def resolve(path):
        names = path.split(".")
        type_, at, bits = struct(names[0]), 0, 0
        for name in names[1:]:
            found = member(type_, name) if type_ else None
            if not found:
                return None
            at += found[0]
            type_ = found[1].type.strip_typedefs()
            bits = found[1].bitsize or type_.sizeof * 8
            if type_.code not in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
                type_ = None
        return at, bits

    def told():
        """Members of _Py_DebugOffsets, two levels deep."""
        top, found = struct("_Py_DebugOffsets"), {}
        for group in top.fields() if top else ():
            inner = group.type.strip_typedefs()
            if inner.code == gdb.TYPE_CODE_STRUCT:
                for field in inner.fields():
                    found[f"{group.name}.{field.name}"] = (group.bitpos + field.bitpos) // 8
        return found, top.sizeof if top else 0

    result = {"members": {}, "sizes": {}, "enums": {}}
    for candidate in every_candidate():
        kind, path = parse_candidate(candidate)
        if kind == "sizeof":
            type_ = struct(path)
            if type_:
                result["sizes"][path] = type_.sizeof
        else:
            found = resolve(path)
            if found:
                result["members"][path] = found
    for path in ["PyASCIIObject.state." + bit for bit in ("kind", "compact", "ascii")] + \
            ["PyThreadState._status." + bit for bit in BITFIELD_BITS]:
        found = resolve(path)
        if found:
            result["members"][path] = found
    for name in ENUMS:
        try:
            result["enums"][name] = int(gdb.parse_and_eval(f"(int){name}"))
        except gdb.error:
            pass
    result["told"], result["told_size"] = told()
    return result


def parse_candidate(text):
    if text.startswith("sizeof "):
        return "sizeof", text[len("sizeof "):]
    return ("at", text[1:]) if text.startswith("@") else ("field", text)


def candidates(text):
    return [text] if text.startswith("sizeof ") else text.split()


def every_candidate():
    for value in FIELDS.values():
        for text in value.values() if isinstance(value, dict) else (value,):
            yield from candidates(text)


# -- outside --------------------------------------------------------------------------------------

PROBE = r"""
#include <Python.h>
#define Py_BUILD_CORE 1
#include <internal/pycore_runtime.h>
#include <internal/pycore_interp.h>
#include <internal/pycore_ceval.h>
#include <internal/pycore_code.h>
#include <internal/pycore_dict.h>
#include <internal/pycore_frame.h>
#include <internal/pycore_genobject.h>
#include <internal/pycore_gil.h>
#include <internal/pycore_moduleobject.h>
#include <internal/pycore_tstate.h>
#if PY_VERSION_HEX >= 0x030E0000
#include <internal/pycore_interpframe_structs.h>
#include <internal/pycore_interpframe.h>
#endif
_PyRuntimeState a; _PyThreadStateImpl b; PyGenObject c; PySetObject d; PyModuleObject e; PyCellObject f;
PyDictObject g; PyDictKeysObject *h; PyDictValues i; PyHeapTypeObject j; PyCompactUnicodeObject k;
_PyInterpreterFrame l; PyCodeObject m; PyBytesObject n; PyTupleObject o; PyListObject p; PyFloatObject q;
PyLongObject r; _PyStackChunk s; struct _gil_runtime_state t; struct _dictkeysobject u; PyFrameObject v;
PyFunctionObject x; PyWeakReference y;
int w[] = { FRAME_OWNED_BY_GENERATOR, FRAME_SUSPENDED_YIELD_FROM };
int main(void) { return 0; }
"""


def compile_probe(include, free_threaded, output):
    source = output + ".c"
    with open(source, "w", encoding="utf-8") as stream:
        stream.write(PROBE)
    command = ["cc", "-g", "-fno-eliminate-unused-debug-types", "-w", "-c", "-o", output, source,
               "-DPy_BUILD_CORE=1", f"-I{include}", f"-I{include}/internal",
               f"-I{include}/internal/mimalloc"]
    # Debian's pyconfig.h includes one in a folder of the architecture.
    parent = os.path.dirname(os.path.abspath(include))
    command += [f"-I{parent}/x86_64-linux-gnu", f"-I{parent}"]
    if free_threaded:
        command.append("-DPy_GIL_DISABLED=1")
    subprocess.run(command, check=True)


def read_source(path, free_threaded):
    with tempfile.TemporaryDirectory() as scratch:
        if os.path.isdir(path):
            probe = os.path.join(scratch, "probe.o")
            compile_probe(path, free_threaded, probe)
            path = probe
        output = os.path.join(scratch, "types.json")
        environment = dict(os.environ, LAYOUT_OUTPUT=output, DEBUGINFOD_URLS="")
        subprocess.run(["gdb", "-nx", "-q", "-batch", "-iex", "set auto-load no", path,
                        "-ex", f"source {os.path.abspath(__file__)}"],
                       check=True, env=environment, stdout=subprocess.DEVNULL)
        with open(output, encoding="utf-8") as stream:
            return json.load(stream)


def lookup(types, text):
    """The first candidate that this release has, as (kind, bytes, width)."""
    for candidate in candidates(text):
        kind, path = parse_candidate(candidate)
        if kind == "sizeof":
            if path in types["sizes"]:
                return kind, types["sizes"][path], 0
        elif path in types["members"]:
            at, bits = types["members"][path]
            return kind, at // 8, min(bits // 8, 8)  # of a list head: its first pointer
    return None


def by_release(table, version):
    known = [release for release in table if release <= version]
    return table[max(known)] if known else 0


def emit_value(found):
    kind, at, width = found
    return str(at) if kind != "field" else f"F({at}, {width})"


def emit_group(types, name, members):
    parts = []
    end = 0
    for member, text in members.items():
        found = lookup(types, text)
        if not found:
            continue
        if name == "integer" and member == "size" and lookup(types, members["tag"]):
            continue  # long objects of 3.12 have no ob_size
        if name == "gen" and member == "frame_state" and found[2] != 1:
            continue
        parts.append(f".{member} = {emit_value(found)}")
        if name in SIZED and member not in SIZED[name]:
            end = max(end, found[1] + found[2])
    if not parts:
        return None
    if name == "lock" and not lookup(types, FIELDS["interp"]["lock"]):
        return None  # of 3.7 to 3.11: it lies in _PyRuntime
    if name in SIZED:
        parts.insert(0, f".size = {(end + 7) // 8 * 8}")
    return parts


def emit_strings(types):
    bits = [types["members"]["PyASCIIObject.state." + bit][0] for bit in ("kind", "compact", "ascii")]
    base = types["members"]["PyASCIIObject.state"][0]
    return [f".{name} = {bit - base}" for name, bit in zip(("kind_shift", "compact_bit", "ascii_bit"), bits)]


def emit_constants(types, version, free_threaded):
    lines, instr, groups, marker, lock, instance = by_release(BY_RELEASE, version).split()
    enums = types["enums"]
    unusable = 0
    for bit in BITFIELD_BITS:
        path = "PyThreadState._status." + bit
        if path in types["members"]:
            unusable |= 1 << types["members"][path][0] - types["members"]["PyThreadState._status"][0]
    shim = 3 if groups == "SHIM" else 0
    ended = 0 if groups == "EACH" else enums.get("FRAME_COMPLETED", enums.get("FRAME_CLEARED", 0))
    pairs = [("lines", f"LINES_{lines}"), ("instr", f"INSTR_{instr}"), ("groups", f"GROUPS_{groups}"),
             ("marker", f"MARKER_{marker}"), ("lock_at", f"LOCK_{lock}"),
             ("instance", f"INSTANCE_{instance}"),
             ("owner_generator", enums.get("FRAME_OWNED_BY_GENERATOR", 0)), ("owner_shim", shim),
             ("tag_mask", by_release(TAG_MASK, version)),
             ("gen_yield_from", enums.get("FRAME_SUSPENDED_YIELD_FROM", 0)),
             ("gen_ended", ended),
             ("yield_from_slots", by_release(YIELD_FROM_SLOTS, version)),
             ("status_unusable", f"{unusable:#x}" if unusable else 0)]
    if instance == "MANAGED_INLINE":
        pairs.append(("managed_dict", -8 if free_threaded else -24))
    return [f".{name} = {value}" for name, value in pairs if value != 0]


def wrap(parts, indent, width=100):
    lines, line = [], ""
    for part in parts:
        if line and len(indent.expandtabs(8)) + len(line) + len(part) + 2 > width:
            lines.append(line)
            line = ""
        line += (" " if line else "") + part + ","
    return [indent + line for line in lines + [line]]


def emit_row(version, free_threaded, release, origin, types):
    out = [f"\t{{ .version = PYVER({version[0]}, {version[1]}),",
           f'\t  .origin = "{origin}",']
    if free_threaded:
        out.append("\t  .free_threaded = true,")
    out += wrap(emit_constants(types, version, free_threaded), "\t  ")
    for name, members in FIELDS.items():
        if isinstance(members, dict):
            parts = emit_group(types, name, members)
            if parts and name == "str":
                parts += emit_strings(types)
            if parts:
                body = wrap(parts, "\t    ")
                out.append(f"\t  .{name} = {{")
                out += body
                out.append("\t  },")
        elif name == "dictvalues" and types["members"].get("PyDictValues.values", [0])[0] == 0:
            continue
        else:
            found = lookup(types, members)
            if found:
                out.append(f"\t  .{name} = {emit_value(found)},")
    out[-1] += " },"
    return out


def emit_told(version, types):
    """The positions in _Py_DebugOffsets of what this release tells."""
    out = [f"static const struct py_told told_{version[0]}_{version[1]}[] = {{"]
    for field, text in TOLD.items():
        plus, minus = 0, 0
        if "-" in text:
            text, other = text.split("-")
            minus = types["told"].get(other, 0)
        elif "+" in text:
            text, other = text.split("+")
            plus = types["told"].get(other, 0)
        if text not in types["told"]:
            continue
        kind = lookup(types, FIELDS[field] if field in FIELDS
                      else FIELDS[field.split(".")[0]][field.split(".")[1]])
        macro = "FIELD_AT" if kind and kind[0] == "field" else "NUMBER_AT"
        if not kind:
            continue  # a build without it
        size = types["told"].get(text.split(".")[0] + ".size", 0)
        out.append(f"\t{macro}({field}, {types['told'][text]}, {plus}, {minus}, {size}),")
    return out + ["};"]


HEAD = """/* SPDX-License-Identifier: Apache-2.0 */
/* Written by scripts/gen-cpython-layout.py, not by hand: a row for each release, oldest first, and for
 * those that describe themselves where in _Py_DebugOffsets they say what. The release's own numbers
 * then replace the row's. Free-threaded rows follow those with a lock. */
#include "layout.h"

/* clang-format off */
#define F(offset, bytes) FIELD(offset, bytes)
"""


def parse_argument(text):
    version, path = text.split("=", 1)
    free_threaded = version.endswith("t")
    release = version.rstrip("t")
    return tuple(int(n) for n in release.split(".")[:2]), free_threaded, release, path


def main(arguments):
    rows, told = [], {}
    for version, free_threaded, release, path in sorted(map(parse_argument, arguments),
                                                        key=lambda a: (a[0], a[1])):
        types = read_source(path, free_threaded)
        if os.path.isdir(path):
            origin = "headers of CPython " + release + (" with Py_GIL_DISABLED" if free_threaded else "")
        else:
            origin = "DWARF of CPython " + release
        rows += emit_row(version, free_threaded, release, origin, types) + [""]
        if types["told"] and (version not in told or free_threaded):
            told[version] = types  # of both builds: the free-threaded one has more fields
    print(HEAD)
    print("const struct py_layout py_layouts[] = {")
    print("\n".join(rows[:-1]))
    print("};")
    print("const unsigned py_n_layouts = sizeof(py_layouts) / sizeof(py_layouts[0]);\n")
    for version, types in told.items():
        print("\n".join(emit_told(version, types)) + "\n")
    print("const struct py_self_description py_self_descriptions[] = {")
    for version, types in told.items():
        name = f"told_{version[0]}_{version[1]}"
        print(f"\t{{ PYVER({version[0]}, {version[1]}), {types['told_size']}, {name}, "
              f"sizeof({name}) / sizeof({name}[0]) }},")
    print("};\nconst unsigned py_n_self_descriptions =\n"
          "\tsizeof(py_self_descriptions) / sizeof(py_self_descriptions[0]);")
    return 0


if __name__ == "__main__":
    if "LAYOUT_OUTPUT" in os.environ:
        import gdb
        with open(os.environ["LAYOUT_OUTPUT"], "w", encoding="utf-8") as sink:
            json.dump(read_types(gdb), sink)
    else:
        sys.exit(main(sys.argv[1:]) if sys.argv[1:] else __doc__)
