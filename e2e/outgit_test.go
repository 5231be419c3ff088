//go:build linux

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"usock/internal/freeport"
)

// repository makes a git repository of more than a MiB, to which clients may push, and returns
// the folder in which it is "bare".
func repository(t *testing.T) string {
	t.Helper()
	need(t, "git", "git")
	dir := t.TempDir()
	c := exec.Command("sh", "-c", `set -e
export HOME=$PWD GIT_CONFIG_NOSYSTEM=1
git init -q -b main work
cd work
git config user.name me
git config user.email me@here.test
for i in 1 2 3 4 5; do
	head -c 300000 /dev/urandom >file$i
	git add .
	git commit -q -m "change $i"
done
git clone -q --bare . ../bare
git -C ../bare config http.receivepack true`)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// cloned is a script that clones a repository, looks at what came, and pushes a branch of more
// than a MiB, whose name is its own.
const cloned = `export GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0 GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'
git clone -q "$url" copy
cd copy
git fsck --full --strict 2>/dev/null
git log --format=%H%s
git config user.name you
git config user.email you@there.test
python3 -c 'import random, sys; random.seed(1); sys.stdout.buffer.write(random.randbytes(2000000))' >noise
git add noise
git commit -q -m noise
git push -q origin HEAD:refs/heads/noise-$$
git log -1 --format=%H
`

// clones runs cloned under usock run, and natively as well with -long, and looks at what was
// pushed.
func clones(t *testing.T, before, dir string) {
	t.Helper()
	want := 1
	if *long || *nativeOnly {
		twin(t, reaching(), before+cloned)
		want = count(1, 2)
	} else if o := under(t, reaching(), before+cloned); o.late || o.code != 0 || strings.Count(o.stdout, "change ") != 5 {
		t.Error(o)
	}
	bare := []string{"-C", filepath.Join(dir, "bare")}
	out, err := exec.Command("git", append(bare, "for-each-ref", "--format=%(objectname)", "refs/heads/noise-*")...).CombinedOutput()
	if heads := strings.Fields(string(out)); err != nil || len(heads) != want || heads[0] != heads[want-1] {
		t.Errorf("pushed: %s, %v", out, err)
	}
	if out, err := exec.Command("git", append(bare, "fsck", "--full", "--strict")...).CombinedOutput(); err != nil {
		t.Errorf("fsck: %s, %v", out, err)
	}
}

// whole has a handler see a request's body as one of known length, which CGI asks for and git
// does not send.
func whole(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(b)), int64(len(b)), nil
		h.ServeHTTP(w, r)
	})
}

// TestOuterGit clones and pushes over HTTP, with git's own server, and over ssh.
func TestOuterGit(t *testing.T) {
	t.Parallel()
	need(t, "python3", "python3")
	t.Run("http", func(t *testing.T) {
		dir := repository(t)
		path, err := exec.Command("git", "--exec-path").Output()
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewServer(whole(&cgi.Handler{
			Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"),
			Env:  []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1"},
		}))
		defer s.Close()
		clones(t, "url="+s.URL+"/bare\n", dir)
	})
	t.Run("ssh", func(t *testing.T) {
		needRoot(t) // sshd logs users in
		need(t, "sshd", "openssh-server")
		need(t, "ssh", "openssh-client")
		dir := repository(t)
		port := freeport.Get(t)
		server := startedIn(t, asRoot, sshd(fmt.Sprint(port), "")+`exec /usr/sbin/sshd -D -e -f $PWD/sshd.conf`)
		eventually(t, "sshd listens", func() bool { return !refuses(at("127.0.0.1", port)) })
		key := filepath.Join(bin, "user")
		b, err := os.ReadFile(filepath.Join(server.c.Dir, "user"))
		if err == nil {
			err = os.WriteFile(key, b, 0o600)
		}
		if err == nil {
			err = os.Chown(key, nobody, nobody) // ssh's user must be the only one who may read it
		}
		if err != nil {
			t.Fatal(err)
		}
		clones(t, fmt.Sprintf(`export GIT_SSH_COMMAND='ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -i %s'
url=ssh://root@127.0.0.1:%d%s/bare
`, key, port, dir), dir)
	})
}
