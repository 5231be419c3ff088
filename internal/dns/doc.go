// Package dns reads what is asked of name servers, and what they answer, as far as others go by it: which addresses are given for
// which names. It begins and ends in dns.go.
package dns
