//go:build linux

package main

import (
	_ "embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

//go:embed testdata/usrsctp.c
var usrsctpSource []byte

// usrsctpProgram compiles usrsctp's side, once, and returns its file.
var usrsctpProgram = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "usock-sctp")
	if err != nil {
		return "", err
	}
	usrsctpDir = dir
	program := filepath.Join(dir, "usrsctp")
	if err := os.WriteFile(program+".c", usrsctpSource, 0o644); err != nil {
		return "", err
	}
	out, err := exec.Command("gcc", "-O2", "-Wall", "-o", program, program+".c", "-lusrsctp", "-lpthread").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("compiling for libusrsctp (libusrsctp-dev): %w: %s", err, out)
	}
	return program, nil
})

// usrsctpDir has what usrsctpProgram has made; "": nothing.
var usrsctpDir string

// removeUsrsctp removes it.
func removeUsrsctp() {
	if usrsctpDir != "" {
		os.RemoveAll(usrsctpDir)
	}
}

// usrsctp measures with libusrsctp.
func (t task) usrsctp() (res result, err error) {
	program, err := usrsctpProgram()
	if err != nil {
		return res, err
	}
	port, err := freePorts()
	if err != nil {
		return res, err
	}
	seconds := strconv.FormatFloat(t.Time.Seconds(), 'f', -1, 64)
	out, err := output(exec.Command(program, t.Work, seconds, strconv.Itoa(port)), t.Time)
	if err != nil {
		return res, err
	}
	figure, rest, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	each, settings, _ := strings.Cut(rest, " ")
	res.Settings = "libusrsctp " + usrsctpVersion() + ": " + settings
	if v, err := strconv.ParseFloat(each, 64); err == nil && v > 0 {
		res.More = map[string]float64{processorTime: v}
	}
	res.Value, err = strconv.ParseFloat(figure, 64)
	return res, err
}

func usrsctpVersion() string {
	v, err := exec.Command("dpkg-query", "-W", "-f", "${Version}", "libusrsctp-dev").Output()
	if err != nil {
		return "of unknown version"
	}
	return string(v)
}

// freePorts returns the first of two UDP ports in a row that are free.
func freePorts() (int, error) {
	for {
		a, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := a.LocalAddr().(*net.UDPAddr).Port
		b, err := net.ListenPacket("udp4", fmt.Sprintf("127.0.0.1:%d", port+1))
		a.Close()
		if err == nil {
			b.Close()
			return port, nil
		}
	}
}
