package auth

import (
	"strings"

	"github.com/signalbox-ai/signalbox/internal/glob"
)

// Certificate says whom clients' certificates belong to. Envoy verifies them. Of the patterns, one that is not "" must
// match.
type Certificate struct {
	URI, DNS, Subject string // patterns of a URI or DNS name in the certificate, or of its subject (RFC 2253)
	Key               *Key
}

const forwardedCert = "x-forwarded-client-cert"

// peer is what Envoy tells of a certificate.
type peer struct {
	uris, names []string
	subject     string
}

// readPeer reads x-forwarded-client-cert as Envoy writes it: elements behind commas, of which the last is the
// connection's own, each of KEY=VALUE behind semicolons, values in quotes where they need them.
func readPeer(value string) (p peer, ok bool) {
	for value != "" {
		name, rest, _ := strings.Cut(value, "=")
		v, after := rest, ""
		if strings.HasPrefix(rest, `"`) {
			v, after = unquote(rest)
		} else if i := strings.IndexAny(rest, ";,"); i >= 0 {
			v, after = rest[:i], rest[i:]
		}
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "uri":
			p.uris = append(p.uris, v)
		case "dns":
			p.names = append(p.names, v)
		case "subject":
			p.subject = v
		}
		ok = true
		if strings.HasPrefix(after, ",") {
			p, ok = peer{}, false
		}
		value = strings.TrimLeft(after, ";,")
	}
	return p, ok
}

// unquote reads a text in quotes and returns what follows it. Backslashes stay: Envoy writes a subject as RFC 2253 has it, and one
// in front of a comma says that this is a part of a name, and no end of it.
func unquote(s string) (text, rest string) {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return s[1:i], s[i+1:]
		}
	}
	return s[1:], ""
}

// fits reports whether a certificate is one of these.
func (c *Certificate) fits(p *peer) bool {
	some := func(pattern string, all []string) bool {
		if pattern == "" {
			return false
		}
		for _, s := range all {
			if glob.Match(pattern, s) {
				return true
			}
		}
		return false
	}
	return some(c.URI, p.uris) || some(c.DNS, p.names) || c.Subject != "" && p.subject != "" && glob.Match(c.Subject, p.subject)
}
