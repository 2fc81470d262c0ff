package replay

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// MaxLine is the longest line, one exchange, that Read accepts, in bytes.
const MaxLine = 16 << 20

// Exchange is one recorded request and its answer.
type Exchange struct {
	ID       string  `json:"id"` // stable name of the record
	Source   Source  `json:"source"`
	Provider string  `json:"provider"`
	Endpoint string  `json:"endpoint"` // "chat", "messages", "converse-stream", …
	Model    *string `json:"model"`    // nil when neither the request nor the answer names one
	Stream   bool    `json:"stream"`   // a stream was asked for or answered
	Request
	Response
	Fidelity string   `json:"fidelity"`          // "raw", or "reserialised" when spacing is not the provider's
	Note     string   `json:"note,omitzero"`     // what the record does not prove
	Complete *bool    `json:"complete,omitzero"` // streams with a known end: whether it was seen
	Features []string `json:"features"`          // found by text search, so with false positives
}

// Source says where an exchange was published.
type Source struct {
	Repo    string `json:"repo"`
	Path    string `json:"path"`
	Index   int    `json:"index"` // n-th exchange of that file
	Licence string `json:"licence"`
}

// Request is the recorded request. RequestJSON is the parsed body's text, "null" where it is unknown.
type Request struct {
	RequestMethod  string            `json:"request_method"`
	RequestPath    string            `json:"request_path"` // with the query; "" for response-only records
	RequestHost    string            `json:"request_host"`
	RequestHeaders map[string]string `json:"request_headers"` // lower-case names; absence proves nothing
	RequestJSON    jsonx.Raw         `json:"request_json"`
	RequestTrimmed bool              `json:"request_trimmed,omitzero"`
}

// Response is the recorded answer.
type Response struct {
	Status          int               `json:"response_status"`
	ResponseHeaders map[string]string `json:"response_headers"`
	BodyKind        string            `json:"response_body_kind"` // json, sse, ndjson, text, eventstream-b64
	RawBody         string            `json:"response_body"`      // as stored; Body decodes it
	ResponseTrimmed bool              `json:"response_trimmed,omitzero"`
}

// Body returns what the provider sent.
func (r *Response) Body() ([]byte, error) {
	if !strings.HasSuffix(r.BodyKind, "-b64") {
		return []byte(r.RawBody), nil
	}
	b, err := base64.StdEncoding.DecodeString(r.RawBody)
	if err != nil {
		return nil, fmt.Errorf("response_body: %w", err)
	}
	return b, nil
}

// HasRequest reports whether the request's body is known.
func (r *Request) HasRequest() bool { return !jsonx.IsNull(r.RequestJSON) }

// Load reads the exchanges of a file of JSON lines, gzipped or not.
func Load(path string) ([]*Exchange, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	xs, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return xs, nil
}

// Read reads exchanges from JSON lines, gzipped or not. Blank lines are skipped; the error of a bad line
// has its number. Ids must be there and unique.
func Read(r io.Reader) ([]*Exchange, error) {
	in := bufio.NewReader(r)
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		in = bufio.NewReader(z)
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), MaxLine)
	var xs []*Exchange
	seen := make(map[string]int)
	n := 0
	for lines.Scan() {
		n++
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		x := new(Exchange)
		if err := jsonx.Decode(lines.Bytes(), x); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if err := x.check(); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if first, dup := seen[x.ID]; dup {
			return nil, fmt.Errorf("line %d: id: %q is on line %d too", n, x.ID, first)
		}
		seen[x.ID] = n
		xs = append(xs, x)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", n+1, err)
	}
	return xs, nil
}

func (x *Exchange) check() error {
	if x.ID == "" || strings.ContainsAny(x.ID, "/;:?# ") {
		return fmt.Errorf("id: %q is empty or has one of / ; : ? # or a blank", x.ID)
	}
	if x.Status < 200 || x.Status > 599 {
		return fmt.Errorf("response_status: %d is no final HTTP status", x.Status)
	}
	_, err := x.Body()
	return err
}
