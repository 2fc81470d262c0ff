package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/tokens"
	"github.com/signalbox-ai/signalbox/internal/translate"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/tokenizer"
)

// Check does everything with a configuration that New does but serve: it reads it, fetches its secrets and
// makes its providers.
func Check(ctx context.Context, path string) (*config.Config, error) {
	cfg, err := Load(path)
	if err != nil {
		return nil, err
	}
	_, err = (&builder{kinds: all.Kinds(), mock: nowhere()}).snapshot(ctx, cfg, nil)
	return cfg, err
}

// Translator returns a translator over all kinds and front doors.
func Translator() *translate.Translator { return translate.New(all.Kinds(), all.Servers()) }

// Tokens returns a tool that counts for all models and front doors. vocab are files of vocabularies that are not
// shipped, by name.
func Tokens(vocab map[string]string) (*tokens.Tool, error) {
	loaded := map[string]tokenizer.Text{}
	for name, path := range vocab {
		var err error
		if loaded[name], err = vocabulary(name, path); err != nil {
			return nil, fmt.Errorf("--vocab %s=%s: %w", name, path, err)
		}
	}
	return &tokens.Tool{Set: tokenizer.NewSet(loaded), Servers: all.Servers()}, nil
}

// Model is a model at a provider, as a list shows it.
type Model struct {
	Provider string // as configured, or a vendor's name where no configuration counts
	catalog.Model
}

// Models returns the models that the program knows, by provider and name: with a configuration file those of its
// providers, with what it declares; without one, all.
func Models(path string) ([]Model, error) {
	var out []Model
	if path == "" {
		for _, m := range catalog.All() {
			out = append(out, Model{m.Vendor, m})
		}
		return out, nil
	}
	cfg, err := Load(path)
	if err != nil {
		return nil, err
	}
	for i := range cfg.Providers {
		p := &cfg.Providers[i]
		for _, m := range p.Deployment().Models() {
			out = append(out, Model{p.Name, m})
		}
	}
	slices.SortStableFunc(out, func(a, b Model) int { return strings.Compare(a.Provider, b.Provider) })
	return out, nil
}
