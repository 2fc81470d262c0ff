package admin

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"

	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/store"
	"github.com/signalbox-ai/signalbox/internal/template"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

var _ adminv1connect.TemplateServiceHandler = prompts{}

// Prompts are what the configuration in use says of templates that are to be, or are, in the store.
type Prompts struct {
	Check func(name, body string) error             // why one cannot be put there: config.Errors, or a store.Fault; nil: nothing is checked
	Read  func(body string) (*template.File, error) // nil: nothing is told of a body
	Hides func(name string) bool                    // whether the configuration has the name, so that the store's is not used; nil: it has none
}

// prompts serves TemplateService.
type prompts struct{ *Server }

// form writes a template.
func (s prompts) form(t *store.Template) *v1.Template {
	out := &v1.Template{Name: t.Name, Latest: int32(t.Latest), Labels: map[string]int32{}, Hidden: s.prompts.Hides != nil && s.prompts.Hides(t.Name), Stamp: stamp(&t.Stamp)}
	for l, n := range t.Labels {
		out.Labels[l] = int32(n)
	}
	return out
}

func templateVersion(v *store.TemplateVersion, f *template.File) *v1.TemplateVersion {
	out := &v1.TemplateVersion{Name: v.Name, Number: int32(v.Number), Body: v.Body, Author: v.Author, Created: at(v.Created)}
	if f != nil {
		out.Description, out.Model = f.Description, f.Model
		for i := range f.Variables {
			out.Variables = append(out.Variables, f.Variables[i].Name)
		}
	}
	return out
}

// read shows a version with what its body says.
func (s prompts) read(v *store.TemplateVersion) *v1.TemplateVersion {
	var f *template.File
	if s.prompts.Read != nil {
		f, _ = s.prompts.Read(v.Body) // one that another version of the program wrote is shown by its body alone
	}
	return templateVersion(v, f)
}

// faulty tells every fault of a body, as google.rpc.BadRequest: the field is body.PATH, where the path is the body's own.
func faulty(err error) error {
	all, ok := errors.AsType[config.Errors](err)
	if !ok {
		return err
	}
	e := connect.NewError(connect.CodeInvalidArgument, all)
	bad := &errdetails.BadRequest{}
	for _, w := range all {
		field := "body"
		if w.Path != "" {
			field += "." + w.Path
		}
		bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: field, Description: w.Error()})
	}
	if d, err := connect.NewErrorDetail(bad); err == nil {
		e.AddDetail(d)
	}
	return e
}

// CreateTemplateVersion implements adminv1connect.TemplateServiceHandler.
func (s prompts) CreateTemplateVersion(ctx context.Context, r *v1.CreateTemplateVersionRequest) (*v1.TemplateVersion, error) {
	if err := administrator(ctx); err != nil {
		return nil, err
	}
	if s.prompts.Check != nil {
		if err := s.prompts.Check(r.Name, r.Body); err != nil {
			return nil, faulty(err)
		}
	}
	return write(ctx, s.Server, r, nil, func(tx *store.Tx) (*v1.TemplateVersion, error) {
		v := store.TemplateVersion{Name: r.Name, Body: r.Body}
		_, err := tx.CreateTemplateVersion(&v)
		return s.read(&v), err
	})
}

// number finds the version that a number or label of a template means; "": the label production.
func number(t *store.Template, field, version string) (int, error) {
	if n := t.Labels[cmp.Or(version, template.Production)]; n > 0 {
		return n, nil
	}
	n, err := strconv.Atoi(version)
	if err != nil || n < 1 || n > t.Latest || strconv.Itoa(n) != version {
		return 0, invalid(field, "the template "+t.Name+" has no version "+strconv.Quote(version)+"; it has numbers up to "+strconv.Itoa(t.Latest)+" and the labels "+join(slices.Sorted(maps.Keys(t.Labels))))
	}
	return n, nil
}

