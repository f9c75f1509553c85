/* SPDX-License-Identifier: Apache-2.0 */
/* Names of system calls, from the headers of the machine that builds. */
#ifndef CMD_SYSCALLS_H
#define CMD_SYSCALLS_H

/* NULL for a number that has none. */
const char *syscall_name(int number);

#endif
