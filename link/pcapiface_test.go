package link

import (
	"io"
	"slices"
	"testing"
)

// An interface in a capture watches one impaired link at a time: the same one goes on without a gap, whatever records it, another
// one ends it, as does one that is not impaired, and who stops what has ended stops nothing.
func TestWatchOneLink(t *testing.T) {
	a, _ := Pipe(PipeConfig{})
	first, err := Impair(a, ImpairConfig{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := Impair(first, ImpairConfig{})
	if err != nil {
		t.Fatal(err)
	}
	w := NewPcapWriter(io.Discard, 0)
	defer w.Close()
	recorded := Pcap(first, NewPcapWriter(io.Discard, 0), Sent)
	by := func(m *Impaired) int { return len(m.out.base.watchers) }
	i, others := w.Interface(a.Info()), by(first)

	stop, ok := i.Watch(first)
	began := slices.Clone(first.out.base.watchers)
	if _, again := i.Watch(recorded); !ok || !again || !slices.Equal(first.out.base.watchers, began) || by(first) != others+1 {
		t.Errorf("%v, %v: %d watch the link, before it %d", ok, again, by(first), others)
	}
	last, ok := i.Watch(second)
	if !ok || by(first) != others || by(second) != 1 {
		t.Errorf("%v: %d watch the one before, and %d another", ok, by(first), by(second))
	}
	if stop(); by(second) != 1 {
		t.Error("what has ended was stopped")
	}
	if last(); by(second) != 0 {
		t.Error("it is not stopped")
	}
	i.Watch(second)
	if _, ok := i.Watch(a); ok || by(second) != 0 {
		t.Errorf("%v: %d watch a link that is no more", ok, by(second))
	}
}
