//go:build linux && (amd64 || arm64)

package run

import "testing"

func TestSocketPath(t *testing.T) {
	absent := absentPaths([]string{"/run/nscd/socket"})
	for path, want := range map[string]bool{
		"/run/nscd/socket": true, "/var/run/nscd/socket": true, "//var/run/./nscd//socket": true, "/run/x/../nscd/socket": true,
		"/run/nscd/socket2": false, "run/nscd/socket": false, "/var/nscd/socket": false, "": false, "\x00/run/nscd/socket": false,
	} {
		if absent[socketPath(path)] != want {
			t.Errorf("%q: absent is not %v", path, want)
		}
	}
}
