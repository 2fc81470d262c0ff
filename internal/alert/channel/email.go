package channel

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strings"
	"time"
)

// send hands the message to the server (RFC 5321), encrypted before anything is said (RFC 3207).
func (e *Email) send(ctx context.Context, m *Message) *Failure {
	c, f := e.connect(ctx)
	if f != nil {
		return f
	}
	defer c.Close()
	if e.User != "" {
		v, err := e.Password.Resolve(ctx)
		if err != nil {
			return passing("the password: %w", err)
		}
		host, _, _ := net.SplitHostPort(e.Server)
		if err := c.Auth(smtp.PlainAuth("", e.User, v.Reveal(), host)); err != nil {
			return answered("the server refuses the user", err)
		}
	}
	if err := c.Mail(bare(e.From)); err != nil {
		return answered("the server refuses the sender", err)
	}
	refused, f := e.receivers(c)
	if f != nil {
		return f
	}
	w, err := c.Data()
	if err != nil {
		return answered("the server refuses the mail", err)
	}
	if _, err := w.Write(e.mail(m)); err != nil {
		return passing("sending the mail: %w", err)
	}
	if err := w.Close(); err != nil {
		return answered("the server refuses the mail", err)
	}
	_ = c.Quit() // it has the mail
	if refused > 0 && m.Kind == "test" {
		return final("the server refuses %d of %d receivers; the others have the mail", refused, len(e.To))
	}
	return nil
}

// receivers names who gets the mail, and returns how many of them the server refuses for good: of several, one that is gone keeps
// it from no other.
func (e *Email) receivers(c *smtp.Client) (refused int, last *Failure) {
	for _, to := range e.To {
		err := c.Rcpt(bare(to))
		if err == nil {
			continue
		}
		if last = answered("the server refuses a receiver", err); last.Again {
			return refused, last
		}
		refused++
	}
	if refused < len(e.To) {
		last = nil
	}
	return refused, last
}

func (e *Email) connect(ctx context.Context) (*smtp.Client, *Failure) {
	host, _, _ := net.SplitHostPort(e.Server)
	conf, err := trust(e.CA, host)
	if err != nil {
		return nil, final("the authorities: %w", err)
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", e.Server)
	if err != nil {
		return nil, passing("no connection: %w", err)
	}
	if t, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(t)
	}
	mode := e.mode()
	if mode == "tls" {
		conn = tls.Client(conn, conf)
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		_ = conn.Close()
		return nil, answered("no greeting", err)
	}
	if mode == "starttls" {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			_ = c.Close()
			return nil, final("the server offers no STARTTLS, and nothing is sent unencrypted")
		}
		if err := c.StartTLS(conf); err != nil {
			_ = c.Close()
			return nil, answered("no encryption", err)
		}
	}
	return c, nil
}

// answered tells what a server refuses for good (5yz) from what it may take later. Its text may repeat what it was told.
func answered(what string, err error) *Failure {
	if e, ok := errors.AsType[*textproto.Error](err); ok {
		if e.Code >= 500 {
			return final("%s: it answered %d", what, e.Code)
		}
		return passing("%s: it answered %d", what, e.Code)
	}
	return passing("%s: %w", what, err)
}

func bare(address string) string {
	if a, err := mail.ParseAddress(address); err == nil {
		return a.Address
	}
	return address
}

// named writes addresses for the head of a mail: names that are not ASCII encoded (RFC 2047), each on a line of its own.
func named(addresses ...string) string {
	out := make([]string, len(addresses))
	for i, s := range addresses {
		out[i] = s
		if a, err := mail.ParseAddress(s); err == nil {
			out[i] = a.String()
		}
	}
	return strings.Join(out, ",\r\n ")
}

// subject writes a line of any length and of any letters: what is encoded is folded between its words.
func subject(s string) string {
	return strings.ReplaceAll(mime.QEncoding.Encode("utf-8", clean(s)), "?= =?", "?=\r\n =?")
}

// mail writes the message (RFC 5322). Its id is the alert's, so that one that comes twice is shown once.
func (e *Email) mail(m *Message) []byte {
	from := bare(e.From)
	domain := from[strings.LastIndexByte(from, '@')+1:]
	var b bytes.Buffer
	for _, h := range []Fact{
		{"From", named(e.From)}, {"To", named(e.To...)}, {"Subject", subject("[" + m.Severity + "] " + m.Title)},
		{"Date", m.At.UTC().Format(time.RFC1123Z)}, {"Message-ID", "<" + m.ID + "@" + domain + ">"}, {"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"}, {"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", h.Name, h.Value)
	}
	b.WriteString("\r\n")
	q := quotedprintable.NewWriter(&b)
	var text strings.Builder
	text.WriteString(m.Title + "\n\n" + m.Text + "\n\n")
	for _, f := range m.Facts {
		text.WriteString(clean(f.Name+": "+f.Value) + "\n")
	}
	_, _ = q.Write([]byte(strings.ReplaceAll(text.String(), "\n", "\r\n")))
	_ = q.Close()
	return b.Bytes()
}
