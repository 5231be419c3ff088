module usock/interop/pion

go 1.26.3

replace usock => ../../

require (
	github.com/pion/datachannel v1.6.4
	github.com/pion/logging v0.2.4
	github.com/pion/sctp v1.12.1
	usock v0.0.0
)

require (
	github.com/pion/randutil v0.1.0 // indirect
	github.com/pion/transport/v5 v5.1.4 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)
