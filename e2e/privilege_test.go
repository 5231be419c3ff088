//go:build linux

package e2e

import "testing"

// TestPrivilege asks for what takes capabilities: as root, after setuid, with some of the
// capabilities dropped, by one thread and not another; and as a user, in a user namespace
// where it has them all, which counts for nothing.
func TestPrivilege(t *testing.T) {
	need(t, "python3", "python3")
	py := script(t, "privilege.py")
	for _, how := range []string{"setuid", "capset", "thread", "userns"} {
		t.Run("root "+how, func(t *testing.T) {
			needRoot(t)
			for _, c := range []uint{capSetgid, capSetuid, capNetAdmin, capNetRaw} {
				if !hasCapability(t, c) {
					t.Skip("needs root's capabilities")
				}
			}
			if how == "userns" {
				needNamespaces(t)
			}
			twin(t, asRoot, "python3 "+py+" "+how)
		})
	}
	t.Run("user userns", func(t *testing.T) {
		needNamespaces(t)
		twin(t, asUser, "python3 "+py+" userns")
	})
}

const capSetgid, capSetuid, capNetAdmin = 6, 7, 12
