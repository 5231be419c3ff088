package abi

import (
	"bytes"
	"reflect"
	"syscall"
	"testing"
	"time"
)

// followed returns b with other bytes behind it, which are not b's.
func followed(b []byte, by byte) []byte {
	return append(bytes.Clone(b), bytes.Repeat([]byte{by}, 64)...)[:len(b)]
}

// FuzzCmsgs reads any bytes as control messages: they lie within these, and are read again from what is written of them, also where the
// receiver has too little room.
func FuzzCmsgs(f *testing.F) {
	f.Add(AppendCmsg(nil, 1, 2, []byte("x")), 20)
	f.Add(AppendCmsg(AppendCmsg(nil, -1, 1<<31-1, nil), 0, 8, []byte("twelve bytes")), 40)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		list, err := ParseCmsgs(followed(b, 0))
		other, failed := ParseCmsgs(followed(b, 0xff))
		if !reflect.DeepEqual(list, other) || err != failed {
			t.Fatalf("%v, %v; with other bytes behind it %v, %v", list, err, other, failed)
		}
		if err != nil {
			if err != syscall.EINVAL || list != nil {
				t.Errorf("%v, %v", list, err)
			}
			return
		}
		all := 0
		var again []byte
		for _, m := range list {
			all += cmsgHeader + len(m.Data)
			again = AppendCmsg(again, m.Level, m.Type, m.Data)
		}
		if all > len(b) || len(list) == 0 && len(b) >= cmsgHeader {
			t.Errorf("%d messages of %d bytes in %d", len(list), all, len(b))
		}
		if same, err := ParseCmsgs(again); err != nil || len(same) != len(list) || len(list) > 0 && !sameCmsgs(same, list) {
			t.Errorf("%v became %v, %v", list, same, err)
		}
		n = int(uint(n) % 256)
		out, cut := CutCmsgs(again, n)
		got, err := ParseCmsgs(out)
		if err != nil || len(out) > n || len(got) > len(list) {
			t.Fatalf("cut to %d bytes: %v, %v", n, got, err)
		}
		if last := len(got) - 1; cut != (len(got) < len(list) || last >= 0 && len(got[last].Data) < len(list[last].Data)) {
			t.Errorf("cut to %d bytes: %v of %v, and cut is %v", n, got, list, cut)
		}
		for i, m := range got {
			if full := list[i]; m.Level != full.Level || m.Type != full.Type || !bytes.HasPrefix(full.Data, m.Data) || i+1 < len(got) && len(m.Data) != len(full.Data) {
				t.Errorf("cut to %d bytes, message %d is %v, and was %v", n, i, m, full)
			}
		}
	})
}

func sameCmsgs(a, b []Cmsg) bool {
	for i := range a {
		if a[i].Level != b[i].Level || a[i].Type != b[i].Type || !bytes.Equal(a[i].Data, b[i].Data) {
			return false
		}
	}
	return true
}

// FuzzParseAddr reads any bytes as an address, which is read again from what is written of it.
func FuzzParseAddr(f *testing.F) {
	for _, s := range []string{"127.0.0.1:80", "[::1]:80"} {
		f.Add(AppendAddr(nil, mustAddr(s)))
	}
	f.Add(AppendAddr(nil, Addr{Family: AF_UNIX, Path: "\x00name"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseAddr(followed(b, 0))
		if other, failed := ParseAddr(followed(b, 0xff)); a != other || err != failed {
			t.Fatalf("%+v, %v; with other bytes behind it %+v, %v", a, err, other, failed)
		}
		if err != nil && (err != syscall.EINVAL || a != (Addr{}) && len(b) < 2) {
			t.Errorf("%+v, %v", a, err)
		}
		_ = a.String()
		if err != nil || a.Family == AF_UNSPEC || len(a.Path) == maxUnixPath {
			return // a path of that length has no room for the NUL that AppendAddr adds
		}
		c, err := ParseAddr(AppendAddr(nil, a))
		if err != nil || c != a {
			t.Errorf("%+v became %+v, %v", a, c, err)
		}
	})
}

// FuzzStructs reads any bytes as each of the structures. What is read is read again from what is written of it, and a byte less is none.
func FuzzStructs(f *testing.F) {
	f.Add(AppendStruct(nil, &SCTPInfo{Tag: 7, PAddress: mustAddr("[fe80::1]:80")}))
	f.Add(AppendStruct(nil, &SCTPPaddrparams{AssocID: 7, Address: mustAddr("127.0.0.1:80"), Dscp: 3}))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, s := range structs {
			read := func(b []byte) (any, error) {
				v := reflect.New(reflect.TypeOf(s.v).Elem()).Interface().(Layout)
				err := ParseStruct(b, v)
				return v, err
			}
			v, err := read(followed(b, 0))
			if fits := len(b) >= Sizeof(s.v); (err == nil) != fits || !fits && err != syscall.EINVAL {
				t.Fatalf("%s of %d bytes: %v", s.name, len(b), err)
			}
			if err != nil {
				continue
			}
			if other, _ := read(followed(b, 0xff)); !reflect.DeepEqual(v, other) {
				t.Errorf("%s: %+v, with other bytes behind it %+v", s.name, v, other)
			}
			written := AppendStruct(nil, v.(Layout))
			if again, err := read(written); err != nil || !reflect.DeepEqual(v, again) {
				t.Errorf("%s: %+v became %+v, %v", s.name, v, again, err)
			}
		}
	})
}

// FuzzValues reads any bytes as the values that options have.
func FuzzValues(f *testing.F) {
	f.Add(AppendInt(nil, -1))
	f.Add(AppendLinger(nil, Linger{On: true, Seconds: 3}))
	f.Add(AppendTimeval(nil, 90*time.Minute+time.Microsecond))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, w := followed(b, 0), followed(b, 0xff)
		n, err := ParseInt(v)
		if m, failed := ParseInt(w); n != m || err != failed || err == nil && !bytes.Equal(AppendInt(nil, n), b[:4]) {
			t.Errorf("an int: %d, %v", n, err)
		}
		k, err := ParseIntOrByte(v)
		if m, failed := ParseIntOrByte(w); k != m || err != nil || failed != nil || len(b) >= 4 && k != n || len(b) < 4 && (k < 0 || k > 255) {
			t.Errorf("an int or a byte: %d, %v", k, err)
		}
		l, err := ParseLinger(v)
		if m, failed := ParseLinger(w); l != m || err != failed {
			t.Errorf("a linger: %+v, %v", l, err)
		}
		if again, failed := ParseLinger(AppendLinger(nil, l)); err == nil && (again != l || failed != nil) {
			t.Errorf("%+v became %+v, %v", l, again, failed)
		}
		d, err := ParseTimeval(v)
		if m, failed := ParseTimeval(w); d != m || err != failed || d < -1 || err != nil && err != syscall.EINVAL && err != syscall.EDOM {
			t.Errorf("a time: %v, %v", d, err)
		}
		if again, failed := ParseTimeval(AppendTimeval(nil, d)); err == nil && (again != max(d, 0) || failed != nil) {
			t.Errorf("%v became %v, %v", d, again, failed)
		}
	})
}
