package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/token"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"usock/internal/tools/tree"
)

// pkg is a package and its mutants.
type pkg struct {
	*tree.Typed
	dir     string // from the root of the module
	mutants []*mutant
	refused map[string]bool // FILE:LINE of mutants that the compiler does not take

	chosen []*mutant
}

// load reads a package. The working directory must be the root of the module.
func load(dir string) (*pkg, error) {
	in, err := tree.Importer(".", dir)
	if err != nil {
		return nil, err
	}
	t, err := tree.Check(".", dir, in)
	if err != nil {
		return nil, err
	}
	p := &pkg{Typed: t, dir: dir, refused: map[string]bool{}}
	_, err = p.mutate()
	return p, err
}

// mutate finds all mutants and returns the files that hold them.
func (p *pkg) mutate() (map[string][]byte, error) {
	p.mutants = nil
	out := map[string][]byte{}
	for i, a := range p.Files {
		name := filepath.Join(p.dir, p.GoFiles[i])
		src, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		m := &mutator{
			p: p, file: p.Fset.File(a.Pos()), name: name, src: src, block: map[ast.Stmt]bool{}, posts: map[ast.Stmt]bool{},
		}
		for _, d := range a.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Body != nil {
					m.fn = function(d)
					m.walk(d.Body)
				}
			case *ast.GenDecl:
				if d.Tok == token.VAR {
					m.fn = "var"
					m.walk(d)
				}
			}
		}
		out[name] = m.apply()
	}
	return out, nil
}

// function is a function's name, with the type of its receiver.
func function(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	t := d.Recv.List[0].Type
	if s, ok := t.(*ast.StarExpr); ok {
		t = s.X
	}
	if g, ok := t.(*ast.IndexExpr); ok {
		t = g.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name + "." + d.Name.Name
	}
	return d.Name.Name
}

//go:embed schema.txt
var schema string

// overlay writes the package with all mutants in it, and what tells the go command of it.
func (p *pkg) overlay(dir string) (file string, err error) {
	files, err := p.mutate()
	if err != nil {
		return "", err
	}
	files[filepath.Join(p.dir, "mutant_schema.go")] = []byte(
		strings.NewReplacer("PACKAGE", p.Name, "COUNT", strconv.Itoa(len(p.mutants)+1)).Replace(schema))

	root, err := os.Getwd()
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for name, text := range files {
		to := filepath.Join(dir, "src", filepath.Base(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(to, text, 0o644); err != nil {
			return "", err
		}
		replace[filepath.Join(root, name)] = to
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	file = filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, b, 0o644)
}

// choose says which mutants are to be run.
func (p *pkg) choose(o *options) error {
	var changed map[string]bool
	if o.changed != "" {
		out, err := output("git", "diff", "--name-only", o.changed, "--", p.dir)
		if err != nil {
			return err
		}
		changed = map[string]bool{}
		for f := range strings.FieldsSeq(string(out)) {
			changed[f] = true
		}
	}
	only, line, _ := strings.Cut(filepath.Base(o.only), ":")

	p.chosen = nil
	for _, m := range p.mutants {
		switch {
		case changed != nil && !changed[m.pos.Filename]:
		case o.only != "" && filepath.Base(m.pos.Filename) != only:
		case line != "" && strconv.Itoa(m.pos.Line) != line:
		default:
			p.chosen = append(p.chosen, m)
		}
	}
	if o.sample > 0 && len(p.chosen) > o.sample {
		r := rand.New(rand.NewPCG(o.seed, 0))
		r.Shuffle(len(p.chosen), func(i, j int) { p.chosen[i], p.chosen[j] = p.chosen[j], p.chosen[i] })
		p.chosen = p.chosen[:o.sample]
		slices.SortFunc(p.chosen, func(a, b *mutant) int { return a.id - b.id })
	}
	return nil
}

// output runs a command and returns what it prints; its complaints are the error.
func output(name string, args ...string) ([]byte, error) {
	var complaints bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, complaints.Bytes())
	}
	return out, nil
}
