package control

import "testing"

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "",
		"--name a b: ü, \"x\" and \\":   "--name a b: ü, \"x\" and \\",
		"two\nlines":                    "two\nlines",
		"\x1b[2J\r\a\x00\u009b\u202e\t": `\x1b[2J\r\a\x00\u009b\u202e\t`,
		"\xff\ufffd\xc3":                `\xff` + "\ufffd" + `\xc3`,
	} {
		if got := Visible(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
