package living_test

import (
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/living"
)

func TestAnIdIsTakenFromItsClaimUntilItIsForgotten(t *testing.T) {
	at := time.Unix(100, 0)
	tab := living.New[int]()
	if !tab.Claim("a") || tab.Claim("a") {
		t.Error("an id is claimed once")
	}
	if tab.Get("a") != nil || len(tab.All()) != 0 {
		t.Error("a claim is nothing that lives")
	}
	one, two := 1, 2
	if tab.Add("a", &one) != &one || tab.Add("a", &two) != &one || tab.Get("a") != &one || len(tab.All()) != 1 {
		t.Error("the first that is added stays")
	}
	tab.End("a", at)
	if tab.Get("a") != nil || len(tab.All()) != 0 || !tab.Over("a") {
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
