package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// mutant is one change to the source.
type mutant struct {
	id   int // from 1 on
	pos  token.Position
	fn   string // the function it is in
	kind string
	text string // what is changed

	reached []*test // in order of their duration
	verdict verdict
	by      string // the test that killed it, or the reason why it is equivalent
}

type verdict int

const (
	unreached verdict = iota // no test runs the place
	killed
	survived
	equivalent
)

func (v verdict) String() string {
	return [...]string{"unreached", "killed", "survived", "equivalent"}[v]
}

func (m *mutant) String() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s: %s", m.pos.Filename, m.pos.Line, m.pos.Column, m.fn, m.kind, m.text)
}

// key names a mutant in equivalent.txt: String without the line, which other changes move.
func (m *mutant) key() string {
	return fmt.Sprintf("%s: %s: %s: %s", m.pos.Filename, m.fn, m.kind, m.text)
}

// edit is text that is put into a file at an offset, or in place of some of it.
type edit struct {
	at, end int  // end > at: replaced
	after   bool // it closes what ends at at, and does not open what begins there
	seq     int  // outer nodes before inner ones
	text    string
}

// mutator finds the mutants of one file.
type mutator struct {
	p     *pkg
	file  *token.File
	name  string
	src   []byte
	fn    string
	edits []edit
	seq   int
	block map[ast.Stmt]bool // statements of a block, in whose place others may stand
	posts map[ast.Stmt]bool // statements behind the second semicolon of a for
}

// add makes a mutant of a node.
func (m *mutator) add(n ast.Node, kind, text string) int {
	if m.p.refused[fmt.Sprintf("%s:%d", m.name, m.p.Fset.Position(n.Pos()).Line)] {
		return 0
	}
	pos := m.p.Fset.Position(n.Pos())
	pos.Filename = m.name
	x := &mutant{id: len(m.p.mutants) + 1, pos: pos, fn: m.fn, kind: kind, text: text}
	m.p.mutants = append(m.p.mutants, x)
	return x.id
}

func (m *mutator) offset(p token.Pos) int { return m.file.Offset(p) }

func (m *mutator) source(n ast.Node) string {
	return string(m.src[m.offset(n.Pos()):m.offset(n.End())])
}

// short is source on one line.
func (m *mutator) short(n ast.Node) string { return strings.Join(strings.Fields(m.source(n)), " ") }

func (m *mutator) before(p token.Pos, text string) {
	m.edits = append(m.edits, edit{at: m.offset(p), seq: m.seq, text: text})
}

func (m *mutator) after(p token.Pos, text string) {
	m.edits = append(m.edits, edit{at: m.offset(p), after: true, seq: m.seq, text: text})
}

func (m *mutator) replace(p token.Pos, n int, text string) {
	m.edits = append(m.edits, edit{at: m.offset(p), end: m.offset(p) + n, text: text})
}

// apply returns the file with all edits.
func (m *mutator) apply() []byte {
	slices.SortStableFunc(m.edits, func(a, b edit) int {
		switch {
		case a.at != b.at:
			return a.at - b.at
		case a.after != b.after:
			if a.after {
				return -1
			}
			return 1
		case a.after:
			return b.seq - a.seq
		}
		return a.seq - b.seq
	})
	var out []byte
	done := 0
	for _, e := range m.edits {
		out = append(out, m.src[done:e.at]...)
		out = append(out, e.text...)
		done = max(e.at, e.end)
	}
	return append(out, m.src[done:]...)
}

// walk finds the mutants in a function or a variable's value.
func (m *mutator) walk(n ast.Node) {
	ast.Inspect(n, func(n ast.Node) bool {
		m.seq++
		switch n := n.(type) {
		case *ast.BlockStmt:
			m.blocks(n.List)
		case *ast.CaseClause:
			m.blocks(n.Body)
		case *ast.CommClause:
			m.blocks(n.Body)
		case *ast.ForStmt:
			m.posts[n.Post] = n.Post != nil
			m.condition(n.Cond)
		case *ast.IfStmt:
			m.condition(n.Cond)
		case *ast.BinaryExpr:
			m.binary(n)
		case *ast.ExprStmt:
			m.leaveOut(n)
		case *ast.AssignStmt:
			m.assign(n)
		case *ast.IncDecStmt:
			m.step(n)
		}
		return true
	})
}

