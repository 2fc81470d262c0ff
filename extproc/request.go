package extproc

import (
	"math"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/providers"
)

// kind is what a ProcessingRequest is about.
type kind uint8

const (
	aboutNothing kind = iota
	aboutRequestHead
	aboutRequestBody
	aboutAnswerHead
	aboutAnswerChunk
	aboutTrailers
)

var kindNames = [...]string{"nothing", "a request's head", "a request's body", "an answer's head", "an answer's body", "trailers"}

func (k kind) String() string { return kindNames[k] }

// request is a ProcessingRequest, as far as it is used. It aliases the message.
type request struct {
	kind       kind
	content    []byte // HttpHeaders or HttpBody
	metadata   []byte // core.v3.Metadata
	attributes []byte // Struct of the filter's own attributes
}

// readRequest reads a ProcessingRequest by field. What is not needed is passed over without being looked into.
func readRequest(m []byte) (r request, ok bool) {
	for len(m) > 0 {
		f, rest, ok := next(m)
		if !ok {
			return r, false
		}
		switch f.number {
		case 2:
			r.kind, r.content = aboutRequestHead, f.data
		case 3:
			r.kind, r.content = aboutAnswerHead, f.data
		case 4:
			r.kind, r.content = aboutRequestBody, f.data
		case 5:
			r.kind, r.content = aboutAnswerChunk, f.data
		case 6, 7:
			r.kind, r.content = aboutTrailers, f.data
		case 8:
			r.metadata = f.data
		case 9:
			if string(find(f.data, 1)) == "envoy.filters.http.ext_proc" {
				r.attributes = find(f.data, 2)
			}
		}
		m = rest
	}
	return r, true
}

// head reads HttpHeaders: the header, and whether nothing follows.
func (r *request) head() (h exchange.Header, end bool, ok bool) {
	var fields string
	for m := r.content; len(m) > 0; {
		f, rest, ok := next(m)
		if !ok {
			return nil, false, false
		}
		switch f.number {
		case 1:
			fields = string(f.data) // one string holds all names and values
		case 3:
			end = f.n != 0
		}
		m = rest
	}
	h, ok = headerOf(fields)
	return h, end, ok
}

// body reads HttpBody: the bytes, which are the message's, and whether nothing follows.
func (r *request) body() (b []byte, end bool, ok bool) {
	for m := r.content; len(m) > 0; {
		f, rest, ok := next(m)
		if !ok {
			return nil, false, false
		}
		switch f.number {
		case 1:
			b = f.data
		case 2:
			end = f.n != 0
		}
		m = rest
	}
	return b, end, true
}

// ticket returns the ticket that Envoy holds.
func (r *request) ticket() string { return string(heldTicket(r.metadata)) }

// Members of what Envoy's jwt_authn filter writes down of a token.
const (
	namespaceToken = "envoy.filters.http.jwt_authn"
	tokenFault     = "fault:"                       // begins the members that say why a token is not good for an issuer; all others are issuers
	tokenForeign   = "Jwt issuer is not configured" // of an issuer whose token it is not
)

// proof reads what Envoy has verified of the client's token; some is false where there was none.
func (r *request) proof() (p auth.Proof, some bool) {
	if len(r.metadata) == 0 {
		return p, false
	}
	held := entry(r.metadata, 1, namespaceToken)
	if len(held) == 0 {
		return p, false
	}
	var s structpb.Struct
	if proto.Unmarshal(held, &s) != nil {
		return p, false
	}
	for name, v := range s.GetFields() {
		if !strings.HasPrefix(name, tokenFault) {
			p.Issuer, p.Claims = name, v.GetStructValue().AsMap()
		} else if why := v.GetStructValue().GetFields()["message"].GetStringValue(); p.Fault == "" || p.Fault == tokenForeign {
			p.Fault = why
		}
	}
	return p, true
}

// heldTicket finds the ticket in an encoded core.v3.Metadata.
func heldTicket(metadata []byte) []byte {
	return find(member(entry(metadata, 1, NamespaceTicket), "ticket"), 3)
}

// whither returns which attempt Envoy is about to make, and at which cluster.
func (r *request) whither() (n int, cluster string) {
	count := math.Float64frombits(number(member(r.attributes, "upstream.request_attempt_count")))
	return int(count), string(find(member(r.attributes, "xds.cluster_name"), 3))
}

// usualHeaders is room for the fields that most requests have.
const usualHeaders = 24

// headerOf reads a HeaderMap.
func headerOf(m string) (exchange.Header, bool) {
	h := make(exchange.Header, 0, min(usualHeaders, len(m)/8))
	for len(m) > 0 {
		f, rest, ok := next(m)
		if !ok {
			return nil, false
		}
		m = rest
		if f.number != 1 {
			continue
		}
		var p providers.Header
		var plain string
		for v := f.data; len(v) > 0; {
			f, rest, ok := next(v)
			if !ok {
				return nil, false
			}
			switch f.number {
			case 1:
				p.Name = f.data
			case 2:
				plain = f.data
			case 3:
				p.Value = f.data
			}
			v = rest
		}
		if p.Value == "" {
			p.Value = plain
		}
		h = append(h, p)
	}
	return h, true
}
