package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers/sign"
)

// service is Bedrock's name in signatures, for the runtime as for the control plane.
const service = "bedrock"

// Signer signs requests. It is safe for concurrent use.
type Signer struct {
	region  string
	service string
	source  *sign.Source[*credentials]
	v4      *v4.Signer // keeps derived keys
	now     func() time.Time
}

// credentials are either a bearer or an access key.
type credentials struct {
	bearer string
	key    sdk.Credentials
	skew   time.Duration // how far this machine's clock was behind AWS's when they were fetched
}

// Format shows nothing of what it holds.
func (credentials) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("***")) }

// Request is what a signature covers, as it will be sent.
type Request struct {
	Method string
	Host   string // the authority
	Path   string // percent-encoded, with query; never encoded again
	Body   []byte
}

// New makes a signer for a region. at is where p stands in the provider's configuration ("params.auth"), for
// errors, which are *llm.Error and name the field.
func New(lease *sign.Lease, at, region string, p Params) (*Signer, error) {
	if err := p.check(at); err != nil {
		return nil, err
	}
	region, err := Region(region)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %#v", region, p))
	f := &fetcher{client: lease.Client(), region: region, p: p}
	source := sign.Share(lease, "aws "+hex.EncodeToString(sum[:]), func() sign.Options[*credentials] {
		return sign.Options[*credentials]{Name: p.name(), Fetch: f.fetch, Timeout: 30 * time.Second}
	})
	return &Signer{region: region, service: service, source: source, v4: v4.NewSigner(), now: time.Now}, nil
}

// Headers are the lower-case names of the headers that Sign may set.
func Headers() []string { return []string{"authorization", "x-amz-date", "x-amz-security-token"} }

// Sign adds the headers that authenticate a request: of key as a bearer where there is one, else of what the
// source gives. A signature covers method, host, path, query and body; any other header may be added or
// changed on the way.
func (s *Signer) Sign(ctx context.Context, r Request, key secret.Value, set func(name, value string)) error {
	if !key.Empty() {
		set("authorization", "Bearer "+key.Reveal())
		return nil
	}
	c, err := s.source.Get(ctx)
	if err != nil {
		return err
	}
	if c.bearer != "" {
		set("authorization", "Bearer "+c.bearer)
		return nil
	}
	return s.sigV4(ctx, r, c, set)
}

// sigV4 signs after "Signature Version 4" in AWS's IAM User Guide. As for every service but S3, the path is
// encoded once more within the canonical request, and only there. The URL has no scheme, so that the signer
// leaves the port to the host, as it is sent.
func (s *Signer) sigV4(ctx context.Context, r Request, c *credentials, set func(name, value string)) error {
	path, query, _ := strings.Cut(r.Path, "?")
	sum := sha256.Sum256(r.Body)
	req := &http.Request{
		Method: r.Method, Host: r.Host, Header: make(http.Header, 3),
		URL: &url.URL{Host: r.Host, Opaque: "//" + r.Host + path, RawQuery: query},
	}
	if err := s.v4.SignHTTP(ctx, c.key, req, hex.EncodeToString(sum[:]), s.service, s.region, s.now().Add(c.skew)); err != nil {
		return sign.Hide(err, c.key.SecretAccessKey, c.key.SessionToken)
	}
	for _, name := range [...]string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token"} {
		if v := req.Header[name]; len(v) == 1 {
			set(strings.ToLower(name), v[0])
		}
	}
	return nil
}
