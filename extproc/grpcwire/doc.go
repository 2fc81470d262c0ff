// Package grpcwire serves gRPC directly on HTTP/2 frames, for the few methods that Envoy calls on every
// request. It knows messages as bytes: what they mean is for its handlers. It is no general HTTP server, and
// what it does not handle itself goes to an http.Handler, such as a *grpc.Server, on the same connection.
//
//	frames ─► conn ─► Stream ─► Handler.Message      on the connection's reading goroutine
//	                    └─────► Options.Rest         on a goroutine of its own
//	Stream.Send ─► out ─► one write, when nothing more is there to be read
//
// A handler runs on the goroutine that reads the connection and must not block it: what may take long it
// hands to Stream.Go, and later messages of that stream wait meanwhile. Calls for one stream never overlap.
// What a peer can make the server hold is bounded: a message by Options.MaxMessage, what waits on a stream by
// its window, answers by what the peer has let through, headers by Options.MaxHeader.
//
// Rules are those of RFC 9113 (HTTP/2), RFC 7541 (HPACK) and gRPC's PROTOCOL-HTTP2 document. Compressed
// messages are refused, and grpc-timeout is left to the client, which resets a stream that took too long.
package grpcwire
