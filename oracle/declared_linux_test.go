package oracle

// declared are the differences from the kernel that are known and meant. Each
// field but the reason is a pattern; an empty one fits everything. docs/CONFORMANCE.md
// has the same list, for people.
var declared = []struct {
	name, line, what, usock, kernel string
	reason                          string
}{}
