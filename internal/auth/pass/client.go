package pass

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/signalbox-ai/signalbox/internal/auth"
)

// Header is where traffic of the gateway's own shows its pass. No provider sees it.
const Header = "x-signalbox-own"

// fresh is how long the pass of a request is good: it is shown at once.
const fresh = time.Minute

// Client sends the gateway's own traffic through Envoy, by its socket for that. It is safe for concurrent use.
type Client struct {
	passes *Issuer
	http   *http.Client
}

// NewClient makes a Client of a socket, which keeps up to idle connections. It connects when it sends.
func NewClient(socket string, passes *Issuer, idle int) *Client {
	var d net.Dialer
	return &Client{passes: passes, http: &http.Client{
		Transport: &http.Transport{
			DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", socket) },
			MaxIdleConnsPerHost: idle, IdleConnTimeout: time.Minute, DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Do sends a request, whose URL needs a path alone, on behalf of an identity. about says what it is. now is when the pass is
// made. The request gets the pass, and is not changed otherwise; the caller closes the answer's body.
func (c *Client) Do(req *http.Request, who auth.Identity, about string, now time.Time) (*http.Response, error) {
	mark, err := c.passes.Issue(who, about, now.Add(fresh))
	if err != nil {
		return nil, err
	}
	req.Header.Set(Header, mark)
	req.URL.Scheme, req.URL.Host = "http", "signalbox"
	return c.http.Do(req) //nolint:gosec // it dials one socket, whatever the URL says
}

// Spent reports whether an answer says that the budget of such traffic is spent: that it is no use to try again for a while.
func Spent(res *http.Response) bool {
	return (res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusPaymentRequired) && res.Header.Get("x-should-retry") == "false"
}

// Close closes the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }
