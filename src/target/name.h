/* SPDX-License-Identifier: Apache-2.0 */
/* What people call a process, which is not always what its main thread is called. */
#ifndef TARGET_NAME_H
#define TARGET_NAME_H

#include <stddef.h>

/* comm: the main thread's name, which exec made the program's. It is the answer unless neither the
 * program's file nor the arguments know it: then the thread got it for its part in the program
 * ("MainThread" of Node.js 24), and it is the file name in argv[0], else that of exe. argv may have
 * been rewritten by the process; exe may be "". argv ends with NULL. */
void name_of_process(const char *comm, const char *exe, char *const *argv, char *buf, size_t len);

#endif
