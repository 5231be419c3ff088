package sctp

import "encoding/binary"

// random32 returns a number that nobody can guess; random64 another.
func (c *Config) random32() uint32 {
	c.Rand(c.drawn[:4])
	return binary.BigEndian.Uint32(c.drawn[:])
}

func (c *Config) random64() uint64 {
	c.Rand(c.drawn[:])
	return binary.BigEndian.Uint64(c.drawn[:])
}

// tag returns a new Verification Tag: not zero, which is INIT's (RFC 9260, section 5.3.1).
func (c *Config) tag() uint32 {
	for {
		if t := c.random32(); t != 0 {
			return t
		}
	}
}
