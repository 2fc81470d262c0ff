package ucd

import (
	"testing"
	"unicode"
)

// Package unicode is of an older version: what it knows must be the same, but for what the standard changed.
func TestClassesAreThoseOfTheStandardLibrary(t *testing.T) {
	if unicode.Version != "15.0.0" && unicode.Version != "16.0.0" && unicode.Version != "17.0.0" {
		t.Fatalf("package unicode is of version %s: look what changed since", unicode.Version)
	}
	differ := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.Cc, unicode.Cf, unicode.Co) {
			continue
		}
		var want Class
		for c, is := range map[Class]bool{
			Letter: unicode.IsLetter(r), Number: unicode.IsNumber(r), White: unicode.Is(unicode.White_Space, r), Mark: unicode.IsMark(r),
			Upper:  unicode.In(r, unicode.Lu, unicode.Lt, unicode.Lm, unicode.Lo, unicode.M),
			Lower:  unicode.In(r, unicode.Ll, unicode.Lm, unicode.Lo, unicode.M),
			Symbol: unicode.IsPunct(r) || unicode.IsSymbol(r), Han: unicode.Is(unicode.Han, r),
		} {
			if is {
				want |= c
			}
		}
		if got := Of(r); got != want {
			if differ++; differ > 8 {
				t.Fatalf("%U: got %08b, want %08b", r, got, want)
			}
			t.Logf("%U: %08b, was %08b", r, got, want)
		}
	}
}

func TestNewerLettersAreLetters(t *testing.T) {
	for r, want := range map[rune]Class{
		0x1C89: Letter | Upper, 0x1C8A: Letter | Lower, 0xA7CB: Letter | Upper, // new in 16.0
		0x10D50: Letter | Upper, 0x10D70: Letter | Lower, 0x1CCF0: Number, // new in 16.0
		0x01C5: Letter | Upper, 0x02B0: Letter | Upper | Lower, 0x0301: Mark | Upper | Lower, 0x4E00: Letter | Upper | Lower | Han,
		0x85: White, 0x3000: White, 0x180E: 0, 0x200B: 0, 0x2167: Number, 0x3007: Number | Han, 0x2F00: Symbol | Han,
		-1: 0, 0x110000: 0,
	} {
		if got := Of(r); got != want {
			t.Errorf("%U: got %08b, want %08b", r, got, want)
		}
	}
}
