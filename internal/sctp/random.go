package sctp

import "encoding/binary"

// random32 returns a number that nobody can guess; random64 another.
func (c *Config) random32() uint32 {
	var b [4]byte
	c.Rand(b[:])
	return binary.BigEndian.Uint32(b[:])
}

func (c *Config) random64() uint64 {
	var b [8]byte
	c.Rand(b[:])
	return binary.BigEndian.Uint64(b[:])
}

// tag returns a new Verification Tag: not zero, which is INIT's (RFC 9260, section 5.3.1).
func (c *Config) tag() uint32 {
	for {
		if t := c.random32(); t != 0 {
			return t
		}
	}
}