func (m *mutator) blocks(list []ast.Stmt) {
	for _, s := range list {
		m.block[s] = true
	}
}

// constant reports whether the compiler knows an expression's value.
func (m *mutator) constant(e ast.Expr) bool { return m.p.Info.Types[e].Value != nil }

// basic returns the kind of an expression's type, which must be of Go's own ones underneath.
func (m *mutator) basic(e ast.Expr) types.BasicInfo {
	t := m.p.Info.TypeOf(e)
	if t == nil {
		return 0
	}
	if _, ok := t.(*types.TypeParam); ok {
		return 0
	}
	if b, ok := t.Underlying().(*types.Basic); ok {
		return b.Info()
	}
	return 0
}

// condition negates what is neither a comparison nor made of others, which binary sees to.
func (m *mutator) condition(e ast.Expr) {
	for {
		p, ok := e.(*ast.ParenExpr)
		if !ok {
			break
		}
		e = p.X
	}
	if e == nil || m.constant(e) {
		return
	}
	if _, ok := e.(*ast.BinaryExpr); ok {
		return
	}
	m.negate(e)
}

func (m *mutator) negate(e ast.Expr) {
	if id := m.add(e, "negated", m.short(e)); id != 0 {
		m.before(e.Pos(), "((")
		m.after(e.End(), fmt.Sprintf(") != mutant_(%d))", id))
	}
}

// helpers are the functions of schema.go that an operator becomes a call of.
var helpers = map[token.Token]struct{ name, kind string }{
	token.LSS: {"mutantLSS", "< for <="}, token.LEQ: {"mutantLEQ", "<= for <"},
	token.GTR: {"mutantGTR", "> for >="}, token.GEQ: {"mutantGEQ", ">= for >"},
	token.ADD: {"mutantADD", "+ for -"}, token.SUB: {"mutantSUB", "- for +"},
	token.MUL: {"mutantMUL", "* for /"}, token.QUO: {"mutantQUO", "/ for *"}, token.REM: {"mutantREM", "% for *"},
	token.AND: {"mutantAND", "& for |"}, token.OR: {"mutantOR", "| for &"}, token.AND_NOT: {"mutantANDNOT", "&^ for &"},
	token.SHL: {"mutantSHL", "<< for >>"}, token.SHR: {"mutantSHR", ">> for <<"},
}

func (m *mutator) binary(e *ast.BinaryExpr) {
	if m.constant(e) {
		return
	}
	switch e.Op {
	case token.LAND, token.LOR:
		m.logical(e)
	case token.EQL, token.NEQ:
		m.negate(e)
	case token.LSS, token.LEQ, token.GTR, token.GEQ:
		m.negate(e)
		m.operator(e, types.IsOrdered)
	case token.AND, token.OR, token.AND_NOT, token.REM:
		m.operator(e, types.IsInteger)
	case token.SHL, token.SHR:
		if !m.constant(e.X) {
			m.operator(e, types.IsInteger)
		}
	case token.ADD, token.SUB, token.MUL, token.QUO:
		m.operator(e, types.IsNumeric&^types.IsComplex)
	}
}

// operator has a function decide between an operator and another one.
func (m *mutator) operator(e *ast.BinaryExpr, of types.BasicInfo) {
	if m.basic(e.X)&of == 0 || m.basic(e.Y)&of == 0 {
		return
	}
	h := helpers[e.Op]
	text := m.short(e)
	id := m.add(e, kindOf(h.kind), text)
	if id == 0 {
		return
	}
	m.seq++
	m.before(e.Pos(), fmt.Sprintf("%s(%d, ", h.name, id))
	m.replace(e.OpPos, len(e.Op.String()), ",")
	m.after(e.End(), ")")
}

