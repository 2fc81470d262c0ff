// Package telemetry is how a running Signalbox is seen: the logger, which hides what looks like a secret,
// and the Prometheus metrics with the page that serves them.
//
// It counts what it is told and decides nothing: what an exchange, an attempt or a loss is belongs to the
// callers. It holds no history and sends nothing anywhere; a scraper comes and asks.
//
// Metrics methods lie on the path of every request. Once a combination of labels was seen they take no lock
// and allocate nothing. The number of combinations is bounded: names come from the configuration, never from
// a client, and whatever goes past the bound of a label is counted under "other".
package telemetry
