package aws

import (
	"net/http"
	"sync/atomic"
	"time"
)

// tolerated is how wrong a clock may be before it is corrected. AWS refuses signatures that are more than 5
// minutes off.
const tolerated = 4 * time.Minute

// clock learns AWS's time from the answers to our own requests.
type clock struct {
	next   http.RoundTripper
	behind atomic.Int64 // nanoseconds; of the last answer with a date
}

// watch returns a client that tells the clock the date of every answer.
func (c *clock) watch(client *http.Client) *http.Client {
	if c.next = client.Transport; c.next == nil {
		c.next = http.DefaultTransport
	}
	with := *client
	with.Transport = c
	return &with
}

// RoundTrip implements http.RoundTripper.
func (c *clock) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := c.next.RoundTrip(r)
	if err == nil {
		if date, err := http.ParseTime(res.Header.Get("Date")); err == nil {
			c.behind.Store(int64(time.Until(date)))
		}
	}
	return res, err
}

// skew is what to add to this machine's time to get AWS's: 0 where it is near enough.
func (c *clock) skew() time.Duration {
	if d := time.Duration(c.behind.Load()); d.Abs() > tolerated {
		return d.Round(time.Second)
	}
	return 0
}
