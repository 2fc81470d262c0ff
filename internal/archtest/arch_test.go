package archtest

import (
	"testing"
)

// rules are all checks of the tree.
var rules = []func(*tree) []violation{layering, forbidden, limits, docs, state}

func TestTheTreeKeepsItsShape(t *testing.T) {
	tr := load(t)
	if len(tr.pkgs) < 10 {
		t.Fatalf("only %d packages were found", len(tr.pkgs))
	}
	used := make([]bool, len(exceptions))
	for _, check := range rules {
		for _, v := range check(tr) {
			if i := excepted(v); i >= 0 {
				used[i] = true
				continue
			}
			t.Error(v)
		}
	}
	for i, e := range exceptions {
		if !used[i] {
			t.Errorf("the exception from %q for %s covers nothing any more: remove it", e.rule, e.where)
		}
		if e.why == "" {
			t.Errorf("the exception from %q for %s has no reason", e.rule, e.where)
		}
	}
}

// excepted returns the number of the exception that covers a violation, or -1.
func excepted(v violation) int {
	for i, e := range exceptions {
		if e.rule == v.rule && e.where == v.where {
			return i
		}
	}
	return -1
}
