//go:build linux

package main

import (
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
// once, between gVisor's buffers and the link's.
type bridged struct {
	l    link.Link
	info link.Info
	d    stack.NetworkDispatcher
}

// WritePackets implements stack.LinkEndpoint.
func (b *bridged) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	batch := make([]*link.Packet, 0, pkts.Len())
	for _, p := range pkts.AsSlice() {
		raw := make([]byte, 0, p.Size())
		for _, s := range p.AsSlices() {
			raw = append(raw, s...)
		}
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
		in := stack.NewPacketBuffer(stack.PacketBufferOptions{
			Payload: buffer.MakeWithData(p.AppendTo(nil)),
		})
		p.Free()
		b.d.DeliverNetworkPacket(ipv4.ProtocolNumber, in)
		in.DecRef()
	}
}

// IsAttached implements stack.LinkEndpoint.
func (b *bridged) IsAttached() bool { return b.d != nil }

// MTU implements stack.LinkEndpoint.
func (b *bridged) MTU() uint32 { return uint32(b.info.MTU) }

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
func (b *bridged) LinkAddress() tcpip.LinkAddress { return "" }

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
