package living_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/living"
)

func TestAnIdIsTakenFromItsClaimUntilItIsForgotten(t *testing.T) {
	at := time.Unix(100, 0)
	tab := living.New(func(struct{}) *int { return nil })
	if !tab.Claim("a") || tab.Claim("a") {
		t.Error("an id is claimed once")
	}
	if tab.Get("a") != nil || len(tab.Awake()) != 0 {
		t.Error("a claim is nothing that lives")
	}
	one, two := 1, 2
	if tab.Add("a", &one) != &one || tab.Add("a", &two) != &one || tab.Get("a") != &one || len(tab.Awake()) != 1 {
		t.Error("the first that is added stays")
	}
	tab.End("a", at)
	if tab.Get("a") != nil || len(tab.Awake()) != 0 || !tab.Over("a") {
		t.Error("of what is over only the id is left")
	}
	if tab.Claim("a") {
		t.Error("the id of what is over is not free yet")
	}
	tab.Forget(at.Add(-time.Second))
	if !tab.Over("a") {
		t.Error("it was forgotten too early")
	}
	if !tab.Taken("a") || tab.Taken("b") {
		t.Error("what is over is taken, and what never was is not")
	}
	tab.Forget(at)
	if tab.Over("a") || tab.Taken("a") || !tab.Claim("a") {
		t.Error("what is forgotten is free")
	}
	tab.Remove("a")
	if !tab.Claim("a") {
		t.Error("a claim that was removed is free")
	}
}

// What nobody asked for since it was added may rest, and whoever asks gets a value again, always the same one.
func TestWhatRestsIsMadeAgainWhenItIsAskedFor(t *testing.T) {
	tab := living.New(func(r int) *string {
		if r < 0 {
			return nil
		}
		s := strconv.Itoa(r)
		return &s
	})
	resting := func() int {
		_, n := tab.Len()
		return n
	}
	for _, id := range []string{"1", "2", "-3"} {
		tab.Add(id, &id)
	}
	tab.Claim("4")
	tab.Get("2")
	rest := func() {
		tab.Rest(func(s *string) (string, int, bool) {
			n, err := strconv.Atoi(*s)
			return strings.Clone(*s), n, err == nil
		})
	}
	if rest(); resting() != 2 || len(tab.Awake()) != 1 {
		t.Fatalf("%d rest, want those that nobody has, and no claim", resting())
	}
	if !tab.Taken("1") || tab.Claim("1") || tab.Over("1") {
		t.Error("the id of what rests is not free")
	}
	one := tab.Get("1")
	if one == nil || *one != "1" || tab.Get("1") != one || tab.Add("1", new(string)) != one || resting() != 1 {
		t.Errorf("%v is not what rested", one)
	}
	if rest(); tab.Get("1") != one || resting() != 1 {
		t.Error("somebody has it, and it rests")
	}
	if tab.Get("-3") != nil || tab.Taken("-3") {
		t.Error("what cannot be made again is there")
	}
	five := "5"
	tab.Add(five, &five)
	rest()
	if got := tab.Wake(func(r int) bool { return r == 6 }); len(got) != 0 || resting() != 1 {
		t.Error("what is not due was woken")
	}
	if got := tab.Wake(func(r int) bool { return r == 5 }); len(got) != 1 || *got[0] != "5" || resting() != 0 || tab.Get("5") != got[0] {
		t.Error("what is due was not woken")
	}
	for _, end := range []func(id string){tab.Remove, func(id string) { tab.End(id, time.Unix(1, 0)) }} {
		six := "6"
		tab.Add(six, &six)
		if rest(); resting() != 1 {
			t.Fatal("it does not rest")
		}
		if end(six); resting() != 0 || tab.Get(six) != nil {
			t.Error("what ended rests")
		}
	}
}
