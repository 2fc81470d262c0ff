package calibrate

import (
	"strconv"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

var model = Key{Provider: "p", Model: "m"}

func TestAConstantIsLearnt(t *testing.T) {
	b := New()
	for i := range int64(3) {
		b.Learn(model, 100+i, 107+i)
	}
	if _, ok := b.Adjust(model, 50); ok {
		t.Error("three measurements are enough")
	}
	b.Learn(model, 10, 17)
	if a, ok := b.Adjust(model, 50); !ok || a.Tokens != 57 || a.Error != 0 || a.Same {
		t.Errorf("got %+v, want 57 ± 0", a)
	}
	if _, ok := b.Adjust(Key{Provider: "p", Model: "m", Shape: Shape{Tools: true}}, 50); ok {
		t.Error("another shape says the same")
	}
}

func TestARatioIsLearnt(t *testing.T) {
	b := New()
	for i := range int64(64) {
		own := 100 + 37*i%900
		b.Learn(model, own, own*13/10)
	}
	a, ok := b.Adjust(model, 1000)
	if !ok || a.Tokens < 1290 || a.Tokens > 1310 || a.Error > 8 {
		t.Errorf("got %+v, want about 1300", a)
	}
}

func TestRightEstimatesStayAsTheyAre(t *testing.T) {
	b := New()
	for i := range int64(10) {
		b.Learn(model, 100*i+7, 100*i+7)
	}
	if a, ok := b.Adjust(model, 55); !ok || a.Tokens != 55 || !a.Same {
		t.Errorf("got %+v", a)
	}
}

func TestTheErrorShrinksWithTraffic(t *testing.T) {
	b := New()
	before := int64(1300 - 1000)
	for i := range int64(40) {
		own := 200 + 91*i%1500
		b.Learn(model, own, own*13/10+i%5)
	}
	a, _ := b.Adjust(model, 1000)
	if after := max(a.Tokens-1300, 1300-a.Tokens); after > before/20 {
		t.Errorf("off by %d before and %d after", before, after)
	}
}

func TestAPoisonedMeasurementMovesLittle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := New()
		factor := rapid.Float64Range(0.8, 1.5).Draw(t, "factor")
		for range 48 {
			own := rapid.Int64Range(500, 5000).Draw(t, "own")
			b.Learn(model, own, int64(float64(own)*factor))
		}
		before, _ := b.Adjust(model, 1000)
		b.Learn(model, rapid.Int64().Draw(t, "poison own"), rapid.Int64().Draw(t, "poison actual"))
		b.Learn(model, rapid.Int64Range(1, 1<<40).Draw(t, "own again"), rapid.Int64Range(1, 1<<40).Draw(t, "actual again"))
		after, ok := b.Adjust(model, 1000)
		if moved := max(after.Tokens-before.Tokens, before.Tokens-after.Tokens); !ok || moved > 350 {
			t.Fatalf("two wrong measurements moved %d to %d", before.Tokens, after.Tokens)
		}
	})
}

func TestWhatIsNotPlausibleDoesNotTrain(t *testing.T) {
	b := New()
	for _, m := range [][2]int64{{1000, 4000}, {1000, 400}, {0, 10}, {10, 0}, {-5, 5}, {100, 10_000}} {
		if b.Learn(model, m[0], m[1]) {
			t.Errorf("%v is believed", m)
		}
	}
	if b.Odd() != 6 || b.Len() != 0 {
		t.Errorf("%d odd, %d keys", b.Odd(), b.Len())
	}
	if !b.Learn(model, 10, 210) {
		t.Error("a hidden prompt before a short one is not believed")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	b := New()
	for i := range 3 * keys {
		b.Learn(Key{Provider: "p", Model: strconv.Itoa(i)}, 10, 12)
	}
	if n := b.Len(); n > keys || n < keys/2 {
		t.Errorf("%d keys are kept", n)
	}
	if _, kept := b.pages[Key{Provider: "p", Model: strconv.Itoa(3*keys - 1)}]; !kept {
		t.Error("the newest is gone")
	}
}

func TestWhatWasLearntSurvives(t *testing.T) {
	b := New()
	for i := range int64(20) {
		b.Learn(model, 100+i, 107+i)
		b.Learn(Key{Provider: "p", Model: "n", Shape: Shape{System: true}}, 100*i+50, 120*i+60)
	}
	data, err := b.Save()
	if err != nil {
		t.Fatal(err)
	}
	c := New()
	if err := c.Restore(data); err != nil {
		t.Fatal(err)
	}
	if got, _ := c.Adjust(model, 50); got.Tokens != 57 {
		t.Errorf("got %+v", got)
	}
	again, err := c.Save()
	if err != nil || string(again) != string(data) {
		t.Errorf("saved again it is %s, not %s", again, data)
	}
	if err := c.Restore([]byte(`{"version":1,"models":[{"provider":"p","model":"x","own":[1,2,3],"actual":[1]}]}`)); err != nil {
		t.Error(err)
	}
	if err := c.Restore([]byte("nonsense")); err == nil {
		t.Error("nonsense is restored")
	}
}

func TestABookIsSharedByManyGoroutines(t *testing.T) {
	b := New()
	var wait sync.WaitGroup
	for g := range 8 {
		wait.Go(func() {
			for i := range int64(500) {
				k := Key{Provider: "p", Model: strconv.Itoa(g % 3)}
				b.Learn(k, 10+i, 12+i)
				b.Adjust(k, i)
				if i%100 == 0 {
					if _, err := b.Save(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wait.Wait()
}

func BenchmarkAdjust(b *testing.B) {
	book := New()
	for i := range int64(32) {
		book.Learn(model, 100+i, 130+i)
	}
	b.ReportAllocs()
	for b.Loop() {
		book.Adjust(model, 100)
	}
}
