package top

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"usock/internal/control"
)

// ofProcess is the protocol of a row that stands for all sockets of a process.
const ofProcess = "process"

// grouped puts the rows of each process together, in the order of their first ones.
func grouped(rows []*row) (list []*row) {
	of := make(map[key]*row)
	for _, r := range rows {
		k := key{run: r.run.ID, id: uint64(uint32(r.Process))}
		g := of[k]
		if g == nil {
			g = &row{run: r.run, fresh: true, Socket: control.Socket{Proto: ofProcess, Program: r.Program, Process: r.Process}}
			of[k] = g
			list = append(list, g)
		}
		g.add(r)
	}
	for _, g := range list {
		g.stalled()
	}
	return list
}

// add makes a socket one of the process's.
func (g *row) add(r *row) {
	g.members = append(g.members, r)
	g.RecvQ += r.RecvQ
	g.SendQ += r.SendQ
	g.rx += r.rx
	g.tx += r.tx
	g.lost += r.lost
	g.losing += r.losing
	g.fresh = g.fresh && r.fresh
}

// stalled has the process wait for whom the socket waits that is held up most. Where none is, it is idle if one says so, and nothing is
// in a queue.
func (g *row) stalled() {
	most := 0
	for _, r := range g.members {
		word, n := r.waits()
		if n > most || most == 0 && word == idle && g.RecvQ+g.SendQ == 0 {
			most, g.Stall = n, r.Stall
		}
	}
}

// sockets is how many there are of which protocols: "2 tcp, 1 udp".
func (g *row) sockets() string {
	var words []string
	for _, proto := range []string{"tcp", "udp", "sctp", "icmp", "raw", "unix"} {
		n := 0
		for _, r := range g.members {
			if r.Proto == proto {
				n++
			}
		}
		if n > 0 {
			words = append(words, number(uint64(n))+" "+proto)
		}
	}
	return strings.Join(words, ", ")
}

// peers are those whom the process has most connections with, and how many.
func (g *row) peers() string {
	n := make(map[string]int)
	for _, r := range g.members {
		if r.Peer != "" {
			n[r.Peer]++
		}
	}
	list := slices.SortedFunc(maps.Keys(n), func(a, b string) int { return cmp.Or(cmp.Compare(n[b], n[a]), cmp.Compare(a, b)) })
	for i, peer := range list {
		if n[peer] > 1 {
			list[i] = fmt.Sprintf("%s (%d)", peer, n[peer])
		}
	}
	return strings.Join(list, " ")
}
