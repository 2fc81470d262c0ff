package headers

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/providers"
)

func TestOnlyWhatMakesADifferenceIsChanged(t *testing.T) {
	h := Header{{Name: ":path", Value: "/v1"}, {Name: "authorization", Value: "Bearer client"}, {Name: "x-twice", Value: "a"}, {Name: "x-twice", Value: "a"}, {Name: "x-same", Value: ""}}
	set, remove := h.Changes(
		[]providers.Header{{Name: ":path", Value: "/v1"}, {Name: "authorization", Value: "Bearer key"}, {Name: "x-twice", Value: "a"}, {Name: "x-same", Value: ""}, {Name: "x-new", Value: "1"}},
		[]string{"authorization", "api-key", "x-twice", "x-same", Unseen},
	)
	if diff := cmp.Diff([]providers.Header{{Name: "authorization", Value: "Bearer key"}, {Name: "x-twice", Value: "a"}, {Name: "x-new", Value: "1"}}, set); diff != "" {
		t.Errorf("what is set: %s", diff)
	}
	if diff := cmp.Diff([]string{Unseen}, remove); diff != "" {
		t.Errorf("what is taken out: %s", diff)
	}
}

// TestChangesComeToTheSame makes the changes that Envoy is told, and all of them, and compares.
func TestChangesComeToTheSame(t *testing.T) {
	name, value := rapid.SampledFrom([]string{"a", "b", "c", Unseen}), rapid.SampledFrom([]string{"", "1", "2"})
	field := rapid.Custom(func(t *rapid.T) providers.Header {
		return providers.Header{Name: name.Draw(t, "name"), Value: value.Draw(t, "value")}
	})
	rapid.Check(t, func(t *rapid.T) {
		given := Header(rapid.SliceOfN(field, 0, 6).Draw(t, "header"))
		set, remove := rapid.SliceOfN(field, 0, 5).Draw(t, "set"), rapid.SliceOfN(name, 0, 4).Draw(t, "remove")
		told := slices.DeleteFunc(slices.Clone(given), func(f providers.Header) bool { return f.Name == Unseen })
		less, fewer := told.Changes(slices.Clone(set), slices.Clone(remove))
		if want, got := after(given, set, remove), after(given, less, fewer); !cmp.Equal(want, got) {
			t.Errorf("%v with %v and without %v is %v, and with %v and without %v %v", given, set, remove, want, less, fewer, got)
		}
	})
}

// after is what Envoy makes of a header: removals first, then each field in the place of all of its name.
func after(h Header, set []providers.Header, remove []string) map[string][]string {
	out := map[string][]string{}
	for _, f := range h {
		out[f.Name] = append(out[f.Name], f.Value)
	}
	for _, n := range remove {
		delete(out, n)
	}
	for _, f := range set {
		out[f.Name] = []string{f.Value}
	}
	return out
}
