module example.org/hello

go 1.26.0

require usock v0.0.0

require (
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace usock => ../..
