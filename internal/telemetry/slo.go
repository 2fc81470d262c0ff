package telemetry

import "github.com/prometheus/client_golang/prometheus"

// SLOMeters show how objectives stand. Their names are bounded by the configuration.
type SLOMeters struct {
	attained, left, burn *prometheus.GaugeVec
	used, granted        *family[prometheus.Counter]
}

func newSLO(k *maker) SLOMeters {
	m := SLOMeters{used: k.counterFamily("signalbox_slo_budget_used_total"), granted: k.counterFamily("signalbox_slo_budget_granted_total")}
	m.attained, _ = k.gauges("signalbox_slo_attained")
	m.left, _ = k.gauges("signalbox_slo_budget_left_ratio")
	m.burn, _ = k.gauges("signalbox_slo_burn_rate")
	return m
}

// Forget takes what stands off the page, where objectives changed.
func (s *SLOMeters) Forget() {
	s.attained.Reset()
	s.left.Reset()
	s.burn.Reset()
}

// Stands says how an objective stands. objective is its kind: first_token, total, success or cost.
func (s *SLOMeters) Stands(slo, objective string, attained, left float64) {
	s.attained.WithLabelValues(slo, objective).Set(attained)
	s.left.WithLabelValues(slo, objective).Set(left)
}

// Burns says how fast an error budget was used up in a window: 5m, 30m, 1h, 6h or 3d.
func (s *SLOMeters) Burns(slo, objective, window string, rate float64) {
	s.burn.WithLabelValues(slo, objective, window).Set(rate)
}

// Counted counts what was used of an error budget, and what was granted to it.
func (s *SLOMeters) Counted(slo, objective string, used, granted float64) {
	s.used.get(key{slo, objective}).Add(used)
	s.granted.get(key{slo, objective}).Add(granted)
}
