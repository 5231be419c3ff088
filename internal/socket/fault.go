package socket

import "context"

// Ahead is a flag of Proto.Accept: the connection is taken for a program that may accept it later, and fails with no fault.
const Ahead = 1 << 30

// Faulter is a Proto at whose calls something may go wrong on purpose.
type Faulter interface {
	// AcceptFault returns the error with which an accept fails now that would take a connection. Locked.
	AcceptFault(*Socket) error
	// InPieces reports whether receives give less than there is. Locked.
	InPieces(*Socket) bool
}

// AcceptAhead is Accept with Ahead.
func (s *Socket) AcceptAhead(ctx context.Context) (*Socket, error) { return s.accept(ctx, Ahead) }

// AcceptFault returns the error with which the program's accept fails that would take a connection that is there; nil: none.
func (s *Socket) AcceptFault() error {
	f, ok := s.Proto.(Faulter)
	if !ok {
		return nil
	}
	return s.locked(func() error { return f.AcceptFault(s) })
}

// InPieces reports whether a fault has receives give less than there is.
func (s *Socket) InPieces() (on bool) {
	if f, ok := s.Proto.(Faulter); ok {
		s.locked(func() error { on = f.InPieces(s); return nil })
	}
	return on
}