// kindOf says what stands where: "<= where < was".
func kindOf(s string) string {
	was, is, _ := strings.Cut(s, " for ")
	return is + " in place of " + was
}

// logical exchanges && and ||: with m, !(!x && !y) is x || y.
func (m *mutator) logical(e *ast.BinaryExpr) {
	other := cmp.Or(map[token.Token]string{token.LAND: "||"}[e.Op], "&&")
	if id := m.add(e, other+" in place of "+e.Op.String(), m.short(e)); id != 0 {
		is := fmt.Sprintf(" != mutant_(%d))", id)
		m.before(e.Pos(), "((((")
		m.after(e.X.End(), ")"+is)
		m.before(e.Y.Pos(), "((")
		m.after(e.End(), ")"+is+")"+is)
	}
	m.seq++
	m.condition(e.X)
	m.condition(e.Y)
}

// leaveOut leaves a call out.
func (m *mutator) leaveOut(s *ast.ExprStmt) {
	c, ok := s.X.(*ast.CallExpr)
	if !ok || !m.block[s] {
		return
	}
	if f, ok := c.Fun.(*ast.Ident); ok && (f.Name == "panic" || f.Name == "print" || f.Name == "println") {
		return
	}
	m.without(s)
}

func (m *mutator) without(s ast.Stmt) {
	if id := m.add(s, "left out", m.short(s)); id != 0 {
		m.before(s.Pos(), fmt.Sprintf("if !mutant_(%d) { ", id))
		m.after(s.End(), " }")
	}
}

// assign leaves an assignment out, or has its operator be another.
func (m *mutator) assign(s *ast.AssignStmt) {
	if !m.block[s] || s.Tok == token.DEFINE {
		return
	}
	if s.Tok == token.ASSIGN {
		if id, ok := s.Lhs[0].(*ast.Ident); !ok || id.Name != "_" || len(s.Lhs) > 1 {
			m.without(s)
		}
		return
	}
	other := map[token.Token]string{
		token.ADD_ASSIGN: "-=", token.SUB_ASSIGN: "+=", token.MUL_ASSIGN: "/=", token.QUO_ASSIGN: "*=",
		token.AND_ASSIGN: "|=", token.OR_ASSIGN: "&^=", token.AND_NOT_ASSIGN: "|=", token.XOR_ASSIGN: "|=",
		token.SHL_ASSIGN: ">>=", token.SHR_ASSIGN: "<<=",
	}[s.Tok]
	if other == "" || m.basic(s.Lhs[0])&types.IsNumeric == 0 {
		return
	}
	if id := m.add(s, other+" in place of "+s.Tok.String(), m.short(s)); id != 0 {
		x, y := m.source(s.Lhs[0]), m.source(s.Rhs[0])
		m.before(s.Pos(), fmt.Sprintf("if mutant_(%d) { %s %s %s } else { ", id, x, other, y))
		m.after(s.End(), " }")
	}
	m.seq++
	m.without(s)
}

// step has ++ be -- or the other way round.
func (m *mutator) step(s *ast.IncDecStmt) {
	other := map[token.Token]string{token.INC: "--", token.DEC: "++"}[s.Tok]
	kind := other + " in place of " + s.Tok.String()
	switch {
	case m.block[s]:
		if id := m.add(s, kind, m.short(s)); id != 0 {
			m.before(s.Pos(), fmt.Sprintf("if mutant_(%d) { %s%s } else { ", id, m.source(s.X), other))
			m.after(s.End(), " }")
		}
		m.seq++
		m.without(s)
	case m.posts[s]:
		if _, ok := s.X.(*ast.Ident); ok {
			if id := m.add(s, kind, m.short(s)); id != 0 {
				m.before(s.Pos(), fmt.Sprintf("%s(%d, &", map[token.Token]string{token.INC: "mutantInc", token.DEC: "mutantDec"}[s.Tok], id))
				m.replace(s.TokPos, 2, ")")
			}
		}
	}
}
