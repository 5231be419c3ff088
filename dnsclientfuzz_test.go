package usock

import (
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// FuzzParseAnswer reads any bytes as a name server's answer: what is told of them is of the type that was asked for, and nothing is told
// with an error.
func FuzzParseAnswer(f *testing.F) {
	name := dnsmessage.MustNewName("www.example.")
	alias := dnsmessage.MustNewName("host.example.")
	question := dnsmessage.Question{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
	const id = 7
	header := func(of dnsmessage.Name, typ dnsmessage.Type) dnsmessage.ResourceHeader {
		return dnsmessage.ResourceHeader{Name: of, Type: typ, Class: dnsmessage.ClassINET, TTL: 1}
	}
	for _, m := range []dnsmessage.Message{
		{Header: dnsmessage.Header{ID: id, Response: true}, Answers: []dnsmessage.Resource{
			{Header: header(name, dnsmessage.TypeCNAME), Body: &dnsmessage.CNAMEResource{CNAME: alias}},
			{Header: header(alias, dnsmessage.TypeA), Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}}},
			{Header: header(alias, dnsmessage.TypeAAAA), Body: &dnsmessage.AAAAResource{}},
		}},
		{Header: dnsmessage.Header{ID: id, Response: true, RCode: dnsmessage.RCodeNameError}},
		{Header: dnsmessage.Header{ID: id, Response: true, Truncated: true}},
	} {
		m.Questions = []dnsmessage.Question{question}
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		list, cut, err := parseAnswer(msg, id, question)
		if len(list) > 0 && (cut || err != nil) || len(list) == 0 && !cut && err == nil {
			t.Fatalf("%d records, cut %v, %v", len(list), cut, err)
		}
		for _, r := range list {
			if _, ok := r.Body.(*dnsmessage.AResource); !ok {
				t.Fatalf("%+v", r)
			}
		}
	})
}
