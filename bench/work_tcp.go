//go:build linux

package main

import (
	"net"
)

const (
	port = 5001

	// block is what bulk workloads write and read at once.
	block = 128 << 10
)

// connections returns n connections, client's ends and server's ends.
func (p *pair) connections(n int) (client, server []net.Conn, err error) {
	l, err := p.server.ListenTCP(p.at(port))
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	for range n {
		c, err := p.client.DialTCP(p.at(port))
		if err != nil {
			return nil, nil, err
		}
		s, err := l.Accept()
		if err != nil {
			return nil, nil, err
		}
		client, server = append(client, c), append(server, s)
	}
	return client, server, nil
}

// bulk sends as much as goes over n connections and counts what is read.
func bulk(n int) func(*pair, Task) (Result, error) {
	return func(p *pair, t Task) (Result, error) {
		client, server, err := p.connections(n)
		if err != nil {
			return Result{}, err
		}
		var m meter
		failed := make(chan error, 2*n)
		for i := range n {
			go func() {
				b := make([]byte, block)
				for !m.stopped.Load() {
					if _, err := client[i].Write(b); err != nil {
						failed <- err
						return
					}
				}
			}()
			go func() {
				b := make([]byte, block)
				count := m.counter()
				for {
					k, err := server[i].Read(b)
					if err != nil {
						failed <- err
						return
					}
					count.Add(int64(k))
				}
			}()
		}
		rate, c, err := m.measure(t, failed)
		return Result{Value: rate * 8 / 1e9, More: map[string]float64{
			"allocations/MB": c.allocations * 1e6, "CPU µs/MB": c.cpu * 1e6,
		}}, err
	}
}

// echo sends back each byte.
func echo(c net.Conn) error {
	b := make([]byte, 1)
	for {
		if _, err := c.Read(b); err != nil {
			return err
		}
		if _, err := c.Write(b); err != nil {
			return err
		}
	}
}

// bounce sends a byte and waits for its answer, again and again, until the meter stops.
func bounce(c net.Conn, m *meter) error {
	b := make([]byte, 1)
	count := m.counter()
	for !m.stopped.Load() {
		if _, err := c.Write(b); err != nil {
			return err
		}
		if _, err := c.Read(b); err != nil {
			return err
		}
		count.Add(1)
	}
	return nil
}

// roundTrips has bytes go there and back on n connections at once.
func roundTrips(n int) func(*pair, Task) (Result, error) {
	return func(p *pair, t Task) (Result, error) {
		client, server, err := p.connections(n)
		if err != nil {
			return Result{}, err
		}
		var m meter
		failed := make(chan error, 2*n)
		for i := range n {
			go func() { failed <- echo(server[i]) }()
			go func() {
				if err := bounce(client[i], &m); err != nil {
					failed <- err
				}
			}()
		}
		rate, c, err := m.measure(t, failed)
		return Result{Value: rate, More: c.more()}, err
	}
}

// acceptAll calls f with each connection that comes, until the listener fails.
func acceptAll(l net.Listener, failed chan<- error, f func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			failed <- err
			return
		}
		f(c)
	}
}

// connect has clients connect, send a byte, read one and close, one connection
// after the other. The server serves each connection on a goroutine of its own.
func connect(clients int) func(*pair, Task) (Result, error) {
	return func(p *pair, t Task) (Result, error) {
		l, err := p.server.ListenTCP(p.at(port))
		if err != nil {
			return Result{}, err
		}
		var m meter
		failed := make(chan error, clients+1)
		go acceptAll(l, failed, func(c net.Conn) {
			go func() {
				b := make([]byte, 1)
				if _, err := c.Read(b); err == nil {
					c.Write(b)
				}
				c.Close()
			}()
		})
		for range clients {
			go func() {
				b := make([]byte, 1)
				count := m.counter()
				for !m.stopped.Load() {
					c, err := p.client.DialTCP(p.at(port))
					if err == nil {
						_, err = c.Write(b)
					}
					if err == nil {
						_, err = c.Read(b)
					}
					if err != nil {
						failed <- err
						return
					}
					c.Close()
					count.Add(1)
				}
			}()
		}
		rate, c, err := m.measure(t, failed)
		return Result{Value: rate, More: c.more()}, err
	}
}
