package sctp

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"
	"syscall"

	"usock/internal/wire"
)

// Authenticated chunks (RFC 4895). Each end says in the handshake which chunk types it takes only if they
// are authenticated: such a chunk goes behind an AUTH chunk, whose HMAC is over all that follows
// it in the packet. The key is made of a secret that both programs know, by its number, and of what the
// handshake has told (section 6.1).

// AuthOptions are what the program sets for it.
type AuthOptions struct {
	Chunks []byte   // SCTP_AUTH_CHUNK: types that are taken only if they are authenticated
	HMACs  []uint16 // SCTP_HMAC_IDENT, the best first; none: SHA-256, SHA-1
	Keys   []AuthKey
	Active uint16 // SCTP_AUTH_ACTIVE_KEY: by which is sent what does not name another
	NoNull bool   // the number 0 was deleted
}

// AuthKey is an endpoint pair shared key. The number 0 has no secret where the program sets none.
type AuthKey struct {
	ID          uint16
	Secret      []byte
	Deactivated bool // not sent by any more
}

// HMAC identifiers (section 8).
const (
	HMACSHA1   = 1
	HMACSHA256 = 3
)

var hmacs = map[uint16]func() hash.Hash{HMACSHA1: sha1.New, HMACSHA256: sha256.New}

// auth is an association's state of it; nil where it was not agreed to.
type auth struct {
	own, peer []byte    // key vectors: the parameters RANDOM, CHUNKS and HMAC-ALGO
	must      chunkSet  // what the peer wants authenticated
	wants     chunkSet  // what this end wants
	hmac      uint16    // that is sent: the first of the peer's that is known
	takes     []uint16  // that are taken
	key       [2]keyFor // the last ones that were made
	freeing   []uint16  // keys that were deactivated while messages still waited for them
}

// keyFor is an association shared key.
type keyFor struct {
	of  *AuthKey
	key []byte
}

// chunkSet is a set of chunk types.
type chunkSet [4]uint64

func (s *chunkSet) has(t wire.ChunkType) bool { return s[t>>6]>>(t&63)&1 != 0 }

// add puts the types into the set but for those that cannot be authenticated (section 3.2).
func (s *chunkSet) add(types []byte) {
	for _, t := range types {
		switch wire.ChunkType(t) {
		case wire.ChunkInit, wire.ChunkInitAck, wire.ChunkShutdownComplete, wire.ChunkAuth:
		default:
			s[t>>6] |= 1 << (t & 63)
		}
	}
}

// randomLen is the length of RANDOM in bytes (section 3.1).
const randomLen = 32

// ownVector makes this end's parameters.
func (c *Config) ownVector(opt *Options) []byte {
	o := opt.AuthSetup
	chunks := o.chunks()
	if opt.Asconf {
		// RFC 5061, section 4.1: these are never taken without.
		chunks = append(slices.Clone(chunks), byte(wire.ChunkAsconf), byte(wire.ChunkAsconfAck))
	}
	var r [randomLen]byte
	c.Rand(r[:])
	v := tlv(nil, wire.ParamRandom, r[:])
	if len(chunks) > 0 {
		v = tlv(v, wire.ParamChunkList, chunks)
	}
	var ids []byte
	for _, id := range o.hmacs() {
		ids = binary.BigEndian.AppendUint16(ids, id)
	}
	return tlv(v, wire.ParamHMACAlgo, ids)
}

// tlv appends a parameter as it counts in key vectors, without padding.
func tlv(b []byte, t uint16, v []byte) []byte {
	return append(b, (&wire.TLV{Type: t, Value: v}).Append(nil)...)
}

func (o *AuthOptions) chunks() []byte {
	if o == nil {
		return nil
	}
	return o.Chunks
}

func (o *AuthOptions) hmacs() []uint16 {
	if o == nil || len(o.HMACs) == 0 {
		return []uint16{HMACSHA256, HMACSHA1}
	}
	return o.HMACs
}

