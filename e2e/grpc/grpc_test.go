// Package grpc shows that gRPC runs on usock's net types unchanged. It is a module
// of its own, so that usock itself does not depend on gRPC.
package grpc

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"usock"
	"usock/link"
	"usock/sim"
)

// TestSim has gRPC run over a simulated link: the dialer is one line.
func TestSim(t *testing.T) {
	l := sim.NewListener(t, sim.Both(link.Impairment{Delay: 5 * time.Millisecond}))
	srv := grpc.NewServer()
	healthpb.RegisterHealthServer(srv, health.NewServer())
	go srv.Serve(l)
	defer srv.Stop()
	conn, err := grpc.NewClient("passthrough:///server", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(l.Dialer))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	begin := time.Now()
	r, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil || r.Status != healthpb.HealthCheckResponse_SERVING || time.Since(begin) < 20*time.Millisecond {
		t.Errorf("%v, %v after %v", r, err, time.Since(begin))
	}
}

func TestUnaryAndStreaming(t *testing.T) {
	h, err := usock.NewHost(usock.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	l, err := h.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	status := health.NewServer()
	srv := grpc.NewServer()
	healthpb.RegisterHealthServer(srv, status)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()

	conn, err := grpc.NewClient("passthrough:///"+l.Addr().String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return h.DialContext(ctx, "tcp", addr)
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	client := healthpb.NewHealthClient(conn)

	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			r, err := client.Check(ctx, &healthpb.HealthCheckRequest{})
			if err != nil || r.Status != healthpb.HealthCheckResponse_SERVING {
				t.Errorf("check: %v, %v", r, err)
			}
		})
	}
	wg.Wait()

	w, err := client.Watch(ctx, &healthpb.HealthCheckRequest{Service: "x"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []healthpb.HealthCheckResponse_ServingStatus{
		healthpb.HealthCheckResponse_SERVICE_UNKNOWN,
		healthpb.HealthCheckResponse_SERVING,
		healthpb.HealthCheckResponse_NOT_SERVING,
	} {
		if want != healthpb.HealthCheckResponse_SERVICE_UNKNOWN {
			status.SetServingStatus("x", want)
		}
		r, err := w.Recv()
		if err != nil || r.Status != want {
			t.Fatalf("watch: %v, %v, want %v", r, err, want)
		}
	}
	srv.Stop()
	if err := <-served; err != nil {
		t.Error("serve:", err)
	}
}
