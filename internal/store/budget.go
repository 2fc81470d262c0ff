package store

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/auth"
)

// Budget is a limit of an owner over a window, as a row. Package quota gives it its meaning.
type Budget struct {
	ID      string `json:"id"`
	Level   string `json:"level"`          // organization, team, project, key or end_user
	Owner   string `json:"owner"`          // its name; of a key its id; of end users whom they ask: the key's id
	Unit    string `json:"unit"`           // requests, tokens_in, tokens_out, tokens, money (nano-USD) or parallel
	Amount  int64  `json:"amount,string"`  // 1 to 2^53−1
	Per     string `json:"per"`            // second, minute, hour, day, week, month, total; "" for parallel
	Zone    string `json:"zone,omitzero"`  // of days, weeks and months, as Europe/Berlin; "": UTC
	Model   string `json:"model,omitzero"` // a name or pattern; "": all models together
	Soft    bool   `json:"soft"`           // tells, and does not refuse
	AlertAt []int  `json:"alert_at,omitzero"`
	Stamp
}

func budgets() *table[Budget] {
	return &table[Budget]{
		kind: KindBudget, name: "budgets", key: "id", columns: []string{"id", "level", "owner", "unit", "amount", "per", "zone", "model", "soft", "alert_at"},
		fields: func(b *Budget) []any {
			soft := 0
			if b.Soft {
				soft = 1
			}
			return []any{b.ID, b.Level, b.Owner, b.Unit, b.Amount, b.Per, b.Zone, b.Model, soft, text(b.AlertAt)}
		},
		scan: func(b *Budget) []any {
			return []any{&b.ID, &b.Level, &b.Owner, &b.Unit, &b.Amount, &b.Per, &b.Zone, &b.Model, &b.Soft, document{&b.AlertAt}}
		},
		id: func(b *Budget) string { return b.ID }, stamp: func(b *Budget) *Stamp { return &b.Stamp },
	}
}

// mostAmount is 2^53−1: what scripts and JSON carry exactly.
const mostAmount = 1<<53 - 1

// check looks at a budget's own fields.
func (b *Budget) check() error {
	one := func(field, v string, all ...string) error {
		if !slices.Contains(all, v) {
			return fault(Invalid, field, "%s: must be one of %s", field, strings.Join(all, ", "))
		}
		return nil
	}
	if err := one("level", b.Level, "organization", "team", "project", "key", "end_user"); err != nil {
		return err
	}
	if err := one("unit", b.Unit, "requests", "tokens_in", "tokens_out", "tokens", "money", "parallel"); err != nil {
		return err
	}
	if b.Unit == "parallel" {
		if b.Per != "" || b.Zone != "" {
			return fault(Invalid, "per", "per: what runs in parallel has no window")
		}
	} else if err := one("per", b.Per, "second", "minute", "hour", "day", "week", "month", "total"); err != nil {
		return err
	}
	if b.Amount < 1 || b.Amount > mostAmount {
		return fault(Invalid, "amount", "amount: from 1 to %d", int64(mostAmount))
	}
	if b.Zone != "" {
		if b.Per != "day" && b.Per != "week" && b.Per != "month" {
			return fault(Invalid, "zone", "zone: only days, weeks and months have one")
		}
		if _, err := time.LoadLocation(b.Zone); err != nil || b.Zone == "Local" {
			return fault(Invalid, "zone", "zone: unknown time zone %q", b.Zone)
		}
	}
	if len(b.Model) > 256 || strings.ContainsFunc(b.Model, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fault(Invalid, "model", "model: not a model's name, or pattern of names")
	}
	for i, p := range b.AlertAt {
		if p < 1 || p > 1000 || i > 0 && p <= b.AlertAt[i-1] {
			return fault(Invalid, "alert_at", "alert_at[%d]: percentages from 1 to 1000, in rising order", i)
		}
	}
	return nil
}

// owner refuses a budget of nobody.
func (b *Budget) owner(t *Tx) error {
	var err error
	switch b.Level {
	case "organization":
		_, err = organizations().hold(t, b.Owner, staying)
	case "team":
		_, err = teams().hold(t, b.Owner, staying)
	case "project":
		_, err = projects().hold(t, b.Owner, staying)
	default:
		var k Key
		if k, err = t.s.key(t.ctx, t.tx, b.Owner); err == nil {
			_, err = keys().hold(t, k.ID, staying)
		}
		b.Owner = k.ID
	}
	return needs("owner", err)
}

