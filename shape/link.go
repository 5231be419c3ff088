package shape

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"usock/clock"
	"usock/internal/target"
	"usock/link"
)

// Config is what Impair needs beside a shape.
type Config struct {
	// Seed makes the random choices (link.ImpairConfig).
	Seed uint64

	// MTU, if not zero and less than the link's, is the MTU that the link shows.
	MTU int

	// Standby says that a shape may come later (link.ImpairConfig).
	Standby bool

	// Clock is where time comes from; nil: from the host that takes the link, and from the machine until one does.
	Clock clock.Clock

	// Loopback says that all packets of the link are sent, in both directions of a shape: a loopback link's.
	Loopback bool

	// Suffixes are what programs' resolvers append to names with fewer dots than Dots, so that rules about such a name are also
	// about the longer ones: in lower case, with a dot before them and none behind.
	Suffixes []string
	Dots     int
}

// Impair returns a link that carries packets as l does, but as s says. Time begins when a host takes the link.
func Impair(l link.Link, s Shape, c Config) (*Link, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	i, err := link.Impair(l, link.ImpairConfig{Seed: c.Seed, MTU: c.MTU, Standby: c.Standby, Clock: c.Clock})
	if err != nil {
		return nil, err
	}
	out := &Link{Impaired: i, config: c, flows: newFlows()}
	out.names.search = target.Search{Suffixes: c.Suffixes, Dots: c.Dots}
	out.steer = newSteering(nil, out.flows, &out.names, &out.programs)
	out.useClock(c.Clock)
	if err := out.SetShape(s); err != nil {
		i.Close()
		return nil, err
	}
	return out, nil
}

// Link is a link made by Impair. What link.Impaired can do remains: a shape that is set takes its impairments and stages over.
type Link struct {
	*link.Impaired
	config Config

	flows    *flows
	names    names
	programs programs

	mu     sync.Mutex
	clock  clock.Clock // mu
	begun  time.Duration
	alarm  clock.Alarm
	shape  Shape
	steer  *steering
	both   [2]link.Impairment // of the directions, as they are now
	closed bool
}

// UseClock implements link.Timed. The shape's time begins.
func (l *Link) UseClock(c clock.Clock) {
	if l.config.Clock == nil {
		l.useClock(c)
	}
	l.Impaired.UseClock(c)
}

func (l *Link) useClock(c clock.Clock) {
	if c == nil {
		c = clock.System()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.alarm != nil {
		l.alarm.Stop()
	}
	l.clock, l.begun, l.alarm = c, c.Now(), c.NewAlarm(l.turn)
	l.steer.start(l.begun)
	l.goOn()
}

// Shape returns the shape.
func (l *Link) Shape() Shape {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shape
}

// SetShape changes the shape while packets travel. Those that are under way keep their times. The course's and the rules' time is still
// that since the beginning.
func (l *Link) SetShape(s Shape) error {
	if err := s.Check(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shape = s
	l.ruled()
	if err := l.apply(); err != nil {
		return err
	}
	return l.stage()
}

// ruled has rules take the place of others. Those that remain go on to count. The caller holds mu.
func (l *Link) ruled() {
	old, rules := l.steer, slices.Clone(l.shape.Rules)
	l.steer = newSteering(rules, l.flows, &l.names, &l.programs)
	l.steer.start(l.begun)
	if !old.counting {
		return
	}
	to := make([]int, len(old.rules))
	taken := set{}
	for i := range old.rules {
		to[i] = -1
		for k := range rules {
			if !taken.has(k) && rules[k].text == old.rules[i].text {
				taken.add(k)
				to[i] = k
				break
			}
		}
	}
	l.flows.remap(to, old.counts, l.steer.counts)
}

// Resolved says that an address was given for a name: rules about the name are about the address from then on, and about others that
// were given for it.
func (l *Link) Resolved(addr netip.Addr, name string) {
	name = target.Bare(name)
	if l.names.add(addr, name) && l.steering().asksName(name) {
		l.flows.gen.Add(1)
	}
}

// Program says that a process runs a program of that name. A later one takes its place.
func (l *Link) Program(pid int32, name string) {
	name = programName(name)
	if old := l.programs.set(pid, name); old != name {
		if s := l.steering(); s.asksProgram(old) || s.asksProgram(name) {
			l.flows.gen.Add(1)
		}
	}
}

func (l *Link) steering() *steering {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.steer
}

// turn goes on with the course when its next step's time has come.
func (l *Link) turn() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.goOn()
}

// goOn brings the course up to now. The caller holds mu.
func (l *Link) goOn() {
	if err := l.apply(); err != nil {
		panic(err) // all steps have been checked
	}
}

// apply has the link do what the shape says now. The caller holds mu.
func (l *Link) apply() error {
	step, next := l.shape.Course.at(l.clock.Now() - l.begun)
	up, down := l.shape.Up, l.shape.Down
	if step != nil {
		up, down = step.Up, step.Down
	}
	if err := l.set(up, down); err != nil {
		return err
	}
	l.alarm.Stop()
	if next > 0 && !l.closed {
		l.alarm.Set(l.begun + next - l.clock.Now())
	}
	return nil
}

// set has the two directions be as a shape's. The caller holds mu.
func (l *Link) set(up, down link.Impairment) error {
	l.both = [2]link.Impairment{up, down}
	switch {
	case !l.config.Loopback:
		return l.Impaired.Set(up, down)
	case l.shape.OneWay:
		return l.Impaired.Set(up, link.Impairment{})
	}
	if err := l.Impaired.Set(link.Impairment{}, link.Impairment{}); err != nil {
		return err
	}
	return l.stage()
}

// stage makes the link's stages: one for each rule. The caller holds mu.
func (l *Link) stage() error {
	s := l.steer
	if l.config.Loopback {
		return l.SetStages(l.loopStages(s), link.Stages{})
	}
	if len(s.rules) == 0 {
		return l.SetStages(link.Stages{}, link.Stages{})
	}
	s.open()
	toward := func(dir int) link.Stages {
		return link.Stages{List: s.stages(""), Next: func(p *link.Packet, now time.Duration, from int) int {
			return s.first(s.verdict(p), now, from, dir)
		}}
	}
	return l.SetStages(toward(up), toward(down))
}

// loopStages are the stages of a loopback link, where the packets of both directions pass the same way out: two for each rule, one for
// each direction, and then two for the shape's directions. Those at the even places are for packets that go up.
func (l *Link) loopStages(s *steering) link.Stages {
	var list []link.Stage
	rise, fall := s.stages(", up"), s.stages(", down")
	for i := range s.rules {
		list = append(list, rise[i], fall[i])
	}
	base := len(list)
	if !l.shape.OneWay && (l.both != [2]link.Impairment{} || l.shape.Course.Steps != nil) {
		list = append(list, link.Stage{Name: "up", Impairment: l.both[up]}, link.Stage{Name: "down", Impairment: l.both[down]})
	}
	if len(list) == 0 {
		return link.Stages{}
	}
	s.open()
	return link.Stages{List: list, Next: func(p *link.Packet, now time.Duration, from int) int {
		v := s.verdict(p)
		dir := int(v.dir)
		if rule := s.first(v, now, (from+1-dir)/2, dir); rule < len(s.rules) {
			return 2*rule + dir
		}
		if at := base + dir; at >= from {
			return at
		}
		return len(list)
	}}
}

// Close implements link.Link.
func (l *Link) Close() error {
	l.mu.Lock()
	l.closed = true
	l.alarm.Stop()
	l.mu.Unlock()
	return l.Impaired.Close()
}
