//go:build lockrank

#include "textflag.h"

// func g() uintptr
TEXT ·g(SB), NOSPLIT, $0-8
	MOVD g, ret+0(FP)
	RET
