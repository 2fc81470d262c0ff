package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/mock"
)

// embedded is the mock provider that the program itself serves.
type embedded struct {
	server *http.Server
	stop   context.CancelFunc
	done   chan struct{}
}

// openMock serves the mock once a provider needs it. It stays up across reloads.
func (a *App) openMock(c *config.Config) error {
	needed := false
	for i := range c.Providers {
		needed = needed || c.Providers[i].Base == nil
	}
	if !needed || a.mock != nil {
		return nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("serving the mock provider: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	m := &embedded{stop: stop, done: make(chan struct{})}
	m.server = &http.Server{
		Handler: mock.New(mock.Options{}), ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx }, // answers that hang end with it
	}
	go func() {
		defer close(m.done)
		_ = m.server.Serve(l) // ends with closeMock
	}()
	a.mock = m
	a.build.mock = &url.URL{Scheme: "http", Host: l.Addr().String()}
	return nil
}

func (a *App) closeMock() {
	if a.mock == nil {
		return
	}
	a.mock.stop()
	_ = a.mock.server.Close()
	<-a.mock.done
}
