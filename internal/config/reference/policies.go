package reference

import (
	_ "embed"
	"reflect"
	"strings"

	"github.com/signalbox-ai/signalbox/routing/expr"
	"github.com/signalbox-ai/signalbox/routing/policy"
)

//go:embed routing.md
var routes string

// Routing returns the page on routing, with the variables of expressions.
func Routing() string {
	var b strings.Builder
	b.WriteString(routes)
	all := expr.Variables(expr.OfTargets)
	of := len(expr.Variables(expr.OfRequests))
	for _, part := range []struct {
		title string
		vars  []expr.Variable
	}{{"Of the request", all[:of]}, {"Of a target, in policies", all[of:]}} {
		b.WriteString("\n" + part.title + ":\n\n| name | type | meaning |\n|---|---|---|\n")
		for i := range part.vars {
			v := &part.vars[i]
			b.WriteString("| `" + v.Name + "` | " + v.Type() + " | " + cell(v.Doc) + " |\n")
		}
	}
	return b.String()
}

// Policies returns the manual of policies. comments are those of their types, by the types' names.
func Policies(comments map[string]string) string {
	var b strings.Builder
	b.WriteString("# Policies\n\nHow a route chooses among its targets. Policies are applied in the order in which a route has them; each leaves targets out, or orders those that all before it left equal. How they work together is in [Routing](routing.md).\n\n" +
		"```yaml\nproviders: [ { name: openai, kind: openai, key: env:OPENAI_API_KEY, region: eu } ]\ndefaults:\n  policy: [ capable, healthy, { region: eu }, { cheapest: { within: 5 } }, { fastest: { by: total, explore: 5 } } ]\n```\n\n" +
		"A policy is its name, or its name with options. Where it says so, one option may stand alone: `{ region: eu }` is `{ region: { in: [ eu ] } }`.\n")
	for _, name := range policy.Names() {
		k, _ := policy.Find(name)
		v := reflect.ValueOf(k.New()).Elem()
		b.WriteString("\n## " + name + "\n\n" + page(name, v.Type().Name(), comments[v.Type().Name()]))
		rows := fields(v, "")
		if len(rows) == 0 || rows[0].inline {
			b.WriteString("\nIt has no options.\n")
			continue
		}
		b.WriteString("\n")
		table(&b, rows)
		for _, f := range rows {
			if f.tag.Get("short") != "" {
				b.WriteString("\n`" + f.name + "` may stand alone.\n")
			}
		}
	}
	return b.String()
}

// page makes of a type's comment a page that begins with the policy's name.
func page(name, kind, comment string) string {
	if rest, ok := strings.CutPrefix(comment, kind+" "); ok {
		comment = "`" + name + "` " + rest
	}
	return comment
}
