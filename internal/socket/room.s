#include "textflag.h"

// The frames are larger than what is left of a stack of half the size, and with what the runtime keeps free (some 900 bytes) and the
// frames above they fit into the size that is meant: 4 KiB, 8 KiB.

// func room()
TEXT ·room(SB), 0, $1280-0
	RET

// func roomToConnect()
TEXT ·roomToConnect(SB), 0, $3072-0
	RET
