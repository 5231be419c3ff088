package wire

import "hash/crc32"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CRC32c adds up the CRC32c (RFC 9260, appendix A) of bytes that come in pieces. The zero
// value has seen none. Its sum stands in a header with the least significant byte first.
type CRC32c uint32

// Add goes on with the bytes of b.
func (c *CRC32c) Add(b []byte) { *c = CRC32c(crc32.Update(uint32(*c), castagnoli, b)) }
