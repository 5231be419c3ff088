//go:build linux

package main

import (
	"errors"
	"math"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Every work is done by every way.
func TestWorks(t *testing.T) {
	for i := range works {
		for j := range ways {
			k, w := &works[i], &ways[j]
			if k.name == "idle" && w.name == "pion" || k.only != "" && k.only != w.name {
				continue // 6,000 sockets may be more than the system allows
			}
			t.Run(k.name+"/"+w.name, func(t *testing.T) {
				x := task{Way: w.name, Work: k.name, Time: 50 * time.Millisecond}
				measure := x.do
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
	removeUsrsctp()
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
