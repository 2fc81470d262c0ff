package ticket

import (
	"maps"
	"slices"
	"strconv"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Encode writes the ticket as JSON, member by member: every exchange pays for it, and most of them with cold caches.
// Bytes that are no UTF-8 become U+FFFD.
func (t *Ticket) Encode() string {
	const usual = 768
	b := append(make([]byte, 0, usual), '{')
	b = number(b, "v", int64(t.V))
	b = jsonx.AppendText(b, "id", t.ID)
	b = jsonx.AppendText(b, "d", string(t.Dialect))
	b = t.Asked.append(b)
	b = jsonx.AppendText(b, "r", t.Route)
	b = t.Rules.append(jsonx.AppendKey(b, "l"))
	b = number(b, "t", t.Began)
	b = jsonx.AppendText(b, "c", t.Version)
	b = optional(b, "k", t.Who)
	if t.By != (Charged{}) {
		b = t.By.append(jsonx.AppendKey(b, "w"))
	}
	b = optional(b, "q", t.Hold)
	b = texts(b, "g", t.Tags)
	b = optional(b, "x", string(t.Trace))
	b = texts(b, "h", t.Keep)
	b = append(jsonx.AppendKey(b, "p"), '[')
	for i := range t.Steps {
		b = t.Steps[i].append(jsonx.AppendComma(b))
	}
	return string(append(b, "]}"...))
}

func (c *Charged) append(b []byte) []byte {
	b = append(b, '{')
	b = optional(b, "o", c.Organization)
	b = optional(b, "t", c.Team)
	b = optional(b, "p", c.Project)
	b = optional(b, "k", c.Key)
	b = optional(b, "u", c.User)
	b = optional(b, "s", c.Shadows)
	return append(b, '}')
}

// append appends the members to those of the ticket.
func (a *Asked) append(b []byte) []byte {
	b = number(b, "o", int64(a.Op))
	b = optional(b, "e", a.Method)
	b = jsonx.AppendText(b, "a", a.Path)
	b = optional(b, "y", a.Type)
	b = jsonx.AppendText(b, "m", a.Model)
	b = flag(b, "s", a.Stream)
	b = flag(b, "u", a.Usage)
	if a.Waited != 0 {
		b = number(b, "n", int64(a.Waited))
	}
	return optional(b, "i", a.Lease)
}

func (r *Rules) append(b []byte) []byte {
	b = append(b, '{')
	b = some(b, "f", int64(r.First))
	b = some(b, "b", int64(r.Between))
	b = some(b, "t", int64(r.Total))
	b = some(b, "l", int64(r.Lossy))
	b = some(b, "u", int64(r.Mode))
	b = flag(b, "s", r.Show)
	b = flag(b, "h", r.Hold)
	b = flag(b, "j", r.Judge)
	b = optional(b, "a", r.Arm)
	b = flag(b, "w", r.Least)
	return append(b, '}')
}

func (l *Leg) append(b []byte) []byte {
	b = append(b, '{')
	b = jsonx.AppendText(b, "p", l.Provider)
	b = jsonx.AppendText(b, "m", l.Model)
	b = optional(b, "l", l.Like)
	b = optional(b, "k", l.Key)
	b = some(b, "w", int64(l.Path))
	b = flag(b, "r", l.Taped)
	b = flag(b, "a", l.Spare)
	b = flag(b, "s", l.Same)
	b = flag(b, "u", l.Turn)
	b = some(b, "n", int64(l.Round))
	return append(b, '}')
}

func number(b []byte, name string, n int64) []byte {
	return strconv.AppendInt(jsonx.AppendKey(b, name), n, 10)
}

// some leaves out 0.
func some(b []byte, name string, n int64) []byte {
	if n == 0 {
		return b
	}
	return number(b, name, n)
}

// optional leaves out the empty text.
func optional(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return jsonx.AppendText(b, name, value)
}

// texts leaves out nil.
func texts(b []byte, name string, m map[string]string) []byte {
	if m == nil {
		return b
	}
	b = append(jsonx.AppendKey(b, name), '{')
	for _, k := range slices.Sorted(maps.Keys(m)) {
		b = jsonx.AppendText(b, k, m[k])
	}
	return append(b, '}')
}

// flag leaves out false.
func flag(b []byte, name string, is bool) []byte {
	if !is {
		return b
	}
	return append(jsonx.AppendKey(b, name), "true"...)
}
