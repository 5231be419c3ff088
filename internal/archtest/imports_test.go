package archtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"usock/internal/tools/tree"
)

// root is where the module is from here.
const root = "../.."

// module is the module's path, as go.mod has it.
var module = func() string {
	b, err := os.ReadFile(root + "/go.mod")
	if err != nil {
		panic(err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimPrefix(line, "module ")
}()

// house says what each package may import: packages of the module by their folder
// ("." is the one at the top), others by a prefix of their path. The standard
// library is free. Test files and examples are free to import what users import.
// A package that is not here may import nothing: it has only tests.
var house = map[string][]string{
	// What users import.
	".": {
		"clock", "internal/abi", "internal/host", "internal/inet", "internal/ip", "internal/relay", "internal/socket",
		"internal/sctp", "internal/tcp", "internal/timer", "internal/unix", "internal/wait", "link", "packet", "cc", "shape", "trace",
		"golang.org/x/net/dns/", "golang.org/x/net/ipv4", "golang.org/x/sys/unix",
	},
	"clock":   {"golang.org/x/sys/unix"},
	"packet":  {},
	"cc":      {},
	"trace":   {},
	"link":    {"packet", "clock", "internal/dns", "internal/offload", "internal/pcapfilter", "internal/relay", "internal/wire", "golang.org/x/sys/", "golang.zx2c4.com/wireguard/"},
	"shape":   {"clock", "link", "internal/target", "internal/wire"},
	"sim":     {".", "clock", "link", "shape"},
	"inspect": {".", "link", "trace", "internal/control", "internal/dns", "internal/ss", "golang.org/x/sys/unix"},
	"gateway": {".", "clock", "link", "shape", "internal/dns", "internal/target", "golang.org/x/sys/", "golang.org/x/net/dns/"},
	"run":     {".", "clock", "link", "shape", "internal/abi", "internal/control", "internal/rtnl", "golang.org/x/sys/", "golang.org/x/net/bpf"},

	// The command.
	"cmd/usock": {".", "clock", "gateway", "link", "run", "inspect", "shape", "trace", "internal/control", "internal/measure", "internal/ss", "internal/target", "internal/top", "charm.land/bubbletea/", "github.com/spf13/", "golang.org/x/term", "golang.org/x/sys/"},

	// Domains and protocols.
	"internal/inet": {
		"internal/rank", "packet", "internal/abi", "internal/bpf", "internal/host", "internal/ip",
		"internal/sctp", "internal/socket", "internal/tcp", "internal/timer", "internal/wait", "internal/wire", "trace",
	},
	"internal/unix":   {"packet", "internal/abi", "internal/host", "internal/socket", "internal/wait"},
	"internal/socket": {"internal/rank", "packet", "internal/abi", "internal/host", "internal/timer", "internal/wait", "trace"},
	"internal/ip": {
		"internal/rank", "packet", "internal/host", "internal/offload", "internal/relay", "internal/timer", "internal/wire",
	},

	// The lock domain.
	"internal/host": {"internal/rank", "packet", "clock", "internal/relay", "internal/timer", "internal/wait", "trace"},

	// Pure cores. timer is for its Never and wait for its event masks: no queue of
	// either is theirs.
	"internal/tcp":  {"cc", "packet", "internal/buf", "internal/congestion", "internal/timer", "internal/wait", "internal/wire", "trace"},
	"internal/sctp": {"packet", "cc", "internal/buf", "internal/congestion", "internal/timer", "internal/wait", "internal/wire"},

	// What is said of a host to who looks at it, and how that is printed.
	"internal/control": {"clock", "golang.org/x/sys/unix"},
	"internal/ss":      {"internal/control"},
	"internal/top":     {"clock", "internal/control", "internal/ss", "charm.land/bubbletea/", "github.com/charmbracelet/x/ansi"},

	// A kernel for tests, and ports of the machine.
	"internal/uml":      {"clock", "internal/abi", "golang.org/x/sys/"},
	"internal/freeport": {},

	// A program for those who take the module elsewhere.
	"internal/tools/rename": {},

	// The ground.
	"internal/offload":    {"packet", "internal/wire"},
	"internal/relay":      {"packet"},
	"internal/rank":       {},
	"internal/abi":        {},
	"internal/abi/gen":    {},
	"internal/rtnl":       {"github.com/mdlayher/netlink"},
	"internal/bpf":        {},
	"internal/pcapfilter": {"internal/wire"},
	"internal/pcapfile":   {},
	"internal/measure":    {"link", "internal/pcapfile", "internal/pcapfilter", "internal/wire"},
	"internal/target":     {},
	"internal/dns":        {"internal/target", "golang.org/x/net/dns/"},
	"internal/wire":       {},
	"internal/congestion": {"cc"},
	"internal/buf":        {"packet"},
	"internal/timer":      {},
	"internal/wait":       {},

	// Programs that write pages about the code.
	"internal/tools/tree":         {},
	"internal/tools/requirements": {"internal/tools/tree"},
	"internal/tools/figures":      {"internal/tools/tree"},
	"internal/tools/mutate":       {"internal/tools/tree"},
}

// free are folders whose packages are not the house's: examples import what users
// import, and bench and e2e are judged by what they measure and run.
var free = []string{"examples", "bench", "e2e"}

// sources returns the files of the house, but for those of tests.
func sources(t *testing.T) []*tree.File {
	t.Helper()
	var out []*tree.File
	for _, f := range parseModule(t).Files {
		if !f.Test() && !inside(f.Dir, free) && f.Name != "tools.go" { // tools.go is never built
			out = append(out, f)
		}
	}
	return out
}

// folder returns the folder of a package of the module; "" for others.
func folder(imported string) string {
	if imported == module {
		return "."
	}
	dir, ok := strings.CutPrefix(imported, module+"/")
	if !ok {
		return ""
	}
	return dir
}

// standard reports whether a package is the standard library's: its first element
// has no dot.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

func allowed(rules []string, imported string) bool {
	dir := folder(imported)
	for _, r := range rules {
		if dir != "" && r == dir || dir == "" && strings.HasPrefix(imported, r) {
			return true
		}
	}
	return dir == "" && standard(imported)
}

func TestImports(t *testing.T) {
	seen := 0
	for _, s := range sources(t) {
		rules, ok := house[s.Dir]
		if !ok && len(s.AST.Imports) > 0 {
			t.Errorf("%s is not in the table of this test: give it a place, here and in docs/ARCHITECTURE.md", s.Dir)
			continue
		}
		for _, i := range s.AST.Imports {
			seen++
			if imported := strings.Trim(i.Path.Value, `"`); !allowed(rules, imported) {
				t.Errorf("%s/%s imports %s, which %s may not", s.Dir, s.Name, imported, s.Dir)
			}
			if i.Name != nil && i.Name.Name == "." {
				t.Errorf("%s/%s imports %s with a dot", s.Dir, s.Name, i.Path.Value)
			}
		}
	}
	if seen == 0 {
		t.Error("no imports found: is the root where it was?")
	}
}

// The table itself has no upward rule: what a package may import may not, over any
// number of steps, import the package.
func TestTableHasNoCycle(t *testing.T) {
	for start := range house {
		reached := map[string]bool{}
		var walk func(dir string)
		walk = func(dir string) {
			for _, next := range house[dir] {
				if next == start {
					t.Errorf("%s may import %s, which may lead back", start, dir)
				}
				if _, ours := house[next]; ours && !reached[next] {
					reached[next] = true
					walk(next)
				}
			}
		}
		walk(start)
	}
}

// Every package says what it is, in one place.
func TestPackageComments(t *testing.T) {
	comments := map[string][]string{}
	for _, s := range sources(t) {
		if _, ok := comments[s.Dir]; !ok {
			comments[s.Dir] = nil
		}
		if s.AST.Doc != nil && !strings.HasPrefix(s.AST.Doc.List[0].Text, "//go:build") {
			comments[s.Dir] = append(comments[s.Dir], s.Name)
		}
	}
	for dir, in := range comments {
		if len(in) != 1 {
			t.Errorf("%s has %d package comments: %v", dir, len(in), in)
		}
	}
}

// docs/ARCHITECTURE.md names every package of the table that exists.
func TestArchitectureNamesPackages(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	for dir := range house {
		files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 || dir == "." {
			continue
		}
		if !strings.Contains(string(text), "`"+dir+"`") {
			t.Errorf("docs/ARCHITECTURE.md does not mention `%s`", dir)
		}
	}
}
