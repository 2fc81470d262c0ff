// Package reference writes what users and editors read about the configuration: the reference in Markdown
// and the JSON Schema, both from the structs and tags of internal/config and the registry of kinds, so that
// neither can say what the decoder does not do.
//
// It reads no configuration and no Go source.
package reference

import (
	_ "embed"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/providers"
)

//go:embed example.yaml
var example string

//go:embed head.md
var head string

//go:embed matching.md
var matching string

// Example returns the example at the head of the reference. It is a valid configuration.
func Example() string { return example }

// Markdown returns the reference.
func Markdown(kinds *providers.Registry) string {
	c, p, r := config.Preset()
	var b strings.Builder
	b.WriteString(head)
	b.WriteString("\n```yaml\n" + example + "```\n\n" + matching)
	b.WriteString("\n## Fields\n\n")
	table(&b, top(reflect.ValueOf(c)))
	for _, f := range top(reflect.ValueOf(c)) {
		switch f.value.Kind() {
		case reflect.Struct:
			section(&b, f, flat(f.value, f.name+"."))
		case reflect.Slice:
			element := reflect.New(f.value.Type().Elem()).Elem()
			switch f.name {
			case "providers":
				element = reflect.ValueOf(p)
			case "routes":
				element = reflect.ValueOf(r)
			}
			section(&b, f, flat(element, ""))
		}
	}
	b.WriteString("\n### limits and budget\n\nWhat organizations, teams, projects and keys may use and spend. A request must pass those of its key, its project, its team and its organization. See [Quotas](quotas.md).\n\n")
	table(&b, flat(reflect.ValueOf(budgets.Settings{}), ""))
	b.WriteString("\n## Kinds of providers\n")
	var data []providers.Kind
	for _, name := range kinds.Names() {
		if k, _ := kinds.Kind(name); k.Vendor != nil {
			data = append(data, k)
		} else {
			kind(&b, &k)
		}
	}
	vendors(&b, data)
	return b.String()
}

// vendors writes a table of the kinds that are data. Their params are those of one type.
func vendors(b *strings.Builder, kinds []providers.Kind) {
	if len(kinds) == 0 {
		return
	}
	b.WriteString("\n### Vendors\n\nEach of these is a kind by its name. Their `params` are those of [openai-compatible](#openai-compatible), with the vendor's own paths and quirks as defaults; a list that is written takes the place of the vendor's.\n\n" +
		"| kind | vendor | `base_url` | usual key | dialects | hosted | keeps prompts |\n|---|---|---|---|---|---|---|\n")
	for _, k := range kinds {
		v := k.Vendor
		base := []string{"required"}
		if k.BaseURL != "" {
			base[0] = "`" + k.BaseURL + "`"
		}
		for _, r := range k.RegionNames() {
			if k.Regions[r] != k.BaseURL {
				base = append(base, "region `"+r+"`: `"+k.Regions[r]+"`")
			}
		}
		key := "none needed"
		if k.KeyEnv != "" {
			key = "`env:" + k.KeyEnv + "`"
		}
		var speaks []string
		for _, d := range v.Speaks {
			speaks = append(speaks, string(d))
		}
		keeps := v.Retention
		if v.Source != "" {
			keeps = "[" + keeps + "](" + v.Source + ")"
		}
		fmt.Fprintf(b, "| `%s` | [%s](%s) | %s | %s | %s | %s | %s |\n", k.Name, v.Title, v.Docs, strings.Join(base, "; "), key, strings.Join(speaks, ", "), v.Hosted, keeps)
	}
}

// section writes the fields of one top-level field.
func section(b *strings.Builder, f field, rows []field) {
	fmt.Fprintf(b, "\n### %s\n\n%s", f.name, f.tag.Get("doc"))
	switch f.name {
	case "routes":
		b.WriteString(" Each entry has these fields, and those of [defaults](#defaults), which count for this route alone.")
	case "defaults":
	default:
		if f.value.Kind() == reflect.Slice {
			b.WriteString(" Each entry has these fields")
			if limited(f.value.Type().Elem()) {
				b.WriteString(", and [limits and budget](#limits-and-budget)")
			}
			b.WriteString(".")
		}
	}
	b.WriteString("\n\n")
	table(b, rows)
}

// limited reports whether entries have limits of their own.
func limited(t reflect.Type) bool {
	for f := range t.Fields() {
		if f.Anonymous && f.Type == reflect.TypeFor[budgets.Settings]() {
			return true
		}
	}
	return false
}

// kind writes what is known of a kind.
func kind(b *strings.Builder, k *providers.Kind) {
	fmt.Fprintf(b, "\n### %s\n\n%s\n\n", k.Name, k.Doc)
	if k.BaseURL != "" {
		fmt.Fprintf(b, "* `base_url`: `%s`\n", k.BaseURL)
	}
	if k.KeyEnv != "" {
		optional := ""
		if k.KeyOptional {
			optional = ", or none where `params` say how to sign"
		}
		other := ""
		if k.OtherEnv != "" {
			other = " or `env:" + k.OtherEnv + "`"
		}
		fmt.Fprintf(b, "* `key`: usually `env:%s`%s%s; without a configuration file, the provider is there when the variable is set\n", k.KeyEnv, other, optional)
	}
	if len(k.Models) > 0 {
		fmt.Fprintf(b, "* its own models, where no routes are configured: `%s`\n", strings.Join(k.Models, "`, `"))
	}
	if k.Params == nil {
		b.WriteString("* `params`: none\n")
		return
	}
	b.WriteString("\n")
	table(b, flat(reflect.ValueOf(k.Params()).Elem(), "params."))
}

