package telemetry

import (
	"bytes"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// TestEveryMetricHasSomebodyWhoFeedsIt is the law of the table: for each metric there is a method that moves it, and for
// each such method code of the program that calls it. Whoever adds a metric that nobody feeds fails here.
func TestEveryMetricHasSomebodyWhoFeedsIt(t *testing.T) {
	if testing.Short() {
		t.Skip("it reads the types of the whole program")
	}
	movers := movers()
	called := callers(t)
	for _, m := range Table() {
		by := movers[m.Name]
		if len(by) == 0 {
			t.Errorf("%s: no method moves it", m.Name)
			continue
		}
		if !slices.ContainsFunc(by, func(method string) bool { return called[method] }) {
			t.Errorf("%s: it is moved by %s, which nobody calls", m.Name, strings.Join(by, " and "))
		}
	}
	for _, method := range slices.Sorted(maps.Keys(union(movers))) {
		if !called[method] {
			t.Errorf("nobody calls %s", method)
		}
	}
}

func union(movers map[string][]string) map[string]bool {
	all := map[string]bool{}
	for _, by := range movers {
		for _, m := range by {
			all[m] = true
		}
	}
	return all
}

// movers finds out which methods move which metric, by calling them: each alone, with arguments that say something.
func movers() map[string][]string {
	out := map[string][]string{}
	parts := func() map[string]reflect.Value {
		m := New(prometheus.NewRegistry(), Options{Tags: []string{"x"}})
		all := map[string]reflect.Value{"Metrics": reflect.ValueOf(m)}
		for _, f := range reflect.VisibleFields(reflect.TypeFor[Metrics]()) {
			if f.IsExported() && f.Type.Kind() == reflect.Struct {
				all[f.Type.Name()] = reflect.ValueOf(m).Elem().FieldByIndex(f.Index).Addr()
			}
		}
		return all
	}
	for part, v := range parts() {
		for i := range v.NumMethod() {
			method := v.Type().Method(i)
			moved := map[string]bool{}
			for _, well := range []bool{false, true} {
				all := parts()
				fresh := all[part]
				args := make([]reflect.Value, method.Type.NumIn()-1)
				for j := range args {
					args[j] = filled(method.Type.In(j+1), well)
				}
				fresh.Method(i).Call(args)
				registry := all["Metrics"].Interface().(*Metrics).Registry() //nolint:forcetypeassert // it is one
				for _, name := range moving(registry) {
					moved[name] = true
				}
			}
			for name := range moved {
				out[name] = append(out[name], part+"."+method.Name)
			}
		}
	}
	for _, by := range out {
		slices.Sort(by)
	}
	return out
}

// filled makes a value of which every part says something. well leaves out what went wrong.
func filled(t reflect.Type, well bool) reflect.Value {
	v := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		v.Elem().Set(filled(t.Elem(), well))
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && !(well && (f.Name == "Error" || f.Name == "Code")) {
				v.Field(i).Set(filled(f.Type, well))
				if f.Name == "First" { // comes before the end
					v.Field(i).SetInt(int64(time.Millisecond))
				}
			}
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(t))
		v.SetMapIndex(filled(t.Key(), well), filled(t.Elem(), well))
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(2)
		if t == reflect.TypeFor[time.Duration]() {
			v.SetInt(int64(time.Second))
		}
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Uint8, reflect.Uint, reflect.Uint64:
		v.SetUint(2)
	}
	return v
}

// moving returns the metrics of the table that are not at zero.
func moving(r *prometheus.Registry) (out []string) {
	all, _ := r.Gather()
	for _, f := range all {
		if slices.ContainsFunc(f.GetMetric(), func(m *dto.Metric) bool {
			return m.GetCounter().GetValue() != 0 || m.GetGauge().GetValue() != 0 || m.GetHistogram().GetSampleCount() != 0
		}) && !strings.HasPrefix(f.GetName(), "go_") && !strings.HasPrefix(f.GetName(), "process_") {
			out = append(out, f.GetName())
		}
	}
	return out
}

const module = "github.com/signalbox-ai/signalbox/"

// callers returns the methods of this package that code of the program uses, as TYPE.METHOD. Tests do not count.
func callers(t *testing.T) map[string]bool {
	t.Helper()
	list := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}\t{{.Dir}}\t{{join .GoFiles \",\"}}\t{{join .Imports \",\"}}", "./cmd/...")
	list.Dir = "../.."
	text, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	exports := map[string]string{}
	var users [][]string
	for line := range strings.SplitSeq(string(bytes.TrimSpace(text)), "\n") {
		f := strings.Split(line, "\t")
		if len(f) != 5 {
			t.Fatalf("go list said %q", line)
		}
		exports[f[0]] = f[1]
		if slices.Contains(strings.Split(f[4], ","), module+"internal/telemetry") {
			users = append(users, f)
		}
	}
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	called := map[string]bool{}
	for _, f := range users {
		var files []*ast.File
		for name := range strings.SplitSeq(f[3], ",") {
			file, err := parser.ParseFile(fset, filepath.Join(f[2], name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
		info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
		if _, err := (&types.Config{Importer: imports}).Check(f[0], fset, files, info); err != nil {
			t.Fatalf("%s: %v", f[0], err)
		}
		for _, o := range info.Uses {
			if fn, ok := o.(*types.Func); ok && fn.Pkg() != nil && fn.Pkg().Path() == module+"internal/telemetry" && fn.Signature().Recv() != nil {
				recv := fn.Signature().Recv().Type()
				if p, ok := recv.(*types.Pointer); ok {
					recv = p.Elem()
				}
				if n, ok := recv.(*types.Named); ok {
					called[n.Obj().Name()+"."+fn.Name()] = true
				}
			}
		}
	}
	return called
}
