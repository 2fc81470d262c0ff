package dialect

import "strings"

// sealMark begins a seal that names the vendor that made it.
const sealMark = "sbs1."

// WrapSeal returns a seal that names its vendor, for the way through a client of another dialect, which keeps it as
// if it were the client's own provider's. A codec whose seals have no other mark wraps them in its events; what it
// writes for clients of its own dialect it opens again.
func WrapSeal(vendor, seal string) string {
	if seal == "" || strings.HasPrefix(seal, sealMark) {
		return seal
	}
	return sealMark + vendor + "." + seal
}

// OpenSeal returns the vendor and the seal of a wrapped one, and whether it was. A server that reads a seal opens it
// first: it belongs to that vendor, whatever the client's dialect is (llm.Part.From). A bare seal is returned as it is.
func OpenSeal(s string) (vendor, seal string, wrapped bool) {
	rest, found := strings.CutPrefix(s, sealMark)
	if !found {
		return "", s, false
	}
	vendor, seal, found = strings.Cut(rest, ".")
	if !found || vendor == "" || seal == "" {
		return "", s, false
	}
	return vendor, seal, true
}