// field is a field of a configuration struct.
type field struct {
	name   string
	value  reflect.Value // its default
	tag    reflect.StructTag
	inline bool
}

// fields lists the fields of a struct by the names that the file has.
func fields(v reflect.Value, prefix string) []field {
	var out []field
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case option == "inline":
			out = append(out, field{value: v.Field(i), inline: true})
		case f.IsExported() && name != "" && name != "-":
			out = append(out, field{name: prefix + name, value: v.Field(i), tag: f.Tag})
		}
	}
	return out
}

// top lists the top-level fields.
func top(v reflect.Value) []field {
	var out []field
	for _, f := range fields(v, "") {
		if f.inline {
			out = append(out, top(f.value)...)
		} else {
			out = append(out, f)
		}
	}
	return out
}

// flat lists the fields of a struct and of the structs and lists within it; those that are inlined are
// described elsewhere.
func flat(v reflect.Value, prefix string) []field {
	var out []field
	for _, f := range fields(v, prefix) {
		switch {
		case f.inline && f.value.Type() == reflect.TypeFor[config.Handling]():
		case f.inline && f.value.Type() == reflect.TypeFor[budgets.Settings](): // those of every owner are alike
		case f.inline && f.value.Type() == reflect.TypeFor[billing.Rates]() && strings.Count(prefix, "[].") > 1: // as those of the whole card
		case f.inline:
			out = append(out, flat(f.value, prefix)...)
		case f.value.Kind() == reflect.Struct:
			out = append(out, flat(f.value, f.name+".")...)
		case f.value.Kind() == reflect.Slice && f.value.Type().Elem().Kind() == reflect.Struct:
			out = append(out, f)
			out = append(out, flat(elementOf(f.value.Type().Elem()), f.name+"[].")...)
		default:
			out = append(out, f)
		}
	}
	return out
}

// elementOf returns an element of a list with its defaults.
func elementOf(t reflect.Type) reflect.Value {
	if t == reflect.TypeFor[config.Export]() {
		return reflect.ValueOf(config.PresetExport())
	}
	return reflect.New(t).Elem()
}

// table writes fields as rows.
func table(b *strings.Builder, rows []field) {
	b.WriteString("| field | type | default | meaning |\n|---|---|---|---|\n")
	for _, f := range rows {
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.name, kindOf(f), preset(f), cell(f.tag.Get("doc")))
	}
}

// cell makes a text fit for a table.
func cell(s string) string { return strings.NewReplacer("|", `\|`, "*", `\*`).Replace(s) }

// kindOf describes what a field takes.
func kindOf(f field) string {
	if enum := f.tag.Get("enum"); enum != "" {
		return "`" + strings.Join(strings.Split(enum, ","), "`, `") + "`"
	}
	switch f.value.Interface().(type) {
	case time.Duration:
		return "duration"
	case config.Size:
		return "size" + bounds(f.tag, func(s string) string {
			var n int64
			_, _ = fmt.Sscan(s, &n)
			return config.Size(n).String()
		})
	case config.Address:
		return "address"
	case billing.Dollars:
		return "dollars"
	case billing.Times:
		return "number"
	case secret.Ref:
		return "reference"
	case []secret.Ref:
		return "list of references"
	case template.JSON:
		return "any value"
	}
	switch f.value.Kind() {
	case reflect.Pointer:
		f.value = reflect.New(f.value.Type().Elem()).Elem()
		return kindOf(f)
	case reflect.Bool:
		return "`true`, `false`"
	case reflect.Float64:
		return "number"
	case reflect.Int:
		return "number" + bounds(f.tag, func(s string) string { return s })
	case reflect.Slice:
		if f.value.Type().Elem().Kind() == reflect.String {
			return "list of texts"
		}
		return "list"
	case reflect.Map:
		return "mapping of texts"
	case reflect.Struct, reflect.Interface:
		return "mapping"
	}
	return "text"
}

// bounds writes the limits of a number.
func bounds(tag reflect.StructTag, write func(string) string) string {
	low, high := tag.Get("min"), tag.Get("max")
	switch {
	case low != "" && high != "":
		return fmt.Sprintf(", %s to %s", write(low), write(high))
	case low != "":
		return ", from " + write(low)
	case high != "":
		return ", up to " + write(high)
	}
	return ""
}

// preset writes a field's default.
func preset(f field) string {
	switch {
	case f.tag.Get("required") != "":
		return "required"
	case f.tag.Get("zero") != "" && f.value.IsZero():
		return f.tag.Get("zero")
	case f.value.Kind() == reflect.Struct || f.value.Kind() == reflect.Interface || f.value.Kind() == reflect.Map:
		return ""
	case f.value.Kind() == reflect.Slice:
		var texts []string
		for i := range f.value.Len() {
			texts = append(texts, fmt.Sprintf("`%v`", f.value.Index(i)))
		}
		return strings.Join(texts, ", ")
	}
	switch v := f.value.Interface().(type) {
	case time.Duration:
		return "`" + config.Duration(v) + "`"
	case bool, int:
		return fmt.Sprintf("`%v`", v)
	}
	if f.value.IsZero() {
		return ""
	}
	return fmt.Sprintf("`%v`", f.value.Interface())
}
