package sctp

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"syscall"
	"testing"

	"usock/internal/wire"
	"usock/packet"
)

// authPair are two ends of which both want the chunk types authenticated, with the keys.
func authPair(t testing.TB, chunks []wire.ChunkType, keys ...AuthKey) *pair {
	p := newPair(t, 1500, 1)
	for i := range p.end {
		o := p.end[i].e.Options
		o.Auth, o.Events = true, EventMask(0).With(EventAuth, true)
		o.AuthSetup = &AuthOptions{Keys: keys}
		for _, c := range chunks {
			o.AuthSetup.Chunks = append(o.AuthSetup.Chunks, byte(c))
		}
		if len(keys) > 0 {
			o.AuthSetup.Active = keys[0].ID
		}
	}
	return p
}

// flat puts the bytes of a packet into one block, to be changed.
func flat(in *In, change func(b []byte) []byte) {
	b := change(in.Body.AppendTo(append([]byte(nil), in.Head...)))
	in.Body.Release()
	in.Head = nil
	in.Body.Append(packet.Copy(b))
}

// talkOnce sends a message from one end to the other, and reports whether it has come.
func talkOnce(t *testing.T, p *pair, from, n int) bool {
	t.Helper()
	if _, err := p.end[from].a.Send(p.now, &SendInfo{}, views(make([]byte, n))); err != 0 {
		t.Fatal(err)
	}
	p.pump()
	got := readAll(p.end[1-from].a, p.now)
	p.pump()
	return len(got) == 1 && len(got[0]) == n
}

var (
	authData = []wire.ChunkType{wire.ChunkData}
	someKey  = AuthKey{ID: 3, Secret: []byte("secret")}
)

// RFC 4895: 6.1 and 6.2 the key, and what the HMAC is over.
func TestRFC4895Key(t *testing.T) {
	p := authPair(t, authData, someKey)
	p.connect()
	a, seen := p.end[0].a, 0
	first, last := a.auth.own, a.auth.peer
	if bytes.Compare(first, last) > 0 {
		first, last = last, first
	}
	if len(first) != 4+32+4+1+4+4 || len(last) != len(first) {
		t.Fatalf("vectors of %d and %d bytes", len(first), len(last))
	}
	secret := append(append([]byte("secret"), first...), last...)
	p.carry = func(from int, in *In) {
		b := in.Body.AppendTo(append([]byte(nil), in.Head...))
		if from == 0 {
			c, _, _ := wire.ParseChunk(b)
			v, err := wire.ParseAuth(c.Value)
			if c.Type != wire.ChunkAuth || err != nil || v.KeyID != 3 || v.HMACID != HMACSHA256 {
				t.Fatalf("no AUTH: %x", b)
			}
			got := bytes.Clone(v.HMAC)
			clear(b[8:40])
			h := hmac.New(sha256.New, secret)
			h.Write(b)
			if !hmac.Equal(got, h.Sum(nil)) {
				t.Fatal("another HMAC")
			}
			seen++
		}
		p.arrive(1-from, in)
	}
	for _, n := range []int{10, 1000, 5000} {
		if !talkOnce(t, p, 0, n) {
			t.Fatalf("%d bytes have not come", n)
		}
	}
	if seen < 5 {
		t.Fatal("too few packets")
	}
}

// RFC 4895: what is not authentic.
func TestRFC4895Forged(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(b []byte) []byte
	}{
		{"6.3 a byte was changed", func(b []byte) []byte { b[len(b)-3] ^= 1; return b }},
		{"6.3 the HMAC was changed", func(b []byte) []byte { b[12] ^= 1; return b }},
		{"6.3 a key that there is not", func(b []byte) []byte { b[5] = 9; return b }},
		{"6.3 AUTH was taken out", func(b []byte) []byte { return b[40:] }},
		{"6.3 AUTH was put behind", func(b []byte) []byte { return append(append([]byte(nil), b[40:]...), b[:40]...) }},
		{"6.3 something was put in", func(b []byte) []byte { return append(b, b[40:]...) }},
		{"6.3 a hash that there is not", func(b []byte) []byte { b[7] = 2; return b }},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := authPair(t, authData, someKey)
			p.connect()
			errors := 0
			p.carry = func(from int, in *In) {
				if from == 0 {
					flat(in, c.change)
				} else if r := in.chunks(); true {
					if x, _ := r.next(); x.Type == wire.ChunkError {
						errors++
					}
				}
				p.arrive(1-from, in)
			}
			if talkOnce(t, p, 0, 100) {
				t.Fatal("it was taken")
			}
			if want := c.name == "6.3 a hash that there is not"; want != (errors == 1) {
				t.Fatalf("%d ERRORs", errors)
			}
			p.carry = nil
			for p.end[0].a.snd.queued > 0 {
				p.step()
			}
			if len(readAll(p.end[1].a, p.now)) != 1 {
				t.Fatal("it has not come when sent again")
			}
		})
	}
}

