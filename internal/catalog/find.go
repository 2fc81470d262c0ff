package catalog

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	"github.com/signalbox-ai/signalbox/internal/catalog/naming"
)

// Find returns what is known of a model at a provider, by the provider's kind or a compatible vendor's name.
// A model that is not known there by this name, nor by another of its names, is looked for elsewhere and in
// its family, and then has no card. It allocates only where a name means something new.
func Find(provider, model string) (Model, Match) { return registry().find(provider, model) }

// Vendor returns the name under which the registry has a vendor, for the names that vendors are also known
// by; of any other name, the name itself.
func Vendor(name string) string {
	switch name {
	case "google", "google-gemini", "google-ai-studio":
		return "gemini"
	case "google-vertex", "vertex-ai", "vertex_ai":
		return "vertex"
	case "aws-bedrock", "aws", "amazon":
		return "bedrock"
	case "azure-openai":
		return "azure"
	case "azure-ai-foundry", "azure-ai":
		return "azure-foundry"
	case "alibaba-dashscope", "dashscope", "qwen":
		return "alibaba"
	case "cloudflare-workers-ai", "workers-ai":
		return "cloudflare"
	case "z-ai":
		return "zai"
	case "x-ai":
		return "xai"
	case "moonshotai", "kimi":
		return "moonshot"
	case "mistralai":
		return "mistral"
	case "together-ai", "togetherai":
		return "together"
	case "fireworks-ai":
		return "fireworks"
	case "cohere-ai":
		return "cohere"
	}
	return name
}

// VendorModels returns the models of a vendor, by id. The slice must not be changed.
func VendorModels(name string) []Model {
	t := registry()
	v := t.vendors[Vendor(name)]
	if v == nil {
		return nil
	}
	return t.models[v.first:v.end:v.end]
}

// Aliases yields the models of the same plain name at all vendors, the model itself included.
func (m *Model) Aliases() []Model {
	var out []Model
	for _, o := range All() {
		if o.Name == m.Name {
			out = append(out, o)
		}
	}
	return out
}

// foundry serves what Azure does not under its own name.
const foundry = "azure-foundry"

func (t *table) find(provider, model string) (Model, Match) {
	vendor := Vendor(provider)
	if i, ok := t.exact(vendor, model); ok {
		return t.models[i], Exact
	}
	r := t.recall(vendor, model)
	if r.match == None {
		return Model{}, None
	}
	m := t.models[r.index]
	if r.match < Alias {
		m.Card = nil
	}
	return m, r.match
}

// exact finds a model by a vendor's own name of it.
func (t *table) exact(vendor, model string) (int, bool) {
	if v := t.vendors[vendor]; v != nil {
		if i, ok := v.ids[model]; ok {
			return i, true
		}
	}
	if vendor == "azure" {
		i, ok := t.vendors[foundry].ids[model]
		return i, ok
	}
	return 0, false
}

// recalled is what a name was found to mean that no vendor has as its own.
type recalled struct {
	vendor, model string
	index         int
	match         Match
	facts         Facts
}

// recall searches the directory, or remembers the last search for the name. Of names whose place in memory is the
// same, one is remembered.
func (t *table) recall(vendor, model string) *recalled {
	place := &t.recent[(maphash.String(t.seed, model)^maphash.String(t.seed, vendor))%uint64(len(t.recent))]
	if r := place.Load(); r != nil && r.model == model && r.vendor == vendor {
		return r
	}
	r := &recalled{vendor: strings.Clone(vendor), model: strings.Clone(model)} // a name may alias a request
	r.index, r.match = index().search(vendor, model)
	m := &Model{}
	if r.match != None {
		m = &t.models[r.index]
	}
	r.facts = factsOf(vendor, model, m, r.match)
	if len(model) <= naming.Longest {
		place.Store(r)
	}
	return r
}

// directory finds models by what their names mean. It is made when a name is first asked for that no vendor has.
type directory struct {
	names    map[string]entry   // by key
	families map[string][]entry // by vendor and family, lowest version first
}

// entry is a model in a directory.
type entry struct {
	model   int32
	unclear bool // two models have the name, at two prices
	version version
}

var index = sync.OnceValue(func() *directory { return direct(registry()) })

// makers are vendors that serve their own models: what they say of a model counts first elsewhere.
var makers = []string{"openai", "anthropic", "gemini", "mistral", "cohere", "xai", "deepseek", "alibaba", "moonshot", "zai", "minimax", "perplexity", "ai21"}

// room is enough for any key.
const room = 3*naming.Longest + 64

// direct makes the directory of a table.
func direct(t *table) *directory {
	d := &directory{names: make(map[string]entry, 3*len(t.models)), families: make(map[string][]entry, len(t.models))}
	order := slices.Concat(makers, t.names)
	snapshots := map[string]int{} // by plain name: the only date of it, or -1
	var buf [naming.Longest + 32]byte
	for i := range t.models {
		name, p := naming.Append(buf[:0], t.models[i].ID)
		switch had := snapshots[string(name)]; {
		case p.Date == 0 || had == p.Date:
		case had == 0:
			snapshots[string(name)] = p.Date
		default:
			snapshots[string(name)] = -1
		}
	}
	for n, vendor := range order {
		if n >= len(makers) && slices.Contains(makers, vendor) {
			continue
		}
		v := t.vendors[vendor]
		for i := v.first; i < v.end; i++ {
			d.add(t, i, snapshots)
		}
	}
	for _, f := range d.families {
		slices.SortStableFunc(f, func(a, b entry) int { return a.version.compare(b.version) })
	}
	return d
}

