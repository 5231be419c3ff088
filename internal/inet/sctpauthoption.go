package inet

import (
	"encoding/binary"
	"maps"
	"slices"
	"syscall"

	"usock/internal/abi"
	"usock/internal/sctp"
	"usock/internal/socket"
	"usock/internal/wire"
)

// authRows are about authenticated chunks (RFC 4895), and the addresses of an association that they
// allow to change (RFC 5061).
func (t *sctpProto) authRows() []socket.Option {
	return []socket.Option{
		supportRow(abi.SCTP_AUTH_SUPPORTED, func(o *sctp.Options) *bool { return &o.Auth }, func(x sctp.Extensions) bool { return x.Auth }),
		supportRow(abi.SCTP_ASCONF_SUPPORTED, func(o *sctp.Options) *bool { return &o.Asconf }, func(x sctp.Extensions) bool { return x.Asconf }),
		with(func(e *sctpEndpoint) bool { return e.options.Auth }, syscall.EACCES,
			setOnly(structRow(abi.SCTP_AUTH_CHUNK, nil, (*sctpEndpoint).addAuthChunk))),
		{Level: abi.SOL_SCTP, Name: abi.SCTP_HMAC_IDENT, Ask: getHMACs, Set: setHMACs},
		setOnly(socket.Option{Level: abi.SOL_SCTP, Name: abi.SCTP_AUTH_KEY, Set: setAuthKey}),
		keyRow(abi.SCTP_AUTH_ACTIVE_KEY, (*sctp.Assoc).SetActiveAuthKey, (*sctpEndpoint).activeKey),
		setOnly(keyRow(abi.SCTP_AUTH_DELETE_KEY, (*sctp.Assoc).DeleteAuthKey, nil)),
		setOnly(keyRow(abi.SCTP_AUTH_DEACTIVATE_KEY, (*sctp.Assoc).DeactivateAuthKey, nil)),
		chunksRow(abi.SCTP_PEER_AUTH_CHUNKS, func(_ *sctpEndpoint, x *sctpAssoc) ([]byte, error) {
			if x == nil {
				return nil, syscall.EINVAL
			}
			return x.core.PeerAuthChunks(), nil
		}),
		chunksRow(abi.SCTP_LOCAL_AUTH_CHUNKS, func(e *sctpEndpoint, x *sctpAssoc) ([]byte, error) {
			if x == nil {
				return e.auth().Chunks, nil
			}
			return x.core.LocalAuthChunks(), nil
		}),
		sctpInt(abi.SCTP_AUTO_ASCONF,
			func(e *sctpEndpoint) int { return toInt(e.own.autoAsconf) },
			func(e *sctpEndpoint, v int) error {
				if v != 0 && !e.everywhere() {
					return syscall.EINVAL
				}
				e.own.autoAsconf = v != 0
				return nil
			}),
		with(func(e *sctpEndpoint) bool { return e.options.Asconf }, syscall.EPERM,
			structRow(abi.SCTP_SET_PEER_PRIMARY_ADDR, nil, (*sctpEndpoint).setPeerPrimary)),
	}
}

// everywhere reports whether the endpoint is bound to the wildcard address.
func (e *sctpEndpoint) everywhere() bool {
	return len(e.locals) == 1 && e.locals[0].addr.IsUnspecified()
}

// addrsChanged tells the peers of sockets that ask for it (SCTP_AUTO_ASCONF) that the host has other
// addresses now.
func (t *sctpProto) addrsChanged() {
	for _, id := range slices.Sorted(maps.Keys(t.byID)) {
		x := t.byID[id]
		if x == nil || x.over || !x.e.own.autoAsconf || !x.e.everywhere() || !x.core.Agreed().Asconf {
			continue
		}
		x.core.SetLocal(x.now(), x.e.local())
		t.update(x, 0)
	}
}

// with is the row o, whose value is looked at only where an extension is on.
func with(on func(*sctpEndpoint) bool, off syscall.Errno, o socket.Option) socket.Option {
	set := o.Set
	o.Set = func(s *socket.Socket, v []byte) error {
		if !on(sctpOf(s)) {
			return off
		}
		return set(s, v)
	}
	return o
}

// setOnly is the row o, of which getsockopt says EOPNOTSUPP.
func setOnly(o socket.Option) socket.Option {
	o.Ask = func(*socket.Socket, []byte) ([]byte, error) { return nil, syscall.EOPNOTSUPP }
	return o
}

// auth returns what is set for the associations to come.
func (e *sctpEndpoint) auth() sctp.AuthOptions {
	if e.options.AuthSetup == nil {
		return sctp.AuthOptions{}
	}
	return *e.options.AuthSetup
}

// mayAuth says how an option about authentication fails for the association, or for those to come.
func (e *sctpEndpoint) mayAuth(x *sctpAssoc) error {
	if x != nil && x.core.Agreed().Auth || x == nil && e.options.Auth {
		return nil
	}
	return syscall.EACCES
}

// eachKey changes the keys of the associations that an option is set for, and of those to come.
func (e *sctpEndpoint) eachKey(id int32, change func(*sctp.Assoc) syscall.Errno) (err error) {
	failed := e.each(id, func(x *sctpAssoc, o *sctp.Options) {
		if err != nil {
			return
		}
		if err = e.mayAuth(x); err != nil {
			return
		}
		core := new(sctp.Assoc) // stands for those to come
		if x != nil {
			core = x.core
		} else {
			core.Change().AuthSetup = o.AuthSetup
		}
		err = orNil(change(core))
		o.AuthSetup = core.Options().AuthSetup
	})
	if failed != nil {
		return failed
	}
	return err
}

