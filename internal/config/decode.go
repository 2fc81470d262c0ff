package config

import (
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/routing"
)

// presetter is a struct with defaults of its own, which may depend on what was read before it.
type presetter interface{ preset(*Config) }

// decoder fills structs from nodes. It goes on after an error, so that one reading finds them all.
type decoder struct {
	src   *source
	kinds *providers.Registry
	root  *Config
	nodes map[string]*node // by path; of every field that the file has
	bad   map[string]bool  // paths with an error
	above map[string]bool  // paths that one of those is below
	errs  Errors
	provided
}

// fail reports an error at a path, or at its nearest parent that the file has.
func (d *decoder) fail(path, format string, args ...any) {
	d.failAt(find(d.nodes, path), path, format, args...)
}

func (d *decoder) failAt(n *node, path, format string, args ...any) {
	d.src.measure(n)
	d.errs = append(d.errs, d.src.fault(n, path, fmt.Sprintf(format, args...)))
	d.bad[path] = true
	for at := strings.LastIndexAny(path, ".["); at >= 0 && !d.above[path[:at]]; at = strings.LastIndexAny(path, ".[") {
		if path = path[:at]; d.above == nil {
			d.above = map[string]bool{}
		}
		d.above[path] = true
	}
}

// within reports whether there is an error at a path or below it.
func (d *decoder) within(path string) bool { return d.bad[path] || d.above[path] }

// has reports whether the file has a path, and a value there that could be read.
func (d *decoder) has(path string) bool { return d.nodes[path] != nil && !d.bad[path] }

// value decodes a node.
func (d *decoder) value(n *node, v reflect.Value, path string, tag reflect.StructTag) {
	d.nodes[path] = n
	if n.shape == null {
		d.failAt(n, path, "%s has no value; remove it or give it one", last(path))
		return
	}
	switch v.Interface().(type) {
	case time.Duration, Size, secret.Ref, Address, billing.Dollars, billing.Times:
		d.scalar(n, v, path, tag)
		return
	case Policy:
		d.policy(n, v, path)
		return
	case template.JSON:
		if raw, ok := d.json(nil, n, path); ok {
			v.SetBytes(raw)
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.object(n, v, path)
	case reflect.Slice:
		d.list(n, v, path, tag)
	case reflect.Map:
		d.dict(n, v, path, tag)
	case reflect.Interface:
		// decoded later, when it is known into what
	case reflect.Pointer: // of what may be left unsaid
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), path, tag)
	default:
		d.scalar(n, v, path, tag)
	}
}

// object decodes a mapping into a struct, or a text into the field that it is short for.
func (d *decoder) object(n *node, v reflect.Value, path string) {
	if p, ok := reflect.TypeAssert[presetter](v.Addr()); ok {
		p.preset(d.root)
	}
	fields := fieldsOf(v)
	if n.shape != mapping {
		for _, f := range fields {
			if s := f.tag.Get("short"); s == "any" || s != "" && n.shape == text {
				if f.value.Kind() == reflect.Slice && n.shape != list { // one stands for a list of one
					n = &node{shape: list, items: []*node{n}, line: n.line, column: n.column, width: n.width}
				}
				d.value(n, f.value, join(path, f.name), f.tag)
				return
			}
		}
	}
	if !d.expect(n, mapping, path) {
		return
	}
	given := map[string]*node{}
	for _, m := range n.fields {
		if d.member(m, fields, given, path) {
			given[m.key.value] = m.value
		}
	}
	for _, f := range fields {
		if m := given[f.name]; m != nil {
			d.value(m, f.value, join(path, f.name), f.tag)
		} else if f.tag.Get("required") != "" {
			d.failAt(n, join(path, f.name), "%s is missing", f.name)
		}
	}
}

// member checks a mapping's member: that its field exists, once.
func (d *decoder) member(m field, fields []member, given map[string]*node, path string) bool {
	d.src.show(m.key.value)
	name := m.key.value
	known := slices.ContainsFunc(fields, func(f member) bool { return f.name == name })
	switch {
	case !known:
		d.hideAll(m.value)
		names := make([]string, len(fields))
		for i, f := range fields {
			names[i] = f.name
		}
		hint := ""
		if near := routing.Nearest(name, names); len(near) > 0 {
			hint = fmt.Sprintf("; did you mean %q?", near[0])
		} else if len(names) <= 8 && len(names) > 0 {
			hint = "; possible here: " + strings.Join(names, ", ")
		}
		d.failAt(m.key, join(path, name), "unknown field %s%s", d.src.quote(name), hint)
	case given[name] != nil:
		d.hideAll(m.value)
		d.failAt(m.key, join(path, name), "%q is given twice", name)
		return false
	}
	return known
}

