package budgets_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
)

func TestListedBudgetsSayWhatTheyCount(t *testing.T) {
	team := budgets.Party{Organization: "acme", Team: "core"}
	table, err := budgets.New([]budgets.Owned{
		{Level: "organization", Party: budgets.Party{Organization: "acme"}, Settings: budgets.Settings{Budget: budgets.Spending{Month: "5 USD"}}},
		{Level: "team", Party: team, Settings: budgets.Settings{Limits: budgets.Limits{Rules: []budgets.Rule{
			{Unit: "money", Spend: "1 USD", Window: "day", Routes: []string{"chat", "code"}},
			{Unit: "requests", Amount: 9, Window: "day", Each: []string{"end_user", "model"}},
		}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	list := func() (out []string) {
		for l := range table.All() {
			out = append(out, fmt.Sprintf("%s %s %+v %v %v %v", l.Budget.Owner.Level, l.Budget.Unit, l.Party, l.Models, l.Routes, l.Providers))
		}
		return out
	}
	org := "organization money {Organization:acme Team: Project: Key: EndUser:} [] [] []"
	routes := "team money {Organization:acme Team:core Project: Key: EndUser:} [] [chat code] []"
	if got, want := fmt.Sprint(list()), fmt.Sprint([]string{org, routes}); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	team.EndUser = "u"
	table.Find(nil, &team, "m", "other", nil)
	user := "end_user requests {Organization:acme Team:core Project: Key: EndUser:u} [m] [] []"
	if got := list(); len(got) != 3 || !slices.Contains(got, user) {
		t.Errorf("got %s", got)
	}
	if got := slices.Collect((*budgets.Table)(nil).All()); got != nil {
		t.Errorf("nothing lists %v", got)
	}
}
