//go:build linux

package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestMain measures, where this program is started as the bench starts itself.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "-child" {
		if err := serve(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	removeUsrsctp()
	os.Exit(code)
}

// Every work is done by every way.
func TestWorks(t *testing.T) {
	for i := range works {
		for j := range ways {
			k, w := &works[i], &ways[j]
			if k.name == "idle" && w.name != "usock" || k.only != "" && k.only != w.name {
				continue // thousands of associations take the others long
			}
			t.Run(k.name+"/"+w.name, func(t *testing.T) {
				x := task{Way: w.name, Work: k.name, Time: 50 * time.Millisecond}
				measure := x.spawn
				if w.open == nil {
					measure = x.usrsctp
				}
				res, err := measure()
				if errors.Is(err, exec.ErrNotFound) || err != nil && strings.Contains(err.Error(), "usrsctp.h") {
					t.Skip(err)
				}
				if err != nil || !(res.Value > 0) {
					t.Errorf("%v, %v", res.Value, err)
				}
			})
		}
	}
}

// The bars are against the better one of the others, and say what is missed.
func TestBars(t *testing.T) {
	r := newReport(&options{})
	rate, took := &work{name: "rate", times: 3}, &work{name: "took", times: 0.5, less: true}
	r.values["rate"] = map[string][]float64{"usock": {50, 61, 70}, "usrsctp": {20}, "pion": {10}}
	r.values["took"] = map[string][]float64{"usock": {6}, "usrsctp": {30}, "pion": {10}}
	for _, c := range []struct {
		k    *work
		want string
	}{
		{rate, "≥ 3 × the better: met"},
		{took, "≤ 0.5 × the better: missed"},
		{&work{name: "none", value: 4}, "≥ 4: not measured"},
	} {
		if got := r.bar(c.k); got != c.want {
			t.Errorf("%s: %q, want %q", c.k.name, got, c.want)
		}
	}
	if v := r.ratio(rate, "usock"); math.Abs(v-3.05) > 1e-9 {
		t.Errorf("usock to the better: %v", v)
	}
}