// budgetsOf are the ids of an owner's budgets.
func (t *Tx) budgetsOf(owner string, levels ...string) ([]string, error) {
	var ids []string
	each := func(level string) error {
		rows, err := t.tx.QueryContext(t.ctx, t.s.engine.bind("SELECT id FROM budgets WHERE level = ? AND owner = ? ORDER BY id"), level, owner)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return rows.Err()
	}
	for _, level := range levels {
		if err := each(level); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// unlimited refuses to delete an owner that has budgets: one that is made anew under its name would have them too.
func (t *Tx) unlimited(level, owner string) error {
	ids, err := t.budgetsOf(owner, level)
	if err == nil && len(ids) > 0 {
		return fault(InUse, "", "%d budgets belong to it", len(ids))
	}
	return err
}

// Budget reads one.
func (s *Store) Budget(ctx context.Context, id string) (Budget, error) {
	return budgets().get(ctx, s, s.db, id)
}

// Budgets reads a page of them, by id; of a level and owner, where they are given.
func (s *Store) Budgets(ctx context.Context, level, owner string, p Page) ([]Budget, string, error) {
	return budgets().list(ctx, s, []condition{{"level", level}, {"owner", owner}}, p)
}

// EachBudget reads all budgets, but for those whose owner is gone, by id, with all that the owner belongs to. key is the id of
// a key; of end users whom they ask. It is one statement however many they are, since each change of a budget reads them again. b is
// overwritten by the next one, but not its list.
func (s *Store) EachBudget(ctx context.Context, f func(b *Budget, of auth.Owner, key string) error) error {
	t := budgets()
	rows, err := s.db.QueryContext(ctx, s.engine.bind("SELECT b."+strings.ReplaceAll(t.all(), ", ", ", b.")+`,
		coalesce(k.organization, t.organization, CASE b.level WHEN 'organization' THEN b.owner END),
		coalesce(k.team, t.name, ''), coalesce(k.project, j.name, ''), coalesce(k.id, '')
		FROM budgets b
		LEFT JOIN api_keys k ON b.level IN ('key', 'end_user') AND k.id = b.owner
		LEFT JOIN projects j ON b.level = 'project' AND j.name = b.owner
		LEFT JOIN teams t ON t.name = CASE b.level WHEN 'team' THEN b.owner WHEN 'project' THEN j.team END
		ORDER BY b.id`))
	if err != nil {
		return err
	}
	defer rows.Close()
	var b Budget
	var of auth.Owner
	var organization sql.NullString
	var key string
	var created, changed int64
	to := append(t.scan(&b), &created, &changed, &b.Version, &organization, &of.Team, &of.Project, &key)
	for rows.Next() {
		b.AlertAt = nil // it may be kept
		if err := rows.Scan(to...); err != nil {
			return err
		}
		if !organization.Valid { // its owner is gone
			continue
		}
		b.Created, b.Changed, of.Organization = when(created), when(changed), organization.String
		if err := f(&b, of, key); err != nil {
			return err
		}
	}
	return rows.Err()
}

// CreateBudget makes one. Its id is made of what it is about, so that what was counted for it is found again.
func (t *Tx) CreateBudget(b *Budget) error {
	if err := b.check(); err != nil {
		return err
	}
	if err := b.owner(t); err != nil {
		return err
	}
	b.ID = budgetID(b)
	return budgets().insert(t, b)
}

// budgetID writes level, owner, unit, window and model, with letters, digits and underscores alone: every other byte
// of a name is _XX, in hexadecimal digits, so that no two are alike.
func budgetID(b *Budget) string {
	var out strings.Builder
	for i, part := range []string{b.Level, b.Owner, b.Unit, b.Per, b.Model} {
		if i > 0 {
			out.WriteString("_")
		}
		for _, c := range []byte(part) {
			if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || i == 0 || i == 2 {
				out.WriteByte(c)
			} else {
				out.WriteString("_" + strconv.FormatInt(int64(c)+256, 16)[1:])
			}
		}
	}
	return out.String()
}

// UpdateBudget changes amount, zone, softness and alerts. What a budget is about stays.
func (t *Tx) UpdateBudget(id string, version int64, change func(*Budget) error) (Budget, error) {
	return budgets().update(t, id, version, "update", func(b *Budget) error {
		was := *b
		if err := change(b); err != nil {
			return err
		}
		b.ID, b.Level, b.Owner, b.Unit, b.Per, b.Model = was.ID, was.Level, was.Owner, was.Unit, was.Per, was.Model
		return b.check()
	})
}

// DeleteBudget deletes one: nothing is limited by it any more.
func (t *Tx) DeleteBudget(id string, version int64) error { return budgets().remove(t, id, version) }
