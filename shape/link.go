package shape

import (
	"sync"
	"time"

	"usock/clock"
	"usock/link"
)

// Config is what Impair needs beside a shape.
type Config struct {
	// Seed makes the random choices (link.ImpairConfig).
	Seed uint64

	// MTU, if not zero and less than the link's, is the MTU that the link shows.
	MTU int

	// Clock is where time comes from; nil: from the host that takes the link, and from the machine until one does.
	Clock clock.Clock

	// Loopback says that all packets of the link are sent, in both directions of a shape: a loopback link's.
	Loopback bool
}

// Impair returns a link that carries packets as l does, but as s says. Time begins when a host takes the link.
func Impair(l link.Link, s Shape, c Config) (*Link, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	i, err := link.Impair(l, link.ImpairConfig{Seed: c.Seed, MTU: c.MTU, Clock: c.Clock})
	if err != nil {
		return nil, err
	}
	out := &Link{Impaired: i, config: c}
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

	mu     sync.Mutex
	clock  clock.Clock // mu
	begun  time.Duration
	alarm  clock.Alarm
	shape  Shape
	flows  *flows
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
	return l.apply()
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

// set is Impaired.Set for the two directions of a shape. The caller holds mu.
func (l *Link) set(up, down link.Impairment) error {
	if !l.config.Loopback {
		return l.Impaired.Set(up, down)
	}
	if l.shape.OneWay {
		if err := l.SetStages(link.Stages{}, link.Stages{}); err != nil {
			return err
		}
		return l.Impaired.Set(up, link.Impairment{})
	}

	// Both directions pass the same way out: each is a stage there, that packets of the other do not pass.
	if l.flows == nil {
		l.flows = newFlows()
	}
	both := []link.Stage{{Name: stageUp, Impairment: up}, {Name: stageDown, Impairment: down}}
	return l.SetStages(link.Stages{List: both, Next: func(p *link.Packet, _ time.Duration, from int) int {
		if want := l.flows.direction(p); want >= from {
			return want
		}
		return len(both)
	}}, link.Stages{})
}

// The stages of a loopback link's two directions.
const (
	stageUp   = "up"
	stageDown = "down"
)

// Close implements link.Link.
func (l *Link) Close() error {
	l.mu.Lock()
	l.closed = true
	l.alarm.Stop()
	l.mu.Unlock()
	return l.Impaired.Close()
}
