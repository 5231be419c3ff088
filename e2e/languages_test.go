//go:build linux

package e2e

import (
	"fmt"
	"testing"
)

func python(t *testing.T, name, args, want string) {
	t.Helper()
	need(t, "python3", "python3")
	passes(t, fmt.Sprintf("python3 %s %s", script(t, name), args), want)
}

func TestPythonHTTP(t *testing.T)    { python(t, "http_server.py", "", "50 pages") }
func TestPythonAsyncio(t *testing.T) { python(t, "streams.py", "200", "200 clients") }
func TestPythonThousand(t *testing.T) {
	t.Parallel()
	python(t, "streams.py", "1000", "1000 clients")
}
func TestPythonThreading(t *testing.T) {
	python(t, "socket_server.py", "threading", "30 clients")
}
func TestPythonForking(t *testing.T) { python(t, "socket_server.py", "forking", "30 clients") }
func TestPythonSelect(t *testing.T)  { python(t, "selector.py", "select", "20 clients") }
func TestPythonPoll(t *testing.T)    { python(t, "selector.py", "poll", "20 clients") }
func TestPythonEpoll(t *testing.T)   { python(t, "selector.py", "epoll", "20 clients") }
func TestPythonUDP(t *testing.T)     { python(t, "udp_echo.py", "", "echoed") }
func TestPythonTimeouts(t *testing.T) {
	python(t, "timeouts.py", "", "all calls ended as they should")
}

func TestDescriptorsArePassed(t *testing.T) { python(t, "passing.py", "", "all came over") }
func TestUrgentData(t *testing.T)           { python(t, "urgent.py", "", "urgent data came") }
func TestAffinity(t *testing.T)             { python(t, "affinity.py", "", "no thread was moved") }
func TestClosedListener(t *testing.T)       { python(t, "reopened.py", "", "refused and free") }

func TestNode(t *testing.T) {
	need(t, "node", "nodejs")
	passes(t, "node "+script(t, "http_server.js"), "100 answers")
}

func TestGo(t *testing.T) {
	passes(t, "gonet", "300 answers", "i/o timeout", "connection refused", "100 datagrams")
}
