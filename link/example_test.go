package link_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"time"

	"usock"
	"usock/link"
)

// A link that takes 20 ms each way.
func ExampleImpair() {
	left, right := link.Pipe(link.PipeConfig{MTU: 1500})
	slow := link.Impairment{Delay: 20 * time.Millisecond}
	way, err := link.Impair(left, link.ImpairConfig{Out: slow, In: slow, Seed: 1})
	if err != nil {
		panic(err)
	}
	alpha, beta := host("10.0.0.1/24", way), host("10.0.0.2/24", right)
	defer alpha.Close()
	defer beta.Close()

	l, _ := beta.Listen("tcp", ":8080")
	defer l.Close()
	begin := time.Now()
	_, err = alpha.Dial("tcp", "10.0.0.2:8080")
	fmt.Println(err, time.Since(begin) >= 40*time.Millisecond)
	// Output: <nil> true
}

// An impairment as the command takes it.
func ExampleParseImpairment() {
	m, err := link.ParseImpairment("delay=20ms,loss=1%,rate=10mbit")
	fmt.Println(m.Delay, m.Loss, m.Rate, err)
	// Output: 20ms 0.01 10000000 <nil>
}

// A switch joins any number of hosts.
func ExampleSwitch() {
	sw := link.NewSwitch(link.SwitchConfig{})
	defer sw.Close()
	var hosts []*usock.Host
	for i := 1; i <= 3; i++ {
		h := host(fmt.Sprintf("10.0.0.%d/24", i), sw.Port("eth0"))
		defer h.Close()
		hosts = append(hosts, h)
	}
	p, _ := hosts[2].ListenPacket("udp", ":7000")
	for _, h := range hosts[:2] {
		c, _ := h.Dial("udp", "10.0.0.3:7000")
		c.Write([]byte("hello"))
		b := make([]byte, 10)
		n, from, _ := p.ReadFrom(b)
		fmt.Printf("%s from %v\n", b[:n], netip.MustParseAddrPort(from.String()).Addr())
	}
	// Output:
	// hello from 10.0.0.1
	// hello from 10.0.0.2
}

// What passes a link is recorded in pcapng, as Wireshark reads it.
func ExamplePcap() {
	var file bytes.Buffer
	w := link.NewPcapWriter(&file, 0)
	left, right := link.Pipe(link.PipeConfig{})
	alpha, beta := host("10.0.0.1/24", link.Pcap(left, w, link.BothWays)), host("10.0.0.2/24", right)
	_, err := alpha.Dial("tcp", "10.0.0.2:80")
	fmt.Println(err)
	alpha.Close()
	beta.Close()
	if err := w.Close(); err != nil {
		panic(err)
	}
	fmt.Printf("%x\n", file.Bytes()[:4])
	// Output:
	// dial tcp 10.0.0.2:80: connect: connection refused
	// 0a0d0d0a
}

func host(addr string, l link.Link) *usock.Host {
	h, err := usock.NewHost(usock.Config{
		Interfaces: []usock.Interface{{Link: l, Addrs: []netip.Prefix{netip.MustParsePrefix(addr)}}},
	})
	if err != nil {
		panic(err)
	}
	return h
}
