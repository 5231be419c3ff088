package ip

import (
	"testing"

	"usock/clock"
	"usock/internal/host"
	"usock/internal/wire"
	"usock/link"
	"usock/packet"
)

// BenchmarkPipe is what a packet of 1500 bytes costs from one host's output to the
// other's transport, 32 of them an entry as in a bulk transfer.
func BenchmarkPipe(b *testing.B) {
	left, right := link.Pipe(link.PipeConfig{MTU: 1500, SmallSegments: true})
	n := 0
	var hosts [2]*host.Host
	var layers [2]*Layer
	for k, end := range []link.Direct{left, right} {
		h := host.New(clock.System())
		hosts[k] = h
		var table Table
		table.Transport[ProtoTCP] = counter{&n}
		h.Enter()
		l := New(h, Config{}, &table)
		layers[k] = l
		i := l.AddIface(IfaceConfig{Name: "eth0", Checksum: true, Out: h.NewPort(end)})
		l.AddAddr(i, prefix([]string{hostA, peerA}[k]+"/24"))
		h.Leave()
		end.Deliver(func(batch []*packet.Packet) {
			h.Enter()
			l.Whole().Input(i, batch)
			h.Leave()
		})
	}
	hosts[0].Enter()
	path, err := layers[0].Route(addr(peerA), addr(hostA), 0)
	hosts[0].Leave()
	if err != nil {
		b.Fatal(err)
	}
	o := Out{Proto: ProtoTCP, Checksum: sumTCP, DontFragment: true}
	head := make([]byte, wire.TCPMinLen+12)
	data := packet.Copy(pattern(1448))
	b.ReportAllocs()
	b.SetBytes(1448)
	for k := 0; b.Loop(); k++ {
		if k%32 == 0 {
			hosts[0].Enter()
		}
		p := packet.New()
		copy(p.Prepend(len(head)), head)
		data.Retain()
		p.Payload.Append(data)
		layers[0].Whole().Output(p, &path, &o)
		if k%32 == 31 {
			hosts[0].Leave()
		}
	}
}
