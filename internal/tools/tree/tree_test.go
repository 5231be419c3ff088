package tree

import "testing"

func TestFind(t *testing.T) {
	module, err := Parse("../../..")
	if err != nil {
		t.Fatal(err)
	}

	for _, c := range []struct {
		ref  string
		want bool
	}{
		{"tree.Parse", true},      // a function
		{"tree.Tree", true},       // a type
		{"tree.Tree.Find", true},  // a method
		{"tree.Find", true},       // a method without its type
		{"tree.File.Dir", true},   // a field
		{"link.Link.Send", true},  // a method of an interface
		{"tree.TestFind", true},   // a test
		{"tree.File.Find", false}, // another type's method
		{"tree.Dir", false},       // a field without its type
		{"timer.Parse", false},    // another package's function
		{"Parse", false},          // no package
		{"tree.Tree.Find.x", false},
	} {
		if got := len(module.Find(c.ref)) > 0; got != c.want {
			t.Errorf("Find(%s): %v", c.ref, got)
		}
	}
}
