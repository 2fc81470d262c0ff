// Package otlp sends spans and metrics to a collector by the OpenTelemetry protocol
// (https://opentelemetry.io/docs/specs/otlp/), over gRPC or over HTTP with protobuf.
//
//	Span ─ Spans.Add ─► bounded queue ─ batches ─┐
//	                                             ├─► Client ─► collector
//	prometheus.Registry ─ Metrics, now and then ─┘
//
// Nobody who hands something in waits. What finds the queue full, or what the collector does not take in the end, is
// dropped and counted.
package otlp