// eachVector calls f with the parameters of a key vector.
func eachVector(v []byte, f func(wire.TLV)) {
	for len(v) >= wire.TLVHeaderLen {
		n := int(binary.BigEndian.Uint16(v[2:]))
		if n < wire.TLVHeaderLen || n > len(v) {
			return
		}
		f(wire.TLV{Type: binary.BigEndian.Uint16(v), Value: v[wire.TLVHeaderLen:n]})
		v = v[n:]
	}
}

// newAuth makes the state of both vectors, nil if the peer has no hash that is known: SHA-1 is one that
// each end must have (section 3.3).
func newAuth(own, peer []byte) *auth {
	x := &auth{own: own, peer: peer}
	eachVector(own, func(p wire.TLV) {
		switch p.Type {
		case wire.ParamChunkList:
			x.wants.add(p.Value)
		case wire.ParamHMACAlgo:
			for v := p.Value; len(v) >= 2; v = v[2:] {
				x.takes = append(x.takes, binary.BigEndian.Uint16(v))
			}
		}
	})
	eachVector(peer, func(p wire.TLV) {
		switch p.Type {
		case wire.ParamChunkList:
			x.must.add(p.Value)
		case wire.ParamHMACAlgo:
			for v := p.Value; len(v) >= 2; v = v[2:] {
				if id := binary.BigEndian.Uint16(v); x.hmac == 0 && hmacs[id] != nil {
					x.hmac = id
				}
			}
		}
	})
	if x.hmac == 0 {
		return nil
	}
	return x
}

// overhead is what AUTH takes of each packet with data.
func (x *auth) overhead() int {
	if x == nil || !x.must.has(wire.ChunkData) && !x.must.has(wire.ChunkIData) {
		return 0
	}
	return x.len()
}

// len is the length of an AUTH chunk.
func (x *auth) len() int { return 8 + hmacs[x.hmac]().Size() }

// key returns the key of a number, nil if there is none.
func (o *AuthOptions) key(id uint16) *AuthKey {
	if o != nil {
		if i := slices.IndexFunc(o.Keys, func(k AuthKey) bool { return k.ID == id }); i >= 0 {
			return &o.Keys[i]
		}
	}
	if id == 0 && (o == nil || !o.NoNull) {
		return &nullKey
	}
	return nil
}

var nullKey AuthKey

// shared returns the association shared key of an endpoint pair shared key (section 6.1).
func (x *auth) shared(of *AuthKey) []byte {
	for i := range x.key {
		if x.key[i].of == of {
			return x.key[i].key
		}
	}
	first, last := x.own, x.peer
	if len(first) > len(last) || len(first) == len(last) && bytes.Compare(first, last) > 0 {
		first, last = last, first
	}
	k := keyFor{of, slices.Concat(of.Secret, first, last)}
	x.key[1], x.key[0] = x.key[0], k
	return k.key
}

// sends returns the key by which a packet is authenticated: the one that its messages ask for, else the
// active one.
func (o *AuthOptions) sends(asked *AuthKey) *AuthKey {
	if asked != nil {
		return asked
	}
	if k := o.key(o.active()); k != nil && !k.Deactivated {
		return k
	}
	return &nullKey
}

// active is the number of the key by which is sent.
func (o *AuthOptions) active() uint16 {
	if o == nil {
		return 0
	}
	return o.Active
}

// open writes the AUTH chunk that seal is to complete.
func (x *auth) open(b []byte) {
	clear(b)
	b[0] = byte(wire.ChunkAuth)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[6:], x.hmac)
}

// seal sets the key and the HMAC of the AUTH chunk that stands first in a packet.
func (x *auth) seal(k *AuthKey, out *Out) {
	binary.BigEndian.PutUint16(out.head[4:], k.ID)
	h := hmac.New(hmacs[x.hmac], x.shared(k))
	h.Write(out.Head())
	for _, v := range out.Body.Views() {
		h.Write(v.Bytes())
	}
	h.Sum(out.head[8:8])
}

