package wait

import "testing"

type target struct{ got Events }

func (t *target) Notify(_ *Entry, ev Events, _ *List) { t.got |= ev }

func TestNotifyMask(t *testing.T) {
	var q Queue
	var l List
	in, out, none := &target{}, &target{}, &target{}
	for _, x := range []struct {
		t    *target
		mask Events
	}{{in, In}, {out, Out}, {none, 0}} {
		q.Add(&Entry{Mask: x.mask, Target: x.t})
	}
	q.Notify(In, &l)
	if in.got != In || out.got != 0 || none.got != 0 {
		t.Errorf("In reached %#x %#x %#x", in.got, out.got, none.got)
	}
	q.Notify(Hup|Out, &l)
	if in.got != In|Hup || out.got != Out|Hup || none.got != Hup {
		t.Errorf("Hup reached %#x %#x %#x", in.got, out.got, none.got)
	}
}

func TestExclusive(t *testing.T) {
	var q Queue
	var l List
	var ws [3]*Waiter
	for i := range ws {
		ws[i] = NewWaiter()
		ws[i].Mask, ws[i].Exclusive = In, true
		q.Add(&ws[i].Entry)
	}
	q.Notify(In, &l)
	if !ws[0].Listed() || ws[1].Listed() || ws[0].Queued() || !ws[1].Queued() {
		t.Fatal("one event must reach the first exclusive waiter alone, which leaves the queue")
	}
	q.Notify(In, &l)
	if !ws[1].Listed() || ws[2].Listed() {
		t.Fatal("the next event must reach the next waiter")
	}
	q.Notify(Err, &l)
	if !ws[2].Listed() || !q.Empty() {
		t.Fatal("an error reaches everyone")
	}
	got := l.Take()
	if l.head != nil {
		t.Fatal("Take left something")
	}
	got.Signal()
	for i, w := range ws {
		select {
		case <-w.C:
			w.Received()
		default:
			t.Errorf("waiter %d was not signalled", i)
		}
		if w.Listed() {
			t.Errorf("waiter %d is still listed", i)
		}
	}
}

func TestRemove(t *testing.T) {
	var q Queue
	var es [3]Entry
	for i := range es {
		es[i].Target = &target{}
		q.Add(&es[i])
	}
	for _, i := range []int{1, 0, 2} {
		es[i].Remove()
		es[i].Remove()
		if es[i].Queued() {
			t.Errorf("entry %d is still queued", i)
		}
	}
	if !q.Empty() {
		t.Error("the queue is not empty")
	}
}
