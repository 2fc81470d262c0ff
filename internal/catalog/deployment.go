package catalog

import (
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
)

// Declared is what a configuration says of a model at one provider. What it does not say is as the registry has it.
type Declared struct {
	Name      string // as the provider has it
	Like      string // another model, whose facts hold for this one; never its price
	Context   int64  // tokens; 0: not said
	MaxOutput int64  // tokens; 0: not said
	Can       ability.Set
	Stated    bool // Can is said, and whole: what it lacks the model cannot do
	Card      *price.Card
	Retires   string // YYYY-MM-DD; "": not said
}

// Deployment is the models of one configured provider: those that the registry has of its vendor, and those
// that are declared, which go first. A nil Deployment has none. It does not change once made.
type Deployment struct {
	vendor   string
	declared map[string]*Declared
}

// NewDeployment makes a deployment at a vendor, by the provider's kind.
func NewDeployment(vendor string, declared []Declared) *Deployment {
	d := &Deployment{vendor: Vendor(vendor), declared: make(map[string]*Declared, len(declared))}
	for i := range declared {
		d.declared[declared[i].Name] = &declared[i]
	}
	return d
}

// Find returns what is known of a model here. A declared one is an Exact match; it has a card only where one is
// declared, or where the registry has it by its own name.
func (d *Deployment) Find(model string) (Model, Match) {
	if d == nil {
		return Model{}, None
	}
	own, ok := d.declared[model]
	if !ok {
		return Find(d.vendor, model)
	}
	m, match := Find(d.vendor, own.known())
	if match == None {
		m.Name, m.Mode = own.Name, "chat"
	}
	if own.Like != "" {
		m.Card = nil
	}
	own.over(&m)
	m.Vendor, m.ID = d.vendor, own.Name
	return m, Exact
}

// Version says what the price card of a model is from: "config" where it is declared, else the day of the registry.
func (d *Deployment) Version(model string) string {
	if d != nil {
		if own := d.declared[model]; own != nil && own.Card != nil {
			return "config"
		}
	}
	return AsOf()
}

// known is the name by which the registry knows the model.
func (o *Declared) known() string {
	if o.Like != "" {
		return o.Like
	}
	return o.Name
}

// over puts what is declared over what the registry has.
func (o *Declared) over(m *Model) {
	if o.Context > 0 {
		m.Context = o.Context
	}
	if o.MaxOutput > 0 {
		m.MaxOutput = o.MaxOutput
	}
	if o.Stated {
		m.Can, m.Cannot = o.Can, 0
	}
	if o.Card != nil {
		m.Card = o.Card
	}
	if o.Retires != "" {
		m.Dates.Retires = o.Retires
	}
}

// Facts returns how a model must be asked: the facts by which the provider's adapter knows it, or the model that
// it is like, and over them what is declared.
func (d *Deployment) Facts(model string, by interface{ Facts(model string) Facts }) Facts {
	if d == nil {
		return by.Facts(model)
	}
	own, ok := d.declared[model]
	if !ok {
		return by.Facts(model)
	}
	var f Facts
	if own.Like != "" {
		f = d.like(own.Like, by)
	} else {
		f = by.Facts(model)
	}
	if own.Context > 0 {
		f.Context = own.Context
		f.Input = min(f.Input, own.Context)
	}
	if own.MaxOutput > 0 {
		f.MaxOutput = own.MaxOutput
	}
	if own.Stated {
		f.Known, f.Can, f.JSONSchema = true, own.Can, own.Can.Has(ability.JSONSchema)
		if f.Efforts == nil && f.Thinking == ThinkNone && !own.Can.Has(ability.Reasoning) {
			f.Efforts = effortsNone
		}
	}
	return f
}

// Like returns the model that one is like: what is declared for it or, where like names another declared one, for
// that; else like itself, which may be "".
func (d *Deployment) Like(model, like string) string {
	known := model
	if like != "" {
		known = like
	}
	if d != nil {
		if own := d.declared[known]; own != nil && own.Like != "" {
			return own.Like
		}
	}
	return like
}

// FactsLike returns how a model must be asked that is like one of this name: one that is declared, or one that the
// adapter or the registry knows.
func (d *Deployment) FactsLike(model string, by interface{ Facts(model string) Facts }) Facts {
	if d == nil {
		d = &Deployment{}
	}
	if _, ok := d.declared[model]; ok {
		return d.Facts(model, by)
	}
	return d.like(model, by)
}

func (d *Deployment) like(model string, by interface{ Facts(model string) Facts }) Facts {
	if f := by.Facts(model); f.Known {
		return f
	}
	return FactsOf(d.vendor, model) // an adapter that assumes nothing by a name assumes what it is told
}

// Models returns all models of the deployment, by name.
func (d *Deployment) Models() []Model {
	if d == nil {
		return nil
	}
	var out []Model
	for _, v := range d.vendors() {
		for _, m := range VendorModels(v) {
			if d.declared[m.ID] == nil && !slices.ContainsFunc(out, func(o Model) bool { return v == foundry && o.ID == m.ID }) {
				out = append(out, m)
			}
		}
	}
	for name := range d.declared {
		m, _ := d.Find(name)
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b Model) int { return strings.Compare(a.ID, b.ID) })
	return out
}

func (d *Deployment) vendors() []string {
	if d.vendor == "azure" {
		return []string{d.vendor, foundry}
	}
	return []string{d.vendor}
}
