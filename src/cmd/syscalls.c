/* SPDX-License-Identifier: Apache-2.0 */
#include "syscalls.h"

#include <sys/syscall.h>

#include <csample/mem.h>

static const char *const names[] = {
#include "syscall-names.inc"
};

const char *syscall_name(int number)
{
	return number >= 0 && (size_t)number < ARRAY_SIZE(names) ? names[number] : NULL;
}
