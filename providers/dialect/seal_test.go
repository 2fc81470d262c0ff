package dialect

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

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

func TestAClientSeesItsOwnVendorsSealsBare(t *testing.T) {
	for _, c := range []struct {
		seal, shown string
		foreign     bool
	}{
		{WrapSeal("gemini", "s"), "s", false},
		{WrapSeal("x", "s"), "sbs1.x.s", true},
		{NewCarrier("c", "", WrapSeal("gemini", "s")).String(), "sbc1.Yw.sbs1.gemini.s", true},
		{"s", "s", false},
		{"", "", false},
	} {
		if got := ShownSeal("gemini", c.seal); got != c.shown || ForeignSeal("gemini", got) != c.foreign {
			t.Errorf("%q: got %q, foreign %v", c.seal, got, ForeignSeal("gemini", got))
		}
	}
}

func TestCarriersAreReadBack(t *testing.T) {
	for _, c := range []Carrier{{"call_1", "gemini", "c2ln"}, {"", "gemini", "a.b.c"}, {"a.b\"", "x", "y"}} {
		if got, ok := ReadCarrier(c.String()); !ok || got != c {
			t.Errorf("got %+v, %v; want %+v", got, ok, c)
		}
	}
	for _, s := range []string{"", "gAAA", "sbc1.", "sbc1.!.sbs1.a.b", "sbc1.YQ.c2ln"} {
		if c, ok := ReadCarrier(s); ok {
			t.Errorf("%q: %+v", s, c)
		}
	}
}

func TestCarriersSettleOnWhatTheySeal(t *testing.T) {
	text := func(s, seal string) llm.Part {
		p := llm.Part{Text: s}
		if p.Seal = seal; seal != "" {
			p.From = "g"
		}
		return p
	}
	call := func(id, seal string) llm.Part {
		p := text("", seal)
		p.Kind, p.Call = llm.PartCall, &llm.ToolCall{ID: id}
		return p
	}
	carried := func(id, seal string) llm.Part {
		return llm.Part{Kind: llm.PartThought, Seal: Carrier{id, "g", seal}.String(), From: "client"}
	}
	thought := llm.Part{Kind: llm.PartThought, Seal: "s", From: "client"}
	for _, c := range []struct {
		name     string
		in, want []llm.Part
	}{
		{"nothing to settle", []llm.Part{thought, text("a", "")}, []llm.Part{thought, text("a", "")}},
		{"a call's, in front", []llm.Part{carried("1", "x"), call("1", "")}, []llm.Part{call("1", "x")}},
		{"a call's, behind another", []llm.Part{call("1", ""), call("2", ""), carried("1", "x")}, []llm.Part{call("1", "x"), call("2", "")}},
		{"of a call that is gone", []llm.Part{carried("1", "x"), text("a", "")}, []llm.Part{text("a", "")}},
		{"a text's", []llm.Part{thought, text("a", ""), carried("", "x"), text("b", ""), carried("", "y")}, []llm.Part{thought, text("a", "x"), text("b", "y")}},
		{"of an empty text, which clients leave out", []llm.Part{text("a", "x"), carried("", "y"), call("1", "")}, []llm.Part{text("a", "x"), text("", "y"), call("1", "")}},
		{"alone", []llm.Part{carried("1", "x")}, []llm.Part{}},
	} {
		if d := cmp.Diff(c.want, Settle(c.in)); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
}
