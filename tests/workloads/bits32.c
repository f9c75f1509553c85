/* SPDX-License-Identifier: Apache-2.0 */
/* A 32-bit program without a C library: gcc -m32 -nostdlib. Says "ready" and works until SIGALRM.
 */
static int call(int number, int a, int b, int c)
{
	int ret;
	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
	return ret;
}

void _start(void);
void _start(void)
{
	static const char text[] = "ready\n";
	call(27, 120, 0, 0);      /* alarm */
	call(4, 1, (int)text, 6); /* write */
	for (;;)
		__asm__ volatile("");
}
