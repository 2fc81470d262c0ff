package guard

import (
	"testing"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

func TestWhatIsInDoubtDoesNotTakeThePlaceOfWhatIsKnown(t *testing.T) {
	known, doubt := &quota.Settlement{Organization: "acme", ID: "a"}, &quota.Settlement{Organization: "acme", ID: "a", Void: true}
	for _, c := range []struct {
		name  string
		first bool // whether the first is in doubt
	}{{"known, then in doubt", false}, {"in doubt, then known", true}} {
		d := debts{most: 1}
		for _, inDoubt := range []bool{c.first, !c.first} {
			s := known
			if inDoubt {
				s = doubt
			}
			if !d.add(s, inDoubt) {
				t.Fatalf("%s: there is no room", c.name)
			}
		}
		if all := d.all(); len(all) != 1 || all[0].doubt || all[0].settlement != known {
			t.Errorf("%s: %d wait, of which the first is in doubt: %v", c.name, len(all), all[0].doubt)
		}
	}
}
