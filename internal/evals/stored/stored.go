// Package stored keeps runs of evaluations in the store's database, beside experiments, where all who may can read them. Files
// of package evals do the same for one person.
//
//	Begin ─► Add … ─► Get, Outcomes ─► Delete, or Expire
//
// A run belongs to an organization, and may belong to a team of it. An outcome is of a case at a target: it is kept once, and
// one without an answer gives way to the next. So a run that was cut short, or whose last request got no answer, goes on by
// doing the same again. It decides not who may.
package stored

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/internal/evals"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/store"
)

// Kind is the kind of runs in the audit log. An object of it is named ORGANIZATION/RUN.
const Kind store.Kind = "eval"

// Bounds.
const (
	mostCases   = 50_000
	mostTargets = 50
	mostWhy     = 2 << 10
	mostBytes   = 256 << 20 // of a run's outcomes
	mostRuns    = 10_000    // of an organization
	mostKept    = 4 << 30   // bytes of all of its runs: with more none begins
	mostConfigs = 20
)

// Run is a run.
type Run struct {
	Name         string    `json:"name"`
	Organization string    `json:"organization"`
	Team         string    `json:"team,omitzero"` // "": it is the organization's
	Set          string    `json:"set"`           // checksum of the set, evals.Hash
	Cases        int       `json:"cases"`         // of the set
	Targets      []string  `json:"targets"`
	Judge        string    `json:"judge,omitzero"`
	Content      bool      `json:"content,omitzero"` // what was answered is kept, where it was allowed and asked for
	Configs      []string  `json:"configurations"`   // versions of the configuration that it met, in their order
	Author       string    `json:"author"`           // who began it
	Began        time.Time `json:"began"`
	store.Stamp            // Changed is when its last outcome came

	Outcomes int   `json:"-"`
	Bytes    int64 `json:"-"` // that its outcomes take
}

// Object is what the audit log calls a run.
func Object(organization, name string) string { return organization + "/" + name }

func fault(reason store.Reason, field, format string, args ...any) error {
	return &store.Fault{Reason: reason, Field: field, Message: field + ": " + fmt.Sprintf(format, args...)}
}

func invalid(field, format string, args ...any) error {
	return fault(store.Invalid, field, format, args...)
}

// hash is the form of evals.Hash.
var hash = regexp.MustCompile(`^[0-9a-f]{16}$`)

// check says what is wrong with a run that is to begin.
func (r *Run) check() error {
	switch {
	case !evals.NameOK(r.Name):
		return invalid("name", "letters, digits, dots, dashes and underscores, at most 64")
	case !hash.MatchString(r.Set):
		return invalid("set", "must be the checksum of a set, 16 digits of base 16")
	case r.Cases < 1 || r.Cases > mostCases:
		return invalid("cases", "from 1 to %d", mostCases)
	case len(r.Targets) == 0 || len(r.Targets) > mostTargets:
		return invalid("targets", "from 1 to %d", mostTargets)
	case !short(r.Judge, evals.MostName):
		return invalid("judge", "at most %d bytes", evals.MostName)
	}
	for i, t := range r.Targets {
		if t == "" || !short(t, evals.MostName) || slices.Contains(r.Targets[:i], t) {
			return invalid(fmt.Sprintf("targets[%d]", i), "must be another name than those before, of 1 to %d bytes", evals.MostName)
		}
	}
	return nil
}

// short reports whether a text can be a column and is not too long.
func short(s string, most int) bool {
	return len(s) <= most && utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}

const runColumns = "body, outcomes, bytes, created, changed, version"

func scanRun(rows *sql.Rows) (r Run, err error) {
	var body string
	var created, changed int64
	if err := rows.Scan(&body, &r.Outcomes, &r.Bytes, &created, &changed, &r.Version); err != nil {
		return r, err
	}
	version := r.Version
	if err := jsonx.Decode([]byte(body), &r); err != nil {
		return r, err
	}
	r.Stamp = store.Stamp{Created: time.UnixMicro(created).UTC(), Changed: time.UnixMicro(changed).UTC(), Version: version}
	return r, nil
}

// read reads all that a query finds.
func read[T any](rows *sql.Rows, err error, scan func(*sql.Rows) (T, error)) (all []T, _ error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// one is what a query for a run has found.
func one(all []Run, err error, name string) (Run, error) {
	if err == nil && len(all) == 0 {
		err = &store.Fault{Reason: store.Missing, Field: "name", Message: fmt.Sprintf("there is no run %q", name)}
	}
	if err != nil {
		return Run{}, err
	}
	return all[0], nil
}

// Get reads a run.
func Get(ctx context.Context, s *store.Store, organization, name string) (Run, error) {
	rows, err := s.Query(ctx, "SELECT "+runColumns+" FROM eval_runs WHERE id = ?", Object(organization, name))
	all, err := read(rows, err, scanRun)
	return one(all, err, name)
}

// pageSize is the size of a page, of at most so many.
func pageSize(size, most int) int {
	if size <= 0 {
		size = 100
	}
	return min(size, most)
}

// List reads a page of an organization's runs, by name: those of a team and of no team, or of all where team is "". next is
// "" at the end.
func List(ctx context.Context, s *store.Store, organization, team string, p store.Page) (all []Run, next string, err error) {
	size := pageSize(p.Size, 1000)
	query, args := "SELECT "+runColumns+" FROM eval_runs WHERE organization = ? AND name > ?", []any{organization, p.After}
	if team != "" {
		query, args = query+" AND (team = ? OR team = '')", append(args, team)
	}
	rows, err := s.Query(ctx, query+" ORDER BY name LIMIT ?", append(args, size+1)...)
	all, err = read(rows, err, scanRun)
	if len(all) > size {
		all = all[:size]
		next = all[size-1].Name
	}
	return all, next, err
}

// mostPage bounds the bytes of a page of outcomes, but for one that is larger by itself.
const mostPage = 2 << 20

// Outcomes reads a page of a run's outcomes, in the order in which their cases were first asked, after the number of one.
// next is the number to go on after, 0 at the end. Without texts the answers' texts are left out.
func Outcomes(ctx context.Context, s *store.Store, organization, name string, after int64, size int, texts bool) (all []evals.Outcome, next int64, err error) {
	size = pageSize(size, 1000)
	rows, err := s.Query(ctx, "SELECT number, body FROM eval_outcomes WHERE run = ? AND number > ? ORDER BY number LIMIT ?", Object(organization, name), after, size+1)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	last, bytes := int64(0), 0
	for rows.Next() {
		var n int64
		var body string
		if err := rows.Scan(&n, &body); err != nil {
			return nil, 0, err
		}
		var o evals.Outcome
		if err := jsonx.Decode([]byte(body), &o); err != nil {
			return nil, 0, err
		}
		if !texts {
			o.Text = ""
		}
		bytes += len(o.Text) + len(o.Error) + 200*(1+len(o.Checks))
		if len(all) == size || len(all) > 0 && bytes > mostPage {
			return all, last, nil
		}
		all, last = append(all, o), n
	}
	return all, 0, rows.Err()
}
