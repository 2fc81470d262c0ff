package stored

import (
	"cmp"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/signalbox-ai/signalbox/internal/evals"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/store"
)

// lock reads a run that is to be changed, and keeps others from changing it until the transaction ends. It is one statement:
// what a second one found could be a run that was made after the first, and is not locked.
func lock(tx *store.Tx, organization, name string) (Run, error) {
	rows, err := tx.Query("UPDATE eval_runs SET version = version WHERE id = ? RETURNING "+runColumns, Object(organization, name))
	all, err := read(rows, err, scanRun)
	return one(all, err, name)
}

// save writes a run that was changed.
func save(tx *store.Tx, r *Run) error {
	_, r.Changed = tx.By()
	r.Version++
	body, err := jsonx.Encode(r)
	if err != nil {
		return err
	}
	_, err = tx.Exec("UPDATE eval_runs SET body = ?, outcomes = ?, bytes = ?, changed = ?, version = ? WHERE id = ?",
		string(body), r.Outcomes, r.Bytes, r.Changed.UnixMicro(), r.Version, Object(r.Organization, r.Name))
	return err
}

// Begin begins a run, or goes on with the one of its name, which must be of the same set: targets, and versions of the
// configuration, that are new come to those that it has. It returns the run as it stands.
func Begin(tx *store.Tx, r Run) (Run, error) {
	if err := r.check(); err != nil {
		return Run{}, err
	}
	was, err := lock(tx, r.Organization, r.Name)
	if missing(err) {
		var made bool
		if made, err = insert(tx, &r); made || err != nil {
			return r, err
		}
		was, err = lock(tx, r.Organization, r.Name) // another has made it in this moment
	}
	if err != nil {
		return Run{}, err
	}
	if was.Set != r.Set {
		return Run{}, fault(store.Exists, "set", "the run %s is of another set; name it otherwise", r.Name)
	}
	now := was
	now.Content, now.Judge = was.Content || r.Content, cmp.Or(was.Judge, r.Judge)
	now.Targets, now.Configs = join(was.Targets, r.Targets), join(was.Configs, r.Configs)
	if len(now.Targets) > mostTargets {
		return Run{}, invalid("targets", "the run has %v, and cannot have more than %d", was.Targets, mostTargets)
	}
	now.Configs = now.Configs[:min(len(now.Configs), mostConfigs)]
	if was.Content == now.Content && was.Judge == now.Judge && len(was.Targets) == len(now.Targets) && len(was.Configs) == len(now.Configs) {
		return was, nil
	}
	if err := save(tx, &now); err != nil {
		return Run{}, err
	}
	return now, tx.Note("update", Kind, Object(r.Organization, r.Name), &was, &now)
}

func missing(err error) bool {
	f, ok := err.(*store.Fault) //nolint:errorlint // one makes it in this package
	return ok && f.Reason == store.Missing
}

// join adds to a list what it lacks.
func join(to, more []string) []string {
	to = slices.Clone(to)
	for _, s := range more {
		if s != "" && !slices.Contains(to, s) {
			to = append(to, s)
		}
	}
	return to
}

