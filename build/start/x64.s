# The first instructions of the executable: what the kernel does for a program that names a loader, for one that
# carries its own. Copies each library into a memfd, writes its path into the name that the loader will open,
# corrects the auxiliary vector (AT_PHDR 3, AT_PHNUM 5, AT_BASE 7, AT_ENTRY 9) and jumps to the loader.
# The table one page later is written by loader.ts: addresses are relative to `start`, a library's place is its
# offset in the file.
	.text
	.equ table, start + 0x1000
start:
	lea	start(%rip), %r12
	lea	table(%rip), %rbx
	mov	(%rsp), %rax
	lea	16(%rsp,%rax,8), %rdi
environment:
	cmpq	$0, (%rdi)
	lea	8(%rdi), %rdi
	jne	environment
auxv:
	mov	(%rdi), %rax
	test	%rax, %rax
	jz	libraries
	cmp	$3, %rax
	jne	1f
	mov	0(%rbx), %rcx
	jmp	relative
1:	cmp	$5, %rax
	jne	2f
	mov	8(%rbx), %rcx
	jmp	absolute
2:	cmp	$7, %rax
	jne	3f
	mov	16(%rbx), %rcx
	jmp	relative
3:	cmp	$9, %rax
	jne	next
	mov	24(%rbx), %rcx
relative:
	add	%r12, %rcx
absolute:
	mov	%rcx, 8(%rdi)
next:
	add	$16, %rdi
	jmp	auxv
libraries:
	# open("/proc/self/exe", O_RDONLY)
	lea	self(%rip), %rdi
	xor	%esi, %esi
	mov	$2, %eax
	syscall
	test	%eax, %eax
	js	fail
	mov	%eax, %ebp
	mov	40(%rbx), %r13
	lea	48(%rbx), %r14
library:
	test	%r13, %r13
	jz	done
	# memfd_create(name, MFD_CLOEXEC)
	mov	16(%r14), %rdi
	add	%r12, %rdi
	mov	$1, %esi
	mov	$319, %eax
	syscall
	test	%eax, %eax
	js	fail
	mov	%eax, %r15d
copy:
	# sendfile(memfd, executable, &offset, length): advances the offset, which stands in the table
	mov	%r15d, %edi
	mov	%ebp, %esi
	lea	0(%r14), %rdx
	mov	8(%r14), %r10
	mov	$40, %eax
	syscall
	test	%rax, %rax
	jle	fail
	sub	%rax, 8(%r14)
	jnz	copy
	# The name ends in slashes, "/proc/self/fd////", which the digits replace from the last one.
	mov	16(%r14), %rdi
	lea	16(%r12,%rdi), %rdi
	mov	%r15d, %eax
	mov	$10, %ecx
digit:
	xor	%edx, %edx
	div	%ecx
	add	$48, %dl
	mov	%dl, (%rdi)
	dec	%rdi
	test	%eax, %eax
	jnz	digit
	add	$24, %r14
	dec	%r13
	jmp	library
done:
	# close
	mov	%ebp, %edi
	mov	$3, %eax
	syscall
	mov	32(%rbx), %rax
	add	%r12, %rax
	xor	%edx, %edx
	jmp	*%rax
fail:
	mov	$2, %edi
	lea	message(%rip), %rsi
	mov	$length, %edx
	mov	$1, %eax
	syscall
	mov	$127, %edi
	mov	$231, %eax
	syscall
self:
	.asciz	"/proc/self/exe"
message:
	.ascii	"Cannot start: no copy of the libraries (this needs /proc, Linux 3.17 and a few MB of memory)\n"
	.equ length, . - message
