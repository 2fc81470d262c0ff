package main

import (
	"context"
	"fmt"
	"os"

	"github.com/signalbox-ai/signalbox/internal/app"
	"github.com/signalbox-ai/signalbox/internal/config"
)

// fromFile is the flag of every command that reads a configuration.
type fromFile struct {
	Config string `short:"c" type:"path" placeholder:"FILE" env:"SIGNALBOX_CONFIG" help:"Configuration file. Without one: signalbox.yaml here, or every provider whose key is in the environment, and the mock."`
}

// path returns the file to read; "" means none.
func (f *fromFile) path() string {
	if f.Config != "" {
		return f.Config
	}
	if _, err := os.Stat("signalbox.yaml"); err == nil {
		return "signalbox.yaml"
	}
	return ""
}

type upCmd struct{ fromFile }

// Run serves with an Envoy of its own.
func (c *upCmd) Run(s streams) error {
	a, err := app.New(context.Background(), app.Options{Path: c.path(), Errors: s.err, Version: version()})
	if err != nil {
		return err
	}
	a.WhenReady(func() { greet(s, a.Config()) })
	return a.Run(context.Background(), true)
}

type serveCmd struct{ fromFile }

// Run serves an Envoy that somebody else runs.
func (c *serveCmd) Run(s streams) error {
	a, err := app.New(context.Background(), app.Options{Path: c.path(), Errors: s.err, Version: version()})
	if err != nil {
		return err
	}
	return a.Run(context.Background(), false)
}

// greet says where it is and how to try it.
func greet(s streams, c *config.Config) {
	_, addr := c.Listen.HTTP.Split()
	scheme, auth := "http", ""
	if c.Listen.TLS.On() {
		scheme = "https"
	}
	if len(c.Keys) > 0 {
		auth = " -H \"Authorization: Bearer $KEY\""
	}
	model := "mock/text"
	if names := c.Table().Models(); len(names) > 0 {
		model = names[0]
	}
	fmt.Fprintf(s.out, "\nSignalbox is ready at %s://%s\nTry it:\n  curl %s://%s/v1/chat/completions%s -H 'content-type: application/json' \\\n    -d '{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}'\n\n", scheme, addr, scheme, addr, auth, model)
}

type checkCmd struct {
	File string `arg:"" type:"path" help:"The file to check."`
}

// Run reads a file as the service would, its secrets too.
func (c *checkCmd) Run(s streams) error {
	cfg, err := app.Check(context.Background(), c.File)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s is valid: %d providers, %d routes, %d keys\n", c.File, len(cfg.Providers), len(cfg.Table().Routes()), len(cfg.Keys))
	return nil
}
