package control

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestPageHasFields holds docs/CONTROL.md to the messages.
func TestPageHasFields(t *testing.T) {
	b, err := os.ReadFile("../../docs/CONTROL.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	for _, v := range []any{Greeting{}, Run{}, Request{}, Reply{}, Setting{}, Trace{}, Shape{}, Error{}, Traffic{}, InterfaceTraffic{}, Event{}, Socket{}} {
		typ := reflect.TypeOf(v)
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if !strings.Contains(page, "`"+name+"`") && !strings.Contains(page, `"`+name+`":`) {
				t.Errorf("%v: the page does not tell of %s", typ, name)
			}
		}
	}
	for _, code := range []string{Refused, Busy, Malformed, Unknown, Invalid, Over, DoTraffic, DoStats, DoSockets, DoEvents, DoCapture, DoTrace, DoSet} {
		if !strings.Contains(page, "`"+code+"`") {
			t.Errorf("the page does not tell of %s", code)
		}
	}
}
