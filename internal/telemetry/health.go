package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// HealthMeters are what is known of targets, for decisions.
type HealthMeters struct {
	success, share, first, inFlight *family[prometheus.Gauge]
	changes, least, probes          *family[prometheus.Counter]
	replicas, shared                prometheus.Gauge
}

func newHealth(k *maker) HealthMeters {
	return HealthMeters{
		success: k.gaugeFamily("signalbox_target_success_ratio"), share: k.gaugeFamily("signalbox_target_share_ratio"),
		first: k.gaugeFamily("signalbox_target_first_byte_seconds"), inFlight: k.gaugeFamily("signalbox_target_in_flight"),
		changes: k.counterFamily("signalbox_breaker_changes_total"), least: k.counterFamily("signalbox_least_bad_total"), probes: k.counterFamily("signalbox_probes_total"),
		replicas: k.gauge("signalbox_health_replicas"), shared: k.gauge("signalbox_health_shared"),
	}
}

// TargetHealth is the health of a target.
type TargetHealth struct {
	Success, Share   float64 // shares
	First50, First95 time.Duration
	InFlight         int64
}

// Target says how a target is.
func (h *HealthMeters) Target(provider, model string, s TargetHealth) {
	at := key{provider, model}
	h.success.get(at).Set(s.Success)
	h.share.get(at).Set(s.Share)
	h.inFlight.get(at).Set(float64(s.InFlight))
	if s.First50 > 0 {
		h.first.get(key{provider, model, "0.5"}).Set(s.First50.Seconds())
		h.first.get(key{provider, model, "0.95"}).Set(s.First95.Seconds())
	}
}

// Changed counts a change of a breaker: closed, open, half_open or closing.
func (h *HealthMeters) Changed(provider, model, state string) {
	h.changes.get(key{provider, model, state}).Inc()
}

// Probed counts a probe by what became of it, a word of probe.Result.
func (h *HealthMeters) Probed(provider, model, result string) {
	h.probes.get(key{provider, model, result}).Inc()
}

// LeastBad counts an exchange for which no target of its route was well.
func (h *HealthMeters) LeastBad(route string) { h.least.get(key{route}).Inc() }

// Shared says whether replicas can tell each other, and how many do, this one among them.
func (h *HealthMeters) Shared(up bool, replicas int) {
	h.shared.Set(yes(up))
	h.replicas.Set(float64(replicas))
}
