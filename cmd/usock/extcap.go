package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"usock/internal/control"
)

// Wireshark runs each program in its extcap folders to ask for interfaces, and to capture on one of them (extcap(4),
// wireshark.org's 'Adding Capture Interfaces And Log Sources Using Extcap'): usock is such a program, if it finds flags
// that begin so among its arguments.

const (
	extcapPrefix  = "--extcap-"
	extcapCapture = "--capture"
	extcapValue   = "usock-" // in front of a run's id: the interface's name
)

func extcapCmd() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "extcap",
		Short: "Have Wireshark list running programs as interfaces",
		Long: `Extcap puts a link to this usock into the folder where Wireshark, dumpcap and tshark
look for programs that capture. From then on they list each run of this user's among
their interfaces, and capture from it live. Removing the link undoes it.`,
		Example: extcapExamples,
		Args:    noArguments,
		RunE:    func(c *cobra.Command, _ []string) error { return installExtcap(dir, c.OutOrStdout()) },
	}
	c.Flags().StringVar(&dir, "dir", "", "the `FOLDER`; without it the personal one that Wireshark names")
	return c
}

// installExtcap links this program into a folder.
func installExtcap(dir string, out io.Writer) error {
	if dir == "" {
		var err error
		if dir, err = extcapFolder(); err != nil {
			return err
		}
	}
	self, err := os.Executable()
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return err
	}
	name := filepath.Join(dir, "usock")
	if old, err := os.Readlink(name); err == nil {
		if old == self {
			fmt.Fprintf(out, "%s is there already\n", name)
			return nil
		}
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	err = os.Symlink(self, name)
	switch {
	case errors.Is(err, os.ErrExist):
		return fmt.Errorf("%s is there, and is no link: remove it first, if it is not needed", name)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%s: permission denied; with sudo it is done for all users", name)
	case err != nil:
		return err
	}
	fmt.Fprintf(out, "%s leads to %s; tshark -D lists the runs\n", name, self)
	return nil
}

// extcapFolder returns the user's folder for such programs, as Wireshark says, or as its newest version has it.
func extcapFolder() (string, error) {
	all := ""
	for _, program := range []string{"tshark", "wireshark"} {
		b, err := exec.Command(program, "-G", "folders").Output()
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			name, value, _ := strings.Cut(line, ":")
			value = strings.TrimSpace(value)
			switch {
			case name == "Personal Extcap path":
				return value, nil
			case name == "Extcap path":
				all = value // before Wireshark 4.2 there is this one alone
			}
		}
	}
	if all != "" {
		return all, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("%w: name the folder by --dir", err)
	}
	return filepath.Join(home, ".local/lib/wireshark/extcap"), nil
}

// isExtcap reports whether Wireshark calls: it gives flags alone, and to a command of usock's belong the flags behind it.
func isExtcap(args []string) bool {
	return len(args) > 0 && strings.HasPrefix(args[0], "-") && slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, extcapPrefix) || a == extcapCapture })
}

// extcapCall is what Wireshark asks for.
type extcapCall struct {
	list, types, options, record bool

	iface, fifo string
	x           capture
	filter      string
}

// parseExtcap reads Wireshark's arguments, of which a flag's value is behind = or in the next one. Those of later versions are
// passed over.
func parseExtcap(args []string) (c extcapCall, err error) {
	for i := 0; i < len(args) && err == nil; i++ {
		name, value, has := strings.Cut(args[i], "=")
		next := func() string {
			if !has && i+1 < len(args) {
				i++
				value = args[i]
			}
			return value
		}
		switch name {
		case "--extcap-interfaces":
			c.list = true
		case "--extcap-dlts":
			c.types = true
		case "--extcap-config":
			c.options = true
		case extcapCapture:
			c.record = true
		case "--extcap-interface":
			c.iface = next()
		case "--fifo":
			c.fifo = next()
		case "--extcap-capture-filter":
			if c.filter = next(); c.filter != "" {
				err = c.x.filter.Set(c.filter)
			}
		case "--for":
			if text := next(); text != "" {
				err = c.x.whose.Set(text)
			}
		}
	}
	return c, err
}

// extcap answers Wireshark and returns the exit status.
func extcap(args []string, out, complaints io.Writer) int {
	c, err := parseExtcap(args)
	switch {
	case c.list:
		err = listExtcap(out)
	case c.types:
		fmt.Fprintln(out, "dlt {number=101}{name=RAW}{display=Raw IP}")
	case c.options:
		fmt.Fprintln(out, "arg {number=0}{call=--for}{display=Only of}{type=string}{tooltip=A program by its name, pid:NUMBER, or :PORT}")
	case c.record && err == nil:
		err = c.capture()
	case c.filter != "" && err != nil:
		fmt.Fprintln(out, err) // Wireshark shows what is wrong with a filter
		return 0
	}
	if err != nil {
		tell(complaints, err)
		return 1
	}
	return 0
}

// listExtcap names the runs as interfaces.
func listExtcap(out io.Writer) error {
	fmt.Fprintf(out, "extcap {version=%d}{display=usock}\n", control.Version)
	clients, err := runs("", io.Discard)
	if err != nil {
		return err
	}
	defer closeAll(clients)
	for _, c := range clients {
		title := "usock: "
		if c.Run.Name != "" {
			title += c.Run.Name + ", "
		}
		title += strings.Join(c.Run.Program, " ")
		if r := []rune(title); len(r) > 80 {
			title = string(r[:79]) + "…"
		}
		// What would end a value is not in it.
		title = strings.NewReplacer("{", "(", "}", ")").Replace(control.Printable(title))
		fmt.Fprintf(out, "interface {value=%s%s}{display=%s}\n", extcapValue, c.Run.ID, title)
	}
	return nil
}

// capture records a run into Wireshark's FIFO until Wireshark ends it.
func (c *extcapCall) capture() error {
	id, ok := strings.CutPrefix(c.iface, extcapValue)
	if !ok || c.fifo == "" {
		return errors.New("--capture wants --extcap-interface=" + extcapValue + "RUN and --fifo=FILE; people use usock capture")
	}
	c.x.to.name = c.fifo
	if err := c.x.record(id); !errors.Is(err, syscall.EPIPE) { // by closing the FIFO Wireshark ends a capture, too
		return captureError(c.fifo, err)
	}
	return nil
}
