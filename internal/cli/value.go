package cli

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// set reads a value. Lists and maps grow by it.
func (f *field) set(text string) error {
	f.given = true
	if err := f.fill(f.value, text); err != nil {
		return fmt.Errorf("%s: %w", f.label, err)
	}
	return nil
}

func (f *field) fill(v reflect.Value, text string) error {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return f.fill(v.Elem(), text)
	case reflect.Slice:
		parts := []string{text}
		if !f.whole {
			parts = split(text)
		}
		for _, part := range parts {
			e := reflect.New(v.Type().Elem()).Elem()
			if err := f.fill(e, part); err != nil {
				return err
			}
			v.Set(reflect.Append(v, e))
		}
		return nil
	case reflect.Map:
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" {
			return fmt.Errorf("must be %s, but is %q", f.shown, text)
		}
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		v.SetMapIndex(reflect.ValueOf(key), reflect.ValueOf(value))
		return nil
	case reflect.String:
		if err := f.allowed(text); err != nil {
			return err
		}
		v.SetString(text)
		return nil
	default:
		return number(v, text)
	}
}

// number reads what is no text.
func number(v reflect.Value, text string) error {
	if v.Type() == reflect.TypeFor[time.Duration]() {
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("must be a duration as 90s or 24h, but is %q", text)
		}
		v.SetInt(int64(d))
		return nil
	}
	var err error
	what := "a whole number"
	switch v.Kind() {
	case reflect.Bool:
		var b bool
		b, err = strconv.ParseBool(text)
		v.SetBool(b)
		what = "true or false"
	case reflect.Uint64:
		var n uint64
		n, err = strconv.ParseUint(text, 10, 64)
		v.SetUint(n)
		what = "a whole number from 0"
	default:
		var n int64
		n, err = strconv.ParseInt(text, 10, v.Type().Bits())
		v.SetInt(n)
	}
	if errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("%s is out of range", text)
	}
	if err != nil {
		return fmt.Errorf("must be %s, but is %q", what, text)
	}
	return nil
}

// allowed checks a text against the values that it may have, or the file that it names.
func (f *field) allowed(text string) error {
	if f.enum != nil && !slices.Contains(f.enum, text) {
		names := slices.DeleteFunc(slices.Clone(f.enum), func(s string) bool { return s == "" })
		return fmt.Errorf("must be one of %s, but is %q", strings.Join(names, ", "), text)
	}
	if !f.isFile {
		return nil
	}
	i, err := os.Stat(text)
	if err == nil && i.IsDir() {
		return fmt.Errorf("%s is a folder", text)
	}
	return err
}

// split cuts a list at its commas, but for those behind a backslash.
func split(text string) []string {
	var parts []string
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text) && text[i+1] == ',':
			i++
			b.WriteByte(',')
		case c == ',':
			parts = append(parts, b.String())
			b.Reset()
		default:
			b.WriteByte(c)
		}
	}
	return append(parts, b.String())
}
