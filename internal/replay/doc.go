// Package replay serves recorded provider answers as an upstream, for conformance runs and for
// `signalbox replay`. It reads exchanges from JSON lines, picks one for each request, and sends its answer
// byte for byte, in the pieces, at the pace and with the fault that the request asks for.
//
//	Load, Read ─► []*Exchange ─ Handler ─► Server ─ request: pick, Pace ─► pieces ─► client
//
// It does not translate, does not check what it is asked beyond what it needs to pick a record, and is no
// store: records live in memory. It is meant for loopback.
package replay