// RFC 4895: COOKIE ECHO behind AUTH.
func TestRFC4895CookieEcho(t *testing.T) {
	p := authPair(t, []wire.ChunkType{wire.ChunkCookieEcho, wire.ChunkCookieAck, wire.ChunkHeartbeat, wire.ChunkSack}, someKey)
	behind := 0
	p.carry = func(from int, in *In) {
		if r, au, _, ok := in.echo(); ok && au != nil && r.sealed > 0 {
			behind++
		}
		p.arrive(1-from, in)
	}
	p.connect()
	if behind != 1 || p.end[1].a == nil || p.end[0].a.State() != Established || !talkOnce(t, p, 0, 2000) {
		t.Fatal("not connected")
	}
}

// RFC 4895: COOKIE ECHO without AUTH, or with another key.
func TestRFC4895CookieEchoForged(t *testing.T) {
	for _, change := range []func(b []byte) []byte{
		func(b []byte) []byte { return b[40:] },
		func(b []byte) []byte { b[20] ^= 1; return b },
	} {
		p := authPair(t, []wire.ChunkType{wire.ChunkCookieEcho}, someKey)
		p.carry = func(from int, in *In) {
			if _, _, _, ok := in.echo(); ok {
				flat(in, change)
			}
			p.arrive(1-from, in)
		}
		p.connect()
		if p.end[1].a != nil {
			t.Fatal("an association was made")
		}
	}
}

// RFC 4895: other keys than the peer's: nothing comes.
func TestRFC4895OtherKeys(t *testing.T) {
	p := authPair(t, authData, someKey)
	p.end[1].e.Options.AuthSetup = &AuthOptions{Chunks: []byte{0}, Keys: []AuthKey{{ID: 3, Secret: []byte("other")}}, Active: 3}
	p.connect()
	if talkOnce(t, p, 0, 100) {
		t.Fatal("it was taken")
	}
}

// RFC 4895: only one end can: nothing is authenticated.
func TestRFC4895OneEnd(t *testing.T) {
	p := authPair(t, authData, someKey)
	p.end[1].e.Options.Auth = false
	p.connect()
	if p.end[0].a.auth != nil || p.end[1].a.auth != nil || !talkOnce(t, p, 0, 100) {
		t.Fatal("AUTH was agreed to")
	}
}

// RFC 4895: keys: another one, no longer, forgotten.
func TestRFC4895Keys(t *testing.T) {
	p := authPair(t, authData, someKey)
	p.connect()
	a, b := p.end[0].a, p.end[1].a
	for _, x := range []struct {
		what string
		got  syscall.Errno
		want syscall.Errno
	}{
		{"a key that there is not", a.SetActiveAuthKey(5), syscall.EINVAL},
		{"the active one is forgotten", a.DeleteAuthKey(3), syscall.EINVAL},
		{"the active one is deactivated", a.DeactivateAuthKey(3), syscall.EINVAL},
		{"one that there is not is forgotten", a.DeleteAuthKey(5), syscall.EINVAL},
	} {
		if x.got != x.want {
			t.Fatalf("%s: %v", x.what, x.got)
		}
	}
	a.SetAuthKey(5, []byte("five"))
	b.SetAuthKey(5, []byte("five"))
	if errno := a.SetActiveAuthKey(5); errno != 0 || !talkOnceNote(t, p, 5) {
		t.Fatal(errno)
	}
	if errno := a.DeactivateAuthKey(3); errno != 0 || a.SetActiveAuthKey(3) != syscall.EINVAL {
		t.Fatal(errno)
	}
	if errno := a.DeleteAuthKey(3); errno != 0 {
		t.Fatal(errno)
	}
	if string(b.PeerAuthChunks()) != "\x00" || string(b.LocalAuthChunks()) != "\x00" {
		t.Fatal("the chunks")
	}
}

// talkOnceNote sends a message, and reports whether it has come behind the notification of a new key.
func talkOnceNote(t *testing.T, p *pair, key uint32) bool {
	t.Helper()
	if _, err := p.end[0].a.Send(p.now, &SendInfo{}, views(make([]byte, 10))); err != 0 {
		t.Fatal(err)
	}
	p.pump()
	_, r, ok := p.end[1].a.Recv(p.now, 100, nil)
	return ok && r.Notification != nil && r.Notification.State == AuthNewKey && r.Notification.Ind == key &&
		len(readAll(p.end[1].a, p.now)) == 1
}
