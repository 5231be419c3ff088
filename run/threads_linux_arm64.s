#include "textflag.h"

// func spawnWaiter(stack unsafe.Pointer, r, w int) (pid int)
TEXT ·spawnWaiter(SB), NOSPLIT, $0-32
	MOVD	$0x100, R0		// CLONE_VM
	MOVD	stack+0(FP), R1
	MOVD	r+8(FP), R19		// the new process has these, and no frame
	MOVD	w+16(FP), R20
	MOVD	$0, R2
	MOVD	$0, R3
	MOVD	$0, R4
	MOVD	$220, R8		// clone
	SVC
	CBZ	R0, waiter
	MOVD	R0, pid+24(FP)
	RET

waiter:
	MOVD	R20, R0
	MOVD	$57, R8			// close
	SVC
	MOVD	R19, R0
	MOVD	RSP, R1
	MOVD	$1, R2
	MOVD	$63, R8			// read
	SVC
	MOVD	$0, R0
	MOVD	$94, R8			// exit_group
	SVC
	UNDEF
