package inet

import (
	"usock/internal/abi"
	"usock/internal/socket"
	"usock/packet"
)

func empty(data []packet.View) bool {
	for _, v := range data {
		if v.Len() > 0 {
			return false
		}
	}
	return true
}

// write hands m's views to the core, as far as there is room, and ends what the call has to say of
// them. What is left of a view that was cut is m.Rest.
func (t *tcpProto) write(e *tcpEndpoint, m *socket.Msg) int {
	n, now := 0, e.now()
	m.Rest = packet.View{}
	for i, v := range m.Data {
		size := v.Len()
		if size == 0 {
			v.Release() // a call that sends nothing pushes nothing
			continue
		}
		k := e.conn.Room(size)
		if k < size {
			m.Rest = v.Slice(k, size)
			if k > 0 {
				m.Rest.Retain()
			}
			v = v.Slice(0, k)
		}
		if k > 0 {
			took := 0
			if m.Flags&abi.MSG_OOB != 0 {
				took = e.conn.WriteUrgent(now, v)
			} else {
				took = e.conn.Write(now, v)
			}
			n += took
			if took < k {
				m.Rest.Release()
				m.Rest = packet.View{}
			}
			k = took
		}
		if k < size {
			packet.ReleaseAll(m.Data[i+1:])
			e.conn.Cut()
			return n
		}
	}
	if n > 0 {
		e.conn.Written(m.Flags&abi.MSG_MORE != 0, m.Flags&abi.MSG_EOR != 0)
	}
	return n
}
