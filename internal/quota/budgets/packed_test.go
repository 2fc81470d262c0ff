package budgets

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// plain is what a table is meant to be: all rules, looked through one by one.
type plain []held

type held struct {
	Owned
	*rule
}

// plainly lists the rules of owners, and each limit only once.
func plainly(owners []Owned) (out plain, kept []Owned) {
	seen := map[string]bool{}
	for _, o := range owners {
		var rules []held
		twice := false
		for _, r := range o.rules(o.Level, nil) {
			names := o.names()
			r.owner, r.budget.Owner.Name = append([]string{o.Level}, names...), names[len(names)-1]
			r.budget.Target, r.budget.Model = r.target(), strings.Join(r.models, ", ")
			s := r.sum()
			r.budget.ID = string(appendID(nil, &r.budget, &s))
			if len(r.each) == 0 {
				twice = twice || seen[r.budget.ID]
				seen[r.budget.ID] = true
			}
			rules = append(rules, held{o, r})
		}
		if !twice {
			out, kept = append(out, rules...), append(kept, o)
		}
	}
	return out, kept
}

// find is Table.Find without rules for each of something.
func (p plain) find(of *Party, model, route string, at []string) (out []*quota.Budget) {
	for _, level := range []string{"organization", "team", "project", "key"} {
		name := map[string]string{"organization": of.Organization, "team": of.Team, "project": of.Project, "key": of.Key}[level]
		for i := range p {
			h := &p[i]
			if name != "" && h.Level == level && h.Organization == of.Organization && h.budget.Owner.Name == name && len(h.each) == 0 && h.matches(model, route, at) {
				out = append(out, &h.budget)
			}
		}
	}
	return out
}

// owners draws settings of a few owners, also of names that look alike when they are joined.
func owners() *rapid.Generator[[]Owned] {
	name := rapid.OneOf(rapid.SampledFrom([]string{"a", "b", "ab", "a\x00", "\x01a", ""}), rapid.String(), rapid.StringN(120, 140, -1))
	some := rapid.SliceOfN(rapid.SampledFrom([]string{"gpt-*", "m", "*", "r", "openai", "a, b"}), 0, 3)
	money := rapid.SampledFrom([]string{"", "", "0.000000001 USD", "20 USD", "9007199.254740991 USD"})
	n := rapid.SampledFrom([]int{0, 0, 1, 127, 128, 1 << 40, quota.Max})
	manner := rapid.Custom(func(t *rapid.T) Manner {
		return Manner{
			Zone: rapid.SampledFrom([]string{"", "UTC", "Europe/Berlin", "Asia/Kathmandu"}).Draw(t, "zone"), Soft: rapid.Bool().Draw(t, "soft"), Shadow: rapid.Bool().Draw(t, "shadow"),
			Away:    rapid.SampledFrom([]string{"", "deny", "local", "allow"}).Draw(t, "away"),
			AlertAt: rapid.SliceOfN(rapid.SampledFrom([]string{"50%", "80%", "99.5%", "1000%"}), 0, 3).Draw(t, "alerts"),
		}
	})
	rule := rapid.Custom(func(t *rapid.T) Rule {
		r := Rule{Unit: rapid.SampledFrom([]string{"requests", "tokens", "input_tokens", "output_tokens", "money", "parallel"}).Draw(t, "unit"), Manner: manner.Draw(t, "manner")}
		r.Window = rapid.SampledFrom([]string{"second", "10s", "744h", "day", "week", "month", "total"}).Draw(t, "window")
		r.Models, r.Routes, r.Providers = some.Draw(t, "models"), some.Draw(t, "routes"), some.Draw(t, "providers")
		if r.Amount, r.Spend = n.Draw(t, "amount"), money.Draw(t, "spend"); r.Unit == "requests" {
			r.Style, r.Burst = rapid.SampledFrom([]string{"", "sliding", "fixed", "pace"}).Draw(t, "style"), rapid.SampledFrom([]int{0, 1, 1 << 40}).Draw(t, "burst")
		}
		if rapid.IntRange(0, 3).Draw(t, "for each") == 0 {
			r.Each = []string{rapid.SampledFrom([]string{"key", "end_user", "model"}).Draw(t, "each")}
		}
		return r
	})
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Owned {
		o := Owned{Level: rapid.SampledFrom([]string{"organization", "team", "project", "key"}).Draw(t, "level")}
		o.Party = Party{Organization: name.Draw(t, "organization"), Team: name.Draw(t, "team"), Project: name.Draw(t, "project"), Key: name.Draw(t, "key")}
		o.Limits.RequestsPerSecond, o.Limits.TokensPerMonth, o.Limits.Parallel = n.Draw(t, "rps"), n.Draw(t, "tpm"), n.Draw(t, "parallel")
		o.Budget = Spending{Day: money.Draw(t, "day"), Total: money.Draw(t, "total"), Manner: manner.Draw(t, "manner")}
		o.Limits.Rules = rapid.SliceOfN(rule, 0, 4).Draw(t, "rules")
		return o
	}), 0, 12)
}

