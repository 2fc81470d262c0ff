package template

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// JSON is any value of a file, as JSON.
type JSON []byte

// File is a version of a template as users write it: NAME@VERSION.yaml.
type File struct {
	Description string     `yaml:"description" form:"prose" doc:"What it is for, for people."`
	Model       string     `yaml:"model" form:"model" doc:"The model or alias that it asks for, where a request names none of its own."`
	Route       string     `yaml:"route" form:"name" doc:"The route that it takes, in place of the one that its model matches."`
	Variables   []Variable `yaml:"variables" max:"200" doc:"What differs from request to request."`
	Messages    []Message  `yaml:"messages" required:"true" max:"500" doc:"The conversation, to which a request may add. Variables stand in it as {{name}}; a {{ that is text is written as \\{{."`
	Tools       []Tool     `yaml:"tools" max:"128" doc:"Functions that the model may call. Those of a request come behind them."`
	Parameters  Parameters `yaml:"parameters" doc:"What holds where a request says nothing of its own."`
}

// Variable is what differs from request to request.
type Variable struct {
	Name        string   `yaml:"name" required:"true" doc:"Its name: lower-case letters, digits and underscores."`
	Type        string   `yaml:"type" enum:"string,number,boolean,enum,list,json,image" zero:"string" doc:"What it must be. A list has texts, numbers and truth values, json is any value, written as its JSON text; an image is https://… or data:TYPE;base64,… and stands in a message of the user."`
	Description string   `yaml:"description" form:"prose" doc:"What it is, for people."`
	Required    *bool    `yaml:"required" zero:"true, unless it has a default" doc:"Whether a request must give it. One that need not be given and is not is an empty text."`
	Default     JSON     `yaml:"default" doc:"What it is where a request does not give it."`
	Values      []string `yaml:"values" form:"prose" max:"500" doc:"Of an enum: what it can be."`
	Min         int      `yaml:"min" doc:"Fewest characters of a string, elements of a list, or bytes of JSON; or the lowest number."`
	Max         int      `yaml:"max" zero:"any" doc:"Most of them; or the highest number."`
	Separator   string   `yaml:"separator" form:"prose" zero:"a comma and a space" doc:"Of a list: what stands between its elements."`
}

// Message is a message of the conversation.
type Message struct {
	Role    string `yaml:"role" enum:"system,user,assistant" required:"true" doc:"Who speaks."`
	Content string `yaml:"content" form:"prose" required:"true" doc:"What is said."`
}

// Tool is a function that the model may call.
type Tool struct {
	Name        string `yaml:"name" form:"prose" required:"true" doc:"Its name."`
	Description string `yaml:"description" form:"prose" doc:"What it does, for the model."`
	Parameters  JSON   `yaml:"parameters" doc:"The JSON Schema of its arguments."`
	Strict      *bool  `yaml:"strict" zero:"the provider's" doc:"Whether arguments fit the schema for sure."`
}

// Parameters are what is asked of a model beside the conversation. What is not set is the request's own.
type Parameters struct {
	Temperature *float64 `yaml:"temperature" zero:"not said" doc:"From 0 to 2."`
	TopP        *float64 `yaml:"top_p" zero:"not said" doc:"From 0 to 1."`
	MaxTokens   int      `yaml:"max_tokens" min:"1" zero:"not said" doc:"Most tokens of the answer."`
	Stop        []string `yaml:"stop" form:"prose" max:"16" zero:"not said" doc:"Texts at which the answer ends."`
	ToolChoice  string   `yaml:"tool_choice" form:"prose" zero:"not said" doc:"auto, none, required or, in a template, the name of one of its tools."`
	Effort      string   `yaml:"reasoning_effort" enum:"none,minimal,low,medium,high,xhigh,max" zero:"not said" doc:"How much the model reasons."`
	Format      Format   `yaml:"response_format" doc:"The form of the answer."`
}

