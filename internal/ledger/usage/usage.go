// Package usage is the ledger's records in the form in which other programs get them: signalbox.usage.v1, protobuf. It loses
// nothing either way, and reads and writes no database.
//
//	ledger.Record ─ Of ─► usagev1.Record ─ Append ─► length, bytes, length, bytes …
package usage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	usagev1 "github.com/signalbox-ai/signalbox/proto/signalbox/usage/v1"
)

// Of returns the form of a record. They share texts and slices of texts.
func Of(r *ledger.Record) *usagev1.Record {
	out := &usagev1.Record{
		Organization: r.Organization, Id: r.ID, Sequence: int32(r.Sequence), At: timestamppb.New(r.At), Cause: r.Cause, Tags: r.Tags,
		Result: result(&r.Result), Money: money(&r.Money),
	}
	if w := r.Who; w != (ledger.Who{}) {
		out.Who = &usagev1.Who{Team: w.Team, Project: w.Project, Key: w.Key, KeyId: w.KeyID, EndUser: w.User}
	}
	if a := r.Asked; a != (ledger.Asked{}) {
		out.Asked = &usagev1.Asked{Op: a.Op, Dialect: a.Dialect, Model: a.Model, Route: a.Route, Path: a.Path, Stream: a.Stream, Arm: a.Arm, RequestId: a.Request, Config: a.Config, Shadows: a.Shadows}
	}
	out.Said = some(&usagev1.Said{Score: r.Said.Score, Label: r.Said.Label, Comment: r.Said.Comment})
	for i := range r.Attempts {
		out.Attempts = append(out.Attempts, attempt(&r.Attempts[i]))
	}
	return out
}

// some returns a message, or nil where it says nothing.
func some[M any, P interface {
	*M
	proto.Message
}](m P,
) P {
	if proto.Size(m) == 0 {
		return nil
	}
	return m
}

func result(r *ledger.Result) *usagev1.Result {
	return some(&usagev1.Result{
		Status: string(r.Status), Http: int32(r.HTTP), TookMs: int64(r.Took), FirstMs: int64(r.First), WaitedMs: int64(r.Waited), TraceId: r.Trace, Flags: words[string](r.Flags), Why: r.Why, Policy: r.Policy,
	})
}

func money(m *ledger.Money) *usagev1.Money {
	out := &usagev1.Money{
		ReservedNanoUsd: int64(m.Reserved), CostNanoUsd: int64(m.Cost), ListNanoUsd: int64(m.List), SavedNanoUsd: int64(m.Saved), OverrunNanoUsd: int64(m.Overrun),
	}
	for _, c := range m.Charges {
		out.Charges = append(out.Charges, &usagev1.Charge{Budget: c.Budget, Window: c.Window, Unit: c.Unit, Amount: c.Amount})
	}
	return some(out)
}

func attempt(a *ledger.Attempt) *usagev1.Attempt {
	out := &usagev1.Attempt{
		Number: int32(a.Number), BeganMs: int64(a.Began), TookMs: int64(a.Took), FirstMs: int64(a.First), Http: int32(a.HTTP), Code: a.Code,
		Source: string(a.Source), Exact: a.Exact, Flags: words[string](a.Flags),
		Target: some(&usagev1.Target{
			Provider: a.Provider, Kind: a.Kind, Model: a.Model, Region: a.Region, ServiceTier: a.Service,
			Priced: some(&usagev1.Priced{Region: a.Priced.Region, Switches: a.Priced.Switches, Search: a.Priced.Search, Size: a.Priced.Size, Quality: a.Priced.Quality}),
		}),
	}
	for i, n := range a.Units {
		if n != 0 {
			if out.Units == nil {
				out.Units = map[string]int64{}
			}
			out.Units[price.Item(i).String()] = n
		}
	}
	b := &a.Bill
	bill := &usagev1.Bill{CostNanoUsd: int64(b.Cost), ListNanoUsd: int64(b.List), SavedNanoUsd: int64(b.Saved), Card: b.Card, Version: b.Version}
	for _, l := range b.Lines {
		bill.Lines = append(bill.Lines, &usagev1.Line{Item: l.Item, Units: l.Units, Rate: l.Rate, CostNanoUsd: int64(l.Cost)})
	}
	out.Bill = some(bill)
	return out
}

// words changes the type of texts.
func words[To, From ~string](in []From) []To {
	if len(in) == 0 {
		return nil
	}
	out := make([]To, len(in))
	for i, s := range in {
		out[i] = To(s)
	}
	return out
}

