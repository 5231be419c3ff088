package archtest

import (
	"fmt"
	"go/types"
	"os"
	"strings"
	"testing"

	"usock/internal/tools/tree"
)

// public returns the folders of the packages that users import.
func public() []string {
	var out []string
	for dir := range house {
		if strings.HasPrefix(dir, "internal/") || strings.HasPrefix(dir, "cmd/") {
			continue
		}
		if _, err := os.Stat(root + "/" + dir); err == nil {
			out = append(out, dir)
		}
	}
	return out
}

// exports returns the export data of the packages of the folders and all below them.
func exports(t *testing.T, dirs []string) types.Importer {
	t.Helper()
	in, err := tree.Importer(root, dirs...)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// declared returns what a reader of the packages' documentation is told: their types, from
// the compiler's export data.
func declared(t *testing.T, dirs []string) []*types.Package {
	t.Helper()
	in := exports(t, dirs)
	var out []*types.Package
	for _, d := range dirs {
		p, err := in.Import(strings.TrimSuffix(module+"/"+d, "/."))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// internal reports whether a package may not be imported from outside the module.
func internal(p *types.Package) bool {
	return p != nil && strings.HasPrefix(p.Path(), module+"/internal/")
}

// face finds the internal types in what a public package exports.
type face struct {
	found func(where, what string)
}

// walk looks at a type as it is written at a place: a name of another public package says
// all there is to say, and that package is looked at by itself.
func (f *face) walk(where string, t types.Type) {
	switch t := t.(type) {
	case *types.Alias:
		f.named(where, t.Obj())
	case *types.Named:
		f.named(where, t.Obj())
		for a := range t.TypeArgs().Types() {
			f.walk(where, a)
		}
	case *types.Pointer:
		f.walk(where, t.Elem())
	case *types.Slice:
		f.walk(where, t.Elem())
	case *types.Array:
		f.walk(where, t.Elem())
	case *types.Chan:
		f.walk(where, t.Elem())
	case *types.Map:
		f.walk(where, t.Key())
		f.walk(where, t.Elem())
	case *types.Signature:
		for v := range t.Params().Variables() {
			f.walk(where, v.Type())
		}
		for v := range t.Results().Variables() {
			f.walk(where, v.Type())
		}
	case *types.Struct:
		for v := range t.Fields() {
			if v.Exported() {
				f.walk(where+"."+v.Name(), v.Type())
			}
		}
	case *types.Interface:
		for m := range t.ExplicitMethods() {
			if m.Exported() {
				f.walk(where+"."+m.Name(), m.Type())
			}
		}
		for e := range t.EmbeddedTypes() {
			f.walk(where, e)
		}
	}
}

func (f *face) named(where string, o *types.TypeName) {
	if internal(o.Pkg()) {
		f.found(where, o.Pkg().Path()+"."+o.Name())
	}
}

// object looks at an exported object of a package.
func (f *face) object(where string, o types.Object) {
	n, ok := o.(*types.TypeName)
	if !ok {
		f.walk(where, o.Type())
		return
	}
	if a, ok := n.Type().(*types.Alias); ok {
		f.walk(where, a.Rhs())
		return
	}
	named := n.Type().(*types.Named)
	f.walk(where, named.Underlying())

	// The method set, and not the type's own methods: those that come by embedding are shown, too.
	set := types.NewMethodSet(types.NewPointer(named))
	for m := range set.Methods() {
		if m.Obj().Exported() && !types.IsInterface(named) {
			f.walk(where+"."+m.Obj().Name(), m.Type())
		}
	}
}

// What users import says all of itself: no public name stands for an internal type, nor is one
// needed to read the signature of a function, a method or a field. go doc shows none of those.
func TestFaceIsItsOwn(t *testing.T) {
	seen := 0
	for _, p := range declared(t, public()) {
		f := &face{found: func(where, what string) {
			t.Errorf("%s: %s", where, what)
		}}
		for _, name := range p.Scope().Names() {
			if o := p.Scope().Lookup(name); o.Exported() {
				seen++
				f.object(fmt.Sprintf("%s.%s", p.Name(), name), o)
			}
		}
	}
	if seen < 100 {
		t.Errorf("%d names looked at: are the packages where they were?", seen)
	}
}
