//go:build linux

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"usock/internal/freeport"
)

func at(host string, port int) string { return net.JoinHostPort(host, fmt.Sprint(port)) }

// publish starts a script with published ports. The script ends when the test does.
func publish(t *testing.T, ports []string, script string) *running {
	t.Helper()
	return publishFrom(t, reaching(), ports, script)
}

// publishFrom is publish in a way of running that reaches the outside.
func publishFrom(t *testing.T, w way, ports []string, script string) *running {
	t.Helper()
	w.limit = limit
	for _, p := range ports {
		w.flags = append(w.flags, "-p", p)
	}
	r := w.start(t, true, script)
	t.Cleanup(func() {
		r.c.Process.Signal(syscall.SIGTERM)
		r.wait(t)
	})
	return r
}

// errors returns what a running script has written on stderr so far.
func (r *running) errors() string {
	b, _ := os.ReadFile(r.err.Name())
	return string(b)
}

func (r *running) prints(t *testing.T, text string) {
	t.Helper()
	eventually(t, "the output has "+text, func() bool { return strings.Contains(r.output(), text) })
}

func refuses(to string) bool {
	c, err := net.Dial("tcp", to)
	if err == nil {
		c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// publishedNginx is the script of a server at port 8080, that logs its clients.
const publishedNginx = `cat >nginx.conf <<END
worker_processes 2; daemon off; pid $PWD/nginx.pid; error_log $PWD/error.log;
events { worker_connections 512; }
http {
  log_format client '\$remote_addr \$remote_port \$uri';
  access_log $PWD/access.log client; sendfile on; keepalive_requests 1000000000;
  client_body_temp_path $PWD/b; proxy_temp_path $PWD/p; fastcgi_temp_path $PWD/f; uwsgi_temp_path $PWD/u; scgi_temp_path $PWD/s;
  server { listen 8080; listen [::]:8080; root $PWD/www; }
}
END
mkdir www; head -c 3000000 /dev/urandom >www/big; echo small >www/small
exec nginx -c $PWD/nginx.conf`

func TestPublishNginx(t *testing.T) {
	need(t, "nginx", "nginx-light")
	need(t, "curl", "curl")
	port := freeport.Get(t)
	r := publish(t, []string{fmt.Sprintf("%d:8080", port)}, publishedNginx)
	eventually(t, "nginx is there", func() bool { return !refuses(at("127.0.0.1", port)) && !refuses(at("::1", port)) })
	want, err := os.ReadFile(filepath.Join(r.c.Dir, "www/big"))
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "::1"} {
		got := filepath.Join(t.TempDir(), "got")
		name := fmt.Sprintf("/big?%s", host)
		out, err := exec.Command("curl", "-sf", "-w", "%{local_ip} %{local_port}", "-o", got, "http://"+at(host, port)+name).Output()
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := os.ReadFile(got); !bytes.Equal(b, want) {
			t.Errorf("%d bytes of %d came, or others", len(b), len(want))
		}
		line := string(out) + " /big\n"
		eventually(t, "the log has "+line, func() bool {
			log, _ := os.ReadFile(filepath.Join(r.c.Dir, "access.log"))
			return strings.Contains(string(log), line)
		})
	}
}

// talk has a client do what the server of published.py knows, and returns what it saw.
func talk(t *testing.T, to, what string) string {
	t.Helper()
	c, err := net.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(limit))
	tcp := c.(*net.TCPConn)
	c.Write([]byte(what[:1]))
	switch what {
	case "reset":
	case "half": // the server ends first, the client goes on
		b, err := io.ReadAll(c)
		c.Write(make([]byte, 100_000))
		tcp.CloseWrite()
		return fmt.Sprintf("%q, %v", b, err)
	case "ends": // the client ends first
		c.Write(make([]byte, 100_000))
		tcp.CloseWrite()
	case "cuts":
		c.Write(make([]byte, 10))
		b := make([]byte, 4)
		n, err := io.ReadFull(c, b)
		tcp.SetLinger(0)
		return fmt.Sprintf("%q, %v", b[:n], err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		err = errors.Unwrap(errors.Unwrap(err))
	}
	return fmt.Sprintf("%q, %v", b, err)
}

// TestPublishEnds has each side end and reset, beside the same server on the kernel.
func TestPublishEnds(t *testing.T) {
	need(t, "python3", "python3")
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			var saw [2]string
			for i, native := range []bool{true, false} {
				port := freeport.Get(t)
				s := fmt.Sprintf("exec python3 %s %s %d", script(t, "published.py"), host, port)
				var r *running
				if native {
					r = way{user: nobody, limit: limit}.start(t, false, s)
				} else {
					r = publish(t, []string{fmt.Sprint(port)}, s)
				}
				eventually(t, "the server listens", func() bool { return !refuses(at(host, port)) })
				for _, what := range []string{"reset", "half", "ends", "cuts"} {
					saw[i] += talk(t, at(host, port), what) + "\n"
					r.prints(t, "\n"+what[:1]+" ")
				}
				for line := range strings.Lines(r.output()) {
					said, _, _ := strings.Cut(line, " from port")
					saw[i] += said + "\n"
				}
				if native {
					r.c.Process.Kill()
					r.c.Wait()
				}
			}
			if saw[0] != saw[1] || !strings.Contains(saw[0], "reset by peer") {
				t.Errorf("natively:\n%s\npublished:\n%s", saw[0], saw[1])
			}
		})
	}
}