// verified is what an AUTH chunk came to.
type verified uint8

const (
	authentic verified = iota
	authUnknownHMAC
	authForged // or by a key that there is not
)

// verify looks at an AUTH chunk, which r has just read: the HMAC is over what follows (section 6.3).
func (x *auth) verify(o *AuthOptions, r *chunks, v *wire.Auth) verified {
	if !slices.Contains(x.takes, v.HMACID) || hmacs[v.HMACID] == nil {
		return authUnknownHMAC
	}
	k := o.key(v.KeyID)
	size := hmacs[v.HMACID]().Size()
	if k == nil || len(v.HMAC) != size {
		return authForged
	}
	h := hmac.New(hmacs[v.HMACID], x.shared(k))
	h.Write(append((&wire.Auth{KeyID: v.KeyID, HMACID: v.HMACID}).Append(nil)[:2], 0, byte(8+size)))
	var ids [4]byte
	binary.BigEndian.PutUint16(ids[:], v.KeyID)
	binary.BigEndian.PutUint16(ids[2:], v.HMACID)
	h.Write(ids[:])
	h.Write(make([]byte, size))
	r.each(r.at, func(b []byte) { h.Write(b) })
	if !hmac.Equal(h.Sum(nil), v.HMAC) {
		return authForged
	}
	return authentic
}

// inAuth takes an AUTH chunk. It reports false if the rest of the packet is to be discarded.
func (a *Assoc) inAuth(r *chunks, c *wire.Chunk) bool {
	v, err := wire.ParseAuth(c.Value)
	if err != nil || r.authentic {
		return false // one is all that a packet may have
	}
	switch a.auth.verify(a.opt.AuthSetup, r, &v) {
	case authUnknownHMAC:
		a.replyError(r.in, wire.CauseUnsupportedHMAC, []byte{byte(v.HMACID >> 8), byte(v.HMACID)})
		return false
	case authForged:
		return false
	}
	r.authentic = true
	if v.KeyID != a.opt.AuthSetup.active() {
		a.notify(Notification{Type: EventAuth, State: AuthNewKey, Ind: uint32(v.KeyID)})
	}
	return true
}

// echo finds a COOKIE ECHO at a packet's start, behind an AUTH chunk if there is one, and reads up to it.
func (in *In) echo() (r chunks, au *wire.Auth, c wire.Chunk, ok bool) {
	r = in.chunks()
	c, ok = r.next()
	if ok && c.Type == wire.ChunkAuth {
		v, err := wire.ParseAuth(slices.Clone(c.Value))
		if err != nil {
			return r, nil, c, false
		}
		au, r.sealed = &v, r.at
		c, ok = r.next()
	}
	return r, au, c, ok && c.Type == wire.ChunkCookieEcho
}

// mayEcho reports whether a COOKIE ECHO is authenticated as the cookie wants it; au is the AUTH chunk in
// front of it, nil if there is none.
func (k *cookie) mayEcho(o *AuthOptions, r *chunks, au *wire.Auth) bool {
	if k.caps&capAuth == 0 {
		return au == nil
	}
	x := newAuth(k.own, k.peer)
	if x == nil || au == nil {
		return x != nil && !x.wants.has(wire.ChunkCookieEcho)
	}
	at := r.at
	r.at = r.sealed
	r.authentic = x.verify(o, r, au) == authentic
	r.at = at
	return r.authentic
}

// SetAuthKey sets a key (SCTP_AUTH_KEY).
func (a *Assoc) SetAuthKey(id uint16, secret []byte) {
	o := a.opt.AuthSetup.clone()
	o.Keys = slices.DeleteFunc(o.Keys, func(k AuthKey) bool { return k.ID == id })
	o.Keys = append(o.Keys, AuthKey{ID: id, Secret: secret})
	a.setAuth(o)
}

