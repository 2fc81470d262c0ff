package otlp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/klauspost/compress/gzip"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
)

// overHTTP is the transport over HTTP, with binary protobuf.
type overHTTP struct {
	client   *http.Client
	base     *url.URL
	compress bool
}

// largestReply is the most that is read of a collector's answer.
const largestReply = 1 << 20

func newHTTP(o Options, security *tls.Config) *overHTTP {
	base := *o.Endpoint
	if base.Port() == "" && base.Scheme == "http" {
		base.Host += ":4318"
	}
	return &overHTTP{
		client: &http.Client{
			Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: security, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // headers hold a secret of this host's
		},
		base: &base, compress: o.Compress,
	}
}

func (t *overHTTP) send(ctx context.Context, s signal, hs []Header, request, reply proto.Message) error {
	body, err := proto.Marshal(request)
	if err != nil {
		return err
	}
	if t.compress {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(body) // neither fails: a Buffer takes everything
		_ = w.Close()
		body = b.Bytes()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.base.JoinPath(s.path).String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("User-Agent", "signalbox-otlp")
	if t.compress {
		req.Header.Set("Content-Encoding", "gzip")
	}
	for _, h := range hs {
		req.Header.Set(h.Name, h.Value.Reveal())
	}
	res, err := t.client.Do(req)
	if err != nil {
		return &later{err: plain(err)}
	}
	defer res.Body.Close()
	said, err := io.ReadAll(io.LimitReader(res.Body, largestReply))
	if err != nil {
		return &later{err: err}
	}
	if res.StatusCode/100 == 2 {
		if res.Header.Get("Content-Type") != "application/x-protobuf" {
			return nil // accepted, in words that need not be read
		}
		return proto.Unmarshal(said, reply)
	}
	return failure(res, said)
}

// plain is an error without the URL, which may hold a credential.
func plain(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// failure is what a collector's refusal means.
func failure(res *http.Response, said []byte) error {
	var st statuspb.Status
	why := ""
	if res.Header.Get("Content-Type") == "application/x-protobuf" && proto.Unmarshal(said, &st) == nil {
		why = ": " + st.GetMessage()
	}
	err := &answered{res.StatusCode, "the collector answered " + res.Status + why}
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		e := &later{err: err}
		if n, bad := strconv.Atoi(res.Header.Get("Retry-After")); bad == nil && n > 0 {
			e.after = time.Duration(n) * time.Second
		}
		return e
	}
	return err
}

func (t *overHTTP) close() { t.client.CloseIdleConnections() }
