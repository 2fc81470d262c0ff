package fit

import (
	"net/netip"
	"strings"
)

// keyPrefixes begin secrets of known makes.
var keyPrefixes = [...]string{"sk-", "sk_", "pk-", "rk-", "gsk_", "xai-", "hf_", "AIza", "ya29.", "AKIA", "ASIA", "ghp_", "nvapi-", "pplx-", "tgp_", "r8_", "eyJ"}

const redacted = "[redacted]"

// Scrub takes what looks like a key, or like the name of an internal host, out of a provider's text.
func Scrub(s string) string {
	var b strings.Builder
	bearer := false
	for len(s) > 0 {
		n := 0
		for n < len(s) && inToken(s[n]) {
			n++
		}
		if n == 0 {
			if s[0] != ' ' && s[0] != ':' {
				bearer = false
			}
			b.WriteByte(s[0])
			s = s[1:]
			continue
		}
		token := strings.TrimRight(s[:n], ".")
		switch {
		case bearer && len(token) >= 6, secret(token):
			b.WriteString(redacted)
		case internalHost(token):
			b.WriteString("[host]")
		default:
			b.WriteString(token)
		}
		bearer = strings.EqualFold(token, "bearer")
		b.WriteString(s[len(token):n])
		s = s[n:]
	}
	return b.String()
}

func inToken(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.' || c == '*' || c == '+' || c >= 0x80
}

func secret(token string) bool {
	for _, p := range keyPrefixes {
		if len(token) >= len(p)+8 && strings.HasPrefix(token, p) {
			return true
		}
	}
	// A run of 32 letters and digits of both kinds is no word.
	run, digits, letters := 0, 0, 0
	for i := 0; i <= len(token); i++ {
		if i < len(token) && (token[i] != '-' && token[i] != '.' && token[i] != '*') {
			run++
			if token[i] >= '0' && token[i] <= '9' {
				digits++
			} else if token[i] != '_' {
				letters++
			}
			continue
		}
		if run >= 32 && digits > 2 && letters > 2 {
			return true
		}
		run, digits, letters = 0, 0, 0
	}
	return false
}

func internalHost(token string) bool {
	for _, suffix := range [...]string{".internal", ".local", ".svc", ".cluster.local", ".corp", ".lan"} {
		if strings.HasSuffix(strings.ToLower(token), suffix) {
			return true
		}
	}
	if strings.Count(token, ".") != 3 {
		return false
	}
	ip, err := netip.ParseAddr(token)
	return err == nil && (ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast())
}
