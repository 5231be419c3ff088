package socket

// room has the goroutine's stack grow to what a call that sends, receives or closes takes, unless it is as large. It would grow
// all the same, further down, where the runtime has twenty more frames to look through and to move; a server does that for each
// connection, on a goroutine that begins with 2 KiB.
//
// It is a function of that frame that does nothing: growth is in what the assembler puts before it.
func room()

// roomToConnect is room for a call that connects, whose handshake is carried by the same goroutine.
func roomToConnect()
