// Package observer tells telemetry what happens to exchanges: each ending becomes counts of internal/telemetry, and
// spans where exchanges are traced.
//
//	exchange.Core ─ Refused, Planned, Lost, Attempt, Closed ─► Observer ─► telemetry.Metrics
//	                                                                   └─► spans ─► otlp.Sink
//
// It is called when things have ended, never while a client waits for it, and waits for nothing itself.
package observer
