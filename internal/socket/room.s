#include "textflag.h"

// func room()
TEXT ·room(SB), 0, $1280-0
	RET

// func roomToConnect()
TEXT ·roomToConnect(SB), 0, $3072-0
	RET
