package channel

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// office is a server of mail on loopback.
type office struct {
	t    *testing.T
	l    net.Listener
	tls  *tls.Config
	ca   string // file
	mode string // of encryption
	says map[string]string
	got  chan letter
}

// letter is a mail as it came.
type letter struct {
	commands []string
	data     string
	secure   bool
}

func open(t *testing.T, mode string) *office {
	t.Helper()
	web := httptest.NewTLSServer(nil) // has a certificate for 127.0.0.1
	t.Cleanup(web.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	o := &office{t: t, l: l, tls: web.TLS, ca: ca, mode: mode, says: map[string]string{}, got: make(chan letter, 8)}
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go o.serve(c)
		}
	}()
	return o
}

func (o *office) serve(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	var in letter
	defer func() { o.got <- in }()
	if o.mode == "tls" {
		c, in.secure = tls.Server(c, o.tls), true
	}
	r := bufio.NewReader(c)
	say := func(s string) { fmt.Fprintf(c, "%s\r\n", s) }
	say("220 office ready")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		in.commands = append(in.commands, line)
		word, _, _ := strings.Cut(line, " ")
		if s := cmp.Or(o.says[line], o.says[word]); s != "" {
			say(s)
			continue
		}
		switch word {
		case "EHLO":
			if o.mode == "starttls" && !in.secure {
				say("250-office\r\n250 STARTTLS")
			} else {
				say("250-office\r\n250 AUTH PLAIN")
			}
		case "STARTTLS":
			say("220 go on")
			c, in.secure = tls.Server(c, o.tls), true
			r = bufio.NewReader(c)
		case "AUTH":
			say("235 welcome")
		case "DATA":
			say("354 go on")
			var b strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				b.WriteString(line)
			}
			in.data = b.String()
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 fine")
		}
	}
}

func (o *office) settings(t *testing.T) *Settings {
	return &Settings{Email: Email{
		Server: o.l.Addr().String(), TLS: o.mode, CA: o.ca, From: "Signalbox <box@example.com>", To: []string{"a@example.com", "b@example.com"},
		User: "box", Password: put(t, "hunter2"),
	}}
}

func TestMailIsEncryptedBeforeAnythingIsSaid(t *testing.T) {
	for _, mode := range []string{"starttls", "tls"} {
		o := open(t, mode)
		m := message()
		m.Title += " – früh"
		m.Facts = append(m.Facts, Fact{"end_user", "x\r\nBcc: evil@example.com"})
		if err := (&Sender{}).Deliver(t.Context(), o.settings(t), m); err != nil {
			t.Fatal(err)
		}
		got := <-o.got
		if i := slices.IndexFunc(got.commands, func(c string) bool { return strings.HasPrefix(c, "AUTH") }); !got.secure || i < 0 || mode == "starttls" && !slices.Contains(got.commands[:i], "STARTTLS") {
			t.Errorf("%s: %v", mode, got.commands)
		}
		for _, want := range []string{"MAIL FROM:<box@example.com>", "RCPT TO:<a@example.com>", "RCPT TO:<b@example.com>"} {
			if !slices.ContainsFunc(got.commands, func(c string) bool { return strings.HasPrefix(c, want) }) {
				t.Errorf("%s: no %s in %v", mode, want, got.commands)
			}
		}
		letter, err := mail.ReadMessage(bytes.NewReader([]byte(got.data)))
		if err != nil {
			t.Fatal(err)
		}
		if id := letter.Header.Get("Message-ID"); id != "<a1b2@example.com>" {
			t.Errorf("id %s", id)
		}
		if s := letter.Header.Get("Subject"); !strings.HasPrefix(s, "=?utf-8?q?") || letter.Header.Get("Bcc") != "" {
			t.Errorf("head %v", letter.Header)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(letter.Body))
		if err != nil || !strings.Contains(string(text), "400 of 500 USD in the month from 2026-08-01.\r\n") || !strings.Contains(string(text), "end_user: x  Bcc: evil@example.com\r\n") {
			t.Errorf("text %q, %v", text, err)
		}
	}
}

