package proc

import (
	"strings"
	"testing"
)

func TestMoreFilesThanTheKernelAllowsAreRefused(t *testing.T) {
	const most = 1 << 40
	if err := Files(most); err == nil || !strings.Contains(err.Error(), "1099511627776 files must be open at once") {
		t.Errorf("got %v, want an error that says how many files must be open", err)
	}
	if err := Files(16); err != nil {
		t.Errorf("fewer than may be open now: %v", err)
	}
}
