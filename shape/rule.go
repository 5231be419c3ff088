package shape

import (
	"errors"

	"usock/link"
)

// MaxRules is how many rules a shape has at most.
const MaxRules = 256

// Rule is what is done to some of the packets.
type Rule struct {
	Impairment link.Impairment
	text       string
}

// String returns the rule's text.
func (r *Rule) String() string { return r.text }

// Check returns an error for a rule that makes no sense.
func (r *Rule) Check() error {
	if r.text == "" {
		return errors.New("a rule without text; ParseRule makes rules")
	}
	return r.Impairment.Check()
}