// insert makes a run; false: there is one of its name.
func insert(tx *store.Tx, r *Run) (bool, error) {
	n, err := count(tx, "SELECT count(*) FROM organizations WHERE name = ?", r.Organization)
	if err != nil {
		return false, err
	}
	if n == 0 {
		return false, invalid("organization", "there is no organization %q", r.Organization)
	}
	if n, err = count(tx, "SELECT count(*) FROM eval_runs WHERE organization = ?", r.Organization); err != nil {
		return false, err
	}
	if n >= mostRuns {
		return false, fault(store.InUse, "name", "the organization has %d runs, and cannot have more; delete some", n)
	}
	if n, err = count(tx, "SELECT coalesce(sum(bytes), 0) FROM eval_runs WHERE organization = ?", r.Organization); err != nil {
		return false, err
	}
	if n >= mostKept {
		return false, fault(store.InUse, "name", "the organization's runs take %d bytes, and none can begin; delete some", n)
	}
	by, now := tx.By()
	r.Author, r.Began = by.Name, now
	r.Stamp = store.Stamp{Created: now, Changed: now, Version: 1}
	r.Configs = join(nil, r.Configs)
	body, err := jsonx.Encode(r)
	if err != nil {
		return false, err
	}
	at := now.UnixMicro()
	made, err := tx.Exec("INSERT INTO eval_runs (id, organization, team, name, body, outcomes, bytes, created, changed, version) VALUES (?, ?, ?, ?, ?, 0, 0, ?, ?, 1) ON CONFLICT (id) DO NOTHING",
		Object(r.Organization, r.Name), r.Organization, r.Team, r.Name, string(body), at, at)
	if err != nil || made == 0 {
		return false, err
	}
	return true, tx.Note("create", Kind, Object(r.Organization, r.Name), nil, r)
}

func count(tx *store.Tx, query string, args ...any) (int64, error) {
	rows, err := tx.Query(query, args...)
	all, err := read(rows, err, func(rows *sql.Rows) (n int64, err error) { return n, rows.Scan(&n) })
	if err != nil {
		return 0, err
	}
	return all[0], nil
}

// Added is what came of outcomes that were added.
type Added struct {
	New      int // that were not there
	Replaced int // that took the place of one without an answer
	Kept     int // of a case and target that had an answer before, which stays
}

// Add adds outcomes to a run. config is the version of the configuration that they met, as far as is known.
func Add(tx *store.Tx, organization, name, config string, all []evals.Outcome) (Added, error) {
	if len(all) > evals.MostBatch {
		return Added{}, invalid("outcomes", "at most %d at once", evals.MostBatch)
	}
	r, err := lock(tx, organization, name)
	if err != nil {
		return Added{}, err
	}
	var sum Added
	for i := range all {
		if err := r.fits(&all[i], fmt.Sprintf("outcomes[%d]", i)); err != nil {
			return Added{}, err
		}
		if err := r.put(tx, &all[i], &sum); err != nil {
			return Added{}, err
		}
	}
	if sum.New+sum.Replaced == 0 {
		return sum, nil
	}
	if r.Outcomes > r.Cases*len(r.Targets) {
		return Added{}, invalid("outcomes", "the set has %d cases and the run %d targets: there are no more outcomes", r.Cases, len(r.Targets))
	}
	if r.Bytes > mostBytes {
		return Added{}, invalid("outcomes", "the run takes more than %d bytes", mostBytes)
	}
	if r.Configs = join(r.Configs, []string{config}); len(r.Configs) > mostConfigs {
		r.Configs = r.Configs[:mostConfigs]
	}
	return sum, save(tx, &r)
}

// fits says what is wrong with an outcome at a place of the request.
func (r *Run) fits(o *evals.Outcome, at string) error {
	switch {
	case o.Case == "" || !short(o.Case, evals.MostName):
		return invalid(at+".case", "from 1 to %d bytes", evals.MostName)
	case !slices.Contains(r.Targets, o.Target):
		return invalid(at+".target", "the run has no target %q", o.Target)
	case !short(o.Error, mostWhy):
		return invalid(at+".error", "at most %d bytes", mostWhy)
	case !short(o.Exchange, evals.MostName):
		return invalid(at+".exchange", "at most %d bytes", evals.MostName)
	case len(o.Checks) > evals.MostChecks:
		return invalid(at+".checks", "at most %d", evals.MostChecks)
	case o.Text != "" && !r.Content:
		return invalid(at+".text", "the run keeps nothing of what was answered")
	case len(o.Text) > evals.MostText:
		return invalid(at+".text", "at most %d bytes", evals.MostText)
	}
	for _, n := range []int64{o.Prompt, o.Output, o.Cached, o.Cost, o.Judging} {
		if n < 0 {
			return invalid(at, "a count is below 0")
		}
	}
	if !(o.First >= 0 && o.Total >= 0 && o.First < 1e12 && o.Total < 1e12) { // which no number is, too
		return invalid(at, "a time is no number from 0 on")
	}
	for i := range o.Checks {
		f, at := &o.Checks[i], fmt.Sprintf("%s.checks[%d]", at, i)
		switch {
		case !short(f.Check, evals.MostName):
			return invalid(at+".check", "at most %d bytes", evals.MostName)
		case f.Why != "" && !r.Content:
			return invalid(at+".why", "it quotes what was answered, of which the run keeps nothing")
		case len(f.Why) > mostWhy:
			return invalid(at+".why", "at most %d bytes", mostWhy)
		}
	}
	return nil
}

