package wire

import "encoding/binary"

// Results of a Re-configuration Response Parameter (RFC 6525, section 4.4).
const (
	ReConfNothing    uint32 = 0 // success, nothing to do
	ReConfPerformed  uint32 = 1
	ReConfDenied     uint32 = 2
	ReConfWrongSSN   uint32 = 3
	ReConfInProgress uint32 = 4 // a request is in progress already
	ReConfBadSeq     uint32 = 5 // bad sequence number
	ReConfWait       uint32 = 6 // in progress
)

// ReConf is a parameter of a RE-CONFIG chunk (RFC 6525, section 4). Which fields there are depends on
// its type.
type ReConf struct {
	Type      uint16 // ParamOutgoingReset to ParamAddIncoming
	Seq       uint32 // Request Sequence Number; of a response, that of the request
	RespSeq   uint32 // of an Outgoing SSN Reset Request: Response Sequence Number
	LastTSN   uint32 // of an Outgoing SSN Reset Request: Sender's Last Assigned TSN
	Result    uint32 // of a response
	HasTSNs   bool   // of a response: the next two are there
	SenderTSN uint32 // Sender's Next TSN
	RcvrTSN   uint32 // Receiver's Next TSN
	New       uint16 // of Add Streams Requests: number of new streams
	streams   []byte
}

// Streams returns how many streams a reset request names; none means all.
func (r *ReConf) Streams() int { return len(r.streams) / 2 }

// Stream returns stream i.
func (r *ReConf) Stream(i int) uint16 { return binary.BigEndian.Uint16(r.streams[2*i:]) }

// ParseReConf reads a parameter of a RE-CONFIG chunk.
func ParseReConf(p TLV) (r ReConf, err error) {
	v := p.Value
	if len(v) < 4 {
		return r, ErrMalformed
	}
	r.Type, r.Seq = p.Type, binary.BigEndian.Uint32(v)
	v = v[4:]
	switch {
	case p.Type == ParamOutgoingReset && len(v) >= 8 && len(v)%2 == 0:
		r.RespSeq, r.LastTSN, r.streams = binary.BigEndian.Uint32(v), binary.BigEndian.Uint32(v[4:]), v[8:]
	case p.Type == ParamIncomingReset && len(v)%2 == 0:
		r.streams = v
	case p.Type == ParamTSNReset && len(v) == 0:
	case p.Type == ParamReConfResp && (len(v) == 4 || len(v) == 12):
		r.Result = binary.BigEndian.Uint32(v)
		if len(v) == 12 {
			r.HasTSNs = true
			r.SenderTSN, r.RcvrTSN = binary.BigEndian.Uint32(v[4:]), binary.BigEndian.Uint32(v[8:])
		}
	case (p.Type == ParamAddOutgoing || p.Type == ParamAddIncoming) && len(v) == 4:
		r.New = binary.BigEndian.Uint16(v)
	default:
		return r, ErrMalformed
	}
	return r, nil
}

// Append writes the parameter behind b; streams are those of a reset request.
func (r *ReConf) Append(b []byte, streams []uint16) []byte {
	b, at := openTLV(b, r.Type)
	b = binary.BigEndian.AppendUint32(b, r.Seq)
	switch r.Type {
	case ParamOutgoingReset:
		b = binary.BigEndian.AppendUint32(b, r.RespSeq)
		b = binary.BigEndian.AppendUint32(b, r.LastTSN)
	case ParamReConfResp:
		b = binary.BigEndian.AppendUint32(b, r.Result)
		if r.HasTSNs {
			b = binary.BigEndian.AppendUint32(b, r.SenderTSN)
			b = binary.BigEndian.AppendUint32(b, r.RcvrTSN)
		}
	case ParamAddOutgoing, ParamAddIncoming:
		b = binary.BigEndian.AppendUint16(b, r.New)
		b = append(b, 0, 0)
	}
	for _, s := range streams {
		b = binary.BigEndian.AppendUint16(b, s)
	}
	return closeTLV(b, at)
}
