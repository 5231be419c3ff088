package shape

import "fmt"

// Missed is a fault that has not struck, and how near it came.
type Missed struct {
	Fault *Fault
	Early bool   // its time has not come
	Met   bool   // there was something of the kind that it strikes at, whatever the conditions
	Asked uint64 // how often there was something that it is about; what was not its turn, or not by chance, is of these
	Due   bool   // some of them was its turn: a connection, on which less has passed than it waits for
}

// Missed returns the faults that have not struck, in the order in which they are listed: for who would otherwise take for passed what has
// never been tried.
func (f *Faults) Missed() (list []Missed) {
	since := f.since()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range f.armed.Load().list {
		if x.struck == 0 {
			list = append(list, Missed{Fault: &x.Fault, Early: since < x.times.from, Met: x.met.Load(), Asked: x.asked, Due: x.due})
		}
	}
	return list
}

// String returns a line such as "fault 'connect refused to :81' has not struck: it is about no connect that there was".
func (m Missed) String() string { return "fault '" + m.Fault.String() + "' has not struck: " + m.why() }

func (m *Missed) why() string {
	noun := m.Fault.noun()
	switch {
	case m.Due:
		return "no " + noun + " that it is about came so far" + m.Fault.other()
	case m.Asked > 0:
		return "its turn had not come by the " + ordinal(m.Asked) + " " + noun + " that it is about"
	case m.Early:
		return "its time had not come"
	case m.Met:
		return "it is about no " + noun + " that there was"
	case m.Fault.Kind == Interrupt:
		return "there was no " + noun + "; a program that waits in poll or epoll has none"
	}
	return "there was no " + noun
}

// noun is what the fault strikes at.
func (f *Fault) noun() string {
	switch kinds[f.Kind].at {
	case atConnect:
		return "connect"
	case atAccept, atAccepted:
		return "accept"
	case atSocket:
		return "socket"
	case atSend:
		return "datagram sent"
	case atWait:
		return f.Call + " that would wait"
	case atName:
		return "DNS question"
	}
	return "connection"
}

// other tells of the fault that is about the other direction of a connection; "": there is none.
func (f *Fault) other() string {
	counts, others := "sends", "receives"
	o := *f
	switch f.Kind {
	case ResetSent:
		o.Kind = ResetReceived
	case PeerStopsReading:
		o.Kind = StopReading
	case ResetReceived:
		o.Kind, counts, others = ResetSent, others, counts
	case StopReading:
		o.Kind, counts, others = PeerStopsReading, others, counts
	default:
		return ""
	}
	return fmt.Sprintf("; it counts what the program %s, and '%s' what it %s", counts, o.what(), others)
}