// Format is the form of an answer.
type Format struct {
	Type   string `yaml:"type" enum:"text,json,schema" zero:"not said" doc:"text; json: any JSON object; schema: JSON that fits the schema."`
	Name   string `yaml:"name" form:"prose" zero:"answer" doc:"The schema's name."`
	Schema JSON   `yaml:"schema" zero:"none" doc:"The JSON Schema."`
	Strict *bool  `yaml:"strict" zero:"not said" doc:"Whether the answer fits the schema for sure."`
}

// Check reports what is wrong with a file beyond its single fields, by paths such as messages[0].content.
func (f *File) Check(fail func(path, message string)) {
	known := map[string]bool{}
	for i := range f.Variables {
		at := fmt.Sprintf("variables[%d]", i)
		v := &f.Variables[i]
		switch {
		case !nameOK(v.Name):
			fail(at+".name", "a variable's name has lower-case letters, digits and underscores, begins with a letter or underscore, and has at most 64 characters")
		case known[v.Name]:
			fail(at+".name", "the variable "+strconv.Quote(v.Name)+" is already there")
		}
		known[v.Name] = true
		v.check(func(field, message string) { fail(at+"."+field, message) })
	}
	used := f.checkMessages(known, fail)
	for i := range f.Variables {
		if n := f.Variables[i].Name; nameOK(n) && !used[n] {
			fail(fmt.Sprintf("variables[%d].name", i), "no message has {{"+n+"}}")
		}
	}
	f.checkTools(fail)
	f.Parameters.Check(func(path, message string) { fail("parameters."+path, message) })
}

// image reports whether a variable is one.
func (f *File) image(name string) bool {
	return slices.ContainsFunc(f.Variables, func(v Variable) bool { return v.Name == name && v.kind() == imageKind })
}

func (f *File) checkMessages(known map[string]bool, fail func(path, message string)) map[string]bool {
	used := map[string]bool{}
	for i := range f.Messages {
		at := fmt.Sprintf("messages[%d].content", i)
		all, wrong := pieces(f.Messages[i].Content)
		switch {
		case wrong != "":
			fail(at, wrong)
		case strings.TrimSpace(f.Messages[i].Content) == "":
			fail(at, "the message is empty")
		case marksIn(f.Messages[i].Content):
			fail(at, "the characters U+E000 and U+E001 stand for variables and cannot be text, nor can U+FFFD")
		}
		for _, p := range all {
			if f.image(p.variable) && f.Messages[i].Role != "user" {
				fail(at, "{{"+p.variable+"}} is an image, and stands in messages of the user only")
			}
			if p.variable != "" && !known[p.variable] {
				fail(at, "there is no variable "+strconv.Quote(p.variable)+"; add it to variables")
			}
			used[p.variable] = true
		}
	}
	return used
}

func (f *File) checkTools(fail func(path, message string)) {
	names := map[string]bool{}
	for i := range f.Tools {
		t, at := &f.Tools[i], fmt.Sprintf("tools[%d]", i)
		if names[t.Name] {
			fail(at+".name", "the tool is already there")
		}
		names[t.Name] = true
		if marksIn(t.Name) || marksIn(t.Description) || marksIn(t.Parameters) {
			fail(at, "the characters U+E000, U+E001 and U+FFFD cannot be text")
		}
		if t.Parameters != nil && jsonx.Kind(t.Parameters) != '{' {
			fail(at+".parameters", "parameters must be a mapping: a JSON Schema")
		}
	}
	switch c := f.Parameters.ToolChoice; c {
	case "":
	case "auto", "none", "required":
		if len(f.Tools) == 0 {
			fail("parameters.tool_choice", "tool_choice: there are no tools")
		}
	default:
		if !names[c] {
			fail("parameters.tool_choice", "tool_choice: must be auto, none, required, or the name of one of the tools")
		}
	}
}

// Empty reports whether nothing is set.
func (p *Parameters) Empty() bool {
	return p.Temperature == nil && p.TopP == nil && p.MaxTokens == 0 && len(p.Stop) == 0 && p.ToolChoice == "" && p.Effort == "" && p.Format.Type == ""
}