// hideAll closes the texts of what was not decoded.
func (d *decoder) hideAll(n *node) {
	if n.shape == text {
		d.src.hide(n.value)
	}
	for _, f := range n.fields {
		d.hideAll(f.value)
	}
	for _, i := range n.items {
		d.hideAll(i)
	}
}

// list decodes a list; of what may stand for its only element, the list brackets are due.
func (d *decoder) list(n *node, v reflect.Value, path string, tag reflect.StructTag) {
	if !d.expect(n, list, path) {
		return
	}
	if len(n.items) == 0 {
		d.failAt(n, path, "%s is empty", last(path))
		return
	}
	if most, err := strconv.Atoi(tag.Get("max")); err == nil && len(n.items) > most {
		d.failAt(n.items[most], path, "%s has %d entries; the most is %d", last(path), len(n.items), most)
	}
	out := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	v.Set(out)
	for i, item := range n.items {
		d.value(item, v.Index(i), fmt.Sprintf("%s[%d]", path, i), tag)
	}
}

// dict decodes a mapping of texts.
func (d *decoder) dict(n *node, v reflect.Value, path string, tag reflect.StructTag) {
	if !d.expect(n, mapping, path) {
		return
	}
	out := map[string]string{}
	v.Set(reflect.ValueOf(out))
	for _, f := range n.fields {
		at := join(path, f.key.value)
		d.src.show(f.key.value)
		if _, twice := out[f.key.value]; twice {
			d.failAt(f.key, at, "%s is given twice", d.src.quote(f.key.value))
			continue
		}
		var s string
		d.value(f.value, reflect.ValueOf(&s).Elem(), at, tag)
		out[f.key.value] = s
		if err := d.form(tag.Get("form"), f.key.value); err != nil {
			d.failAt(f.key, at, "%v", err)
		}
	}
}

// expect reports a node of another shape.
func (d *decoder) expect(n *node, want shape, path string) bool {
	if n.shape == want {
		return true
	}
	d.hideAll(n)
	hint := ""
	if want == list && n.shape != mapping {
		hint = "; write it in brackets, or in lines that begin with a dash"
	}
	d.failAt(n, path, "%s must be %s, not %s%s", last(path), want, n.shape, hint)
	return false
}

// scalar decodes a single value.
func (d *decoder) scalar(n *node, v reflect.Value, path string, tag reflect.StructTag) {
	if _, ref := reflect.TypeAssert[secret.Ref](v); ref {
		d.ref(n, v, path)
		return
	}
	want := wanted(v)
	if example := budgets.Example(tag.Get("form")); example != "" {
		want = example
	}
	money := v.Type() == reflect.TypeFor[billing.Dollars]() || v.Type() == reflect.TypeFor[billing.Times]()
	if money && (n.shape == integer || n.shape == float) {
		d.src.show(n.value)
		if err := decimal(n.value, v.Type(), tag.Get("form")); err != nil {
			d.failAt(n, path, "%s: %v", last(path), err)
			return
		}
		v.SetString(n.value)
		return
	}
	if money || n.shape == mapping || n.shape == list || (n.shape == boolean) != (v.Kind() == reflect.Bool) || v.Kind() == reflect.String && n.shape != text {
		d.hideAll(n)
		hint := ""
		if want == "a text" && (n.shape == integer || n.shape == float || n.shape == boolean) {
			hint = "; put it in quotes"
		}
		d.failAt(n, path, "%s must be %s, not %s%s", last(path), want, n.shape, hint)
		return
	}
	d.open(n, tag.Get("form"))
	if err := d.set(n.value, v, tag); err != nil {
		d.failAt(n, path, "%s: %v", last(path), err)
	}
}

// open shows a value in excerpts. What is not well-formed may be anything.
func (d *decoder) open(n *node, form string) {
	if form == "expression" || form == "prose" { // its operators are those of no address
		d.src.show(n.value)
		return
	}
	value := n.value
	if name, version, _ := strings.Cut(value, "@"); form == "template" && named.MatchString(name) && named.MatchString(version) { // whose @ is no address' either
		value = name + version
	}
	if form == "hash" || strings.ContainsAny(value, "@?#&=") {
		return
	}
	d.src.show(n.value)
}

