package replay

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// errUnknown means that no record fits.
var errUnknown = errors.New("no recorded exchange fits")

// asked is what a request says about the record it wants.
type asked struct {
	path   string // without an /r/ID prefix
	model  string // of the body, without its suffix
	stream bool
}

// pick finds the record for a request and the suffix of the model that named it. The first hit counts:
// the header or query x-replay-id, the prefix /r/ID/, the body's model, a segment of the path, the first
// record with the same path, model and streaming, where a body without a model fits any.
func (s *Server) pick(r *http.Request, body []byte) (x *Exchange, suffix string, err error) {
	id := r.Header.Get("x-replay-id")
	if id == "" {
		id = r.URL.Query().Get("x-replay-id")
	}
	path := r.URL.Path
	if rest, ok := strings.CutPrefix(path, "/r/"); ok && id == "" {
		id, path, _ = strings.Cut(rest, "/")
		path = "/" + path
	}
	if id != "" {
		id, suffix, _ = strings.Cut(id, ";")
		if x = s.byID[id]; x == nil {
			return nil, "", errUnknown
		}
		return x, suffix, nil
	}
	a := asked{path: path, stream: strings.Contains(strings.ToLower(path), "stream")}
	if jsonx.Valid(body) == nil {
		a.model, _ = jsonx.String(jsonx.Get(body, "model"))
		if on, ok := jsonx.Bool(jsonx.Get(body, "stream")); ok && on {
			a.stream = true
		}
	}
	a.model, suffix, _ = strings.Cut(a.model, ";")
	if x = s.byID[a.model[strings.LastIndexByte(a.model, '/')+1:]]; x != nil {
		return x, suffix, nil
	}
	if x, inPath := s.segment(path); x != nil {
		return x, inPath, nil
	}
	for _, x := range s.list {
		if x.Stream == a.stream && x.Model != nil && (*x.Model == a.model || a.model == "") && pathOf(x) == a.path {
			return x, suffix, nil
		}
	}
	return nil, "", errUnknown
}

// segment looks for "ID", "ID;settings", either with ":method" behind it, among the path's segments.
func (s *Server) segment(path string) (x *Exchange, suffix string) {
	for seg := range strings.SplitSeq(path, "/") {
		end := strings.IndexAny(seg, ";:")
		if end < 0 {
			end = len(seg)
		}
		x := s.byID[seg[:end]]
		if x == nil {
			continue
		}
		rest := seg[end:]
		// A method is what follows the last colon, unless that is the number of bytes:N.
		if at := strings.LastIndexByte(rest, ':'); at >= 0 && strings.Trim(rest[at+1:], "0123456789") != "" {
			rest = rest[:at]
		}
		return x, strings.TrimPrefix(rest, ";")
	}
	return nil, ""
}

func pathOf(x *Exchange) string {
	u, err := url.Parse(x.RequestPath)
	if err != nil {
		return x.RequestPath
	}
	return u.Path
}
