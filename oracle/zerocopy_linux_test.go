package oracle

// zeroCopyCases send with MSG_ZEROCOPY, and are told when the memory is free.
var zeroCopyCases = []sequence{
	{name: "values", lines: `a = tcp; a get so:zerocopy; a set so:zerocopy 2; a set so:zerocopy -1; a set so:zerocopy 1; a get so:zerocopy; a send x zerocopy; a recv 9 errqueue; p = ping; p set so:zerocopy 1; p set so:zerocopy 0; p get so:zerocopy; r = raw; r set so:zerocopy 1; u = udp6; u set so:zerocopy 1; u get so:zerocopy; l = tcp; l set so:zerocopy 1; l listen 1; c = tcp; c connect lo:l; s = accept l; s get so:zerocopy`},
	{name: "datagrams", lines: uPair + `a send x zerocopy; a recv 9 errqueue; b recv 9; a set so:zerocopy 1; a send hello zerocopy; a recv 9 errqueue; a recv 9 errqueue; b recv 9; a send x zerocopy; a send y zerocopy; a send z; a send q zerocopy; a get so:error; a recv 9; a recv 0 errqueue; a recv 9 errqueue; a sendn 70000 zerocopy; a recv 9 errqueue; a send x zerocopy; a recv 9 errqueue peek; a recv 9 errqueue; a send "" zerocopy; a recv 9 errqueue`},
	{name: "datagrams, segments", lines: uPair + `a set so:zerocopy 1; a send abcdef zerocopy cmsg udp:segment 0200; a recv 9 errqueue; a recv 9 errqueue; b recv 9; b recv 9; b recv 9; a set udp:cork 1; a send x zerocopy; a send y zerocopy; a set udp:cork 0; a recv 9 errqueue; a recv 9 errqueue; b recv 9`},
	{name: "datagrams, refused", lines: `a = udp; a set so:zerocopy 1; a set ip:recverr 1; a connect lo:9; a send x zerocopy; a get so:error; a recv 9 errqueue; a recv 9 errqueue; a recv 9 errqueue; a send y zerocopy; a recv 9; a recv 9 errqueue; a recv 9 errqueue`},
	{name: "v6", lines: `b = udp6; b bind lo6:7000; a = udp6; a set so:zerocopy 1; a connect lo6:7000; a send x zerocopy; a recv 9 errqueue; b recv 9`},
	{name: "stream", lines: pair + `c send x zerocopy; s recv 9; c recv 9 errqueue; c set so:zerocopy 1; c send hello zerocopy; s recv 9; c recv 9 errqueue; c recv 9 errqueue; c send a zerocopy; c send b; c send c zerocopy; s recv 9; c get so:error; c recv 9; c recv 0 errqueue; c recv 9 errqueue; c send "" zerocopy; c recv 9 errqueue; s close; c send x zerocopy; c send x zerocopy; c recv 9 errqueue`},
	{name: "stream, large", lines: pair + `c set so:zerocopy 1; c sendn 150000 zerocopy; s drain; c recv 9 errqueue; c recv 9 errqueue`},
	{name: "and times", lines: uPair[:len(uPair)-1] + stamping("a", txSoft|soft|withID|only) + `; a set so:zerocopy 1; a send x zerocopy; a recv 9 errqueue; a recv 9 errqueue; a recv 9 errqueue; b recv 9; a send x zerocopy; a send y zerocopy; a recv 9 errqueue; a recv 9 errqueue; a recv 9 errqueue; a recv 9 errqueue`},
}
