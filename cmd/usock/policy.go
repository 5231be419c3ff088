package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"usock/gateway"
)

// policyHelp is the part of run's help about --allow and --deny.
const policyHelp = `
Rules say what passes between the run and all that is outside of it, the machine's
loopback interface and clients of published ports included. The first that matches
decides, in the order of the command line, --allow and --deny together; what matches
none is denied if there is an --allow, else allowed:
  --allow api.example:443                       this name's HTTPS, and nothing else
  --deny '*.ads.example' --deny 10.0.0.0/8      all but names that end so, and these
  --allow 10.1.2.3:5432 --deny 10.0.0.0/8 --allow '*:443'
  --deny localhost:6379 --deny '[2001:db8::/32]:53/udp' --deny '*/icmp'
Of what a client asks for at a published port, HOST is the client and PORTS are the
machine's: -p 8080:80 --allow 192.0.2.0/24:8080. What denies 127.0.0.1 or ::1 denies
the machine's other addresses as well. A name stands for the addresses that the run's
name servers, --host or /etc/hosts gave for it, for as long as the run goes on; what a
server gives does not open the loopback interface. With a rule about a name, the servers of
/etc/resolv.conf can be asked, whatever else the rules say, but only about names that
some rule can allow: others are REFUSED. Who looks names up by DNS over HTTPS or TLS
goes past that: --deny by name stops those that do not, --allow lets only addresses
pass that were asked for in the run. What is denied is told on stderr and in
--log-flows; --deny-with says what the program sees.

Rules keep programs in order that mean no harm. They are no sandbox against hostile
code, which has its user's files, AF_UNIX sockets and processes to go by: pair them
with bubblewrap, and with Landlock for files:
  usock run --allow api.example:443 -- bwrap --unshare-all --share-net \
      --ro-bind /usr /usr --symlink usr/lib /lib --symlink usr/lib64 /lib64 \
      --ro-bind /etc /etc --proc /proc --dev /dev PROGRAM
`

// rules are the values of --allow and --deny together, in the order of the command line.
type rules struct{ list []gateway.Rule }

// ruleFlag is one of the two flags.
type ruleFlag struct {
	rules *rules
	allow bool
}

// String implements pflag.Value.
func (f *ruleFlag) String() string {
	var all []string
	if f.rules != nil {
		for i := range f.rules.list {
			if r := &f.rules.list[i]; r.Allow == f.allow {
				all = append(all, r.String())
			}
		}
	}
	return strings.Join(all, " ")
}

// Type implements pflag.Value.
func (f *ruleFlag) Type() string { return "RULE" }

// Set implements pflag.Value: it adds a rule.
func (f *ruleFlag) Set(text string) error {
	r, err := gateway.ParseRule(f.allow, text)
	if err != nil {
		return err
	}
	f.rules.list = append(f.rules.list, r)
	return nil
}

// refusals are the values of --deny-with.
var refusals = map[string]gateway.Refusal{"prohibit": gateway.Prohibit, "reset": gateway.Reset, "drop": gateway.Drop}

// denyWith is the value of --deny-with.
type denyWith struct {
	text string // "": not given
	how  gateway.Refusal
}

// String implements pflag.Value.
func (d *denyWith) String() string { return d.text }

// Type implements pflag.Value.
func (d *denyWith) Type() string { return "HOW" }

// Set implements pflag.Value.
func (d *denyWith) Set(text string) error {
	how, ok := refusals[text]
	if !ok {
		return errors.New("give prohibit, reset or drop")
	}
	d.text, d.how = text, how
	return nil
}

// flowLog is the value of --log-flows, and its file.
type flowLog struct {
	path string
	log  *gateway.FlowLog
}

// String implements pflag.Value.
func (l *flowLog) String() string { return l.path }

// Type implements pflag.Value.
func (l *flowLog) Type() string { return "file" }

// Set implements pflag.Value.
func (l *flowLog) Set(text string) error {
	if text == "" {
		return errors.New("name a file, such as flows.json")
	}
	if err := once(l.path, text, oneFile); err != nil {
		return err
	}
	l.path = text
	return nil
}

// open opens the file, which nobody else may read if it is new. A FIFO waits for its reader.
// The recording, if it is not nil, must not go there.
func (l *flowLog) open(recording *os.File) error {
	if l.path == "" {
		return nil
	}
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("--log-flows %s: %w; name a file that you can write", l.path, withoutName(err))
	}
	if recording != nil && same(recording, f) {
		f.Close()
		return fmt.Errorf("--log-flows %s: the recording goes there, too; name another file", l.path)
	}
	l.log = gateway.NewFlowLog(f)
	return nil
}

// close writes what is left. Its error says what was left out.
func (l *flowLog) close() error {
	if l.log == nil {
		return nil
	}
	if err := l.log.Close(); err != nil {
		return fmt.Errorf("--log-flows %s: %w", l.path, err)
	}
	return nil
}
