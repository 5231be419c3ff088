package link

import (
	"reflect"
	"testing"
)

// A sum of counters has all of them.
func TestImpairStatsSum(t *testing.T) {
	var one, sum ImpairStats
	v := reflect.ValueOf(&one).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.CanUint() {
			f.SetUint(uint64(i + 1))
		} else {
			f.SetInt(int64(i + 1))
		}
	}
	sum.add(one)
	if sum != one {
		t.Errorf("%+v, want %+v", sum, one)
	}
}