// TestTheHeadOfAMailIsASCIIInShortLines whatever names are in it (RFC 5322): servers refuse others.
func TestTheHeadOfAMailIsASCIIInShortLines(t *testing.T) {
	e := Email{From: "Büro <box@example.com>", To: []string{"Ärger <a@example.com>", "b@example.com"}}
	m := message()
	m.Title = strings.Repeat("früh ", 200)
	b := e.mail(m)
	head, _, _ := bytes.Cut(b, []byte("\r\n\r\n"))
	for line := range strings.SplitSeq(string(head), "\r\n") {
		if len(line) > 998 || strings.ContainsFunc(line, func(r rune) bool { return r > '~' }) {
			t.Errorf("%d bytes: %q", len(line), line)
		}
	}
	got, err := mail.ReadMessage(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	from, err := got.Header.AddressList("From")
	if err != nil || len(from) != 1 || *from[0] != (mail.Address{Name: "Büro", Address: "box@example.com"}) {
		t.Errorf("from %v, %v", from, err)
	}
	to, err := got.Header.AddressList("To")
	if err != nil || len(to) != 2 || *to[0] != (mail.Address{Name: "Ärger", Address: "a@example.com"}) || to[1].Address != "b@example.com" {
		t.Errorf("to %v, %v", to, err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
	if want := "[" + m.Severity + "] " + strings.TrimSpace(m.Title); err != nil || subject != want {
		t.Errorf("subject %q, %v", subject, err)
	}
}

func TestWithoutEncryptionNothingIsSaid(t *testing.T) {
	o := open(t, "none")
	s := o.settings(t)
	s.Email.TLS = "starttls"
	var waited []time.Duration
	err := quick(&waited).Deliver(t.Context(), s, message())
	if err == nil || !strings.Contains(err.Error(), "STARTTLS") || len(waited) > 0 {
		t.Errorf("got %v", err)
	}
	if got := <-o.got; slices.ContainsFunc(got.commands, func(c string) bool { return !strings.HasPrefix(c, "EHLO") }) {
		t.Errorf("said %v", got.commands)
	}
	s = open(t, "starttls").settings(t)
	s.Email.CA = "" // the system's authorities do not know it
	if err := quick(&waited).Deliver(t.Context(), s, message()); err == nil {
		t.Error("a certificate of nobody is believed")
	}
}

func TestMailIsTriedAgainWhereThatHelps(t *testing.T) {
	for say, tries := range map[string]int{"451 hunter2 later": 5, "550 hunter2 no": 1} {
		o := open(t, "starttls")
		o.says["RCPT"] = say
		var waited []time.Duration
		err := quick(&waited).Deliver(t.Context(), o.settings(t), message())
		if err == nil || len(waited) != tries-1 || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, tried %d times", say, err, len(waited)+1)
		}
	}
}

// TestOneReceiverThatIsGoneKeepsTheMailFromNoOther: an address that a server does not know any more must not silence a channel. A
// test says that it does not get there.
func TestOneReceiverThatIsGoneKeepsTheMailFromNoOther(t *testing.T) {
	o := open(t, "starttls")
	o.says["RCPT TO:<a@example.com>"] = "550 hunter2 has left"
	for _, kind := range []string{"threshold", "test"} {
		m := message()
		m.Kind = kind
		var waited []time.Duration
		err := quick(&waited).Deliver(t.Context(), o.settings(t), m)
		if got := <-o.got; got.data == "" {
			t.Errorf("%s: b did not get it", kind)
		}
		if (err != nil) != (kind == "test") || len(waited) > 0 {
			t.Errorf("%s: %v, tried %d times", kind, err, len(waited)+1)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "1 of 2")) {
			t.Errorf("got %v", err)
		}
	}
}