// TestPublishRestart has a server start late and again: its clients are refused meanwhile.
func TestPublishRestart(t *testing.T) {
	need(t, "python3", "python3")
	port := freeport.Get(t)
	r := publish(t, []string{fmt.Sprint(port)}, fmt.Sprintf(`echo ready
trap : USR1
while :; do
  until [ -e go ]; do sleep 0.02; done
  python3 %s 127.0.0.1 %d & server=$!
  while [ -e go ]; do sleep 0.02; done
  kill $server; wait $server || :
  echo ended
done`, script(t, "published.py"), port))
	r.prints(t, "ready")
	to, start := at("127.0.0.1", port), filepath.Join(r.c.Dir, "go")
	for i := range 3 {
		if !refuses(to) {
			t.Error("nobody listens, and a client is not refused")
		}
		if l, err := net.Listen("tcp", to); err == nil {
			l.Close()
			t.Error("another took the port")
		}
		if err := os.WriteFile(start, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the server listens", func() bool { return !refuses(to) })
		if saw := talk(t, to, "half"); saw != `"first", <nil>` {
			t.Errorf("the client saw %s", saw)
		}
		os.Remove(start)
		eventually(t, "the server ends", func() bool { return strings.Count(r.output(), "ended") == i+1 })
		eventually(t, "clients are refused", func() bool { return refuses(to) })
	}
}

func TestPublishUDP(t *testing.T) {
	need(t, "python3", "python3")
	port := freeport.Get(t)
	r := publish(t, []string{fmt.Sprintf("%d:5000/udp", port)}, fmt.Sprintf(`python3 %s 127.0.0.1 5000 udp &
python3 %[1]s ::1 5000 udp & wait`, script(t, "published.py")))
	eventually(t, "both are bound", func() bool { return strings.Count(r.output(), "bound") == 2 })
	for _, host := range []string{"127.0.0.1", "::1"} {
		c, err := net.Dial("udp", at(host, port))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(limit))
		want := fmt.Sprintf("%d hello", c.LocalAddr().(*net.UDPAddr).Port)
		c.Write([]byte("hello"))
		b := make([]byte, 100)
		if n, err := c.Read(b); string(b[:n]) != want {
			t.Errorf("%s: %q instead of %q, %v", host, b[:n], want, err)
		}
	}
}

func TestPublishRange(t *testing.T) {
	need(t, "python3", "python3")
	var first int
	for taken := true; taken; { // two in a row
		first = freeport.Get(t)
		l, err := net.Listen("tcp", at("", first+1))
		if taken = err != nil; !taken {
			l.Close()
		}
	}
	publish(t, []string{fmt.Sprintf("127.0.0.1:%d-%d:6000-6001", first, first+1)}, fmt.Sprintf(`python3 %s 0.0.0.0 6000 &
python3 %[1]s 127.0.0.1 6001 & wait`, script(t, "published.py")))
	for i := range 2 {
		eventually(t, "the server listens", func() bool { return !refuses(at("127.0.0.1", first+i)) })
		if saw := talk(t, at("127.0.0.1", first+i), "half"); saw != `"first", <nil>` {
			t.Errorf("the client saw %s", saw)
		}
	}
}

func TestPublishAuto(t *testing.T) {
	need(t, "python3", "python3")
	port := freeport.Get(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	other := taken.Addr().(*net.TCPAddr).Port
	r := publish(t, []string{"auto"}, fmt.Sprintf(`python3 %s 127.0.0.1 %d &
python3 %[1]s 127.0.0.1 %[3]d & wait`, script(t, "published.py"), port, other))
	eventually(t, "the server listens", func() bool { return !refuses(at("127.0.0.1", port)) })
	if saw := talk(t, at("127.0.0.1", port), "half"); saw != `"first", <nil>` {
		t.Errorf("the client saw %s", saw)
	}
	for _, want := range []string{
		fmt.Sprintf("usock: published 127.0.0.1:%d → %[1]d\n", port),
		fmt.Sprintf("usock: 127.0.0.1:%d cannot be published: ", other),
	} {
		eventually(t, "stderr has "+want, func() bool { return strings.Count(r.errors(), want) == 1 })
	}
}

// TestPublishErrors is for what keeps a run from starting.
func TestPublishErrors(t *testing.T) {
	need(t, "nc", "netcat-openbsd")
	port := freeport.Get(t)
	nc := exec.Command("nc", "-l", "127.0.0.1", fmt.Sprint(port))
	if os.Getuid() == 0 {
		nc.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	if err := nc.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { nc.Process.Kill(); nc.Wait() }()
	eventually(t, "nc listens", func() bool {
		l, err := net.Listen("tcp", at("127.0.0.1", port))
		if err == nil {
			l.Close()
		}
		return err != nil
	})
	for _, c := range []struct {
		flags []string
		want  string
	}{
		{[]string{"-p", fmt.Sprint(port)}, fmt.Sprintf("nc (process %d) has the port", nc.Process.Pid)},
		{[]string{"-p", "81:80"}, "take privilege"},
		{[]string{isolated, "-p", "8080"}, "isolated"},
		{[]string{"-p", "70000"}, "no port"},
		{[]string{"-p"}, `-p "--"`}, // which takes what follows
	} {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		cmd, marker := command(t, ctx)
		reaches(cmd)
		cmd.Args = append(append(cmd.Args, c.flags...), "--", "touch", "started")
		r := finish(t, ctx, cmd, marker)
		if _, err := os.Stat(filepath.Join(r.dir, "started")); r.code != 125 || err == nil || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%v: exit status %d, started %v, %s", c.flags, r.code, err == nil, r.stderr)
		}
	}
}