// same compares budgets by all of their fields, and zones by their names. A list without anything is as none.
func same(a, b any) string {
	return cmp.Diff(a, b, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b *time.Location) bool {
		return (a == nil) == (b == nil) && (a == nil || a.String() == b.String())
	}))
}

func TestATableIsAsItsRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want, all := plainly(owners().Draw(t, "owners"))
		cut := rapid.IntRange(0, len(all)).Draw(t, "first")
		tb, err := Load(all[:cut], func(yield func(*Owned, error) bool) { // each in the place of the one before
			var o Owned
			for i := cut; i < len(all); i++ {
				if o = all[i]; !yield(&o, nil) {
					return
				}
			}
			o = Owned{}
		})
		if err != nil {
			t.Fatal(err)
		}
		var organizations []string
		var listed []Listed
		strict := false
		for i := range want {
			h := &want[i]
			organizations, strict = append(organizations, h.Organization), strict || h.budget.Hard()
			if len(h.each) > 0 {
				continue
			}
			party := Party{Organization: h.Organization}
			switch h.Level {
			case "team":
				party.Team = h.Team
			case "project":
				party.Team, party.Project = h.Team, h.Project
			case "key":
				party.Key = h.Key
			}
			listed = append(listed, Listed{party, &h.budget, h.models, h.routes, h.providers})
			for range 2 { // made, and found made
				if d := same(&h.budget, tb.Budget(h.budget.ID)); d != "" {
					t.Fatalf("by its id: -want +got\n%s", d)
				}
			}
		}
		slices.Sort(organizations)
		if got := tb.Organizations(); !slices.Equal(got, slices.Compact(organizations)) {
			t.Errorf("organizations %q", got)
		}
		if tb.Strict() != strict || tb.Empty() != (len(want) == 0) {
			t.Errorf("strict %v, empty %v", tb.Strict(), tb.Empty())
		}
		if d := same(listed, slices.Collect(tb.All())); d != "" {
			t.Errorf("listed: -want +got\n%s", d)
		}
		for i := range all {
			p := all[i].Party
			for _, model := range []string{"gpt-5", "m"} {
				got := tb.Find(nil, &p, model, "r", []string{"openai"})
				got = slices.DeleteFunc(got, func(b *quota.Budget) bool {
					return !slices.ContainsFunc(listed, func(l Listed) bool { return l.Budget.ID == b.ID })
				})
				if d := same(want.find(&p, model, "r", []string{"openai"}), got); d != "" {
					t.Fatalf("of %+v: -want +got\n%s", p, d)
				}
			}
		}
	})
}

