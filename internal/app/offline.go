package app

import (
	"context"

	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/translate"
	"github.com/signalbox-ai/signalbox/providers/all"
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
