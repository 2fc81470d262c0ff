package channel

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Message is an alert as it is sent.
type Message struct {
	ID       string // the same whenever and by whomever it is sent
	Kind     string // threshold, burn, forecast, anomaly, key, fault or test
	Severity string // info, warning or critical
	At       time.Time
	Title    string // one line
	Text     string
	Facts    []Fact
}

// Fact is one thing that is known, for programs.
type Fact struct{ Name, Value string }

// JSON returns the message as webhooks get it.
func (m *Message) JSON() []byte {
	b := jsonx.AppendText([]byte{'{'}, "id", m.ID)
	for _, f := range []Fact{{"kind", m.Kind}, {"severity", m.Severity}, {"at", m.At.UTC().Format(time.RFC3339)}, {"title", m.Title}, {"text", m.Text}} {
		b = jsonx.AppendText(b, f.Name, f.Value)
	}
	b = append(jsonx.AppendKey(b, "facts"), '{')
	for _, f := range m.Facts {
		b = jsonx.AppendText(b, f.Name, f.Value)
	}
	return append(b, "}}"...)
}

// slack returns the message for Slack: its text marks up with *, _ and <>, and escapes three characters
// (https://docs.slack.dev/messaging/formatting-message-text).
func (m *Message) slack() []byte {
	mark := map[string]string{"critical": ":rotating_light:", "warning": ":warning:", "info": ":information_source:"}[m.Severity]
	text := mark + " *" + escape(m.Title) + "*"
	if m.Text != "" {
		text += "\n" + escape(m.Text)
	}
	return append(jsonx.AppendText([]byte{'{'}, "text", text), '}')
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "*", "∗").Replace(s)
}

// clean makes one line of a text, for the head of a mail.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}
