package exchange_test

import (
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/template"
)

// template NAME@VERSION [model=] [route=] [var=NAME]…, with a message in each line of input.
func (r *rig) template(args, input []string) {
	name, version, _ := strings.Cut(args[0], "@")
	n, err := strconv.Atoi(version)
	if err != nil {
		r.fatalf("%v", err)
	}
	f := &template.File{}
	for _, a := range args[1:] {
		switch name, v, _ := strings.Cut(a, "="); name {
		case "model":
			f.Model = v
		case "route":
			f.Route = v
		case "var":
			f.Variables = append(f.Variables, template.Variable{Name: v})
		default:
			r.fatalf("unknown option %q", a)
		}
	}
	for _, line := range input {
		role, content, _ := strings.Cut(strings.TrimSpace(line), ": ")
		f.Messages = append(f.Messages, template.Message{Role: role, Content: content})
	}
	f.Check(func(path, message string) { r.fatalf("%s: %s", path, message) })
	r.config.prompts = append(r.config.prompts, template.Source{Name: name, Number: n, File: f})
}
