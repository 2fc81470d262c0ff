// Package extproc is the gRPC side toward Envoy: the external processor for its filters and the access log
// service, as methods of a grpcwire.Server. It translates Envoy's messages for the state machine in
// extproc/exchange and back, and decides nothing.
//
//	ProcessingRequest ─ request.go ─► Exchange, Attempt ─► Reply ─ wire.go ─► ProcessingResponse
//	HTTPAccessLogEntry ─ entry.go ─► Core.AttemptLogged, Core.RequestLogged
//
// Messages are read and written by field, without the generated types: request.go and entry.go alone know the
// fields that are read, and wire.go alone builds Envoy's responses. Every message that wants a reply gets exactly one,
// in order.
package extproc
