package metering_test

import (
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/metering"
)

func TestIDsOfChargesComeInTheOrderOfTime(t *testing.T) {
	last, seen := "", map[string]bool{}
	for range 50 {
		id := metering.NewID()
		if id[:9] < last {
			t.Errorf("%s comes behind %s…", id, last)
		}
		if seen[id] {
			t.Errorf("%s comes twice", id)
		}
		seen[id], last = true, id[:9] // 45 of the 48 bits of milliseconds
		time.Sleep(time.Millisecond)
	}
}
