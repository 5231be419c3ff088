//go:build linux

package main

import (
	"sync"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"usock/link"
)

// bridged is a gVisor link endpoint over one of usock's links, so that gVisor can
// be measured over the same devices and impairments. Packets go out in the batches
// in which gVisor writes them and come in in those in which the link delivers them,
// with host GSO and checksum offload where the link has them. Each packet is copied
// between gVisor's buffers and the link's: once on its way in, twice on its way out.
type bridged struct {
	l    link.Link
	info link.Info
	d    stack.NetworkDispatcher
}

// scratches hold a packet each on its way to a link.
var scratches = sync.Pool{New: func() any { return new([]byte) }}

// WritePackets implements stack.LinkEndpoint.
func (b *bridged) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	batch := make([]*link.Packet, 0, pkts.Len())
	scratch := scratches.Get().(*[]byte)
	defer scratches.Put(scratch)
	for _, p := range pkts.AsSlice() {
		raw := (*scratch)[:0]
		for _, s := range p.AsSlices() {
			raw = append(raw, s...)
		}
		*scratch = raw
		out := link.NewPacket(raw)
		if g := &p.GSOOptions; g.Type != stack.GSONone && g.NeedsCsum {
			out.ChecksumStart, out.ChecksumOffset = g.L3HdrLen, g.CsumOffset
			if p.Data().Size() > int(g.MSS) {
				out.SegmentSize = g.MSS
			}
		}
		batch = append(batch, out)
	}
	return b.l.Send(batch), nil
}

// Attach implements stack.LinkEndpoint.
func (b *bridged) Attach(d stack.NetworkDispatcher) {
	b.d = d
	if l, ok := b.l.(link.Direct); ok {
		l.Deliver(b.deliver)
		return
	}
	go func() {
		batch := make([]*link.Packet, 64)
		for {
			n, err := b.l.Recv(batch)
			if err != nil {
				return
			}
			b.deliver(batch[:n])
		}
	}()
}

func (b *bridged) deliver(batch []*link.Packet) {
	for _, p := range batch {
		v := buffer.NewViewSize(p.Len())
		p.AppendTo(v.AsSlice()[:0])
		in := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithView(v)})
		p.Free()
		b.d.DeliverNetworkPacket(ipv4.ProtocolNumber, in)
		in.DecRef()
	}
}

// IsAttached implements stack.LinkEndpoint.
func (b *bridged) IsAttached() bool { return b.d != nil }

// MTU implements stack.LinkEndpoint.
func (b *bridged) MTU() uint32 {
	if b.info.Medium == link.Ethernet {
		return uint32(b.info.MTU) + header.EthernetMinimumSize // which the endpoint above takes off
	}
	return uint32(b.info.MTU)
}

// SetMTU implements stack.LinkEndpoint.
func (b *bridged) SetMTU(uint32) {}

// Capabilities implements stack.LinkEndpoint.
func (b *bridged) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityRXChecksumOffload
}

// GSOMaxSize implements stack.GSOEndpoint.
func (b *bridged) GSOMaxSize() uint32 { return 65000 }

// SupportedGSO implements stack.GSOEndpoint.
func (b *bridged) SupportedGSO() stack.SupportedGSO {
	if b.info.Segments && b.info.Checksum {
		return stack.HostGSOSupported
	}
	return stack.GSONotSupported
}

// MaxHeaderLength implements stack.LinkEndpoint.
func (b *bridged) MaxHeaderLength() uint16 { return 0 }

// LinkAddress implements stack.LinkEndpoint.
func (b *bridged) LinkAddress() tcpip.LinkAddress {
	if b.info.Medium != link.Ethernet {
		return ""
	}
	return tcpip.LinkAddress(b.info.Address[:])
}

// SetLinkAddress implements stack.LinkEndpoint.
func (b *bridged) SetLinkAddress(tcpip.LinkAddress) {}

// Wait implements stack.LinkEndpoint.
func (b *bridged) Wait() {}

// ARPHardwareType implements stack.LinkEndpoint.
func (b *bridged) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareNone }

// AddHeader implements stack.LinkEndpoint.
func (b *bridged) AddHeader(*stack.PacketBuffer) {}

// ParseHeader implements stack.LinkEndpoint.
func (b *bridged) ParseHeader(*stack.PacketBuffer) bool { return true }

// Close implements stack.LinkEndpoint.
func (b *bridged) Close() {}

// SetOnCloseAction implements stack.LinkEndpoint.
func (b *bridged) SetOnCloseAction(func()) {}
