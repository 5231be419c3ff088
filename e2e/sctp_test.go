//go:build linux

package e2e

import "testing"

// TestSCTP has a program use SCTP's sockets of both styles, whatever its kernel knows of SCTP: messages
// are whole, or in parts that a receive asks for, by every call that receives.
func TestSCTP(t *testing.T) {
	passes(t, "python3 "+script(t, "sctp.py"),
		"nobody waits: False\nsomebody waits: True\nnames agree: True True\nnobody waits any more: False\n",
		"whole: b'send' b'write'\n",
		"in parts: b'abcd' False\nin parts: b'ef' True\nin parts: b'next' True\n",
		"a large one: True True\nthe end was told\nrefused: Connection refused\na dead listener: Invalid argument\n",
		"polled: True\nnotification: 0x8001 True 0 True\nmessage: b'from a' 132 3",
		"notification: 0x8001 True 0 True\nmessage: b'from b' 132 3",
		"answers: b'to a' b'to b'\ntwo associations: 2\n",
		"one of them is peeled off: 1 True\nit hears: b'to the peeled'\nan association that there is not: Invalid argument\n",
	)
}