// Said lists what is set, as temperature=0.2.
func (p *Parameters) Said() (all []string) {
	say := func(name, value string, is bool) {
		if is {
			all = append(all, name+"="+value)
		}
	}
	number := func(f *float64) string {
		if f == nil {
			return ""
		}
		return strconv.FormatFloat(*f, 'g', -1, 64)
	}
	say("temperature", number(p.Temperature), p.Temperature != nil)
	say("top_p", number(p.TopP), p.TopP != nil)
	say("max_tokens", strconv.Itoa(p.MaxTokens), p.MaxTokens > 0)
	say("stop", fmt.Sprintf("%q", p.Stop), len(p.Stop) > 0)
	say("tool_choice", p.ToolChoice, p.ToolChoice != "")
	say("reasoning_effort", p.Effort, p.Effort != "")
	say("response_format", p.Format.Type, p.Format.Type != "")
	return all
}

// Check reports what is wrong beyond single fields, but for the choice of a tool, by paths such as response_format.schema.
func (p *Parameters) Check(fail func(path, message string)) {
	if t := p.Temperature; t != nil && (*t < 0 || *t > 2) {
		fail("temperature", "temperature: must be from 0 to 2")
	}
	if t := p.TopP; t != nil && (*t < 0 || *t > 1) {
		fail("top_p", "top_p: must be from 0 to 1")
	}
	for i, s := range p.Stop {
		if marksIn(s) {
			fail(fmt.Sprintf("stop[%d]", i), "the characters U+E000, U+E001 and U+FFFD cannot be text")
		}
	}
	o := &p.Format
	switch {
	case o.Type == "schema" && jsonx.Kind(o.Schema) != '{':
		fail("response_format.schema", "schema must be a mapping: a JSON Schema")
	case o.Type != "schema" && (o.Schema != nil || o.Name != "" || o.Strict != nil):
		fail("response_format", "response_format: name, schema and strict are for the type schema")
	case marksIn(o.Schema) || marksIn(o.Name):
		fail("response_format", "the characters U+E000, U+E001 and U+FFFD cannot be text")
	}
}

// kind is the variable's type.
func (v *Variable) kind() string {
	if v.Type == "" {
		return "string"
	}
	return v.Type
}

// due reports whether a request must give the variable.
func (v *Variable) due() bool {
	if v.Required != nil {
		return *v.Required
	}
	return v.Default == nil
}

func (v *Variable) check(fail func(field, message string)) {
	enum := v.kind() == "enum"
	switch {
	case enum && len(v.Values) == 0:
		fail("values", "values are missing: what the enum can be")
	case !enum && len(v.Values) > 0:
		fail("values", "values: only an enum has them")
	}
	for i, s := range v.Values {
		if slices.Contains(v.Values[:i], s) {
			fail("values", "values: "+strconv.Quote(s)+" is there twice")
		}
	}
	if v.Separator != "" && v.kind() != "list" {
		fail("separator", "separator: only a list has one")
	}
	if v.Max != 0 && v.Max < v.Min {
		fail("max", "max: lower than min")
	}
	if (v.Min != 0 || v.Max != 0) && (enum || v.kind() == "boolean") {
		fail("type", "min and max are for strings, numbers, lists and JSON")
	}
	if v.kind() == imageKind && v.Required != nil && !*v.Required && v.Default == nil {
		fail("required", "required: an image must be given, or have a default")
	}
	if v.Required != nil && *v.Required && v.Default != nil {
		fail("required", "required: one that has a default need not be given")
	}
	if v.Default != nil && !enum || v.Default != nil && len(v.Values) > 0 {
		if _, wrong := v.text(v.Default, false); wrong != "" {
			fail("default", "default: "+wrong)
		}
	}
}

// Is returns the type, with what else it is bound to, for people.
func (v *Variable) Is() string {
	s := v.kind()
	if s == "enum" {
		s += " of " + strings.Join(v.Values, ", ")
	}
	if v.due() {
		return s + ", required"
	}
	if v.Default != nil {
		s += ", " + string(v.Default) + " where it is not given"
	}
	return s
}
