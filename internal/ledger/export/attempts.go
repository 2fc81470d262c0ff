package export

import (
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/ledger"
)

// attemptRow is one attempt of an exchange, or of a correction, whose numbers are differences. An exchange without an
// attempt has one row, with number 0, and so has money that no attempt stands for.
type attemptRow struct {
	exchangeColumns
	timeColumns
	ownerColumns
	targetColumns
	tokenColumns
	moneyColumns
}

type exchangeColumns struct {
	At           time.Time `parquet:"at,timestamp(millisecond)"`
	Organization string    `parquet:"organization,dict"`
	ID           string    `parquet:"id"`
	Sequence     int64     `parquet:"sequence"`
	Cause        *string   `parquet:"cause,optional,dict"`
	Status       string    `parquet:"status,dict"`
	Op           string    `parquet:"op,dict"`
	Dialect      string    `parquet:"dialect,dict"`
	Route        string    `parquet:"route,dict"`
	Asked        string    `parquet:"asked_model,dict"`
	Path         string    `parquet:"path,dict"`
	Stream       bool      `parquet:"stream"`
}

type timeColumns struct {
	Took   int64   `parquet:"took_ms"`
	First  int64   `parquet:"first_ms"`
	Waited int64   `parquet:"waited_ms"`
	Trace  *string `parquet:"trace_id,optional"`
}

type ownerColumns struct {
	Team    *string `parquet:"team,optional,dict"`
	Project *string `parquet:"project,optional,dict"`
	Key     *string `parquet:"key,optional,dict"`
	User    *string `parquet:"end_user,optional,dict"`
	Tags    string  `parquet:"tags,json,dict"`
	Arm     *string `parquet:"arm,optional,dict"`
}

type targetColumns struct {
	Attempt  int64   `parquet:"attempt"`
	Provider *string `parquet:"provider,optional,dict"`
	Kind     *string `parquet:"kind,optional,dict"`
	Model    *string `parquet:"model,optional,dict"`
	Region   *string `parquet:"region,optional,dict"`
	Service  *string `parquet:"service_tier,optional,dict"`
	HTTP     int64   `parquet:"http"`
	Code     *string `parquet:"code,optional,dict"`
	AttTook  int64   `parquet:"attempt_took_ms"`
	Source   *string `parquet:"source,optional,dict"`
	Exact    bool    `parquet:"exact"`
	Flags    *string `parquet:"flags,optional,dict"`
}

type tokenColumns struct {
	Input     int64 `parquet:"input_tokens"`       // of the prompt that were neither read from nor written to a cache
	Cached    int64 `parquet:"cache_read_tokens"`  // audio and images included
	Written   int64 `parquet:"cache_write_tokens"` // for any time
	Output    int64 `parquet:"output_tokens"`      // without reasoning and audio
	Reasoning int64 `parquet:"reasoning_tokens"`
	AudioIn   int64 `parquet:"audio_input_tokens"`
	AudioOut  int64 `parquet:"audio_output_tokens"`
	Searches  int64 `parquet:"web_searches"`
	Queries   int64 `parquet:"queries"`
}

type moneyColumns struct {
	Cost    int64   `parquet:"cost_usd,decimal(9:18)"`
	List    int64   `parquet:"list_cost_usd,decimal(9:18)"`
	Saved   int64   `parquet:"cache_saved_usd,decimal(9:18)"`
	Card    *string `parquet:"card,optional,dict"`
	Version *string `parquet:"card_version,optional,dict"`
}

// attempts writes a row for each attempt.
type attempts struct{ table[attemptRow] }

func (s *attempts) Close() error { return s.close() }

func (s *attempts) Add(r *ledger.Record) error {
	row := attemptRow{
		exchangeColumns: exchangeColumns{
			At: r.At, Organization: r.Organization, ID: r.ID, Sequence: int64(r.Sequence), Cause: some(r.Cause), Status: string(r.Result.Status), Op: r.Asked.Op,
			Dialect: r.Asked.Dialect, Route: r.Asked.Route, Asked: r.Asked.Model, Path: r.Asked.Path, Stream: r.Asked.Stream,
		},
		timeColumns:  timeColumns{Took: int64(r.Result.Took), First: int64(r.Result.First), Waited: int64(r.Result.Waited), Trace: some(r.Result.Trace)},
		ownerColumns: ownerColumns{Team: some(r.Who.Team), Project: some(r.Who.Project), Key: some(r.Who.Key), User: some(r.Who.User), Tags: tags(r), Arm: some(r.Asked.Arm)},
	}
	rest := ledger.Bill{Cost: r.Money.Cost, List: r.Money.List, Saved: r.Money.Saved}
	for i := range r.Attempts {
		a := &r.Attempts[i]
		row.targetColumns = target(a)
		u := a.Units
		row.tokenColumns = tokenColumns{
			Input: u[price.Input] + u[price.ImageInput], Cached: u.Read(), Written: u.Written(), Output: u[price.Output] + u[price.ImageOutput], Reasoning: u[price.Reasoning], AudioIn: u[price.AudioInput], AudioOut: u[price.AudioOutput],
			Searches: u.Searches(), Queries: u[price.PerQuery],
		}
		row.moneyColumns = moneyOf(&a.Bill)
		if err := s.row(&row); err != nil {
			return err
		}
		rest.Cost, rest.List, rest.Saved = rest.Cost-a.Bill.Cost, rest.List-a.Bill.List, rest.Saved-a.Bill.Saved
	}
	if len(r.Attempts) > 0 && rest.Cost == 0 && rest.List == 0 && rest.Saved == 0 {
		return nil
	}
	row.targetColumns, row.tokenColumns, row.moneyColumns = targetColumns{Code: some(r.Result.Why), Flags: flags(r.Result.Flags)}, tokenColumns{}, moneyOf(&rest)
	return s.row(&row)
}

func target(a *ledger.Attempt) targetColumns {
	return targetColumns{
		Attempt: int64(a.Number), Provider: some(a.Provider), Kind: some(a.Kind), Model: some(a.Model), Region: some(a.Region), Service: some(a.Service), HTTP: int64(a.HTTP), Code: some(a.Code),
		AttTook: int64(a.Took), Source: some(string(a.Source)), Exact: a.Exact, Flags: flags(a.Flags),
	}
}

func moneyOf(b *ledger.Bill) moneyColumns {
	return moneyColumns{Cost: int64(b.Cost), List: int64(b.List), Saved: int64(b.Saved), Card: some(b.Card), Version: some(b.Version)}
}

// some returns a text, or nil where it is empty.
func some(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func flags(all []ledger.Flag) *string {
	var names []string
	for _, f := range all {
		names = append(names, string(f))
	}
	return some(strings.Join(names, ","))
}

func tags(r *ledger.Record) string {
	if s := ledger.Canonical(r.Tags); s != "" {
		return s
	}
	return "{}"
}
