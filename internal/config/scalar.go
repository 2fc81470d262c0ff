package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written as 512KiB, 20MiB or 1GiB.
type Size int64

// String writes a size as the file does.
func (s Size) String() string {
	for _, u := range []struct {
		name string
		of   Size
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if s >= u.of && s%u.of == 0 {
			return strconv.FormatInt(int64(s/u.of), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// parseSize reads a size. A unit is due, so that nobody takes bytes for MiB.
func parseSize(v string) (Size, error) {
	digits := strings.TrimRight(v, "BKMGTikmgtb")
	var unit Size
	switch v[len(digits):] {
	case "B":
		unit = 1
	case "KiB":
		unit = 1 << 10
	case "MiB":
		unit = 1 << 20
	case "GiB":
		unit = 1 << 30
	case "":
		return 0, errors.New("a size needs a unit, as in 512KiB or 20MiB")
	default:
		return 0, errors.New("the units of a size are B, KiB, MiB and GiB, as in 20MiB")
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || digits[0] == '+' {
		return 0, errors.New("a size must be a whole number and a unit, as in 20MiB")
	}
	if n < 0 {
		return 0, errors.New("a size cannot be negative")
	}
	if n > int64(1<<50/unit) {
		return 0, errors.New("the size is too large")
	}
	return Size(n) * unit, nil
}

// parseDuration reads a duration as Go writes it. None of ours may be zero.
func parseDuration(v string) (time.Duration, error) {
	if _, err := strconv.ParseFloat(v, 64); err == nil {
		return 0, errors.New("a duration needs a unit, as in 500ms, 30s or 10m")
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		return 0, errors.New("not a duration; write 500ms, 30s, 10m or 1h30m")
	}
	if d <= 0 {
		return 0, errors.New("the duration must be more than zero")
	}
	if d > 7*24*time.Hour {
		return 0, errors.New("the duration is over 168h")
	}
	if d%time.Millisecond != 0 {
		return 0, errors.New("the duration must be a whole number of milliseconds")
	}
	return d, nil
}

// Duration writes a duration without its zeros: 30m, not 30m0s.
func Duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// parseCount reads a whole number; k and M stand for thousands and millions.
func parseCount(v string) (int, error) {
	digits, unit := v, 1
	if d, ok := strings.CutSuffix(v, "k"); ok {
		digits, unit = d, 1000
	} else if d, ok := strings.CutSuffix(v, "M"); ok {
		digits, unit = d, 1000000
	}
	n, err := strconv.Atoi(strings.ReplaceAll(digits, "_", ""))
	if err != nil {
		return 0, errors.New("must be a whole number")
	}
	if n > 1<<40/unit || n < -1<<40/unit {
		return 0, errors.New("the number is too large")
	}
	return n * unit, nil
}

// between checks a number against a field's bounds.
func between(n int64, least, most string, write func(int64) string) error {
	low, high := int64(0), int64(1)<<50
	if least != "" {
		low, _ = strconv.ParseInt(least, 10, 64)
	}
	if most != "" {
		high, _ = strconv.ParseInt(most, 10, 64)
	}
	switch {
	case n >= low && n <= high:
		return nil
	case most == "":
		return fmt.Errorf("must be at least %s", write(low))
	}
	return fmt.Errorf("must be between %s and %s", write(low), write(high))
}
