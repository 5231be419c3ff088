//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// programs measures real programs, a server and a client of it on one host: on the
// kernel's loopback, or with their sockets served by `usock run`. script is for
// bash: it starts the server, waits for it, runs the client for $TIME seconds and
// ends the server; $DIR is a directory for files. The figure is what figure finds in
// the output.
func programs(needs []string, script string, figure func(string) (float64, error)) func(*pair, Task) (Result, error) {
	return func(_ *pair, t Task) (Result, error) {
		for _, n := range needs {
			if _, err := exec.LookPath(n); err != nil {
				return Result{}, fmt.Errorf("%w: %v", errNotServed, err)
			}
		}
		args := []string{"bash", "-c", script}
		switch t.Stack {
		case "usock":
			args = append([]string{t.Command, "run", "--isolated", "--"}, args...)
		case "kernel":
			if err := prepare("cubic"); err != nil {
				return Result{}, err
			}
		default:
			return Result{}, errNotServed
		}
		dir, err := os.MkdirTemp("", "usock-bench")
		if err != nil {
			return Result{}, err
		}
		defer os.RemoveAll(dir)
		if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(nginxConf), 0o644); err != nil {
			return Result{}, err
		}
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "DIR="+dir, fmt.Sprintf("TIME=%d", max(1, int(t.Time.Seconds()))))
		out, err := cmd.Output()
		if err != nil {
			return Result{}, fmt.Errorf("%w: %s", err, out)
		}
		v, err := figure(string(out))
		return Result{Value: v}, err
	}
}

// listening waits until something listens on the port.
func listening(port int) string {
	return fmt.Sprintf("until (exec 3<>/dev/tcp/127.0.0.1/%d) 2>/dev/null; do sleep 0.05; done\n", port)
}

const nginxConf = `
user root;
worker_processes 1;
daemon off;
error_log stderr crit;
events { worker_connections 4096; }
http {
	access_log off;
	keepalive_requests 1000000;
	server {
		listen 127.0.0.1:8080;
		location / { return 200 "hello, world\n"; }
	}
}
`

const (
	iperfScript = `iperf3 -s -p 5201 >/dev/null 2>&1 & server=$!
sleep 0.3
iperf3 -c 127.0.0.1 -p 5201 -t $TIME -J
kill $server`

	redisScript = `redis-server --port 6399 --save "" --appendonly no --dir $DIR >/dev/null 2>&1 & server=$!
%sredis-benchmark -p 6399 -t get -n 100000 -c 50 --csv
kill $server`

	nginxScript = `nginx -p $DIR -c $DIR/nginx.conf -g "pid $DIR/nginx.pid;" & server=$!
%swrk -t1 -c64 -d${TIME}s %s http://127.0.0.1:8080/
kill $server`
)

var (
	iperf      = programs([]string{"iperf3"}, iperfScript, iperfFigure)
	redis      = programs([]string{"redis-server", "redis-benchmark"}, fmt.Sprintf(redisScript, listening(6399)), redisFigure)
	nginxKept  = programs([]string{"nginx", "wrk"}, fmt.Sprintf(nginxScript, listening(8080), ""), wrkFigure)
	nginxClose = programs([]string{"nginx", "wrk"}, fmt.Sprintf(nginxScript, listening(8080), "-H 'Connection: close'"), wrkFigure)
)

// iperfFigure returns the Gbit/s that iperf3's server received.
func iperfFigure(out string) (float64, error) {
	var r struct {
		End struct {
			Sum struct {
				Bits float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		}
		Error string
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		return 0, err
	}
	if r.Error != "" {
		return 0, errors.New(r.Error)
	}
	return r.End.Sum.Bits / 1e9, nil
}

// redisFigure returns the requests a second in redis-benchmark's table.
func redisFigure(out string) (float64, error) {
	for line := range strings.Lines(out) {
		if f := strings.Split(line, ","); len(f) > 1 && f[0] == `"GET"` {
			return strconv.ParseFloat(strings.Trim(f[1], `"`), 64)
		}
	}
	return 0, fmt.Errorf("no figure in %q", out)
}

var (
	wrkRate   = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	wrkErrors = regexp.MustCompile(`Non-2xx.*`)
)

// wrkFigure returns wrk's requests a second.
func wrkFigure(out string) (float64, error) {
	m := wrkRate.FindStringSubmatch(out)
	if m == nil || wrkErrors.MatchString(out) {
		return 0, fmt.Errorf("wrk: %q", out)
	}
	return strconv.ParseFloat(m[1], 64)
}

// command builds cmd/usock, once.
var command = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "usock-bench")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "usock")
	build := exec.Command("go", "build", "-o", path, "./cmd/usock")
	build.Dir, build.Stderr = "..", os.Stderr
	return path, build.Run()
})