// Record returns the record that a message is the form of. A unit of an item that is not known here is an error, since it
// would be lost; it names the field.
func Record(m *usagev1.Record) (*ledger.Record, error) {
	if err := m.GetAt().CheckValid(); err != nil {
		return nil, fmt.Errorf("at: %w", err)
	}
	r := &ledger.Record{
		Key: ledger.Key{Organization: m.Organization, ID: m.Id, Sequence: int(m.Sequence)}, At: m.At.AsTime(), Cause: m.Cause, Tags: m.Tags,
	}
	if w := m.Who; w != nil {
		r.Who = ledger.Who{Team: w.Team, Project: w.Project, Key: w.Key, KeyID: w.KeyId, User: w.EndUser}
	}
	if a := m.Asked; a != nil {
		r.Asked = ledger.Asked{Op: a.Op, Dialect: a.Dialect, Model: a.Model, Route: a.Route, Path: a.Path, Stream: a.Stream, Arm: a.Arm, Request: a.RequestId, Config: a.Config, Shadows: a.Shadows}
	}
	if v := m.Said; v != nil {
		r.Said.Score, r.Said.Label, r.Said.Comment = v.Score, v.Label, v.Comment
	}
	if x := m.Result; x != nil {
		r.Result = ledger.Result{
			Status: ledger.Status(x.Status), HTTP: int(x.Http), Took: ledger.Millis(x.TookMs), First: ledger.Millis(x.FirstMs), Waited: ledger.Millis(x.WaitedMs), Trace: x.TraceId,
			Flags: words[ledger.Flag](x.Flags), Why: x.Why, Policy: x.Policy,
		}
	}
	if x := m.Money; x != nil {
		r.Money = ledger.Money{
			Reserved: ledger.Nano(x.ReservedNanoUsd), Cost: ledger.Nano(x.CostNanoUsd), List: ledger.Nano(x.ListNanoUsd), Saved: ledger.Nano(x.SavedNanoUsd), Overrun: ledger.Nano(x.OverrunNanoUsd),
		}
		for _, c := range x.Charges {
			r.Money.Charges = append(r.Money.Charges, ledger.Charge{Budget: c.Budget, Window: c.Window, Unit: c.Unit, Amount: c.Amount})
		}
	}
	for i, x := range m.Attempts {
		a, err := attemptOf(x)
		if err != nil {
			return nil, fmt.Errorf("attempts[%d].%w", i, err)
		}
		r.Attempts = append(r.Attempts, a)
	}
	return r, nil
}

func attemptOf(x *usagev1.Attempt) (ledger.Attempt, error) {
	t, p, b := x.GetTarget(), x.GetTarget().GetPriced(), x.GetBill()
	a := ledger.Attempt{
		Number: int(x.Number), Began: ledger.Millis(x.BeganMs), Took: ledger.Millis(x.TookMs), First: ledger.Millis(x.FirstMs), HTTP: int(x.Http), Code: x.Code,
		Source: ledger.Source(x.Source), Exact: x.Exact, Flags: words[ledger.Flag](x.Flags),
		Target: ledger.Target{
			Provider: t.GetProvider(), Kind: t.GetKind(), Model: t.GetModel(), Region: t.GetRegion(), Service: t.GetServiceTier(),
			Priced: ledger.Priced{Region: p.GetRegion(), Switches: p.GetSwitches(), Search: p.GetSearch(), Size: p.GetSize(), Quality: p.GetQuality()},
		},
		Bill: ledger.Bill{Cost: ledger.Nano(b.GetCostNanoUsd()), List: ledger.Nano(b.GetListNanoUsd()), Saved: ledger.Nano(b.GetSavedNanoUsd()), Card: b.GetCard(), Version: b.GetVersion()},
	}
	for name, n := range x.Units {
		i, ok := ledger.Item(name)
		if !ok {
			return a, fmt.Errorf("units: %q is no item that is known here", name)
		}
		a.Units[i] = n
	}
	for _, l := range b.GetLines() {
		a.Bill.Lines = append(a.Bill.Lines, ledger.Line{Item: l.Item, Units: l.Units, Rate: l.Rate, Cost: ledger.Nano(l.CostNanoUsd)})
	}
	return a, nil
}

// Append writes a record behind its length. The same record has the same bytes: fields in the order of their numbers, maps
// in the order of their keys. A text that is not UTF-8 is an error; records that are Normalized have none.
func Append(dst []byte, r *ledger.Record) ([]byte, error) {
	m, o := Of(r), proto.MarshalOptions{Deterministic: true}
	dst = binary.AppendUvarint(dst, uint64(o.Size(m)))
	out, err := o.MarshalAppend(dst, m)
	if err != nil {
		return nil, fmt.Errorf("a record of usage: %w", err)
	}
	return out, nil
}

// MaxRecord is the most bytes of a record that Read takes.
const MaxRecord = 16 << 20

// Read reads the next record of a stream. At its end it returns io.EOF, within a record io.ErrUnexpectedEOF.
func Read(r protodelim.Reader) (*ledger.Record, error) {
	m := new(usagev1.Record)
	err := protodelim.UnmarshalOptions{MaxSize: MaxRecord}.UnmarshalFrom(r, m)
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("a record of usage: %w", err)
	}
	return Record(m)
}