// SetActiveAuthKey has packets be authenticated by a key (SCTP_AUTH_ACTIVE_KEY).
func (a *Assoc) SetActiveAuthKey(id uint16) syscall.Errno {
	o := a.opt.AuthSetup.clone()
	if k := o.key(id); k == nil || k.Deactivated {
		return syscall.EINVAL
	}
	o.Active = id
	a.setAuth(o)
	return 0
}

// DeleteAuthKey forgets a key (SCTP_AUTH_DELETE_KEY), DeactivateAuthKey has no packet be authenticated by
// it any more (SCTP_AUTH_DEACTIVATE_KEY). The active one stays.
func (a *Assoc) DeleteAuthKey(id uint16) syscall.Errno {
	o := a.opt.AuthSetup.clone()
	if id == o.Active || o.key(id) == nil {
		return syscall.EINVAL
	}
	o.Keys = slices.DeleteFunc(o.Keys, func(k AuthKey) bool { return k.ID == id })
	o.NoNull = o.NoNull || id == 0
	a.setAuth(o)
	return 0
}

// DeactivateAuthKey: see DeleteAuthKey.
func (a *Assoc) DeactivateAuthKey(id uint16) syscall.Errno {
	o := a.opt.AuthSetup.clone()
	if id == o.Active || o.key(id) == nil {
		return syscall.EINVAL
	}
	if o.key(id) == &nullKey {
		o.Keys = append(o.Keys, nullKey)
	}
	o.key(id).Deactivated = true
	a.setAuth(o)
	if a.auth != nil {
		a.auth.freeing = append(a.auth.freeing, id)
		a.tellFreed()
	}
	return 0
}

// tellFreed tells of keys that were deactivated once no message waits for them any more.
func (a *Assoc) tellFreed() {
	if a.auth == nil || len(a.auth.freeing) == 0 {
		return
	}
	a.auth.freeing = slices.DeleteFunc(a.auth.freeing, func(id uint16) bool {
		if a.snd.needsKey(id) {
			return false
		}
		a.notify(Notification{Type: EventAuth, State: AuthFreeKey, Ind: uint32(id)})
		return true
	})
}

// AuthKeyFor reports whether a message can be sent by the key of a number (SCTP_AUTHINFO). Where the peer
// does not want data authenticated it means nothing.
func (a *Assoc) AuthKeyFor(id uint16) bool {
	if a.auth == nil || !a.auth.must.has(wire.ChunkData) {
		return true
	}
	k := a.opt.AuthSetup.key(id)
	return k != nil && !k.Deactivated
}

// clone returns a copy: a socket's associations begin with the same one.
func (o *AuthOptions) clone() *AuthOptions {
	c := AuthOptions{}
	if o != nil {
		c = *o
		c.Keys = slices.Clone(o.Keys)
	}
	return &c
}

func (a *Assoc) setAuth(o *AuthOptions) {
	o.NoNull = o.NoNull && !slices.ContainsFunc(o.Keys, func(k AuthKey) bool { return k.ID == 0 })
	a.Change().AuthSetup = o
	if a.auth != nil {
		a.auth.key = [2]keyFor{}
	}
}

// PeerAuthChunks returns the chunk types that the peer wants authenticated (SCTP_PEER_AUTH_CHUNKS), and
// LocalAuthChunks those that this end does.
func (a *Assoc) PeerAuthChunks() []byte { return a.authChunks(false) }

// LocalAuthChunks: see PeerAuthChunks.
func (a *Assoc) LocalAuthChunks() []byte { return a.authChunks(true) }

func (a *Assoc) authChunks(own bool) (types []byte) {
	if a.auth == nil {
		return nil
	}
	v := a.auth.peer
	if own {
		v = a.auth.own
	}
	eachVector(v, func(p wire.TLV) {
		if p.Type == wire.ParamChunkList {
			types = p.Value
		}
	})
	return types
}
