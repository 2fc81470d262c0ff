package admin

import (
	"context"
	"strconv"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/signalbox-ai/signalbox/internal/store"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

var (
	_ adminv1connect.BudgetServiceHandler = budgets{}
	_ adminv1connect.AuditServiceHandler  = changes{}
)

// budgets serves BudgetService.
type budgets struct{ *Server }

// CreateBudget implements adminv1connect.BudgetServiceHandler.
func (s budgets) CreateBudget(ctx context.Context, r *v1.CreateBudgetRequest) (*v1.Budget, error) {
	if r.Level == "key" || r.Level == "end_user" {
		r.Owner = s.keyID(ctx, r.Owner)
	}
	if who := principalOf(ctx); !who.Root {
		at, err := s.budgetPlace(ctx, r.Level, r.Owner)
		if broken(err) {
			return nil, err
		}
		if err != nil || !who.reaches(at) {
			return nil, invalid("owner", "there is no such owner that you may limit")
		}
		if err := who.changes(store.KindBudget, at); err != nil {
			return nil, err
		}
	}
	return write(ctx, s.Server, r, nil, func(tx *store.Tx) (*v1.Budget, error) {
		b := store.Budget{Level: r.Level, Owner: r.Owner, Unit: r.Unit, Amount: r.Amount, Per: r.Per, Zone: r.Zone, Model: r.Model, Soft: r.Soft, AlertAt: percents(r.AlertAt)}
		err := tx.CreateBudget(&b)
		return budget(&b), err
	})
}

// GetBudget implements adminv1connect.BudgetServiceHandler.
func (s budgets) GetBudget(ctx context.Context, r *v1.GetRequest) (*v1.Budget, error) {
	if err := s.may(ctx, store.KindBudget, r.Id, false); err != nil {
		return nil, err
	}
	b, err := s.store.Budget(ctx, r.Id)
	return budget(&b), err
}

// ListBudgets implements adminv1connect.BudgetServiceHandler. Who is no administrator names the owner.
func (s budgets) ListBudgets(ctx context.Context, r *v1.ListBudgetsRequest) (*v1.ListBudgetsResponse, error) {
	p, err := page(r.Page)
	if err != nil {
		return nil, err
	}
	if r.Level == "key" || r.Level == "end_user" {
		if r.Owner, err = s.keyNamed(ctx, r.Owner); err != nil {
			return nil, err
		}
	}
	if who := principalOf(ctx); !who.Root {
		if r.Level == "" || r.Owner == "" {
			return nil, invalid("owner", "level and owner are due")
		}
		at, err := s.budgetPlace(ctx, r.Level, r.Owner)
		if broken(err) {
			return nil, err
		}
		if err != nil || !who.reaches(at) {
			return &v1.ListBudgetsResponse{}, nil //nolint:nilerr // of whom it does not reach it learns nothing
		}
	}
	all, next, err := s.store.Budgets(ctx, r.Level, r.Owner, p)
	return &v1.ListBudgetsResponse{Budgets: each(all, budget), NextToken: next}, err
}

// UpdateBudget implements adminv1connect.BudgetServiceHandler.
func (s budgets) UpdateBudget(ctx context.Context, r *v1.UpdateBudgetRequest) (*v1.Budget, error) {
	mask, err := masked(r.UpdateMask, map[string]bool{"amount": r.Amount != 0, "zone": r.Zone != "", "soft": r.Soft, "alert_at": r.AlertAt != nil})
	if err != nil {
		return nil, err
	}
	if err := s.may(ctx, store.KindBudget, r.Id, true); err != nil {
		return nil, err
	}
	return write(ctx, s.Server, r, nil, func(tx *store.Tx) (*v1.Budget, error) {
		b, err := tx.UpdateBudget(r.Id, r.Version, func(b *store.Budget) error {
			if mask["amount"] {
				b.Amount = r.Amount
			}
			if mask["zone"] {
				b.Zone = r.Zone
			}
			if mask["soft"] {
				b.Soft = r.Soft
			}
			if mask["alert_at"] {
				b.AlertAt = percents(r.AlertAt)
			}
			return nil
		})
		return budget(&b), err
	})
}

// DeleteBudget implements adminv1connect.BudgetServiceHandler.
func (s budgets) DeleteBudget(ctx context.Context, r *v1.DeleteRequest) (*v1.DeleteResponse, error) {
	return s.remove(ctx, store.KindBudget, r, r.Id, (*store.Tx).DeleteBudget)
}

func percents(in []int32) []int {
	out := make([]int, len(in))
	for i, n := range in {
		out[i] = int(n)
	}
	return out
}

// changes serves AuditService.
type changes struct{ *Server }

// ListChanges implements adminv1connect.AuditServiceHandler. The log is the administrator's; others read of what they
// may change, and not of what had its name before.
func (s changes) ListChanges(ctx context.Context, r *v1.ListChangesRequest) (*v1.ListChangesResponse, error) {
	if _, err := page(r.Page); err != nil {
		return nil, err
	}
	if store.Kind(r.Kind) == store.KindKey {
		id, err := s.keyNamed(ctx, r.Object)
		if err != nil {
			return nil, err
		}
		r.Object = id
	}
	if who := principalOf(ctx); !who.Root {
		if r.Kind == "" || r.Object == "" {
			return nil, invalid("object", "kind and object are due")
		}
		if err := s.may(ctx, store.Kind(r.Kind), r.Object, true); err != nil {
			return nil, err
		}
	}
	for field, t := range map[string]*timestamppb.Timestamp{"from": r.From, "until": r.Until} {
		if t != nil && t.CheckValid() != nil {
			return nil, invalid(field, "not a time")
		}
	}
	f := store.AuditFilter{Kind: store.Kind(r.Kind), Object: r.Object, Now: !principalOf(ctx).Root, Actor: r.Actor, Action: r.Action, From: timeOf(r.From), Until: timeOf(r.Until)}
	if t := r.Page.GetToken(); t != "" {
		n, err := strconv.ParseInt(t, 10, 64)
		if err != nil || n <= 0 {
			return nil, invalid("page.token", "not a token of such a list")
		}
		f.Before = n
	}
	all, next, err := s.store.Audit(ctx, f, int(r.Page.GetSize()))
	res := &v1.ListChangesResponse{Changes: each(all, change)}
	if next > 0 {
		res.NextToken = strconv.FormatInt(next, 10)
	}
	return res, err
}