func TestWhatDiffersInOneThingIsNotTakenForAlike(t *testing.T) {
	hour := Rule{Unit: "requests", Amount: 5, Window: "1h", Style: "pace", Burst: 2}
	day := Rule{Unit: "money", Spend: "5 USD", Window: "day"}
	of := func(r Rule, change func(*Rule)) Rule { change(&r); return r }
	var all []Owned
	for i, r := range []Rule{
		hour, of(hour, func(r *Rule) { r.Burst = 3 }), of(hour, func(r *Rule) { r.Window = "2h" }), of(hour, func(r *Rule) { r.Style, r.Burst = "", 0 }), of(hour, func(r *Rule) { r.Style, r.Burst = "fixed", 0 }),
		of(hour, func(r *Rule) { r.Style, r.Burst, r.Unit = "", 0, "tokens" }), of(hour, func(r *Rule) { r.Style, r.Burst, r.Unit = "", 0, "input_tokens" }),
		day, of(day, func(r *Rule) { r.Window = "week" }), of(day, func(r *Rule) { r.Zone = "Europe/Berlin" }), of(day, func(r *Rule) { r.Zone = "Europe/Paris" }), of(day, func(r *Rule) { r.Window = "total" }),
		of(day, func(r *Rule) { r.Soft = true }), of(day, func(r *Rule) { r.Shadow = true }), of(day, func(r *Rule) { r.Away = "deny" }), of(day, func(r *Rule) { r.Away = "local" }),
		of(day, func(r *Rule) { r.AlertAt = []string{"1%"} }), of(day, func(r *Rule) { r.AlertAt = []string{"1%", "2%"} }),
		of(day, func(r *Rule) { r.Models = []string{"m"} }), of(day, func(r *Rule) { r.Routes = []string{"m"} }), of(day, func(r *Rule) { r.Providers = []string{"m"} }),
		of(day, func(r *Rule) { r.Models = []string{"m", "n"} }), of(day, func(r *Rule) { r.Models = []string{"m, n"} }), of(day, func(r *Rule) { r.Models, r.Routes = []string{"m"}, []string{"n"} }),
	} {
		for _, level := range []string{"key", "team"} {
			o := Owned{Level: level, Party: Party{Organization: fmt.Sprint("o", i%3), Team: fmt.Sprint("x", i)}}
			if o.Limits.Rules = []Rule{r}; level == "key" {
				o.Team, o.Key = "", o.Team
			}
			all = append(all, o)
		}
	}
	want, _ := plainly(all)
	tb := table(t, all)
	if len(tb.shapes) != len(all) {
		t.Errorf("%d limits have %d shapes", len(all), len(tb.shapes))
	}
	i := 0
	for l := range tb.All() {
		if d := same(&want[i].budget, l.Budget) + same([][]string{want[i].models, want[i].routes, want[i].providers}, [][]string{l.Models, l.Routes, l.Providers}); d != "" {
			t.Errorf("%d: -want +got\n%s", i, d)
		}
		i++
	}
	each := rules(Owned{Level: "key", Party: Party{Organization: "o", Key: "k"}}, 1, 1)
	each.Limits.Rules[0].Window, each.Limits.Rules[1].Each = "1m", []string{"model"}
	each.Limits.Rules[1].Window = "1m"
	if got := table(t, []Owned{each}).Find(nil, &each.Party, "m", "r", nil); len(got) != 2 || got[0].Model != "" || got[1].Model != "m" {
		t.Errorf("for all models and for each: %+v", got)
	}
}

func TestOfEachKindOneShapeIsKept(t *testing.T) {
	tb := table(t, crowd(20_000))
	if n := len(tb.shapes); n > 60 {
		t.Errorf("%d shapes", n)
	}
	zones := map[*time.Location]bool{}
	for _, s := range tb.shapes {
		zones[s.budget.Window.Zone] = true
	}
	if len(zones) != 3 { // none, UTC and one more
		t.Errorf("%d time zones", len(zones))
	}
}

// rules is an owner's with some limits of requests.
func rules(o Owned, amounts ...int) Owned {
	for i, n := range amounts {
		o.Limits.Rules = append(o.Limits.Rules, Rule{Unit: "requests", Amount: n, Window: fmt.Sprintf("%dm", i+1)})
	}
	return o
}

