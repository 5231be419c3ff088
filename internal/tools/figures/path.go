package main

import (
	"fmt"
	"go/ast"
	"strings"

	"usock/internal/tools/tree"
)

// step is one named function on the way of a byte, and from where it is called: by the
// function of the step 'from' in this list.
type step struct {
	name string // as tree.Find takes it
	from int
}

// sendPath is the way of a write on an established TCP connection, from the program's
// call to the link, as functions that call each other. Helpers that return before the way
// goes on are not of it. A test follows each call in the source.
var sendPath = []step{
	{"usock.Socket.Send", -1},
	{"usock.Socket.send", 0},
	{"usock.Socket.sendDatagram", 1},
	{"socket.Socket.Send", 2},
	{"socket.call.sendViews", 3},
	{"socket.call.do", 4},
	{"inet.tcpProto.Send", 4},
	{"inet.tcpProto.write", 6},
	{"tcp.Conn.Write", 7},
	{"inet.tcpProto.update", 6},
	{"tcp.Conn.Poll", 9},
	{"tcp.buildData", 10},
	{"tcp.sendNew", 11},
	{"inet.tcpProto.transmit", 9},
	{"ip.Lane.Output", 13},
	{"ip.Lane.send", 14},
	{"ip.Lane.transmit", 15},
	{"ip.Lane.leave", 16},
	{"host.Lane.Send", 17},
	{"relay.Relay.Push", 18},
	{"host.Domain.Leave", 5},
	{"host.Lane.Leave", 20},
	{"host.Lane.finish", 21},
	{"host.Host.carryOut", 22},
	{"relay.Relay.Flush", 23},
	{"relay.Relay.send", 24},
	{"link.Link.Send", 25},
}

// broken returns which calls of a way are not in the source.
func broken(t *tree.Tree, way []step) (wrong []string) {
	for i, s := range way {
		if len(t.Find(s.name)) == 0 {
			wrong = append(wrong, fmt.Sprintf("step %d: nothing is called %s", i, s.name))
			continue
		}
		if s.from >= 0 && !calls(t, way[s.from].name, s.name) {
			wrong = append(wrong, fmt.Sprintf("step %d: %s does not call %s", i, way[s.from].name, s.name))
		}
	}
	return wrong
}

// calls reports whether a function named caller calls one of the callee's name, itself
// or in a function inside it.
func calls(t *tree.Tree, caller, callee string) bool {
	name := callee[strings.LastIndexByte(callee, '.')+1:]
	found := false
	for _, f := range t.Funcs() {
		if !matches(f, caller) {
			continue
		}
		ast.Inspect(f.Decl.Body, func(n ast.Node) bool {
			if c, ok := n.(*ast.CallExpr); ok && called(c) == name {
				found = true
			}
			return !found
		})
	}
	return found
}

func matches(f tree.Func, ref string) bool {
	parts := strings.Split(ref, ".")
	return tree.Package(f.File.Dir) == parts[0] && f.Name == parts[len(parts)-1] &&
		(len(parts) == 2 || f.Receiver == parts[1])
}

// called is the name of what a call expression calls.
func called(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

func pathText() string {
	names := make([]string, len(sendPath))
	for i, s := range sendPath {
		names[i] = "`" + s.name + "`"
	}
	return fmt.Sprintf("%d: %s", len(sendPath), strings.Join(names, ", "))
}