// add adds a model under its names.
func (d *directory) add(t *table, i int, snapshots map[string]int) {
	m := &t.models[i]
	var buf [naming.Longest + 32]byte
	name, p := naming.Append(buf[:0], m.ID)
	dates := [...]int{p.Date, p.Date}
	if only := snapshots[string(name)]; only > 0 { // the undated name means the only snapshot
		dates = [...]int{0, only}
	}
	var keyBuf [room]byte
	for _, date := range dates {
		p.Date = date
		k := key(keyBuf[:0], m.Vendor, name, p)
		if had, ok := d.names[string(k)]; !ok {
			d.names[string(k)] = entry{model: int32(i)}
		} else if !had.unclear && !t.models[had.model].Card.Rates.Equal(m.Card.Rates) {
			had.unclear = true
			d.names[string(k)] = had
		}
		for _, vendor := range [...]string{m.Vendor, ""} { // any region, any variant: for facts alone
			k := key(append(keyBuf[:0], '~'), vendor, name, naming.Parts{Date: date})
			if _, ok := d.names[string(k)]; !ok {
				d.names[string(k)] = entry{model: int32(i)}
			}
		}
	}
	if p.Variant != "" {
		return
	}
	var famBuf [room]byte
	fam, v := family(famBuf[:0], name)
	for _, vendor := range [...]string{m.Vendor, ""} {
		k := append(append(append(keyBuf[:0], vendor...), '/'), fam...)
		d.families[string(k)] = append(d.families[string(k)], entry{model: int32(i), version: v})
	}
}

// search finds a model that no vendor has by this very name.
func (d *directory) search(vendor, model string) (int, Match) {
	var nameBuf [naming.Longest + 32]byte
	var buf [room]byte
	name, p := naming.Append(nameBuf[:0], model)
	if len(name) == 0 || len(vendor) > naming.Longest {
		return 0, None
	}
	if e, ok := d.names[string(key(buf[:0], vendor, name, p))]; ok && !e.unclear {
		return int(e.model), Alias
	}
	for _, at := range [...]struct {
		vendor string
		match  Match
	}{{vendor, Family}, {"", Elsewhere}} {
		if at.vendor == "" && at.match == Family {
			continue
		}
		for _, date := range [...]int{p.Date, 0} {
			if e, ok := d.names[string(key(append(buf[:0], '~'), at.vendor, name, naming.Parts{Date: date}))]; ok {
				return int(e.model), at.match
			}
		}
	}
	fam, v := family(buf[:0], name)
	var both [room]byte
	for _, vendor := range [...]string{vendor, ""} {
		k := append(append(append(both[:0], vendor...), '/'), fam...)
		if f := d.families[string(k)]; len(f) > 0 {
			return newest(f, v), Family
		}
	}
	return 0, None
}

// newest returns the model of the highest version up to v, or of the lowest where all are higher. Without a
// version it is the highest of all.
func newest(family []entry, v version) int {
	best := family[0]
	if v == (version{}) {
		best = family[len(family)-1]
	}
	for _, e := range family {
		if e.version.compare(v) <= 0 && e.version.compare(best.version) > 0 {
			best = e
		}
	}
	return int(best.model)
}

// key appends what a model is found by.
func key(dst []byte, vendor string, name []byte, p naming.Parts) []byte {
	dst = append(append(dst, vendor...), '|')
	dst = append(append(dst, p.Region...), '|')
	dst = append(append(dst, p.Variant...), '|')
	dst = append(dst, name...)
	for d := p.Date; d > 0; d /= 10 {
		dst = append(dst, byte('0'+d%10))
	}
	return dst
}

// version is the numbers in a plain name, in their order.
type version [4]int32

func (v version) compare(w version) int { return slices.Compare(v[:], w[:]) }

// family appends a plain name without the numbers that count versions: claude-opus of claude-opus-4-8, o-mini
// of o4-mini. Numbers with a letter behind them, as 70b, are sizes.
func family(dst, name []byte) ([]byte, version) {
	var v version
	n := 0
	count := func(s []byte) {
		x := int32(0)
		for _, c := range s[:min(len(s), 8)] {
			x = x*10 + int32(c-'0')
		}
		if n < len(v) {
			v[n] = x
			n++
		}
	}
	for len(name) > 0 {
		var part []byte
		part, name = cut(name)
		at := len(part)
		for at > 0 && part[at-1] >= '0' && part[at-1] <= '9' {
			at--
		}
		if at < len(part) && !bytes.ContainsAny(part[:at], "0123456789") {
			count(part[at:])
			part = part[:at]
		}
		if len(part) > 0 {
			dst = append(append(dst, part...), '-')
		}
	}
	return dst, v
}

// cut cuts a name at its first dash.
func cut(name []byte) (part, rest []byte) {
	for i, c := range name {
		if c == '-' {
			return name[:i], name[i+1:]
		}
	}
	return name, nil
}
