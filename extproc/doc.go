// Package extproc is the gRPC side toward Envoy: the external processor for both filters and the access
// log service. It translates Envoy's messages for the state machine in extproc/exchange and back, and
// decides nothing.
//
//	ProcessingRequest ─► Exchange, Attempt ─► Reply ─ wire.go ─► ProcessingResponse
//	HTTPAccessLogEntry ─► Core.AttemptLogged, Core.RequestLogged
//
// wire.go alone builds Envoy's responses. Every message that wants a reply gets exactly one, in order.
package extproc
