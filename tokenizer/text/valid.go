package text

import "unicode/utf8"

// AppendValid appends p with U+FFFD for each maximal part of an ill-formed character (Unicode 16, §3.9).
func AppendValid(dst, p []byte) []byte {
	for i := 0; i < len(p); {
		if p[i] < utf8.RuneSelf {
			dst = append(dst, p[i])
			i++
			continue
		}
		r, n := utf8.DecodeRune(p[i:])
		if r == utf8.RuneError && n == 1 {
			n = Maximal(p[i:])
			dst = append(dst, "\uFFFD"...)
		} else {
			dst = append(dst, p[i:i+n]...)
		}
		i += n
	}
	return dst
}

// Maximal returns the length of the longest beginning of p, ill-formed from its first byte, that could have become a
// character (Unicode 16, table 3-7), or 1.
func Maximal(p []byte) int {
	n := 1
	for n < min(len(p), 3) && !utf8.RuneStart(p[n]) && !utf8.FullRune(p[:n+1]) {
		n++
	}
	return n
}
