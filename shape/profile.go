package shape

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"usock/link"
)

// Profile is a shape that people know by a name.
type Profile struct {
	Name  string
	From  string // where its figures come from
	About string // what is in it beside rates and delay; "": nothing
	Shape Shape
}

// Where figures come from.
const (
	fromFirefox    = "Firefox, Network Monitor"
	fromLighthouse = "Lighthouse"
	fromApple      = "Apple, Network Link Conditioner"
	fromUsock      = "usock"
)

// Profiles returns all profiles, those of one source together. The caller may change what it gets.
func Profiles() []Profile {
	return []Profile{
		known("gprs", fromFirefox, 50*kbit, 20*kbit, 500*ms),
		known("regular-2g", fromFirefox, 250*kbit, 50*kbit, 300*ms),
		known("good-2g", fromFirefox, 450*kbit, 150*kbit, 150*ms),
		known("regular-3g", fromFirefox, 750*kbit, 250*kbit, 100*ms),
		known("good-3g", fromFirefox, 1500*kbit, 750*kbit, 40*ms),
		known("regular-4g", fromFirefox, 4*mbit, 3*mbit, 20*ms),
		known("dsl", fromFirefox, 2*mbit, 1*mbit, 5*ms),
		known("wifi", fromFirefox, 30*mbit, 15*mbit, 2*ms),

		known("slow-4g", fromLighthouse, 1600*kbit, 750*kbit, 150*ms),
		known("slow-3g", fromLighthouse, 700*kbit, 700*kbit, 300*ms),
		known("desktop", fromLighthouse, 10240*kbit, 10240*kbit, 40*ms),

		apple("apple-edge", way(240*kbit, 400*ms), way(200*kbit, 440*ms)),
		apple("apple-3g", way(780*kbit, 100*ms), way(330*kbit, 100*ms)),
		apple("apple-lte", way(50*mbit, 50*ms), way(10*mbit, 65*ms)),
		apple("apple-dsl", way(2*mbit, 5*ms), way(256*kbit, 5*ms)),
		apple("apple-wifi", way(40*mbit, 1*ms), way(33*mbit, 1*ms)),
		apple("apple-wifi-ac", way(250*mbit, 1*ms), way(100*mbit, 1*ms)),
		apple("apple-very-bad", lossy(way(1*mbit, 500*ms), 0.1), lossy(way(1*mbit, 500*ms), 0.1)),
		apple("apple-100-loss", link.Impairment{Loss: 1}, link.Impairment{Loss: 1}),
		lateDNS(),

		geo(),
		leo(),
		own("airplane", lossy(strays(way(3*mbit, 350*ms), 50*ms), 0.01), lossy(strays(way(500*kbit, 350*ms), 50*ms), 0.01)),
		own("hotel-wifi", lossy(strays(way(5*mbit, 30*ms), 15*ms), 0.005), lossy(strays(way(1*mbit, 30*ms), 15*ms), 0.005)),
		own("transatlantic", way(100*mbit, 40*ms), way(100*mbit, 40*ms)),
		own("lossy-wifi", bursts(strays(way(20*mbit, 5*ms), 4*ms)), bursts(strays(way(10*mbit, 5*ms), 4*ms))),
	}
}

const (
	kbit = 1_000
	mbit = 1_000_000
	ms   = time.Millisecond
)

// FindProfile returns the profile of that name. The error names the nearest ones.
func FindProfile(name string) (Profile, error) {
	all := Profiles()
	if i := slices.IndexFunc(all, func(p Profile) bool { return p.Name == name }); i >= 0 {
		return all[i], nil
	}
	var like []string
	for _, p := range all {
		if near(p.Name, name) {
			like = append(like, p.Name)
		}
	}
	if len(like) == 0 {
		return Profile{}, fmt.Errorf("there is no profile %q; usock profiles lists them", name)
	}
	return Profile{}, fmt.Errorf("there is no profile %q; usock profiles lists them, such as %s", name, strings.Join(like, ", "))
}

// near reports whether one name may be meant by the other: it has a word of it.
func near(name, given string) bool {
	words := func(s string) []string {
		return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return r == '-' || r == '_' || r == ' ' })
	}
	return slices.ContainsFunc(words(name), func(w string) bool { return slices.Contains(words(given), w) })
}

// known is a profile of two rates and a round trip, half of which is each way's.
func known(name, from string, down, up uint64, roundTrip time.Duration) Profile {
	return Profile{Name: name, From: from, Shape: Shape{Up: way(up, roundTrip/2), Down: way(down, roundTrip/2)}}
}

func apple(name string, down, up link.Impairment) Profile {
	return Profile{Name: name, From: fromApple, Shape: Shape{Up: up, Down: down}}
}

func own(name string, down, up link.Impairment) Profile {
	return Profile{Name: name, From: fromUsock, Shape: Shape{Up: up, Down: down}}
}

// way is one direction.
func way(rate uint64, delay time.Duration) link.Impairment {
	return link.Impairment{Rate: rate, Delay: delay}
}

func lossy(m link.Impairment, share float64) link.Impairment {
	m.Loss = share
	return m
}

func strays(m link.Impairment, by time.Duration) link.Impairment {
	m.Jitter = by
	return m
}

// bursts has m lose 2 % of all packets, three at a time in the mean: as a radio does that fades.
func bursts(m link.Impairment) link.Impairment {
	m.Burst = link.Burst{Enter: 0.0068, Leave: 1. / 3, LossBad: 1}
	return m
}

// lateDNS is a network whose name servers take their time.
func lateDNS() Profile {
	p := apple("apple-high-latency-dns", link.Impairment{}, link.Impairment{})
	p.About = "answers of name servers take 3s longer"
	for _, text := range []string{"down to :53: delay 3s"} {
		r, err := ParseRule(text)
		if err != nil {
			panic(err)
		}
		p.Shape.Rules = append(p.Shape.Rules, r)
	}
	return p
}

// geo is a way by a satellite that stands at 35,786 km: up and down by it is 240 ms and more, each way, and the modems' turns
// are the rest.
func geo() Profile {
	down, up := lossy(strays(way(25*mbit, 300*ms), 10*ms), 0.001), lossy(strays(way(3*mbit, 300*ms), 10*ms), 0.001)
	return own("satellite-geo", down, up)
}

// leo is a way by low satellites, from one of which the terminal goes over to the next one each 15 seconds: nothing comes
// through for a moment, and then the way is of another length.
func leo() Profile {
	const turn, gap = 15 * time.Second, 120 * ms
	p := own("satellite-leo", strays(way(150*mbit, 20*ms), 5*ms), strays(way(15*mbit, 20*ms), 5*ms))
	p.About = "a handover every 15s: nothing comes through for 120ms, then the delay is another one"
	delays := []time.Duration{20 * ms, 26 * ms, 17 * ms, 23 * ms}
	c := &p.Shape.Course
	for i, delay := range delays {
		at := time.Duration(i) * turn
		up, down := p.Shape.Up, p.Shape.Down
		up.Delay, down.Delay = delay, delay
		c.Steps = append(c.Steps, Step{At: at, Up: up, Down: down})
		up.Loss, down.Loss = 1, 1
		c.Steps = append(c.Steps, Step{At: at + turn - gap, Up: up, Down: down})
	}
	c.Every = time.Duration(len(delays)) * turn
	return p
}