// was is what is known of an outcome that is there.
type was struct{ number, failed, bytes int64 }

// put writes one outcome, unless there is one with an answer.
func (r *Run) put(tx *store.Tx, o *evals.Outcome, sum *Added) error {
	id := Object(r.Organization, r.Name)
	rows, err := tx.Query("SELECT number, failed, octet_length(body) FROM eval_outcomes WHERE run = ? AND question = ? AND target = ?", id, o.Case, o.Target)
	old, err := read(rows, err, func(rows *sql.Rows) (w was, err error) { return w, rows.Scan(&w.number, &w.failed, &w.bytes) })
	if err != nil {
		return err
	}
	if len(old) > 0 && old[0].failed == 0 {
		sum.Kept++
		return nil
	}
	body, err := jsonx.Encode(o)
	if err != nil {
		return err
	}
	failed := 0
	if o.Error != "" {
		failed = 1
	}
	r.Bytes += int64(len(body))
	if len(old) > 0 {
		sum.Replaced++
		r.Bytes -= old[0].bytes
		_, err = tx.Exec("UPDATE eval_outcomes SET failed = ?, body = ? WHERE run = ? AND number = ?", failed, string(body), id, old[0].number)
		return err
	}
	sum.New++
	r.Outcomes++
	_, err = tx.Exec("INSERT INTO eval_outcomes (run, number, question, target, failed, body) VALUES (?, ?, ?, ?, ?, ?)", id, r.Outcomes, o.Case, o.Target, failed, string(body))
	return err
}

// Delete deletes a run with its outcomes. version is the one that is meant; 0: any.
func Delete(tx *store.Tx, organization, name string, version int64) error {
	r, err := lock(tx, organization, name)
	if err != nil {
		return err
	}
	if version != 0 && version != r.Version {
		return fault(store.Stale, "version", "it was changed meanwhile: version %d is asked for, and %d is there", version, r.Version)
	}
	return remove(tx, "delete", &r)
}

func remove(tx *store.Tx, action string, r *Run) error {
	if _, err := tx.Exec("DELETE FROM eval_runs WHERE id = ?", Object(r.Organization, r.Name)); err != nil {
		return err
	}
	return tx.Note(action, Kind, Object(r.Organization, r.Name), r, nil)
}

// Expire deletes runs whose last outcome came before a time, a few of them, and returns how many: who wants all gone calls it
// until there are none.
func Expire(tx *store.Tx, before time.Time) (int, error) {
	const few = 20
	rows, err := tx.Query("SELECT "+runColumns+" FROM eval_runs WHERE changed < ? ORDER BY changed LIMIT ?", before.UnixMicro(), few)
	all, err := read(rows, err, scanRun)
	if err != nil {
		return 0, err
	}
	for i := range all {
		now, err := lock(tx, all[i].Organization, all[i].Name)
		if missing(err) || err == nil && !now.Changed.Before(before) { // another was first, or it goes on
			continue
		}
		if err != nil {
			return 0, err
		}
		if err := remove(tx, "expire", &now); err != nil {
			return 0, err
		}
	}
	return len(all), nil
}
