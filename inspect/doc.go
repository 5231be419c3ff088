// Package inspect lets others look at a host: it serves a control socket, which usock ps,
// usock ss and usock tail use (docs/CONTROL.md).
//
//	s, err := inspect.Serve(inspect.Config{Host: h, Name: "proxy"})
//	if err != nil {
//		...
//	}
//	defer s.Close()
//
// A host that nobody looks at pays nothing for it: a goroutine waits for connections. Who
// looks never holds the host's lock for longer than a part of its sockets takes, and never
// while something is written to him.
package inspect
