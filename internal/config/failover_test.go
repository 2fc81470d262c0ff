package config

import (
	"reflect"
	"testing"

	"github.com/signalbox-ai/signalbox/routing/failure"
)

// TestClassesOfFailuresAreCalledWhatTheFileCallsThem so that what explain says can be looked up and typed.
func TestClassesOfFailuresAreCalledWhatTheFileCallsThem(t *testing.T) {
	fields := reflect.TypeFor[FailoverOn]()
	for i := range fields.NumField() {
		f := fields.Field(i)
		on := FailoverOn{}
		reflect.ValueOf(&on).Elem().Field(i).SetString("stop")
		rules := on.rules()
		for c := range rules {
			if class := failure.Class(c); rules[c] == failure.Stop && class.String() != f.Tag.Get("yaml") {
				t.Errorf("%s is called %s", f.Tag.Get("yaml"), class)
			}
		}
	}
	if got, want := fields.NumField(), len(failure.Rules{}); got != want || failure.Class(want).String() != "unknown" {
		t.Errorf("%d rules for %d classes", got, want)
	}
}
