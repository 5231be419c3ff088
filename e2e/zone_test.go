//go:build linux

package e2e

import (
	"encoding/binary"
	"io"
	"maps"
	"net"
	"net/netip"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer4 is on the server's loopback interface, too.
const nameServer4 = "10.77.10.53"

// zone is a name server, at port 53 of nameServer4.
type zone struct {
	mu   sync.Mutex
	seen map[string]bool // names that were asked for, in lower case
}

// records are what the server has: addresses, or "= name" for an alias. The name svc.test has
// an HTTPS record with a hint, and no address.
var records = map[string]string{
	"api.test.":           serverAddr4 + " " + serverAddr6,
	"www.test.":           "= api.test.",
	"wild.test.":          "10.77.10.1",
	"a.wild.test.":        "10.77.10.1 fd77:10::1",
	"b.c.wild.test.":      "10.77.10.7 fd77:10::7",
	"alias.wild.test.":    "= hidden.test.",
	"hidden.test.":        "10.77.10.2 fd77:10::2",
	"xn--bcher-kva.test.": "10.77.10.3 fd77:10::3",
	"svc.test.":           "10.77.10.4",
	"part.test.":          "10.77.10.5 fd77:10::5",
	"evil.test.":          "10.77.10.6 fd77:10::6",
	"innocent.test.":      "= evil.test.",
	"rebind.test.":        "127.0.0.1 ::1",
	"short.corp.test.":    "10.77.10.12 fd77:10::12",
}

func (n *network) zoneServer() *zone {
	n.t.Helper()
	z := &zone{seen: make(map[string]bool)}
	var l net.Listener
	var p net.PacketConn
	var err error
	n.in(serverSide, func() {
		if l, err = net.Listen("tcp", nameServer4+":53"); err == nil {
			p, err = net.ListenPacket("udp", nameServer4+":53")
		}
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { l.Close(); p.Close() })
	go accept(l, func(c *net.TCPConn) {
		for {
			var size [2]byte
			if _, err := io.ReadFull(c, size[:]); err != nil {
				return
			}
			msg := make([]byte, binary.BigEndian.Uint16(size[:]))
			if _, err := io.ReadFull(c, msg); err != nil {
				return
			}
			reply := z.answer(msg)
			c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
		}
	})
	go func() {
		b := make([]byte, 5000)
		for {
			k, from, err := p.ReadFrom(b)
			if err != nil {
				return
			}
			p.WriteTo(z.answer(b[:k]), from)
		}
	}()
	return z
}

// asked returns the names that were asked for.
func (z *zone) asked() map[string]bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	return maps.Clone(z.seen)
}

func (z *zone) answer(msg []byte) []byte {
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	name := strings.ToLower(q.Name.String())
	z.mu.Lock()
	z.seen[name] = true
	z.mu.Unlock()
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: h.ID, Response: true, RecursionAvailable: true}, Questions: []dnsmessage.Question{q}}
	owner := q.Name
	text, ok := records[name]
	if alias, is := strings.CutPrefix(text, "= "); is {
		to := dnsmessage.MustNewName(alias)
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: owner, Class: q.Class, TTL: 1}, Body: &dnsmessage.CNAMEResource{CNAME: to},
		})
		owner, text = to, records[alias]
	}
	if !ok {
		m.RCode = dnsmessage.RCodeNameError
	}
	for a := range strings.FieldsSeq(text) {
		addr := netip.MustParseAddr(a)
		var body dnsmessage.ResourceBody
		switch {
		case name == "svc.test.":
			if q.Type == dnsmessage.TypeHTTPS {
				r := &dnsmessage.HTTPSResource{SVCBResource: dnsmessage.SVCBResource{Priority: 1, Target: dnsmessage.MustNewName(".")}}
				r.SetParam(dnsmessage.SVCParamIPv4Hint, addr.AsSlice())
				body = r
			}
		case addr.Is4() && q.Type == dnsmessage.TypeA:
			body = &dnsmessage.AResource{A: addr.As4()}
		case addr.Is6() && q.Type == dnsmessage.TypeAAAA:
			body = &dnsmessage.AAAAResource{AAAA: addr.As16()}
		}
		if body != nil {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: owner, Class: q.Class, TTL: 1}, Body: body})
		}
	}
	out, err := m.Pack()
	if err != nil {
		return nil
	}
	return out
}
