// Package otlp sends spans, metrics and log records to a collector by the OpenTelemetry protocol
// (https://opentelemetry.io/docs/specs/otlp/), over gRPC or over HTTP with protobuf.
//
//	Span ─ Spans.Add ─► bounded queue ─ batches ─┐
//	                                             ├─► Client ─► collector
//	prometheus.Registry ─ Metrics, now and then ─┘
//
// Of spans and metrics, nobody who hands something in waits. What finds the queue full, or what the collector does not take in the end, is
// dropped and counted. Log records are those of the ledger, which keeps them until a collector has taken them.
package otlp
