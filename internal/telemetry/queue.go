package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// QueueMeters count requests that wait for room at a provider.
type QueueMeters struct {
	waiting, bytes prometheus.Gauge
	waits          *family[prometheus.Observer]
}

func newQueue(k *maker) QueueMeters {
	return QueueMeters{
		waiting: k.gauge("signalbox_queue_waiting"), bytes: k.gauge("signalbox_queue_held_bytes"),
		waits: k.histogramFamily("signalbox_queue_wait_seconds"),
	}
}

// Waiting says how many requests wait, and how many bytes of bodies they hold.
func (q *QueueMeters) Waiting(n int, bytes int64) {
	q.waiting.Set(float64(n))
	q.bytes.Set(float64(bytes))
}

// Waited records a wait of a request of a class, by how it ended: admitted, queue_too_long, queue_full, expired,
// displaced or left.
func (q *QueueMeters) Waited(class, result string, took time.Duration) {
	q.waits.get(key{class, result}).Observe(took.Seconds())
}
