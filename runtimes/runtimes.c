/* SPDX-License-Identifier: Apache-2.0 */
#include <csample/runtime.h>

extern const struct runtime_ops cpython_ops, node_ops;

const struct runtime_ops *const all_runtimes[] = {&cpython_ops, &node_ops, NULL};
