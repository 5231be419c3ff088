// Package wire is the headers: each is parsed once into a value, which is correct
// from then on, and written from a value. It knows lengths, checksums and byte
// order, and no protocol.
//
// wire imports only the standard library. Parsers never panic and never read
// beyond the slice that they are given; what is malformed is ErrMalformed.
package wire

import "errors"

// ErrMalformed says that bytes are not the header that they should be.
var ErrMalformed = errors.New("wire: malformed header")
