package member_test

import (
	"fmt"
	"testing"

	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

func TestACallIsFoundHoweverLongAgoItWas(t *testing.T) {
	var ids member.IDs
	has := func(id string, want bool) {
		t.Helper()
		if got := ids.Has([]byte(id)); got != want {
			t.Errorf("%s: got %v, want %v", id, got, want)
		}
	}
	has(`"call_0"`, false)
	for i := range 100 {
		ids.Add(fmt.Appendf(nil, `"call_%d"`, i))
		has(`"call_0"`, true)
		has(fmt.Sprintf(`"call_%d"`, i), true)
		has(fmt.Sprintf(`"call_%d"`, i/2), true)
		has(fmt.Sprintf(`"call_%d"`, i+1), false)
	}
	ids.Add([]byte(`"\u0061\/b"`))
	has(`"a/b"`, true)
	has(`"a\/b"`, true)
	has(`"ab"`, false)
	for i := range 20 {
		ids.Add(fmt.Appendf(nil, `"later_%d"`, i))
	}
	has(`"\u0061/b"`, true)
}
