package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"

	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers"
)

// Load reads and checks a file. What is wrong with its content is an Errors.
func Load(path string, kinds *providers.Registry) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return Parse(path, data, kinds)
}

// Parse checks a configuration whole. name is the file's, for errors, which are an Errors. It looks at the
// files that the configuration names (certificates, authorities, file: references), since one that cannot be
// read is an error too; it resolves no secret.
func Parse(name string, data []byte, kinds *providers.Registry) (*Config, error) {
	src := newSource(name, data)
	root, err := parse(data)
	if bad, ok := errors.AsType[*badSyntax](err); ok {
		return nil, Errors{src.faultAt(bad.at, "", bad.message)}.finish(src)
	}
	c := &Config{}
	c.preset()
	d := &decoder{src: src, kinds: kinds, root: c, nodes: map[string]*node{}, bad: map[string]bool{}}
	d.value(root, reflect.ValueOf(c).Elem(), "", "")
	d.check(c)
	if len(d.errs) > 0 {
		return nil, d.errs.finish(src)
	}
	c.build(kinds)
	c.src, c.nodes = src, d.nodes
	return c, nil
}

// Default is the configuration without a file: every kind of provider whose usual key variable is set, and
// the mock.
func Default(kinds *providers.Registry, lookupEnv func(string) (string, bool)) *Config {
	c := &Config{}
	c.preset()
	for _, name := range kinds.Names() {
		k, _ := kinds.Kind(name)
		p := Provider{Name: k.Name, Kind: k.Name}
		p.preset(c)
		if k.Params != nil {
			p.Params = k.Params()
		}
		if k.Name != embedded {
			v, _ := lookupEnv(k.KeyEnv)
			if k.RegionEnv != "" {
				p.Region, _ = lookupEnv(k.RegionEnv)
			}
			at, _ := k.Locate(p.Region)
			base, err := providers.ParseBase(at)
			if k.KeyEnv == "" || v == "" || err != nil {
				continue
			}
			p.Base, p.Key = base, secret.Ref("env:"+k.KeyEnv)
		}
		c.Providers = append(c.Providers, p)
	}
	c.build(kinds)
	return c
}
