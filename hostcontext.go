package usock

import (
	"context"
	"time"
)

// limited is a context that ends with its parent, or when some time has passed by the host's
// clock. It has no deadline but the parent's: that is a time of day, which the host's clock need
// not know.
type limited struct{ context.Context }

// within returns ctx, bounded by a time of the host's clock, and what gives the bound up, which
// is to be called.
func (h *Host) within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	inner, cancel := context.WithCancelCause(ctx)
	a := newAlarm(h, d, func() { cancel(context.DeadlineExceeded) })
	return limited{inner}, func() {
		a.stop()
		cancel(nil)
	}
}

// Err implements context.Context.
func (l limited) Err() error { return endedBy(l.Context) }

// endedBy is the error of a context that has ended: whether its time was over, by whatever clock,
// or it was given up. It is nil as long as the context lasts.
func endedBy(ctx context.Context) error {
	err := ctx.Err()
	if err != nil && context.Cause(ctx) == context.DeadlineExceeded {
		return context.DeadlineExceeded
	}
	return err
}
