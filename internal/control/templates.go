package control

import (
	"context"
	"sync"

	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/store"
	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/providers"
)

// prompts are the templates of the store, in memory. A version never changes, and its number is not given again: it is read
// once.
type prompts struct {
	kinds *providers.Registry
	renew func(context.Context) error // called when templates have changed; nil: nobody asks

	mu     sync.Mutex
	kept   map[string]*prompt
	joined *template.Set // what Prompts returned last
}

// prompt is one template.
type prompt struct {
	stamp    int64 // of the template
	latest   int   // version that was read
	labels   template.Labels
	versions []template.Source
}

// stock reads the templates that are new or have changed.
func (c *Control) stock(ctx context.Context, cfg *config.Config) error {
	p := &c.prompts
	p.mu.Lock()
	defer p.mu.Unlock()
	now := map[string]*prompt{}
	for page := (store.Page{Size: 1000}); ; {
		all, next, err := c.store.Templates(ctx, page)
		if err != nil {
			return err
		}
		for i := range all {
			if now[all[i].Name], err = c.refresh(ctx, cfg, &all[i], p.kept[all[i].Name]); err != nil {
				return err
			}
		}
		if page.After = next; next == "" {
			break
		}
	}
	p.kept = now
	return nil
}

// refresh reads what is new of one template. was is what is known of it, nil: nothing.
func (c *Control) refresh(ctx context.Context, cfg *config.Config, head *store.Template, was *prompt) (*prompt, error) {
	now := &prompt{stamp: head.Version, latest: head.Latest, labels: head.Labels}
	after := 0
	if was != nil && was.stamp == head.Version {
		return was, nil
	}
	if was != nil {
		for _, v := range was.versions {
			if v.Number >= head.First { // others went when it was deleted, before it was made again
				now.versions = append(now.versions, v)
			}
		}
		after = was.latest
	}
	for after < head.Latest {
		const size = 100
		all, next, err := c.store.TemplateVersions(ctx, head.Name, after, size)
		if err != nil {
			return nil, err
		}
		for i := range all {
			v := &all[i]
			f, err := cfg.ReadTemplate(v.Body, c.prompts.kinds)
			if err != nil { // another version of the program may know more
				c.log.Error("a version of a template in the store cannot be used", "template", v.Name, "version", v.Number, "error", err)
				continue
			}
			now.versions = append(now.versions, template.Source{Name: v.Name, Number: v.Number, File: f})
		}
		if after = next; next == 0 {
			break
		}
	}
	return now, nil
}

// Prompts returns the templates that requests can name: those of the configuration's files, and beside them those of the
// store, but for names that files or aliases have. nil: there are none. What it returns is not bound yet where it is new.
func (c *Control) Prompts(cfg *config.Config) *template.Set {
	if c == nil {
		return cfg.Prompts()
	}
	p := &c.prompts
	p.mu.Lock()
	defer p.mu.Unlock()
	var sources []template.Source
	labels := map[string]template.Labels{}
	for name, k := range p.kept {
		if hides(cfg, name) {
			c.log.Warn("a template of the store is not used: the configuration has its name", "template", name)
			continue
		}
		sources, labels[name] = append(sources, k.versions...), k.labels
	}
	p.joined = cfg.Prompts().Join(p.joined, sources, labels)
	return p.joined
}

// hides reports whether a configuration has a name, so that a template of the store with it is not used.
func hides(cfg *config.Config, name string) bool {
	_, alias := cfg.Aliases[name]
	return alias || cfg.Prompts().Has(name)
}

// checkTemplate says why a version cannot be put into the store.
func (c *Control) checkTemplate(cfg *config.Config, name, body string) error {
	if cfg.Prompts().Has(name) {
		return &store.Fault{Reason: store.Exists, Field: "name", Message: "name: the template is kept in files of the configuration, and is changed there"}
	}
	if _, alias := cfg.Aliases[name]; alias {
		return &store.Fault{Reason: store.Exists, Field: "name", Message: "name: an alias of the configuration has this name, and the template would hide it"}
	}
	return cfg.CheckStored(name, body, c.prompts.kinds)
}
