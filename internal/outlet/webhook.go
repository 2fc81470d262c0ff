package outlet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"

	"github.com/signalbox-ai/signalbox/internal/alert/channel"
	"github.com/signalbox-ai/signalbox/internal/ledger"
)

// Webhook posts pieces of a stream to an address.
type Webhook struct {
	To     channel.Webhook
	Format string

	client *http.Client // nil: none is open
}

var _ Sink = (*Webhook)(nil)

// Types of bodies.
const (
	typeJSONL    = "application/x-ndjson"
	typeProtobuf = `application/x-protobuf; messageType="signalbox.usage.v1.Record"; delimited=true`
)

// Send implements Sink. The id of a post is of its body: the same piece that is sent twice has the same.
func (w *Webhook) Send(ctx context.Context, records []*ledger.Record) (Sent, error) {
	body, ends, err := encode(w.Format, records)
	if err != nil {
		return Sent{}, err
	}
	if w.client == nil {
		if w.client, err = w.To.Client(); err != nil {
			return Sent{}, fmt.Errorf("the webhook's authorities: %w", err)
		}
	}
	sum := sha256.Sum256(body)
	p := channel.Post{ID: "usage_" + hex.EncodeToString(sum[:16]), Type: typeJSONL, Body: body}
	if w.Format == Protobuf {
		p.Type = typeProtobuf
	}
	f := w.To.Post(ctx, w.client, p)
	if f == nil {
		return Sent{Settled: len(ends)}, nil
	}
	switch f.Status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return Sent{}, fmt.Errorf("%w: the webhook: %w", ErrRefused, f)
	case 0: // its authorities may have changed
		_ = w.Close()
	}
	return Sent{}, &Away{f.After, fmt.Errorf("the webhook: %w", f)}
}

// Close implements Sink.
func (w *Webhook) Close() error {
	if w.client != nil {
		w.client.CloseIdleConnections()
		w.client = nil
	}
	return nil
}
