package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
)

var update = flag.Bool("update", false, "write the golden files")

type mockParams struct {
	Speaks []string      `yaml:"speaks"`
	Delay  time.Duration `yaml:"delay"`
}

// kinds is a registry of kinds that make adapters which nobody calls.
func kinds() *providers.Registry {
	adapter := func(providers.Env, any) (providers.Adapter, error) {
		return &providers.Fixed{Models: func(string) catalog.Facts { return catalog.Facts{} }}, nil
	}
	return providers.NewRegistry(
		providers.Kind{Name: "openai", KeyEnv: "OPENAI_API_KEY", BaseURL: "https://api.openai.com/v1", Models: []string{"gpt-*", "o1*"}, New: adapter},
		providers.Kind{Name: "anthropic", KeyEnv: "ANTHROPIC_API_KEY", BaseURL: "https://api.anthropic.com", Models: []string{"claude-*"}, New: adapter},
		providers.Kind{Name: "openai-compatible", New: adapter},
		providers.Kind{
			Name: "mock", Models: []string{"mock/*"},
			Params: func() any { return &mockParams{Speaks: []string{"openai-chat"}} },
			New: func(env providers.Env, params any) (providers.Adapter, error) {
				for _, s := range params.(*mockParams).Speaks {
					if s != "openai-chat" && s != "anthropic-messages" {
						return nil, &llm.Error{Code: llm.CodeInvalid, Param: "params.speaks", Message: "unknown dialect"}
					}
				}
				return adapter(env, params)
			},
		},
	)
}

// TestBad compares the report of every file in testdata/bad with the golden text beside it.
func TestBad(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".yaml"), func(t *testing.T) {
			_, err := config.Load(f, kinds())
			var errs config.Errors
			if !errors.As(err, &errs) {
				t.Fatalf("got %v, want errors", err)
			}
			golden(t, strings.TrimSuffix(f, ".yaml")+".txt", errs.Report()+"\n")
		})
	}
}

// golden compares got with a file, or writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, string(want)); diff != "" {
		t.Errorf("%s (-got +want):\n%s", file, diff)
	}
}
