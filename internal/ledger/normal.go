package ledger

import "time"

// Normalize makes a record as stores keep it: its time to the millisecond in UTC, and its texts fit for every
// store. It must not be shared yet.
func (r *Record) Normalize() {
	if r.Line != "" {
		return // it is
	}
	r.At = r.At.UTC().Truncate(time.Millisecond)
	for _, s := range []*string{
		&r.Organization, &r.ID, &r.Cause, &r.Who.Team, &r.Who.Project, &r.Who.Key, &r.Who.KeyID, &r.Who.User,
		&r.Asked.Op, &r.Asked.Dialect, &r.Asked.Model, &r.Asked.Route, &r.Asked.Path, &r.Asked.Arm, &r.Asked.Request, &r.Asked.Shadows, &r.Said.Label, &r.Said.Comment, &r.Result.Trace, &r.Result.Why, (*string)(&r.Result.Status),
	} {
		*s = clean(*s)
	}
	for i := range r.Result.Policy {
		r.Result.Policy[i] = clean(r.Result.Policy[i])
	}
	r.Tags = cleanTags(r.Tags)
	for i := range r.Money.Charges {
		c := &r.Money.Charges[i]
		c.Budget, c.Unit = clean(c.Budget), clean(c.Unit)
	}
	for i := range r.Attempts {
		a := &r.Attempts[i]
		for _, s := range []*string{&a.Provider, &a.Kind, &a.Model, &a.Region, &a.Service, &a.Code, &a.Priced.Region, &a.Priced.Search, &a.Priced.Size, &a.Priced.Quality} {
			*s = clean(*s)
		}
	}
}

// Total makes the record's money the sum of its attempts'.
func (r *Record) Total() {
	r.Money.Cost, r.Money.List, r.Money.Saved = 0, 0, 0
	for i := range r.Attempts {
		b := &r.Attempts[i].Bill
		r.Money.Cost += b.Cost
		r.Money.List += b.List
		r.Money.Saved += b.Saved
	}
}

// cleanTags returns the tags with clean names and values. Where two names become one, the lesser value stays, so
// that the result does not depend on chance.
func cleanTags(tags map[string]string) map[string]string {
	dirty := false
	for k, v := range tags {
		dirty = dirty || clean(k) != k || clean(v) != v
	}
	if !dirty {
		return tags
	}
	out := make(map[string]string, len(tags))
	for k, v := range tags {
		k, v = clean(k), clean(v)
		if had, ok := out[k]; !ok || v < had {
			out[k] = v
		}
	}
	return out
}
