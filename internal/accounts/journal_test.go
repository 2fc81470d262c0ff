package accounts

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/providers/all"
)

// Limits may come after the start: by another version of the file, or from the store of the admin API.
func TestAJournalIsOpenWhereLimitsMayCome(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want bool
	}{
		"no limits":             {"quota: { journal: DIR/j }", false},
		"limits":                {"quota: { journal: DIR/j }\norganizations: [{ name: acme, limits: { parallel: 1 } }]", true},
		"a store that has some": {"quota: { journal: DIR/j }\nstore: \"sqlite:DIR/keys.db\"", true},
		"a Redis":               {"quota: { journal: DIR/j, store: \"redis://127.0.0.1:1\" }", true},
		"none":                  {"quota: { journal: none, store: \"redis://127.0.0.1:1\" }", false},
	} {
		t.Run(name, func(t *testing.T) {
			text := "providers: [{ name: p, kind: mock }]\nledger: { store: none }\n" + strings.ReplaceAll(tt.text, "DIR", t.TempDir()) + "\n"
			cfg, err := config.Parse("test.yaml", []byte(text), all.Kinds())
			if err != nil {
				t.Fatal(err)
			}
			a, err := Open(context.Background(), cfg, Options{Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			if got := a.journal != nil; got != tt.want {
				t.Errorf("a journal is open: %v", got)
			}
		})
	}
}
