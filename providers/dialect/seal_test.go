package dialect

import "testing"

func TestASealIsWrappedOnceAndOpened(t *testing.T) {
	w := WrapSeal("openai-responses", "gAAA.b.c")
	if again := WrapSeal("gemini", w); again != w {
		t.Errorf("wrapped twice: %q", again)
	}
	if vendor, seal, ok := OpenSeal(w); vendor != "openai-responses" || seal != "gAAA.b.c" || !ok {
		t.Errorf("got %q, %q, %v", vendor, seal, ok)
	}
	for _, bare := range []string{"", "EqoBCk", "sbs1.", "sbs1.x", "sbs1..y", "sbs1.x."} {
		if vendor, seal, ok := OpenSeal(bare); vendor != "" || seal != bare || ok {
			t.Errorf("%q: got %q, %q, %v", bare, vendor, seal, ok)
		}
	}
	if WrapSeal("x", "") != "" {
		t.Error("nothing is wrapped")
	}
}
