package oracle

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// urgentTable is the table that is for the library alone.
const urgentTable = "urgent"

// urgentCases send data with urgent bytes in it, receive some of it in ways that are drawn,
// and close: what is left decides between FIN and RST.
func urgentCases() []sequence {
	out := append([]sequence(nil), urgentOddCases...)
	for i := range 200 {
		r := rand.New(rand.NewPCG(uint64(i), 7))
		one := func(of ...string) string { return of[r.IntN(len(of))] }
		var b strings.Builder
		b.WriteString(pair + "l close;")
		if r.IntN(4) == 0 {
			b.WriteString("s set so:oobinline 1;")
		}
		for n := 4 + r.IntN(10); n > 0; n-- {
			switch r.IntN(8) {
			case 0, 1:
				fmt.Fprintf(&b, "c send %s;", one("a", "bc", "def"))
			case 2, 3:
				fmt.Fprintf(&b, "c send %s oob;", one("U", "xV", "yzW"))
			case 4:
				fmt.Fprintf(&b, "s recv 1 oob%s;", one("", "", " peek"))
			case 5:
				fmt.Fprintf(&b, "s set so:oobinline %d;", r.IntN(2))
			default:
				fmt.Fprintf(&b, "s recv %d%s;", 1+r.IntN(6), one("", "", "", " peek"))
			}
		}
		b.WriteString(one("s close;", "s recv 99; s close;", "s shutdown wr; s close;", "c close; s recv 9; s recv 9; s recv 9;"))
		b.WriteString("c recv 1; c send q; c recv 1; c get so:error")
		out = append(out, sequence{name: fmt.Sprint(i), lines: b.String()})
	}
	return out
}

var urgentOddCases = []sequence{
	{name: "alone and left", lines: pair + `c send ! oob; s recv 9; s recv 9; s close; c recv 1; c get so:error`},
	{name: "alone, low water", lines: pair + `s set so:rcvlowat 2; c send ! oob; s recv 9; c send a; s recv 9; s recv 9`},
	{name: "behind data and left", lines: pair + `c send ab; c send ! oob; s recv 9; s recv 9; s close; c recv 1; c get so:error`},
	{name: "read out of band", lines: pair + `c send ! oob; s recv 1 oob; s recv 9; s close; c recv 1; c get so:error`},
	{name: "data behind it left", lines: pair + `c send ! oob; c send ab; s recv 1 oob; s close; c recv 1; c get so:error`},
	{name: "inline and left", lines: pair + `s set so:oobinline 1; c send ! oob; s close; c recv 1; c get so:error`},
	{name: "end behind it", lines: pair + `c send ! oob; c close; s recv 9; s recv 9; s close`},
	{name: "shut for reading", lines: pair + `c send ! oob; s shutdown rd; s recv 9; s recv 1 oob; s close; c recv 1`},
	{name: "not arrived", lines: pair + `c send x oob; c send y oob; s recv 9; s recv 1 oob; s recv 9; s recv 9; s close; c recv 9`},
}
