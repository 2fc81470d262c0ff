package providertest_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/providertest"
)

var update = flag.Bool("update", false, "rewrite docs/translation.md")

const document = "../../docs/translation.md"

// unspoken are members that change nothing of what is written, and why nothing is lost by that.
var unspoken = map[string]string{
	"thinking: disabled": "of a model of which nothing is known it is not asked in the first place",
	"thinking: adaptive": "it is what such a model does",
	"generationConfig.thinkingConfig: includeThoughts": "thoughts are passed on wherever there are any",
	"encoding_format: base64":                          "the answer is encoded here",
	"embedding_types: base64":                          "the answer is encoded here",
	"return_documents":                                 "the documents are put into the answer here",
	"documents: objects":                               "a document of text alone is its text",
}

// vital are members without which an answer means something else: carried, in part at least, or refused.
var vital = regexp.MustCompile(`^(n|stop.*|.*stopSequences.*|best_of|echo|suffix|.*candidateCount|functions|tool_choice: (required|REQUIRED|any|one tool|some tools)|` +
	`toolConfig.*: (ANY|any|one tool)|(messages|input|contents): (image|document|audio|video|search|guarded|calls).*|tools.*|mcp_servers|response_format.*|text\.format.*|` +
	`output_config\.format|.*response(Json)?Schema|web_search_options|modalities.*|documents.*|system.*|instructions|prompt(:.*)?|input.*texts|requests.*|top_n)$`)

// TestTheTablesOfTranslation writes every member of every door's requests for every other dialect, and holds what
// becomes of it against docs/translation.md. A member that changes nothing, and of which no loss speaks, is an error.
func TestTheTablesOfTranslation(t *testing.T) {
	head, err := os.ReadFile("testdata/translation.md")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("<!-- Written by `make gen` from providers/providertest and its testdata/translation.md. Do not edit. -->\n\n")
	b.Write(head)
	ups, used := upstream(t), map[string]bool{}
	for _, d := range doors(t) {
		if d.Op == llm.OpCount { // it takes what a chat takes
			continue
		}
		section(t, &b, &d, ups, used)
	}
	for member, why := range unspoken {
		if !used[member] {
			t.Errorf("%s is listed as what changes nothing (%s), and changes something everywhere", member, why)
		}
	}
	got := b.String()
	if n := strings.Count(got, "\n"); n > 600 {
		t.Errorf("the document has %d lines, at most 600: group more", n)
	}
	if *update {
		if err := os.WriteFile(document, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("run with -update if this is meant (-want +got):\n%s", diff)
	}
}

// section writes what becomes of the requests of a door's clients.
func section(t *testing.T, b *strings.Builder, d *providertest.Door, ups map[spoken]dialect.Client, used map[string]bool) {
	op := d.Op
	targets := ofOp(ups, op)
	if op == llm.OpComplete {
		op, targets = llm.OpChat, ofOp(ups, llm.OpChat)
	}
	targets = slices.DeleteFunc(targets, func(n dialect.Name) bool { return n == d.Name })
	if len(targets) == 0 {
		return
	}
	fmt.Fprintf(b, "\n### From %s%s\n\n", d.Name, map[llm.Op]string{llm.OpEmbed: ", embeddings", llm.OpRerank: ", rerank"}[d.Op])
	var labels []string
	for _, r := range d.Requests[1:] {
		labels = append(labels, shown(r.Member))
	}
	fmt.Fprintf(b, "Tried: %s.\n", strings.Join(grouped(labels), "; "))
	for _, name := range targets {
		t.Run(string(d.Name)+" to "+string(name)+" "+op.String(), func(t *testing.T) {
			pair(t, b, d, op, name, ups[spoken{name, op}], used)
		})
	}
}

// fate is what becomes of members, by why.
type fate struct {
	whys    []string
	members map[string][]string
}

func (f *fate) add(why, member string) {
	if f.members == nil {
		f.members = map[string][]string{}
	}
	if f.members[why] == nil {
		f.whys = append(f.whys, why)
	}
	f.members[why] = append(f.members[why], member)
}

func (f *fate) row(b *strings.Builder, what string) {
	if len(f.whys) == 0 {
		return
	}
	var cells []string
	for _, why := range f.whys {
		cells = append(cells, strings.Join(grouped(f.members[why]), "; ")+": "+strings.ReplaceAll(strings.TrimSuffix(why, "."), "|", "\\|"))
	}
	fmt.Fprintf(b, "| %s | %s |\n", what, strings.Join(cells, "<br>"))
}

// pair writes the table of two dialects.
func pair(t *testing.T, b *strings.Builder, d *providertest.Door, op llm.Op, name dialect.Name, c dialect.Client, used map[string]bool) {
	outcome := func(r providertest.Request) providertest.Outcome {
		in, err := d.Inbound(r, false)
		if err != nil {
			t.Fatal(err)
		}
		return providertest.Written(t, r.Member, d, c, op, in, dialect.Target{Model: "m"})
	}
	base := outcome(d.Requests[0])
	if base.Refused != nil {
		t.Fatalf("a plain request is refused: %v", base.Refused)
	}
	var part, dropped, refused fate
	for _, r := range d.Requests[1:] {
		o := outcome(r)
		if o.Refused != nil {
			refused.add(o.Refused.Message, shown(r.Member))
			continue
		}
		news := slices.DeleteFunc(slices.Clone(o.Losses), func(l llm.Loss) bool { return slices.Contains(base.Losses, l) })
		unsaid := string(o.Body) == string(base.Body)
		named := func(l llm.Loss) bool { return strings.HasPrefix(r.Member, l.Path) }
		silent := len(news) == 0 && unsaid && !slices.ContainsFunc(o.Losses, named)
		used[r.Member] = used[r.Member] || silent
		if silent && unspoken[r.Member] == "" {
			t.Errorf("%s changes nothing of what is written, and no loss says so: %s", r.Member, o.Body)
		}
		if unsaid && vital.MatchString(r.Member) && unspoken[r.Member] == "" {
			t.Errorf("%s is dropped, and the answer would mean something else: %v", r.Member, o.Losses)
		}
		for _, l := range news {
			f := &part
			if unsaid {
				f = &dropped
			}
			f.add(l.Why, shown(r.Member))
		}
	}
	fmt.Fprintf(b, "\n| to %s | |\n|---|---|\n", name)
	if len(part.whys)+len(dropped.whys)+len(refused.whys) == 0 {
		b.WriteString("| carried | all |\n")
	}
	part.row(b, "in part")
	dropped.row(b, "dropped")
	refused.row(b, "refused")
}

// shown is a member with what of it, for a table.
func shown(member string) string {
	name, what, more := strings.Cut(member, ": ")
	if strings.HasPrefix(member, "a member") {
		return member
	}
	if !more {
		return "`" + name + "`"
	}
	return "`" + name + "`: " + what
}

// grouped puts what is said of one member together, once each.
func grouped(members []string) (out []string) {
	at := map[string]int{}
	for _, m := range members {
		name, what, more := strings.Cut(m, ": ")
		i, seen := at[name]
		switch {
		case !seen:
			at[name] = len(out)
			out = append(out, m)
		case more && !strings.Contains(out[i], what):
			sep := ", "
			if !strings.Contains(out[i], ": ") {
				sep = ": itself, "
			}
			out[i] += sep + what
		}
	}
	return out
}
