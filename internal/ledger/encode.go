package ledger

import (
	"strconv"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Encode writes a record as one line of JSON without its end. It is written for every exchange, so by hand; a law
// holds it against the library.
func (r *Record) Encode() []byte { return r.AppendTo(make([]byte, 0, 1<<10)) }

// Seal normalizes a record and keeps its encoding, which the journal and the store both write. room is for what is needed
// meanwhile, and holds the encoding too.
func (r *Record) Seal(room *[]byte) {
	r.Normalize()
	*room = r.AppendTo((*room)[:0])
	r.Line = string(*room)
}

// AppendTo appends what Encode returns.
func (r *Record) AppendTo(dst []byte) []byte {
	if r.Line != "" {
		return append(dst, r.Line...)
	}
	w := lineWriter{b: append(dst, '{')}
	w.always("organization", r.Organization)
	w.always("id", r.ID)
	w.int("sequence", int64(r.Sequence))
	w.b = append(w.key("at"), '"')
	w.b = append(r.At.AppendFormat(w.b, time.RFC3339Nano), '"')
	w.text("cause", r.Cause)
	if r.Who != (Who{}) {
		w.open("who")
		w.text("team", r.Who.Team)
		w.text("project", r.Who.Project)
		w.text("key", r.Who.Key)
		w.text("key_id", r.Who.KeyID)
		w.text("end_user", r.Who.User)
		w.close('}')
	}
	if len(r.Tags) > 0 {
		w.b = append(w.key("tags"), Canonical(r.Tags)...)
	}
	if a := r.Asked; a != (Asked{}) {
		w.open("asked")
		w.text("op", a.Op)
		w.text("dialect", a.Dialect)
		w.text("model", a.Model)
		w.text("route", a.Route)
		w.text("path", a.Path)
		w.flag("stream", a.Stream)
		w.text("arm", a.Arm)
		w.text("request_id", a.Request)
		w.text("config", a.Config)
		w.text("shadows", a.Shadows)
		w.close('}')
	}
	w.result(&r.Result)
	w.money(&r.Money)
	if len(r.Attempts) > 0 {
		w.b = append(w.key("attempts"), '[')
		for i := range r.Attempts {
			w.attempt(&r.Attempts[i])
		}
		w.close(']')
	}
	if s := r.Said; s != (said{}) {
		w.open("said")
		w.b = jsonx.AppendFloat(w.key("score"), s.Score)
		w.text("label", s.Label)
		w.text("comment", s.Comment)
		w.close('}')
	}
	return append(w.b, '}')
}

// lineWriter appends members. Those that say nothing are left out.
type lineWriter struct{ b []byte }

// key begins a member whose name needs no escape.
func (w *lineWriter) key(name string) []byte {
	w.b = append(append(jsonx.AppendComma(w.b), '"'), name...)
	return append(w.b, '"', ':')
}

func (w *lineWriter) open(name string) { w.b = append(w.key(name), '{') }

func (w *lineWriter) close(c byte) { w.b = append(w.b, c) }

func (w *lineWriter) always(name, v string) { w.b = jsonx.AppendQuote(w.key(name), v) }

func (w *lineWriter) text(name, v string) {
	if v != "" {
		w.always(name, v)
	}
}

func (w *lineWriter) int(name string, v int64) {
	if v != 0 {
		w.b = strconv.AppendInt(w.key(name), v, 10)
	}
}

func (w *lineWriter) flag(name string, v bool) {
	if v {
		w.b = append(w.key(name), "true"...)
	}
}

func (w *lineWriter) nano(name string, v Nano) {
	if v != 0 {
		w.amount(name, v)
	}
}

func (w *lineWriter) amount(name string, v Nano) {
	w.b = append(w.key(name), '"')
	w.b = append(v.append(w.b), '"')
}

// texts writes an array, where it has elements.
func texts[T ~string](w *lineWriter, name string, all []T) {
	if len(all) == 0 {
		return
	}
	w.b = append(w.key(name), '[')
	for _, v := range all {
		w.b = jsonx.AppendQuote(jsonx.AppendComma(w.b), string(v))
	}
	w.close(']')
}

func (w *lineWriter) result(r *Result) {
	if r.Status == "" && r.HTTP == 0 && r.Took|r.First|r.Waited == 0 && r.Trace == "" && r.Flags == nil && r.Why == "" && r.Policy == nil {
		return
	}
	w.open("result")
	w.text("status", string(r.Status))
	w.int("http", int64(r.HTTP))
	w.int("took_ms", int64(r.Took))
	w.int("first_ms", int64(r.First))
	w.int("waited_ms", int64(r.Waited))
	w.text("trace_id", r.Trace)
	texts(w, "flags", r.Flags)
	w.text("why", r.Why)
	texts(w, "policy", r.Policy)
	w.close('}')
}

func (w *lineWriter) money(m *Money) {
	if m.Reserved|m.Cost|m.List|m.Saved|m.Overrun == 0 && m.Charges == nil {
		return
	}
	w.open("money")
	w.nano("reserved", m.Reserved)
	w.nano("cost", m.Cost)
	w.nano("list", m.List)
	w.nano("saved", m.Saved)
	w.nano("overrun", m.Overrun)
	if len(m.Charges) > 0 {
		w.b = append(w.key("charges"), '[')
		for i := range m.Charges {
			c := &m.Charges[i]
			w.b = append(jsonx.AppendComma(w.b), '{')
			w.always("budget", c.Budget)
			w.int("window", c.Window)
			w.always("unit", c.Unit)
			w.b = append(w.key("amount"), '"')
			w.b = append(strconv.AppendInt(w.b, c.Amount, 10), '"')
			w.close('}')
		}
		w.close(']')
	}
	w.close('}')
}

func (w *lineWriter) attempt(a *Attempt) {
	w.b = append(jsonx.AppendComma(w.b), '{')
	w.b = strconv.AppendInt(w.key("n"), int64(a.Number), 10)
	w.text("provider", a.Provider)
	w.text("kind", a.Kind)
	w.text("model", a.Model)
	w.text("region", a.Region)
	w.text("service_tier", a.Service)
	if p := &a.Priced; p.Region != "" || p.Switches != nil || p.Search != "" || p.Size != "" || p.Quality != "" {
		w.open("priced")
		w.text("region", p.Region)
		texts(w, "switches", p.Switches)
		w.text("search", p.Search)
		w.text("size", p.Size)
		w.text("quality", p.Quality)
		w.close('}')
	}
	w.int("began_ms", int64(a.Began))
	w.int("took_ms", int64(a.Took))
	w.int("first_ms", int64(a.First))
	w.int("http", int64(a.HTTP))
	w.text("code", a.Code)
	if a.Units != (Units{}) {
		w.open("units")
		for i, n := range a.Units {
			w.int(price.Item(i).String(), n)
		}
		w.close('}')
	}
	w.bill(&a.Bill)
	w.text("source", string(a.Source))
	w.flag("exact", a.Exact)
	texts(w, "flags", a.Flags)
	w.close('}')
}

func (w *lineWriter) bill(b *Bill) {
	if b.Cost|b.List|b.Saved == 0 && b.Card == "" && b.Version == "" && b.Lines == nil {
		return
	}
	w.open("bill")
	w.nano("cost", b.Cost)
	w.nano("list", b.List)
	w.nano("saved", b.Saved)
	w.text("card", b.Card)
	w.text("version", b.Version)
	if len(b.Lines) > 0 {
		w.b = append(w.key("lines"), '[')
		for i := range b.Lines {
			l := &b.Lines[i]
			w.b = append(jsonx.AppendComma(w.b), '{')
			w.always("item", l.Item)
			w.b = strconv.AppendInt(w.key("units"), l.Units, 10)
			w.always("rate", l.Rate)
			w.amount("cost", l.Cost)
			w.close('}')
		}
		w.close(']')
	}
	w.close('}')
}
