// Package feedback reads what clients say of the answers that they got, and makes the records of it that go into the ledger.
//
//	POST /v1/feedback ─ Read ─► Feedback ─ Record ─► ledger.Record, cause "feedback", without units and costs
//
// A record names the answer by the id of its request and the key that asked. Nobody looks the exchange up, which may not be in the
// ledger yet: who reads feedback holds the two together, and passes over what is said of others' exchanges.
package feedback

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Path is where clients send it.
const Path = "/v1/feedback"

// Cause is that of the records.
const Cause = "feedback"

// Bounds of what is said.
const (
	mostID      = 64
	mostLabel   = 64
	mostComment = 2000
)

// Feedback is what a client says of an answer.
type Feedback struct {
	Exchange string   `json:"exchange_id"` // the same as Request; one of them is due
	Request  string   `json:"request_id"`  // x-request-id of the answer
	Score    *float64 `json:"score"`       // from 0, bad, to 1, good
	Label    string   `json:"label"`       // what is scored; "": the answer as a whole
	Comment  string   `json:"comment"`
}

// Read reads the body of a request. The error names the field.
func Read(body []byte) (f Feedback, e *llm.Error) {
	if err := jsonx.DecodeStrict(body, &f); err != nil {
		return f, &llm.Error{Code: llm.CodeInvalid, Message: "the body must be an object with request_id, score, label and comment: " + err.Error()}
	}
	switch {
	case f.Exchange != "" && f.Request != "" && f.Exchange != f.Request:
		return f, llm.Invalid("exchange_id", "is another than request_id; one of them is enough")
	case f.Request == "":
		f.Request = f.Exchange
	}
	switch {
	case f.Request == "":
		return f, llm.Invalid("request_id", "is missing: it is the x-request-id of the answer")
	case len(f.Request) > mostID || strings.ContainsFunc(f.Request, func(r rune) bool { return r <= ' ' || r > '~' }):
		return f, llm.Invalid("request_id", "is not the x-request-id of an answer")
	case f.Score == nil:
		return f, llm.Invalid("score", "is missing: it is a number from 0, which is bad, to 1, which is good")
	case math.IsNaN(*f.Score) || *f.Score < 0 || *f.Score > 1:
		return f, llm.Invalid("score", "must be from 0, which is bad, to 1, which is good")
	case !name(f.Label):
		return f, llm.Invalid("label", "must be a word of letters, digits, dot, dash and underscore, of at most "+strconv.Itoa(mostLabel)+" bytes")
	case len(f.Comment) > mostComment || !utf8.ValidString(f.Comment):
		return f, llm.Invalid("comment", "must be a text of at most "+strconv.Itoa(mostComment)+" bytes")
	}
	return f, nil
}

func name(s string) bool {
	return len(s) <= mostLabel && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '.' && r != '-' && r != '_'
	})
}

// Record makes the record of what somebody says. What is said twice makes the same record twice, which the ledger keeps once;
// what is said anew of the same label makes another, and the later one counts.
func (f *Feedback) Record(organization string, who ledger.Who, at time.Time) *ledger.Record {
	id := sha256.New()
	for _, s := range []string{organization, who.KeyID, f.Request, f.Label} {
		id.Write(append([]byte(s), 0))
	}
	sum := id.Sum(nil)
	id.Write(binary.BigEndian.AppendUint64(nil, math.Float64bits(*f.Score)))
	id.Write([]byte(f.Comment))
	const past = 1<<31 - 2
	n := int(binary.BigEndian.Uint32(id.Sum(nil)))%past + 1
	r := &ledger.Record{
		Key: ledger.Key{Organization: organization, ID: "feedback-" + hex.EncodeToString(sum[:12]), Sequence: n}, At: at, Cause: Cause, Who: who,
		Asked: ledger.Asked{Op: Cause, Request: f.Request},
	}
	r.Said.Score, r.Said.Label, r.Said.Comment = *f.Score, f.Label, f.Comment
	return r
}

// Answer is the body of the answer to a client.
func (f *Feedback) Answer() []byte {
	b := jsonx.AppendText([]byte{'{'}, "object", Cause)
	b = jsonx.AppendText(b, "request_id", f.Request)
	b = strconv.AppendFloat(jsonx.AppendKey(b, "score"), *f.Score, 'g', -1, 64)
	return append(jsonx.AppendText(b, "label", f.Label), '}')
}
