package accounts

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/quota"
)

func TestCountersComeBackFromTheLedger(t *testing.T) {
	got := balancesOf([]book.Charged{
		{Budget: "end_user_input_tokens_fixed_aaa", Window: 100, Amount: 7},
		{Budget: "key_requests_sliding_bbb", Window: 60, Amount: 5},
		{Budget: "key_requests_sliding_bbb", Window: 120, Amount: 3},
		{Budget: "project_money_life_ccc", Window: 0, Amount: 11},
		{Budget: "team_money_month_ddd", Window: 1000, Amount: 1},
		{Budget: "team_money_month_ddd", Window: 2000, Amount: -4}, // corrections may outweigh what is left in a window
		{Budget: "team_requests_pace_eee", Window: 0, Amount: 9},
		{Budget: "unknown", Window: 5, Amount: 9},
	})
	want := []quota.Balance{
		{Budget: "end_user_input_tokens_fixed_aaa", Kind: 'F', Start: 100_000, Used: 7},
		{Budget: "key_requests_sliding_bbb", Kind: 'S', Start: 120_000, Used: 3, Previous: 5},
		{Budget: "project_money_life_ccc", Kind: 'L', Used: 11},
		{Budget: "team_money_month_ddd", Kind: 'C', Start: 2_000_000, Used: 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
