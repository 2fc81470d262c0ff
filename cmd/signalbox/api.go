package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/signalbox-ai/signalbox/internal/app"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/remote"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

// apiFlags say where the admin API is, and how answers are shown. They stand at every command that asks it.
type apiFlags struct {
	Server    string `env:"SIGNALBOX_ADMIN" default:"unix:run/control.sock" help:"Where the admin API is: unix:PATH of the local socket, or a URL (or $SIGNALBOX_ADMIN)."`
	TokenFile string `env:"SIGNALBOX_ADMIN_TOKEN_FILE" type:"existingfile" help:"File of the admin token, a key or an OIDC token; without it $SIGNALBOX_ADMIN_TOKEN is sent, and nothing to the local socket."`
	CA        string `type:"existingfile" help:"File of the authorities (PEM) that the server's certificate is verified with."`
	JSON      bool   `help:"Print the answer as JSON."`
	Once      string `placeholder:"KEY" help:"An idempotency key: the same command with the same key is done once."`
}

// apiTimeout bounds a call.
const apiTimeout = 30 * time.Second

// client returns what connections are made with, and the base URL.
func (f *apiFlags) client() (*http.Client, string, error) {
	if path, ok := strings.CutPrefix(f.Server, "unix:"); ok {
		t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}}
		return &http.Client{Transport: t, Timeout: apiTimeout}, "http://local", nil
	}
	if !strings.HasPrefix(f.Server, "http://") && !strings.HasPrefix(f.Server, "https://") {
		return nil, "", fmt.Errorf("--server must be unix:PATH or a URL of http:// or https://")
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	if f.CA != "" {
		pem, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, "", err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, "", fmt.Errorf("%s has no certificate in PEM form", f.CA)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return &http.Client{Transport: t, Timeout: apiTimeout}, strings.TrimRight(f.Server, "/"), nil
}

// token returns what is sent to prove who asks.
func (f *apiFlags) token() (string, error) {
	if f.TokenFile == "" {
		return os.Getenv("SIGNALBOX_ADMIN_TOKEN"), nil
	}
	b, err := os.ReadFile(f.TokenFile)
	return strings.TrimSpace(string(b)), err
}

// askAPI asks the API once.
func askAPI[C any, Req, Res proto.Message](f *apiFlags, dial func(connect.HTTPClient, string, ...connect.ClientOption) C, method func(C, context.Context, Req) (Res, error), req Req) (res Res, err error) {
	h, base, err := f.client()
	if err != nil {
		return res, err
	}
	token, err := f.token()
	if err != nil {
		return res, err
	}
	ctx, info := connect.NewClientContext(context.Background())
	if token != "" {
		info.RequestHeader().Set("authorization", "Bearer "+token)
	}
	if f.Once != "" {
		info.RequestHeader().Set("idempotency-key", f.Once)
	}
	if res, err = method(dial(h, base), ctx, req); err != nil {
		return res, f.refused(err)
	}
	return res, nil
}

// call asks the API once and prints the answer: as JSON, or as show does.
func call[C any, Req, Res proto.Message](f *apiFlags, s streams, dial func(connect.HTTPClient, string, ...connect.ClientOption) C, method func(C, context.Context, Req) (Res, error), req Req, show func(io.Writer, Res)) error {
	res, err := askAPI(f, dial, method, req)
	if err != nil {
		return err
	}
	if f.JSON {
		b, err := protojson.MarshalOptions{Multiline: true, Indent: "  "}.Marshal(res)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.out, "%s\n", b)
		return err
	}
	show(s.out, res)
	return nil
}

// refused words an error of the API: wrong fields line by line.
func (f *apiFlags) refused(err error) error {
	e, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return err
	}
	if e.Code() == connect.CodeUnavailable {
		return fmt.Errorf("the admin API at %s cannot be reached: %s; it is served where the configuration has a store", f.Server, e.Message())
	}
	for _, d := range e.Details() {
		v, err := d.Value()
		bad, ok := v.(*errdetails.BadRequest)
		if err != nil || !ok {
			continue
		}
		var lines []string
		for _, w := range bad.GetFieldViolations() {
			lines = append(lines, w.GetDescription())
		}
		if len(lines) > 0 {
			return errors.New(strings.Join(lines, "\n"))
		}
	}
	return fmt.Errorf("%s (%s)", e.Message(), e.Code())
}

// columns prints a table.
func columns(w io.Writer, head string, rows [][]string) {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, strings.ReplaceAll(head, " ", "\t"))
	for _, r := range rows {
		for i := range r {
			if r[i] == "" {
				r[i] = "-"
			}
		}
		fmt.Fprintln(t, strings.Join(r, "\t"))
	}
	_ = t.Flush() // what it writes to reports nothing either
}

