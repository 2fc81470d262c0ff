package outlet

import (
	"fmt"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/usage"
)

// Formats of a stream of records.
const (
	JSONL    = "jsonl"    // a JSON object a line, as signalbox usage export --shape records writes it
	Protobuf = "protobuf" // signalbox.usage.v1.Record, each behind its length as a varint
)

// mostBytes is where a piece of a stream ends: it has a record at least.
const mostBytes = 1 << 20

// encode writes records from the first on, as many as a piece has, and returns where each ends. A record that has no form is
// refused.
func encode(format string, records []*ledger.Record) (b []byte, ends []int, err error) {
	for n := range records {
		if len(b) >= mostBytes {
			break
		}
		switch format {
		case Protobuf:
			one, err := usage.Append(b, records[n])
			if err != nil && n > 0 {
				return b, ends, nil
			}
			if err != nil {
				return nil, nil, fmt.Errorf("%w: %w", ErrRefused, err)
			}
			b = one
		default:
			b = append(append(b, records[n].Encode()...), '\n')
		}
		ends = append(ends, len(b))
	}
	return b, ends, nil
}
