// Package glob matches names against the patterns that users write for models, routes and certificates. It has two
// wildcards and no classes, so that a pattern means the same wherever it stands.
package glob

import "strings"

// Is reports whether a pattern has wildcards.
func Is(pattern string) bool { return strings.ContainsAny(pattern, "*?") }

// Match reports whether name matches pattern: * stands for any run of characters, ? for one byte. It takes time
// in proportion to the product of the lengths at most.
func Match(pattern, name string) bool {
	p, n, star, mark := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p++
			n++
		case star >= 0:
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// Any reports whether name matches one of the patterns.
func Any(patterns []string, name string) bool {
	for _, p := range patterns {
		if Match(p, name) {
			return true
		}
	}
	return false
}
