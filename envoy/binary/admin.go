package binary

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Admin speaks with an Envoy's admin page: "unix:" and a path, or host:port.
type Admin struct {
	address string
	client  *http.Client
}

// adminTime bounds one question to Envoy.
const adminTime = 5 * time.Second

// NewAdmin makes one.
func NewAdmin(address string) *Admin {
	network, addr := "tcp", address
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, addr = "unix", path
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	return &Admin{address: address, client: &http.Client{
		Timeout:   adminTime,
		Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true},
	}}
}

// Ready returns nil once Envoy has its listeners up.
func (a *Admin) Ready(ctx context.Context) error {
	_, err := a.ask(ctx, http.MethodGet, "/ready")
	return err
}

// Drain has Envoy end its clients' connections gently: those of HTTP/2 get GOAWAY, those of HTTP/1 close
// after their answer. It goes on serving.
func (a *Admin) Drain(ctx context.Context) error {
	_, err := a.ask(ctx, http.MethodPost, "/drain_listeners?graceful&skip_exit")
	return err
}

// Shut has Envoy close its listeners: nobody connects any more, and who is connected is served on.
func (a *Admin) Shut(ctx context.Context) error {
	_, err := a.ask(ctx, http.MethodPost, "/drain_listeners")
	return err
}

// Cold returns those of the clusters of which Envoy knows no address yet. Envoy takes a configuration
// before its new clusters have their addresses: this says when they have.
func (a *Admin) Cold(ctx context.Context, clusters []string) ([]string, error) {
	page, err := a.ask(ctx, http.MethodGet, "/clusters")
	if err != nil {
		return nil, err
	}
	warm := map[string]bool{}
	for line := range bytes.Lines(page) { // NAME::ADDRESS::cx_total::0
		if f := strings.Split(string(line), "::"); len(f) >= 4 && f[len(f)-2] == "cx_total" {
			warm[f[0]] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(clusters), func(c string) bool { return warm[c] }), nil
}

func (a *Admin) ask(ctx context.Context, method, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://envoy"+path, nil)
	if err != nil {
		return nil, fmt.Errorf("asking Envoy: %w", err)
	}
	res, err := a.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking Envoy's admin page at %s: %w", a.address, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return nil, fmt.Errorf("reading Envoy's %s: %w", path, err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("Envoy's %s says %s: %s", path, res.Status, clip(strings.TrimSpace(string(body))))
	}
	return body, nil
}