// keyRow is the row of an option that names a key.
func keyRow(name int, set func(*sctp.Assoc, uint16) syscall.Errno, get func(*sctpEndpoint, *abi.SCTPAuthkeyid) error) socket.Option {
	return structRow(name, get, func(e *sctpEndpoint, v *abi.SCTPAuthkeyid) error {
		return e.eachKey(v.AssocID, func(a *sctp.Assoc) syscall.Errno { return set(a, v.Keynumber) })
	})
}

func (e *sctpEndpoint) activeKey(v *abi.SCTPAuthkeyid) error {
	x, err := e.future(v.AssocID)
	if err == nil {
		err = e.mayAuth(x)
	}
	if err != nil {
		return err
	}
	if s := e.optionsFor(x).AuthSetup; s != nil {
		v.Keynumber = s.Active
	} else {
		v.Keynumber = 0
	}
	return nil
}

// setAuthKey is SCTP_AUTH_KEY: a structure, and the key behind it.
func setAuthKey(s *socket.Socket, b []byte) error {
	var v abi.SCTPAuthkey
	n := abi.Sizeof(&v)
	if len(b) <= n || abi.ParseStruct(b, &v) != nil || int(v.Keylength) > len(b)-n {
		return syscall.EINVAL
	}
	key := slices.Clone(b[n : n+int(v.Keylength)])
	return sctpOf(s).eachKey(v.AssocID, func(a *sctp.Assoc) syscall.Errno {
		a.SetAuthKey(v.Keynumber, key)
		return 0
	})
}

// addAuthChunk is SCTP_AUTH_CHUNK.
func (e *sctpEndpoint) addAuthChunk(v *abi.SCTPAuthchunk) error {
	switch wire.ChunkType(v.Chunk) {
	case wire.ChunkInit, wire.ChunkInitAck, wire.ChunkShutdownComplete, wire.ChunkAuth:
		return syscall.EINVAL
	}
	a := e.auth()
	if !slices.Contains(a.Chunks, v.Chunk) {
		a.Chunks = append(slices.Clone(a.Chunks), v.Chunk)
	}
	e.change().AuthSetup = &a
	return nil
}

// maxHMACs is how many hashes SCTP_HMAC_IDENT takes (Linux, SCTP_AUTH_NUM_HMACS).
const maxHMACs = 4

// setHMACs is SCTP_HMAC_IDENT: a number of identifiers, and these. SHA-1 must be among them (RFC 4895,
// section 3.3).
func setHMACs(s *socket.Socket, b []byte) error {
	e := sctpOf(s)
	var v abi.SCTPHmacalgo
	switch {
	case !e.options.Auth:
		return syscall.EACCES
	case abi.ParseStruct(b, &v) != nil:
		return syscall.EINVAL
	}
	rest := b[abi.Sizeof(&v):]
	if v.NumIdents == 0 || v.NumIdents > maxHMACs || len(rest) < 2*int(v.NumIdents) {
		return syscall.EINVAL
	}
	var list []uint16
	for i := range int(v.NumIdents) {
		id := binary.NativeEndian.Uint16(rest[2*i:])
		if id != sctp.HMACSHA1 && id != sctp.HMACSHA256 {
			return syscall.EOPNOTSUPP
		}
		list = append(list, id)
	}
	if !slices.Contains(list, sctp.HMACSHA1) {
		return syscall.EINVAL
	}
	a := e.auth()
	a.HMACs = list
	e.change().AuthSetup = &a
	return nil
}

func getHMACs(s *socket.Socket, v []byte) ([]byte, error) {
	e := sctpOf(s)
	if !e.options.Auth {
		return nil, syscall.EACCES
	}
	list := e.auth().HMACs
	if list == nil {
		list = []uint16{sctp.HMACSHA256, sctp.HMACSHA1}
	}
	b := abi.AppendStruct(nil, &abi.SCTPHmacalgo{NumIdents: uint32(len(list))})
	for _, id := range list {
		b = appendNative16(b, id)
	}
	if len(v) < len(b) {
		return nil, syscall.EINVAL
	}
	return b, nil
}

// chunksRow is the row of an option that tells which chunks are to be authenticated.
func chunksRow(name int, get func(*sctpEndpoint, *sctpAssoc) ([]byte, error)) socket.Option {
	return socket.Option{Level: abi.SOL_SCTP, Name: name, Ask: func(s *socket.Socket, v []byte) ([]byte, error) {
		e := sctpOf(s)
		var head abi.SCTPAuthchunks
		if err := abi.ParseStruct(v, &head); err != nil {
			return nil, err
		}
		x, err := e.future(head.AssocID)
		if err != nil {
			return nil, err
		}
		list, err := get(e, x)
		if err == nil {
			err = e.mayAuth(x)
		}
		if err != nil {
			return nil, err
		}
		head.NumberOfChunks = uint32(len(list))
		b := append(abi.AppendStruct(nil, &head), list...)
		if len(v) < len(b) {
			return nil, syscall.EINVAL
		}
		return b, nil
	}}
}

// setPeerPrimary is SCTP_SET_PEER_PRIMARY_ADDR.
func (e *sctpEndpoint) setPeerPrimary(v *abi.SCTPPrim) error {
	x := e.assoc(v.AssocID)
	if x == nil {
		return syscall.EINVAL
	}
	addr, err := e.family(v.Addr)
	if err != nil {
		return err
	}
	errno := x.core.SetPeerPrimary(x.now(), addr)
	e.proto.update(x, 0)
	return orNil(errno)
}