// set reads a value into v.
func (d *decoder) set(s string, v reflect.Value, tag reflect.StructTag) error {
	low, high := tag.Get("min"), tag.Get("max")
	switch v.Interface().(type) {
	case time.Duration:
		n, err := parseDuration(s)
		v.SetInt(int64(n))
		return err
	case Size:
		n, err := parseSize(s)
		if err == nil {
			err = between(int64(n), low, high, func(n int64) string { return Size(n).String() })
		}
		v.SetInt(int64(n))
		return err
	case Address:
		v.SetString(s)
		return Address(s).check(tag.Get("form") == "address")
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(s == "true" || s == "True" || s == "TRUE")
		return nil
	case reflect.Float64:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return errors.New("must be a number")
		}
		v.SetFloat(f)
		return nil
	case reflect.Int:
		n, err := parseCount(s)
		if err == nil {
			err = between(int64(n), low, high, func(n int64) string { return strconv.FormatInt(n, 10) })
		}
		v.SetInt(int64(n))
		return err
	case reflect.String:
		v.SetString(s)
		if enum := tag.Get("enum"); enum != "" {
			return d.among(s, strings.Split(enum, ","))
		}
		return d.form(tag.Get("form"), s)
	}
	panic("config: no field can be a " + v.Type().String())
}

// ref reads a reference to a secret. Whatever is wrong with it may be the secret, so it is never shown.
func (d *decoder) ref(n *node, v reflect.Value, path string) {
	r, err := secret.Parse(n.value)
	if n.shape != text {
		err = secret.ErrLiteral
	}
	scheme, rest, _ := strings.Cut(n.value, ":")
	switch {
	case err != nil:
	case scheme == "env" && (!variable.MatchString(rest) || looksSecret(rest) && !constant.MatchString(rest)):
		err = errors.New("env: takes the name of an environment variable")
	case scheme == "file" && (!printable(rest) || looksSecret(rest) && !pathLike(rest)):
		err = errors.New("file: takes the path of a file")
	}
	if err != nil {
		d.src.hide(n.value)
		d.hideAll(n)
		d.failAt(n, path, "%s: %v", last(path), err)
		return
	}
	if scheme != "exec" {
		d.src.show(n.value)
	}
	if scheme == "file" {
		if info, err := os.Stat(rest); err != nil || info.IsDir() {
			d.failAt(n, path, "%s: the file cannot be read: %v", last(path), reason(err))
			return
		}
	}
	v.SetString(string(r))
}

// pathLike reports whether a text begins as a path does, whatever its folders are called.
func pathLike(s string) bool {
	return strings.HasPrefix(s, "/") || strings.HasPrefix(s, "./") || strings.HasPrefix(s, "../")
}

// among checks a value against those that are possible.
func (d *decoder) among(s string, names []string) error {
	if slices.Contains(names, s) {
		return nil
	}
	if near := routing.Nearest(s, names); len(near) > 0 {
		return fmt.Errorf("unknown value %s; did you mean %q?", d.src.quote(s), near[0])
	}
	return fmt.Errorf("unknown value %s; possible: %s", d.src.quote(s), strings.Join(names, ", "))
}

// wanted describes what a field takes.
func wanted(v reflect.Value) string {
	switch v.Interface().(type) {
	case time.Duration:
		return "a duration such as 30s"
	case Size:
		return "a size such as 20MiB"
	case Address:
		return "an address such as 127.0.0.1:8080"
	case billing.Times:
		return "a factor as a number, such as 1.1"
	case billing.Dollars:
		return "dollars as a number, such as 2.5"
	}
	switch v.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	}
	return "a text"
}

// member is a field of a struct that the file can set.
type member struct {
	name  string
	value reflect.Value
	tag   reflect.StructTag
}

// fieldsOf lists the fields of a struct by their names in the file; inlined structs count as part of it.
func fieldsOf(v reflect.Value) []member {
	var out []member
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case option == "inline":
			out = append(out, fieldsOf(v.Field(i))...)
		case f.IsExported() && name != "-" && name != "":
			out = append(out, member{name, v.Field(i), f.Tag})
		}
	}
	return out
}

// join adds a name to a path.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// last gives the last name of a path, for a message.
func last(path string) string {
	if path == "" {
		return "the configuration"
	}
	name := path[strings.LastIndexByte(path, '.')+1:]
	if looksSecret(name) {
		return "the value"
	}
	return name
}
