#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes runtimes/node/layouts.c, a row per V8 release, from a JSON file of measured constants.

    scripts/gen-node-layout.py v8-constants.json > runtimes/node/layouts.c

The file's "versions" holds, per Node release, what its binary exports (v8dbg) and what was derived
by measuring (derived). At run time the target's own exported values go before those of the row.
"""
import json
import sys


def types_of(v):
    t = {k.split("__")[1]: x for k, x in v["v8dbg"].items() if k.startswith("type_")}
    d = v["derived"]
    uncompiled = [x for k, x in t.items() if k.startswith("UNCOMPILED_DATA")]
    fixed = ("FIXED_ARRAY_TYPE", "PROTECTED_FIXED_ARRAY_TYPE", "TRUSTED_FIXED_ARRAY_TYPE")
    return {
        "nonstring": v["v8dbg"]["FirstNonstringType"],
        "function_first": d["jsfunction"]["type_first"],
        "function_last": d["jsfunction"]["type_last"],
        "shared": t["SHARED_FUNCTION_INFO_TYPE"],
        "shared_wrapper": t.get("SHARED_FUNCTION_INFO_WRAPPER_TYPE", 0),
        "scope_info": t["SCOPE_INFO_TYPE"],
        "script": t["SCRIPT_TYPE"],
        "debug_info": t["DEBUG_INFO_TYPE"],
        "bytecode_array": t["BYTECODE_ARRAY_TYPE"],
        "interpreter_data": t["INTERPRETER_DATA_TYPE"],
        "baseline_data": t.get("BASELINE_DATA_TYPE", 0),
        "uncompiled_first": min(uncompiled),
        "uncompiled_last": max(uncompiled),
        "code": t["CODE_TYPE"],
        "instructions": t.get("INSTRUCTION_STREAM_TYPE", t["CODE_TYPE"]),
        "byte_array": t["BYTE_ARRAY_TYPE"],
        "trusted_byte_array": t.get("TRUSTED_BYTE_ARRAY_TYPE", 0),
        "fixed_array": t[fixed[0]],
        "protected_fixed_array": t.get(fixed[1], 0),
        "trusted_fixed_array": t.get(fixed[2], 0),
        "weak_fixed_array": t["WEAK_FIXED_ARRAY_TYPE"],
        "protected_weak_fixed_array": t.get("PROTECTED_WEAK_FIXED_ARRAY_TYPE", 0),
        "trusted_weak_fixed_array": t.get("TRUSTED_WEAK_FIXED_ARRAY_TYPE", 0),
    }


def initializer(items):
    return ", ".join(f".{k} = {x}" for k, x in items.items() if x)


def ptr(offset):
    return "" if offset is None else f"PTR({offset})"


def i32(offset):
    return "" if offset is None else f"I32({offset})"


def row(node, v):
    d = v["derived"]
    major, minor, build, _ = v["v8"].split(".")
    code, scan, kind = d["code"], d["code_scan"], d["code_kind"]
    scope, deopt, sfi = d["scopeinfo"], d["deopt_data_index"], d["sfi"]
    zigzag = d["position_table"]["code_delta"].startswith("zigzag")
    out = [f"\t{{ .major = {major}, .minor = {minor}, .build = {build},"
           f" .origin = \"v8dbg and measurements, Node {node}, V8 {v['v8']}\",",
           f"\t  .positions = {'V8_POSITIONS_SIGNED' if zigzag else 'V8_POSITIONS_FLAGS'},"
           f" .bytecodes = sizes_{major}_{minor}, .n_bytecodes = {d['bytecode_count']},",
           f"\t  .type = {{ {initializer(types_of(v))} }},",
           f"\t  .function_shared = {ptr(d['jsfunction']['shared'])},",
           "\t  .shared = { " + initializer({
               "data": ptr(sfi["function_data"]), "untrusted": ptr(sfi["untrusted_function_data"]),
               "name": ptr(sfi["name_or_scope_info"]), "script": ptr(sfi["script_or_debug_info"])}) + " },",
           "\t  .scope = { " + initializer({
               "start": ptr(scope["position_start_smi"]), "variables": scope["first_variable_part"],
               "inline_names": scope["inlined_local_names_max"] or 0,
               "module": scope["module_scope_value"], "function": scope["function_scope_value"],
               "has_receiver": int(scope["has_receiver_slot"]),
               "module_slot": int(scope["module_extra_slot_before_names"])}) + " },",
           "\t  .bytecode = { " + initializer({
               "positions": ptr(d["bytecode_array"]["source_position_table"]),
               "first": d["bytecode_array"]["first_bytecode"]}) + " },",
           "\t  .code = { " + initializer({
               "deopt": ptr(code["deopt_or_bytecode"]),
               "positions": ptr(code["source_position_or_bytecode_offset_table"]),
               "flags": i32(code["flags_u32"]), "size": i32(code["instruction_size_u32"]),
               "start": ptr(code["instruction_start_ptr"]),
               "of_instructions": ptr((d["instruction_stream"] or {}).get("code")),
               "header": scan["header_size"], "alignment": scan["first_instruction_alignment"]}) + " },",
           "\t  .kind = { " + initializer({
               "baseline": kind["BASELINE"], "maglev": kind["MAGLEV"] or 0,
               "turboprop": kind["TURBOPROP"] or 0, "turbofan": kind["TURBOFAN"]}) + " },",
           "\t  .deopt = { " + initializer({
               "literals": deopt["literal_array"], "shared": deopt["shared_function_info"],
               "inlining": deopt["inlining_positions"],
               "wrapped": int(deopt["shared_function_info_is_wrapper"])}) + " } },"]
    return "\n".join(out)


def sizes(v):
    d = v["derived"]
    major, minor, _, _ = v["v8"].split(".")
    data = bytes.fromhex(d["bytecode_sizes_hex"])
    if len(data) != 3 * d["bytecode_count"]:
        raise SystemExit(f"V8 {v['v8']}: {len(data)} sizes of {d['bytecode_count']} bytecodes")
    lines = [f"static const uint8_t sizes_{major}_{minor}[] = {{"]
    for at in range(0, len(data), 42):
        lines.append("\t" + ",".join(str(b) for b in data[at:at + 42]) + ",")
    return "\n".join(lines + ["};"])


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        versions = json.load(f)["versions"]
    print("/* SPDX-License-Identifier: Apache-2.0 */")
    print("/* Made by scripts/gen-node-layout.py; offsets are from the untagged address of an object. */")
    print('#include "layout.h"\n\n/* clang-format off */')
    print("/* Bytes of each bytecode with its operands, for operand scales 1, 2 and 4:"
          " interpreter::Bytecodes::kBytecodeSizes. */")
    for v in versions.values():
        print(sizes(v))
    print("\n/* Oldest first. */\nconst struct v8_layout v8_layouts[] = {")
    for node, v in versions.items():
        print(row(node, v))
    print("};\n/* clang-format on */\n")
    print("const unsigned v8_n_layouts = sizeof(v8_layouts) / sizeof(v8_layouts[0]);")


if __name__ == "__main__":
    main()