// GetTemplateVersion implements adminv1connect.TemplateServiceHandler.
func (s prompts) GetTemplateVersion(ctx context.Context, r *v1.GetTemplateVersionRequest) (*v1.TemplateVersion, error) {
	if err := administrator(ctx); err != nil {
		return nil, err
	}
	t, err := s.store.Template(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	n, err := number(&t, "version", r.Version)
	if err != nil {
		return nil, err
	}
	v, err := s.store.TemplateVersion(ctx, r.Name, n)
	if err != nil {
		return nil, err
	}
	return s.read(&v), nil
}

// mostVersions bounds a page of versions, each of which may be long.
const mostVersions = 100

// ListTemplateVersions implements adminv1connect.TemplateServiceHandler.
func (s prompts) ListTemplateVersions(ctx context.Context, r *v1.ListTemplateVersionsRequest) (*v1.ListTemplateVersionsResponse, error) {
	if err := administrator(ctx); err != nil {
		return nil, err
	}
	p, err := page(r.Page)
	if err != nil {
		return nil, err
	}
	after := 0
	if p.After != "" {
		if after, err = strconv.Atoi(p.After); err != nil || after < 1 {
			return nil, invalid("page.token", "not the token of a page")
		}
	}
	if _, err := s.store.Template(ctx, r.Name); err != nil {
		return nil, err
	}
	all, next, err := s.store.TemplateVersions(ctx, r.Name, after, min(cmp.Or(p.Size, mostVersions), mostVersions))
	res := &v1.ListTemplateVersionsResponse{}
	for i := range all {
		v := s.read(&all[i])
		v.Body = ""
		res.Versions = append(res.Versions, v)
	}
	if next > 0 {
		res.NextToken = strconv.Itoa(next)
	}
	return res, err
}

// GetTemplate implements adminv1connect.TemplateServiceHandler.
func (s prompts) GetTemplate(ctx context.Context, r *v1.GetRequest) (*v1.Template, error) {
	if err := administrator(ctx); err != nil {
		return nil, err
	}
	t, err := s.store.Template(ctx, r.Id)
	return s.form(&t), err
}

// ListTemplates implements adminv1connect.TemplateServiceHandler.
func (s prompts) ListTemplates(ctx context.Context, r *v1.ListTemplatesRequest) (*v1.ListTemplatesResponse, error) {
	if err := administrator(ctx); err != nil {
		return nil, err
	}
	p, err := page(r.Page)
	if err != nil {
		return nil, err
	}
	all, next, err := s.store.Templates(ctx, p)
	return &v1.ListTemplatesResponse{Templates: each(all, s.form), NextToken: next}, err
}

// move moves a label.
func (s prompts) move(ctx context.Context, r proto.Message, name string, version int64, label, action string, to func(*store.Tx, *store.Template) (int, error)) (*v1.Template, error) {
	if err := administrator(ctx); err != nil {
		return nil, err
	}
	if !template.LabelOK(label) {
		return nil, invalid("label", "has lower-case letters, digits, dot, dash and underscore, and is no number")
	}
	return write(ctx, s.Server, r, nil, func(tx *store.Tx) (*v1.Template, error) {
		t, err := tx.MoveTemplateLabel(name, version, label, action, func(now store.Template) (int, error) { return to(tx, &now) })
		return s.form(&t), err
	})
}

// PromoteTemplate implements adminv1connect.TemplateServiceHandler.
func (s prompts) PromoteTemplate(ctx context.Context, r *v1.PromoteTemplateRequest) (*v1.Template, error) {
	return s.move(ctx, r, r.Name, r.Version, cmp.Or(r.Label, template.Production), "promote", func(_ *store.Tx, now *store.Template) (int, error) {
		if r.To == "" {
			return 0, invalid("to", "the number of a version, or a label, is due")
		}
		return number(now, "to", r.To)
	})
}

// has refuses a label that a template does not have.
func has(t *store.Template, label string) error {
	if t.Labels[label] > 0 {
		return nil
	}
	return invalid("label", "the template "+t.Name+" has no label "+strconv.Quote(label)+"; it has "+join(slices.Sorted(maps.Keys(t.Labels))))
}

// RollbackTemplate implements adminv1connect.TemplateServiceHandler.
func (s prompts) RollbackTemplate(ctx context.Context, r *v1.RollbackTemplateRequest) (*v1.Template, error) {
	label := cmp.Or(r.Label, template.Production)
	return s.move(ctx, r, r.Name, r.Version, label, "rollback", func(tx *store.Tx, now *store.Template) (int, error) {
		if err := has(now, label); err != nil {
			return 0, err
		}
		n, err := tx.VersionBefore(now.Name, now.Labels[label])
		if err == nil && n == 0 {
			err = invalid("label", label+" is at "+now.Name+"@"+strconv.Itoa(now.Labels[label])+", and there is no earlier version")
		}
		return n, err
	})
}

// RemoveTemplateLabel implements adminv1connect.TemplateServiceHandler.
func (s prompts) RemoveTemplateLabel(ctx context.Context, r *v1.RemoveTemplateLabelRequest) (*v1.Template, error) {
	if r.Label == template.Production {
		return nil, invalid("label", "a template always has the label production; it can be moved")
	}
	return s.move(ctx, r, r.Name, r.Version, r.Label, "unlabel", func(_ *store.Tx, now *store.Template) (int, error) { return 0, has(now, r.Label) })
}

// DeleteTemplate implements adminv1connect.TemplateServiceHandler.
func (s prompts) DeleteTemplate(ctx context.Context, r *v1.DeleteRequest) (*v1.DeleteResponse, error) {
	if err := administrator(ctx); err != nil {
		return nil, err
	}
	return write(ctx, s.Server, r, nil, func(tx *store.Tx) (*v1.DeleteResponse, error) {
		return &v1.DeleteResponse{}, tx.DeleteTemplate(r.Id, r.Version)
	})
}
