package checks

import (
	"errors"
	"sync/atomic"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// steps bounds what is done to see whether a text is of a schema. Clients write the schemas, and one of a few lines, whose
// choices refer to choices, may ask for more than can ever be done.
//
// It counts how often a part of the schema is held against a value, with what that value holds.
type steps struct{ left atomic.Int64 }

// What a text may take: for each byte of it, and whatever it is.
const (
	stepsEach = 4
	stepsAny  = 100_000
)

func (s *steps) allow(text []byte) { s.left.Store(stepsAny + stepsEach*int64(len(text))) }

// exhausted is what take panics with: nothing else ends a validation.
type exhausted struct{}

// take counts a part of the schema and a value.
func (s *steps) take(v any) {
	n := int64(1)
	switch v := v.(type) {
	case map[string]any:
		n += int64(len(v))
	case []any:
		n += int64(len(v))
	case string:
		n += int64(len(v) / 64)
	}
	if s.left.Add(-n) < 0 {
		panic(exhausted{})
	}
}

// watch has a part of a schema counted. Its format is what is looked at before anything that other parts stand in.
func (s *steps) watch(part *jsonschema.Schema) {
	was := part.Format
	f := &jsonschema.Format{}
	if was != nil {
		f.Name = was.Name
	}
	if f.Name == "regex" { // by that name it would be looked at in another way
		f.Name = "regular expression"
	}
	f.Validate = func(v any) error {
		s.take(v)
		if was != nil {
			return was.Validate(v)
		}
		return nil
	}
	part.Format = f
}

// within validates a value, unless that takes more steps than its text may; then enough is false.
func (s *steps) within(schema *jsonschema.Schema, text []byte, v any) (enough bool, err error) {
	defer func() {
		switch why := recover(); why {
		case nil, exhausted{}:
		default:
			panic(why)
		}
	}()
	s.allow(text)
	return true, schema.Validate(v)
}

// errDynamic is a schema of which not all parts can be found before it is used.
var errDynamic = errors.New("a schema that refers to what stands where it is used is not read")

// count has every part of a schema counted.
func (s *steps) count(root *jsonschema.Schema) error {
	seen := map[*jsonschema.Schema]bool{}
	due := []*jsonschema.Schema{root}
	for len(due) > 0 {
		at := due[len(due)-1]
		due = due[:len(due)-1]
		if at == nil || seen[at] {
			continue
		}
		if at.DynamicRef != nil && at.DynamicRef.Anchor != "" {
			return errDynamic
		}
		seen[at] = true
		s.watch(at)
		due = parts(due, at)
	}
	return nil
}

// parts appends the parts of a schema; some are nil.
func parts(due []*jsonschema.Schema, s *jsonschema.Schema) []*jsonschema.Schema {
	due = append(due, s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else, s.PropertyNames, s.UnevaluatedProperties, s.Contains, s.Items2020, s.UnevaluatedItems, s.ContentSchema)
	if s.DynamicRef != nil {
		due = append(due, s.DynamicRef.Ref)
	}
	for _, list := range [...][]*jsonschema.Schema{s.AllOf, s.AnyOf, s.OneOf, s.PrefixItems} {
		due = append(due, list...)
	}
	for _, p := range s.Properties {
		due = append(due, p)
	}
	for _, p := range s.PatternProperties {
		due = append(due, p)
	}
	for _, p := range s.DependentSchemas {
		due = append(due, p)
	}
	either := []any{s.AdditionalProperties, s.Items, s.AdditionalItems}
	for _, d := range s.Dependencies {
		either = append(either, d)
	}
	for _, x := range either {
		switch x := x.(type) {
		case *jsonschema.Schema:
			due = append(due, x)
		case []*jsonschema.Schema:
			due = append(due, x...)
		}
	}
	return due
}
