package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// The largest and the smallest MTU that --mtu takes: what IPv6 needs (RFC 8200, section
// 5), and the loopback interface's, than which no link here has more.
const (
	minMTU = 1280
	maxMTU = 65536
)

// mtuValue is --mtu; 0: it was not given.
type mtuValue int

// String implements pflag.Value.
func (v *mtuValue) String() string {
	if *v == 0 {
		return ""
	}
	return strconv.Itoa(int(*v))
}

// behind returns flags with --mtu behind them, if it is known.
func (v mtuValue) behind(flags string) string {
	if v == 0 {
		return flags
	}
	return strings.TrimPrefix(fmt.Sprintf("%s --mtu %d", flags, v), " ")
}

// Type implements pflag.Value.
func (v *mtuValue) Type() string { return "BYTES" }

// Set implements pflag.Value.
func (v *mtuValue) Set(text string) error {
	n, err := strconv.Atoi(text)
	switch {
	case errors.Is(err, strconv.ErrSyntax):
		return fmt.Errorf("a number of bytes is wanted, %d to %d", minMTU, maxMTU)
	case err == nil && n < minMTU:
		return fmt.Errorf("IPv6 needs packets of %d bytes; give %d to %d", minMTU, minMTU, maxMTU)
	case err != nil || n > maxMTU:
		return fmt.Errorf("no link carries packets as large; give %d to %d", minMTU, maxMTU)
	}
	*v = mtuValue(n)
	return nil
}

// seedValue is --seed.
type seedValue uint64

// String implements pflag.Value.
func (v *seedValue) String() string {
	if *v == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(*v), 10)
}

// Type implements pflag.Value.
func (v *seedValue) Type() string { return "NUMBER" }

// Set implements pflag.Value.
func (v *seedValue) Set(text string) error {
	n, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		return errors.New("a whole number is wanted, 0 to 18446744073709551615")
	}
	*v = seedValue(n)
	return nil
}

// fileValue is a file's name.
type fileValue struct {
	name  string
	given string // by the user: name may be there before
	hint  string // what to give
}

// String implements pflag.Value.
func (v *fileValue) String() string { return v.name }

// Type implements pflag.Value.
func (v *fileValue) Type() string { return "FILE" }

// Set implements pflag.Value.
func (v *fileValue) Set(text string) error {
	if text == "" {
		return errors.New("no file is named; " + v.hint)
	}
	if err := once(v.given, text, oneFile); err != nil {
		return err
	}
	v.name, v.given = text, text
	return nil
}

// What flags say that are given twice.
const (
	oneFile   = "one file is written"
	oneFilter = "join them by and, or or"
)

// once refuses the second of two values of which a flag has one, where the first says more than how something is: a file would not be
// written, a script not be run. Of other flags the last one counts, so that what an alias or a script says can be said otherwise.
func once(before, now, why string) error {
	if before != "" && before != now {
		return fmt.Errorf("there is %s already: %s", before, why)
	}
	return nil
}

// networkValue is --addr.
type networkValue struct{ netip.Prefix }

// String implements pflag.Value.
func (v *networkValue) String() string {
	if !v.IsValid() {
		return ""
	}
	return v.Prefix.String()
}

// Type implements pflag.Value.
func (v *networkValue) Type() string { return "NETWORK" }

// Set implements pflag.Value. The gateway judges whether the network has room for it.
func (v *networkValue) Set(text string) error {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return errors.New("this is no network; give an address and its length, such as 10.1.2.0/24")
	}
	v.Prefix = p
	return nil
}

// portValue is --sctp-encap; 0: it was not given.
type portValue uint16

// String implements pflag.Value.
func (v *portValue) String() string {
	if *v == 0 {
		return ""
	}
	return strconv.Itoa(int(*v))
}

// Type implements pflag.Value.
func (v *portValue) Type() string { return "PORT" }

// Set implements pflag.Value.
func (v *portValue) Set(text string) error {
	n, err := port(text)
	if err != nil {
		return err
	}
	*v = portValue(n)
	return nil
}
