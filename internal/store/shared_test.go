package store_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/store"
)

// templates makes versions, moves labels, and deletes: no version changes, and no number comes back.
func templates(t *testing.T, at func(store.Options) *rig) {
	r, ctx := at(store.Options{}), context.Background()
	add := func(name, body string) (v store.TemplateVersion, head store.Template) {
		t.Helper()
		r.change(func(tx *store.Tx) (err error) {
			v = store.TemplateVersion{Name: name, Body: body}
			head, err = tx.CreateTemplateVersion(&v)
			return err
		})
		return v, head
	}
	move := func(label string, version int64, to int) func(*store.Tx) error {
		return func(tx *store.Tx) error {
			_, err := tx.MoveTemplateLabel("reply", version, label, "promote", func(store.Template) (int, error) { return to, nil })
			return err
		}
	}
	v, head := add("reply", "one")
	if v.Number != 1 || v.Author != "ann" || !cmp.Equal(head.Labels, map[string]int{"production": 1}) {
		t.Errorf("got %+v of %+v", v, head)
	}
	for n := 2; n <= 12; n++ {
		if v, head = add("reply", strings.Repeat("x", n)); v.Number != n || head.Latest != n || head.Labels["production"] != 1 {
			t.Fatalf("got %+v of %+v", v, head)
		}
	}
	add("reply-other", "of another name")
	var numbers []int
	for after := 0; ; {
		all, next, err := r.TemplateVersions(ctx, "reply", after, 5)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range all {
			numbers = append(numbers, v.Number)
		}
		if after = next; next == 0 {
			break
		}
	}
	if want := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}; !cmp.Equal(numbers, want) {
		t.Errorf("pages have %v", numbers)
	}
	r.change(move("canary", 12, 9))
	r.refused(store.Stale, "version", move("canary", 12, 8))
	r.refused(store.Invalid, "version", move("canary", 0, 13))
	r.change(func(tx *store.Tx) error {
		n, err := tx.VersionBefore("reply", 9)
		if n != 8 {
			t.Errorf("before 9 is %d", n)
		}
		return err
	})
	if got, err := r.Template(ctx, "reply"); err != nil || !cmp.Equal(got.Labels, map[string]int{"production": 1, "canary": 9}) {
		t.Errorf("got %+v, %v", got, err)
	}
	r.change(move("canary", 0, 0))
	if got, err := r.TemplateVersion(ctx, "reply", 3); err != nil || got.Body != "xxx" {
		t.Errorf("got %+v, %v", got, err)
	}
	for field, v := range map[string]store.TemplateVersion{"name": {Name: "Reply"}, "body": {Name: "reply", Body: strings.Repeat("x", 256<<10+1)}} {
		r.refused(store.Invalid, field, func(tx *store.Tx) error { _, err := tx.CreateTemplateVersion(&v); return err })
	}
	r.refused(store.Missing, "name", func(tx *store.Tx) error { return tx.DeleteTemplate("nobody", 0) })
	r.change(func(tx *store.Tx) error { return tx.DeleteTemplate("reply", 0) })
	r.refused(store.Missing, "name", move("canary", 0, 1))
	if _, err := r.TemplateVersion(ctx, "reply", 3); err == nil {
		t.Error("a version of a deleted template is there")
	}
	if all, _, err := r.Templates(ctx, store.Page{}); err != nil || len(all) != 1 || all[0].Name != "reply-other" {
		t.Errorf("got %+v, %v", all, err)
	}
	if v, head = add("reply", "again"); v.Number != 13 || !cmp.Equal(head.Labels, map[string]int{"production": 13}) {
		t.Errorf("a number came back: %+v of %+v", v, head)
	}
	all, _, err := r.Audit(ctx, store.AuditFilter{Kind: store.KindTemplate, Object: "reply@13"}, 0)
	if err != nil || len(all) != 1 || !strings.Contains(all[0].After, "again") {
		t.Errorf("the log has %+v, %v", all, err)
	}
}