func TestALimitThatIsThereTwiceIsRefused(t *testing.T) {
	key := Owned{Level: "key", Party: Party{Organization: "acme", Key: "ci"}}
	team := Owned{Level: "team", Party: Party{Organization: "acme", Team: "ci"}}
	for _, c := range []struct {
		name         string
		first, after []Owned
		want         string
	}{
		{"in two owners' settings", []Owned{rules(key, 1), rules(team, 1), rules(key, 2)}, nil, `limits.rules[0] of key "ci": the same limit is there twice`},
		{"in the file and in the store", []Owned{rules(key, 1, 2)}, []Owned{rules(team, 1), {Level: key.Level, Party: key.Party, Settings: Settings{Limits: Limits{Rules: rules(key, 5, 6).Limits.Rules[1:]}}}}, `limits.rules[0] of key "ci": the same limit is there twice`},
		{"with another amount in one list", []Owned{{Level: "team", Party: team.Party, Settings: Settings{Limits: Limits{Rules: append(rules(team, 1, 2).Limits.Rules, rules(team, 3).Limits.Rules...)}}}}, nil, `limits.rules[2] of team "ci": the same limit is there twice`},
		{"not", []Owned{rules(key, 1, 2), rules(team, 1)}, []Owned{rules(team), {Level: "key", Party: Party{Organization: "acme", Key: "c"}}}, "<nil>"},
	} {
		_, err := Load(c.first, oneByOne(c.after, nil))
		if got := fmt.Sprint(err); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// oneByOne yields owners, and then an error.
func oneByOne(all []Owned, err error) iter.Seq2[*Owned, error] {
	return func(yield func(*Owned, error) bool) {
		for i := range all {
			if !yield(&all[i], nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

func TestWhatCannotBeReadMakesNoTable(t *testing.T) {
	away := errors.New("away")
	o := rules(Owned{Level: "team", Party: Party{Organization: "a", Team: "t"}}, 1)
	if tb, err := Load(nil, oneByOne([]Owned{o}, away)); tb != nil || !errors.Is(err, away) {
		t.Errorf("got %v, %v", tb, err)
	}
	huge := o
	huge.Limits.Rules = []Rule{{Unit: "requests", Amount: quota.Max + 1, Window: "day"}}
	if _, err := New([]Owned{huge}); err == nil || !strings.Contains(err.Error(), "out of range") || !strings.HasPrefix(err.Error(), `limits.rules[0] of team "t": `) {
		t.Errorf("got %v", err)
	}
}

func TestLimitsOfAnOwnerComeInTheirOrder(t *testing.T) {
	var first, after []Owned
	p := Party{Organization: "acme", Key: "ci"}
	var want []string
	for i := range 300 {
		o := Owned{Level: "key", Party: p}
		o.Limits.Rules = []Rule{{Unit: "requests", Amount: i + 1, Window: fmt.Sprintf("%ds", i+1)}}
		other := Owned{Level: "team", Party: Party{Organization: "acme", Team: "ci"}, Settings: o.Settings}
		if i < 100 {
			first = append(first, o, other)
		} else {
			after = append(after, other, o)
		}
		want = append(want, fmt.Sprint(i+1))
	}
	tb, err := Load(first, oneByOne(after, nil))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range tb.Find(nil, &p, "m", "r", nil) {
		got = append(got, fmt.Sprint(b.Limit))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestABudgetInUseStaysWhereItIs(t *testing.T) {
	all := crowd(2000)
	tb := table(t, all)
	for i := range all {
		if all[i].Limits.Rules[0].Each != nil {
			continue
		}
		p := all[i].Party
		for _, b := range tb.Find(nil, &p, "gpt-3", "r", nil) {
			if tb.Budget(b.ID) != b || tb.Find(nil, &p, "gpt-3", "r", nil)[0] != b {
				t.Fatalf("%s is another one", b.ID)
			}
		}
	}
	at := map[string]*quota.Budget{}
	for l := range tb.All() {
		at[l.Budget.ID] = l.Budget
	}
	p := all[0].Party
	if b := tb.Find(nil, &p, "m", "r", nil)[0]; at[b.ID] != b {
		t.Error("a budget in use is listed as another one")
	}
}

func TestIDsThatNobodyHas(t *testing.T) {
	tb := table(t, acme())
	id := slices.Collect(tb.All())[0].Budget.ID
	for _, bad := range []string{"", "x", id[1:], id[len(id)-letters:], "team" + id, strings.ToUpper(id), id[:len(id)-1], id[:len(id)-1] + "\n", id[:len(id)-2] + "é", id[:len(id)-1] + "1", strings.Repeat("a", 1000)} {
		if b := tb.Budget(bad); b != nil {
			t.Errorf("%q is %s", bad, b.ID)
		}
	}
	if tb.Budget(id) == nil {
		t.Error("one that is there is not found")
	}
	if none := table(t, nil); none.Budget(id) != nil || none.Find(nil, &Party{Organization: "acme"}, "m", "r", nil) != nil || !none.Empty() || none.Strict() || none.Organizations() != nil {
		t.Error("an empty table has something")
	}
}

func TestHashesAreReadAsTheyAreWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s sum
		copy(s[:], rapid.SliceOfN(rapid.Byte(), len(s), len(s)).Draw(t, "sum"))
		id := string(appendID(nil, &quota.Budget{Owner: quota.Owner{Level: "key"}, Unit: quota.Money}, &s))
		if got := hashOf(id); got != s.hash() {
			t.Errorf("%s is read as %x, want %x", id, got, s.hash())
		}
	})
}

func TestAnIndexFindsWhatWasAdded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hash := rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{0, 1, 1 << 63, 1<<64 - 1}), rapid.Map(rapid.Uint64Range(0, 3), func(n uint64) uint64 { return 1<<64 - 1 - n<<20 }))
		all := rapid.SliceOfN(hash, 0, 70).Draw(t, "hashes")
		x := newIndex(len(all))
		for at, h := range all {
			x.add(h, at)
		}
		for at, h := range all {
			if got := x.find(h, func(place int) bool { return all[place] == h }); got != slices.Index(all, h) {
				t.Fatalf("%x is at %d", h, got)
			}
			if got := x.find(h, func(place int) bool { return place == at }); got != at {
				t.Fatalf("%x, the one at %d, is at %d", h, at, got)
			}
		}
		other := hash.Draw(t, "another")
		if got := x.find(other, func(place int) bool { return all[place] == other }); got != slices.Index(all, other) {
			t.Errorf("%x is at %d", other, got)
		}
	})
}