// fieldLines prints fields, one a line; those that are empty are left out.
func fieldLines(w io.Writer, fields ...string) {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i+1] != "" {
			fmt.Fprintf(t, "%s:\t%s\n", fields[i], fields[i+1])
		}
	}
	_ = t.Flush()
}

// listing shows a page of a list as a table.
func listing[T any, R interface{ GetNextToken() string }](head string, all func(R) []T, row func(T) []string) func(io.Writer, R) {
	return func(w io.Writer, r R) {
		var rows [][]string
		for _, v := range all(r) {
			rows = append(rows, row(v))
		}
		columns(w, head, rows)
		if next := r.GetNextToken(); next != "" {
			fmt.Fprintf(w, "there are more: --after %s\n", next)
		}
	}
}

// moment writes a time; one that is unset is "".
func moment(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().Format(time.RFC3339)
}

func versionOf(s *v1.Stamp) string { return strconv.FormatInt(s.GetVersion(), 10) }

func done(what string) func(io.Writer, *v1.DeleteResponse) {
	return func(w io.Writer, _ *v1.DeleteResponse) { fmt.Fprintln(w, what, "is deleted") }
}

// pageFlags say which part of a list is shown.
type pageFlags struct {
	Size  int32  `default:"100" help:"How many at most."`
	After string `help:"Go on where a list ended that said so."`
}

func (p *pageFlags) page() *v1.Page { return &v1.Page{Size: p.Size, Token: p.After} }

// named names an object by its name.
type named struct {
	apiFlags
	Name string `arg:"" help:"Its name."`
}

func (n *named) get() *v1.GetRequest { return &v1.GetRequest{Id: n.Name} }

// versioned says which version of an object is meant.
type versioned struct {
	Version int64 `help:"The version that is meant; 0: any."`
}

func (v *versioned) remove(id string) *v1.DeleteRequest {
	return &v1.DeleteRequest{Id: id, Version: v.Version}
}

// titled makes an object with a name and a title.
type titled struct {
	named
	Title string `help:"A title, for people."`
}

// retitled gives an object another title.
type retitled struct {
	named
	Title string `required:"" help:"The new title."`
	versioned
}

// removed names an object that is deleted.
type removed struct {
	named
	versioned
}

// placeFlags say where the ledger is.
type placeFlags struct {
	Config    string `short:"c" placeholder:"FILE" type:"existingfile" env:"SIGNALBOX_CONFIG" help:"The configuration that says where the ledger is."`
	Ledger    string `placeholder:"ADDRESS" help:"The ledger, as sqlite:PATH or postgres://USER@HOST/DATABASE, in place of the configuration's."`
	Server    string `placeholder:"ADDRESS" help:"The admin API that is asked in place of the database: unix:PATH of the local socket, or a URL. It shows what the token's owner may see."`
	TokenFile string `env:"SIGNALBOX_ADMIN_TOKEN_FILE" type:"existingfile" help:"File of the admin token, a key or an OIDC token; without it $SIGNALBOX_ADMIN_TOKEN is sent, and nothing to the local socket."`
	CA        string `type:"existingfile" help:"File of the authorities (PEM) that the server's certificate is verified with."`
}

// reader is a ledger that is read, here or behind an admin API.
type reader interface {
	Usage(ctx context.Context, q book.Query) ([]book.Row, error)
	Records(ctx context.Context, q book.Filter, f func(*ledger.Record) error) error
	book.Lister
	Close() error
}

// store opens the database.
func (f *placeFlags) store(ctx context.Context) (book.Store, error) {
	return app.Ledger(ctx, f.Config, f.Ledger)
}

// reader opens the database, or what stands for it.
func (f *placeFlags) reader(ctx context.Context) (reader, error) {
	if f.Server == "" {
		s, err := f.store(ctx)
		if err != nil {
			return nil, err
		}
		return s.(reader), nil
	}
	return f.server(apiTimeout)
}

// server returns the ledger behind the admin API, each of whose answers may take so long.
func (f *placeFlags) server(patience time.Duration) (l remote.Ledger, err error) {
	if f.Ledger != "" {
		return l, errors.New("--server and --ledger are two ledgers: name one")
	}
	api := apiFlags{Server: f.Server, TokenFile: f.TokenFile, CA: f.CA}
	h, base, proof, err := api.proven()
	if err != nil {
		return l, err
	}
	h.Timeout = patience
	return remote.Ledger{API: adminv1connect.NewUsageServiceClient(h, base, proof), Word: api.refused}, nil
}

// proven returns what connections are made with, the base URL, and what proves who asks.
func (f *apiFlags) proven() (*http.Client, string, connect.ClientOption, error) {
	h, base, err := f.client()
	if err != nil {
		return nil, "", nil, err
	}
	token, err := f.token()
	if err != nil {
		return nil, "", nil, err
	}
	return h, base, connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			if token != "" {
				req.Header().Set("authorization", "Bearer "+token)
			}
			return next(ctx, req)
		}
	})), nil
}
