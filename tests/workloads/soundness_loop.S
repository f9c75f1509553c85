/* SPDX-License-Identifier: Apache-2.0 */
/* See soundness_loop.h. The frame hangs on rbp, whatever rsp does. */
#define FRAME 64

	.text
	.globl soundness_loop, loop_start, loop_near, loop_far, loop_sp, loop_end
	.type soundness_loop, @function
soundness_loop:
	.cfi_startproc
	push	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	push	%rbx
	.cfi_def_cfa_offset 24
	.cfi_offset %rbx, -24
	push	%r12
	.cfi_def_cfa_offset 32
	.cfi_offset %r12, -32
	push	%r13
	.cfi_def_cfa_offset 40
	.cfi_offset %r13, -40
	sub	$FRAME, %rsp
	.cfi_def_cfa_offset (FRAME + 40)
	mov	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	mov	%rdi, %r12
	mov	88(%r12), %rbx
	mov	96(%r12), %r13
	mov	%rbx, (%rbp)
	movabs	$0x5eed50f7c0ffee11, %rax
	mov	%rax, 8(%rbp)
	mov	%r13, 16(%rbp)
	mov	%rbx, (%r13)
	mov	%ebx, %ecx
	and	$63, %ecx
	shl	$4, %ecx
	lea	-64(%rbp), %rdx
	sub	%rcx, %rdx
	mov	%rbx, (%rdx)
	mov	%rbp, 8(%rdx)
	mov	%rdx, %rsp
loop_start:
	inc	%rbx
loop_near:
	mov	%rbx, (%rbp)
loop_far:
	mov	%rbx, (%r13)
	mov	%ebx, %ecx
	and	$63, %ecx
	shl	$4, %ecx
	lea	-64(%rbp), %rdx
	sub	%rcx, %rdx
	mov	%rbx, (%rdx)
	mov	%rbp, 8(%rdx)
	mov	%rdx, %rsp
loop_sp:
	mov	64(%r12), %rcx
1:	test	%rcx, %rcx
	jz	2f
	dec	%rcx
	jmp	1b
2:	mov	(%r12), %rax
	test	%rax, %rax
	js	3f
	mov	8(%r12), %rdi
	mov	16(%r12), %rsi
	mov	24(%r12), %rdx
	syscall
3:	mov	32(%r12), %rax
	test	%rax, %rax
	js	4f
	mov	40(%r12), %rdi
	mov	48(%r12), %rsi
	mov	56(%r12), %rdx
	syscall
4:	mov	72(%r12), %rdx
	mov	%rbx, (%rdx)
	cmp	80(%r12), %rbx
	jne	loop_start
loop_end:
	lea	FRAME(%rbp), %rsp
	pop	%r13
	.cfi_restore %r13
	pop	%r12
	.cfi_restore %r12
	pop	%rbx
	.cfi_restore %rbx
	pop	%rbp
	.cfi_restore %rbp
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_endproc
	.size soundness_loop, . - soundness_loop
	.section .note.GNU-stack, "", @progbits
