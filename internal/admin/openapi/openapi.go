// Package openapi describes the admin API in its JSON form, from the protos that it is made of. It
// serves nothing.
package openapi

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
)

// object is a JSON object of the document. Its members are written in the order of their names.
type object = map[string]any

// Document returns the document of the API (OpenAPI 3.1). once is the most bytes of an idempotency key.
func Document(once int) []byte {
	d := document{schemas: object{}, once: once}
	paths, tags := object{}, []any{}
	for _, s := range services() {
		tags = append(tags, object{"name": string(s.Name())})
		for j := range s.Methods().Len() {
			m := s.Methods().Get(j)
			paths["/"+string(s.FullName())+"/"+string(m.Name())] = object{"post": d.method(s, m)}
		}
	}
	d.schemas["Error"] = failure()
	b, err := jsonx.EncodeIndent(object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Signalbox admin API", "version": "v1",
			"description": "Who may use what, and how much. Every method is a POST of its request as JSON; the same paths serve gRPC and gRPC-Web.",
		},
		"security":   []any{object{"bearer": []any{}}},
		"tags":       tags,
		"paths":      paths,
		"components": object{"schemas": d.schemas, "securitySchemes": object{"bearer": object{"type": "http", "scheme": "bearer", "description": "The admin token, a key whose role may, or an OIDC token."}}},
	})
	if err != nil {
		panic("openapi: " + err.Error()) // it is made of texts alone
	}
	return b
}

// services are those of the API's package, by name: each has a file of its own.
func services() (all []protoreflect.ServiceDescriptor) {
	protoregistry.GlobalFiles.RangeFilesByPackage(v1.File_signalbox_admin_v1_admin_proto.Package(), func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			all = append(all, f.Services().Get(i))
		}
		return true
	})
	slices.SortFunc(all, func(a, b protoreflect.ServiceDescriptor) int { return cmp.Compare(a.Name(), b.Name()) })
	return all
}

type document struct {
	schemas object
	once    int // the most bytes of an idempotency key
}

func (d *document) method(s protoreflect.ServiceDescriptor, m protoreflect.MethodDescriptor) object {
	body := func(md protoreflect.MessageDescriptor) object {
		return object{"content": object{"application/json": object{"schema": d.ref(md)}}}
	}
	request, answer := body(m.Input()), body(m.Output())
	request["required"] = true
	answer["description"] = "Done."
	op := object{
		"operationId": string(s.Name()) + "_" + string(m.Name()), "tags": []any{string(s.Name())}, "requestBody": request,
		"responses": object{"200": answer, "default": object{"description": "It was refused, or failed.", "content": object{"application/json": object{"schema": object{"$ref": "#/components/schemas/Error"}}}}},
	}
	if o, ok := m.Options().(*descriptorpb.MethodOptions); !ok || o.GetIdempotencyLevel() != descriptorpb.MethodOptions_NO_SIDE_EFFECTS {
		op["parameters"] = []any{object{
			"name": "idempotency-key", "in": "header", "schema": object{"type": "string", "maxLength": d.once},
			"description": "A repeated request with the same key gets the first one's answer, for a day.",
		}}
	}
	return op
}

// ref makes the schema of a message once, and returns a reference to it.
func (d *document) ref(m protoreflect.MessageDescriptor) object {
	switch m.FullName() {
	case "google.protobuf.Timestamp":
		return object{"type": "string", "format": "date-time"}
	case "google.protobuf.Duration":
		return object{"type": "string", "pattern": `^-?[0-9]+(\.[0-9]+)?s$`}
	case "google.protobuf.FieldMask":
		return object{"type": "string", "description": "Names of fields, with commas between them."}
	}
	name := string(m.Name())
	if _, done := d.schemas[name]; !done {
		members := object{}
		d.schemas[name] = object{"type": "object", "properties": members, "additionalProperties": false}
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			members[f.JSONName()] = d.field(f)
		}
	}
	return object{"$ref": "#/components/schemas/" + name}
}

func (d *document) field(f protoreflect.FieldDescriptor) object {
	if f.IsMap() {
		return object{"type": "object", "additionalProperties": d.field(f.MapValue())}
	}
	one := object{"type": "string"}
	switch f.Kind() {
	case protoreflect.MessageKind:
		one = d.ref(f.Message())
	case protoreflect.BoolKind:
		one = object{"type": "boolean"}
	case protoreflect.DoubleKind:
		one = object{"type": []any{"number", "string"}, "description": "A number; NaN, Infinity and -Infinity are texts."}
	case protoreflect.Int32Kind:
		one = object{"type": "integer", "format": "int32"}
	case protoreflect.Int64Kind, protoreflect.Sint64Kind:
		one = object{"type": "string", "format": "int64", "description": "A whole number as text, so that scripts read it exactly."}
	}
	if f.IsList() {
		return object{"type": "array", "items": one}
	}
	return one
}

// failure is the form of an error (connectrpc.com/docs/protocol).
func failure() object {
	codes := []string{
		"canceled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists", "permission_denied", "resource_exhausted",
		"failed_precondition", "aborted", "unimplemented", "internal", "unavailable", "unauthenticated",
	}
	slices.Sort(codes)
	values := make([]any, len(codes))
	for i, c := range codes {
		values[i] = c
	}
	violation := object{"type": "object", "properties": object{"field": object{"type": "string"}, "description": object{"type": "string"}}}
	return object{"type": "object", "properties": object{
		"code": object{"type": "string", "enum": values}, "message": object{"type": "string"},
		"details": object{"type": "array", "items": object{"type": "object", "properties": object{
			"type":  object{"type": "string", "description": "google.rpc.BadRequest names wrong fields"},
			"value": object{"type": "string", "description": "The detail in protobuf's wire form, base64."},
			"debug": object{"type": "object", "properties": object{"fieldViolations": object{"type": "array", "items": violation}}},
		}}},
	}}
}
