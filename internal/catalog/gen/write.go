package main

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/catalog/naming"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
)

// write writes the table. internal/catalog says what its lines are.
func write(f *facts) ([]byte, error) {
	var b bytes.Buffer
	day, _, _ := strings.Cut(f.Meta.AsOf, " ")
	fmt.Fprintf(&b, "#as_of %s\n# Written by ./gen; sources and licences are in NOTICE.\n", day)
	names := plain(f.Models)
	vendor := ""
	for i := range f.Models {
		m := &f.Models[i]
		if m.Provider != vendor {
			vendor = m.Provider
			fmt.Fprintf(&b, "@%s\n", vendor)
		}
		if err := line(&b, m, names[i]); err != nil {
			return nil, fmt.Errorf("%s %s: %w", m.Provider, m.ID, err)
		}
	}
	return b.Bytes(), nil
}

// plain returns the plain name of each model. A snapshot is part of it where the model has several.
func plain(models []record) []string {
	names := make([]string, len(models))
	dates := make([]int, len(models))
	snapshots := map[string]map[int]bool{}
	for i := range models {
		name, parts := naming.Append(nil, models[i].ID)
		names[i], dates[i] = string(name), parts.Date
		if parts.Date != 0 {
			if snapshots[names[i]] == nil {
				snapshots[names[i]] = map[int]bool{}
			}
			snapshots[names[i]][parts.Date] = true
		}
	}
	for i, d := range dates {
		if d != 0 && len(snapshots[names[i]]) > 1 {
			names[i] += "-" + strconv.Itoa(d)
		}
	}
	return names
}

func line(b *bytes.Buffer, m *record, name string) error {
	if name == m.ID {
		name = ""
	}
	can, cannot, err := abilities(m)
	if err != nil {
		return err
	}
	card, err := card(m)
	if err != nil {
		return err
	}
	fmt.Fprintf(b, "%s\t%s\t%s\t%s/%s\t%x.%x\t%s\t%s\n", m.ID, name, m.Mode, count(m.Context), count(m.MaxOutput), uint32(can), uint32(cannot), card, rest(m))
	return nil
}

func count(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func abilities(m *record) (can, cannot ability.Set, err error) {
	for _, l := range []struct {
		names []string
		to    *ability.Set
	}{{m.Able.Caps, &can}, {m.Able.Not, &cannot}} {
		for _, n := range l.names {
			a, ok := ability.Parse(n)
			if !ok {
				return 0, 0, fmt.Errorf("unknown ability %s", n)
			}
			*l.to |= a
		}
	}
	if m.Able.Open != nil {
		if *m.Able.Open {
			can |= ability.OpenWeights
		} else {
			cannot |= ability.OpenWeights
		}
	}
	if m.Extra.Services["batch"] != nil {
		can |= ability.Batch
	}
	return can, cannot, nil
}

// rest writes what few models have.
func rest(m *record) string {
	var out []string
	for _, f := range []struct{ letter, value string }{
		{"R", m.Extra.Released}, {"K", m.Extra.Knowledge}, {"X", m.Extra.Retires}, {"m", count(m.Extra.CacheMin)}, {"d", count(m.Extra.Dims)},
	} {
		if f.value != "" {
			out = append(out, f.letter+f.value)
		}
	}
	return strings.Join(out, " ")
}

// items are the facts' names of what a price is for, in the order of price.Item.
var items = []string{
	"input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning_output", "audio_input", "audio_output", "audio_cache_read", "image_input",
	"per_image_in", "per_query", "per_request", "web_search_per_call", "web_search_per_call low", "web_search_per_call medium", "web_search_per_call high",
}

const letters = "iocwhrabdmIqRWLMH"

func card(m *record) (string, error) {
	flat := map[string]string{}
	for name, v := range m.Price {
		switch v := v.(type) {
		case string:
			flat[name] = v
		case map[string]any:
			for size, v := range v {
				flat[name+" "+size], _ = v.(string)
			}
		default:
			return "", fmt.Errorf("price %s is no text", name)
		}
	}
	base, err := rates(flat)
	if err != nil {
		return "", err
	}
	parts := []string{base}
	add := func(head string, m map[string]string) error {
		r, err := rates(m)
		parts = append(parts, head+":"+r)
		return err
	}
	for _, t := range m.Extra.Tiers {
		head, flat, err := tier(t)
		if err != nil {
			return "", err
		}
		if err := add(head, flat); err != nil {
			return "", err
		}
	}
	for _, name := range sorted(m.Extra.Services) {
		if err := add("="+name, m.Extra.Services[name]); err != nil {
			return "", err
		}
	}
	for _, d := range m.Extra.Dated { // oldest first; a reader refuses nothing else
		day := d["from"]
		delete(d, "from")
		if err := add("@"+day, d); err != nil {
			return "", err
		}
	}
	parts = append(parts, factors("*", m.Extra.Factors)...)
	parts = append(parts, factors("%", m.Extra.Regional)...)
	return strings.Join(parts, ";"), nil
}

func tier(t map[string]any) (head string, flat map[string]string, err error) {
	flat = map[string]string{}
	bound := map[string]int64{}
	for name, v := range t {
		switch v := v.(type) {
		case string:
			flat[name] = v
		case float64:
			bound[name] = int64(v)
		default:
			return "", nil, fmt.Errorf("tier: %s is neither a price nor a number", name)
		}
	}
	if to, ok := bound["to_input_tokens"]; ok {
		return fmt.Sprintf("%d-%d", bound["from_input_tokens"], to), flat, nil
	}
	return fmt.Sprintf(">%d", bound["above_input_tokens"]), flat, nil
}

// rates writes prices for a million units. Every digit is kept, or it is an error.
func rates(m map[string]string) (string, error) {
	var b strings.Builder
	n := 0
	for i, name := range items {
		s, ok := m[name]
		if !ok {
			continue
		}
		n++
		r, err := price.Parse(s)
		if err != nil {
			return "", fmt.Errorf("%s: %s: %w", name, s, err)
		}
		b.WriteByte(letters[i])
		b.WriteString(r.Million())
	}
	if n != len(m) {
		return "", fmt.Errorf("a price of %v is not known", sorted(m))
	}
	return b.String(), nil
}

func factors(mark string, m map[string]float64) []string {
	var out []string
	for _, name := range sorted(m) {
		out = append(out, fmt.Sprintf("%s%s:%d", mark, name, int64(math.Round(m[name]*1000))))
	}
	return out
}
