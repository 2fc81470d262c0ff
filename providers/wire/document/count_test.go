package document

import (
	"errors"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

func TestACountIsWritten(t *testing.T) {
	fault := &llm.Error{Code: llm.CodeNotFound}
	for _, tc := range []struct {
		name   string
		events []llm.Event
		want   string
		code   llm.Code
	}{
		{"counted", []llm.Event{{}, {Kind: llm.EvUsage, Usage: llm.Usage{Input: llm.Tokens(7)}}, {Kind: llm.EvFinished}}, `{"n":7}`, 0},
		{"nothing", nil, "", llm.CodeReset},
		{"cut", []llm.Event{{Kind: llm.EvUsage, Usage: llm.Usage{Input: llm.Tokens(7)}}}, "", llm.CodeReset},
		{"without a number", []llm.Event{{Kind: llm.EvFinished}}, "", llm.CodeReset},
		{"failed", []llm.Event{{Kind: llm.EvFailed, Err: fault}}, "", llm.CodeNotFound},
		{"failed without a word", []llm.Event{{Kind: llm.EvFailed}}, "", llm.CodeUpstream},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := NewCount("x.write", `{"n":`, `}`)
			for i := range tc.events {
				if out, err := w.Write(nil, &tc.events[i]); out != nil || err != nil {
					t.Fatal(out, err)
				}
			}
			out, err := w.Close(nil)
			var e *llm.Error
			if string(out) != tc.want || errors.As(err, &e) != (tc.code != 0) || e != nil && e.Code != tc.code {
				t.Errorf("got %s, %v", out, err)
			}
		})
	}
}
