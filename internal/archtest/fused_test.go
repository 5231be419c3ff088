package archtest

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"testing"
)

// floats are the packages on a packet's way that reckon in floating point.
var floats = []string{"./internal/congestion", "./internal/tcp", "./internal/inet", "./link", "./sim"}

// fused are arm64's instructions that round a product and a sum once.
var fused = regexp.MustCompile(`\((\S+\.go:\d+)\)\s+FN?M(ADD|SUB)[SD]?\b`)

// What is reckoned is the same on all processors: the compiler has fused no product with a
// sum, as it may on arm64 where no conversion stands between them (internal/congestion/doc.go).
func TestNothingFused(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles for another processor")
	}
	c := exec.Command("go", append([]string{"build", "-gcflags=-S"}, floats...)...)
	c.Dir = root
	c.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	out, err := c.StderrPipe() // the assembly
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	multiplied := false
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	product := regexp.MustCompile(`\sFMULD\b`)
	for lines.Scan() {
		// The instruction is looked for first: of a million lines the expression would take longer than the compiler.
		if !bytes.Contains(lines.Bytes(), []byte("\tF")) {
			continue
		}
		if m := fused.FindSubmatch(lines.Bytes()); m != nil {
			t.Errorf("%s: a product is fused with a sum: convert it, float64(a*b)", m[1])
		}
		multiplied = multiplied || product.Match(lines.Bytes())
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	if !multiplied {
		t.Error("no product was found: is the assembly as it was?")
	}
}
