# The same as x64.s, which explains it, for arm64: system calls memfd_create 279, sendfile 71, openat 56, close 57,
# write 64, exit_group 94.
	.text
	.equ table, start + 0x10000
start:
	adr	x19, start
	add	x20, x19, #0x10, lsl #12
	ldr	x0, [sp]
	add	x1, sp, x0, lsl #3
	add	x1, x1, #16
environment:
	ldr	x0, [x1], #8
	cbnz	x0, environment
auxv:
	ldr	x0, [x1]
	cbz	x0, libraries
	cmp	x0, #3
	b.ne	1f
	ldr	x2, [x20]
	b	relative
1:	cmp	x0, #5
	b.ne	2f
	ldr	x2, [x20, #8]
	b	absolute
2:	cmp	x0, #7
	b.ne	3f
	ldr	x2, [x20, #16]
	b	relative
3:	cmp	x0, #9
	b.ne	next
	ldr	x2, [x20, #24]
relative:
	add	x2, x2, x19
absolute:
	str	x2, [x1, #8]
next:
	add	x1, x1, #16
	b	auxv
libraries:
	mov	x0, #-100
	adr	x1, self
	mov	x2, #0
	mov	x3, #0
	mov	x8, #56
	svc	#0
	tbnz	w0, #31, fail
	mov	w21, w0
	ldr	x22, [x20, #40]
	add	x23, x20, #48
library:
	cbz	x22, done
	ldr	x0, [x23, #16]
	add	x0, x0, x19
	mov	x1, #1
	mov	x8, #279
	svc	#0
	tbnz	w0, #31, fail
	mov	w24, w0
copy:
	mov	w0, w24
	mov	w1, w21
	mov	x2, x23
	ldr	x3, [x23, #8]
	mov	x8, #71
	svc	#0
	cmp	x0, #0
	b.le	fail
	ldr	x3, [x23, #8]
	subs	x3, x3, x0
	str	x3, [x23, #8]
	b.ne	copy
	ldr	x0, [x23, #16]
	add	x0, x0, x19
	add	x0, x0, #16
	mov	w2, #10
digit:
	udiv	w3, w24, w2
	msub	w4, w3, w2, w24
	add	w4, w4, #48
	strb	w4, [x0], #-1
	mov	w24, w3
	cbnz	w24, digit
	add	x23, x23, #24
	sub	x22, x22, #1
	b	library
done:
	mov	w0, w21
	mov	x8, #57
	svc	#0
	ldr	x16, [x20, #32]
	add	x16, x16, x19
	mov	x0, #0
	br	x16
fail:
	mov	x0, #2
	adr	x1, message
	mov	x2, #length
	mov	x8, #64
	svc	#0
	mov	x0, #127
	mov	x8, #94
	svc	#0
self:
	.asciz	"/proc/self/exe"
message:
	.ascii	"Cannot start: no copy of the libraries (this needs /proc, Linux 3.17 and a few MB of memory)\n"
	.equ length, . - message
