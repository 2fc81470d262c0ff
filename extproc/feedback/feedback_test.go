package feedback_test

import (
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/feedback"
	"github.com/signalbox-ai/signalbox/internal/ledger"
)

func TestWhatIsNoFeedbackIsRefused(t *testing.T) {
	for body, says := range map[string]string{
		`[]`:                                    "must be an object",
		`{"score":1}`:                           "request_id",
		`{"request_id":"12345678"}`:             "score",
		`{"request_id":"1 2","score":1}`:        "request_id",
		`{"request_id":"12345678","score":1.1}`: "score",
		`{"request_id":"12345678","score":"1"}`: "score",
		`{"request_id":"12345678","exchange_id":"87654321","score":1}`:                      "exchange_id",
		`{"request_id":"12345678","score":1,"label":"a b"}`:                                 "label",
		`{"request_id":"12345678","score":1,"rating":1}`:                                    "rating",
		`{"request_id":"12345678","score":1,"score":0}`:                                     "score",
		`{"request_id":"12345678","score":1,"comment":"` + strings.Repeat("x", 2001) + `"}`: "comment",
	} {
		if _, e := feedback.Read([]byte(body)); e == nil || !strings.Contains(e.Param+" "+e.Message, says) {
			t.Errorf("%s: %v", body, e)
		}
	}
}

func TestWhatIsSaidTwiceIsOneRecord(t *testing.T) {
	record := func(body, key string) ledger.Key {
		t.Helper()
		f, e := feedback.Read([]byte(body))
		if e != nil {
			t.Fatal(e)
		}
		r := f.Record("default", ledger.Who{KeyID: key}, time.Now())
		if r.Sequence < 1 || r.Sequence > 1<<31-1 {
			t.Errorf("sequence %d", r.Sequence)
		}
		return r.Key
	}
	first := record(`{"request_id":"12345678","score":1}`, "k")
	if again := record(`{"exchange_id":"12345678","score":1}`, "k"); again != first {
		t.Errorf("%v and %v", first, again)
	}
	if other := record(`{"request_id":"12345678","score":0}`, "k"); other.ID != first.ID || other == first {
		t.Errorf("another score: %v and %v", first, other)
	}
	for _, body := range []string{`{"request_id":"12345678","score":1,"label":"tone"}`, `{"request_id":"12345679","score":1}`} {
		if other := record(body, "k"); other.ID == first.ID {
			t.Errorf("%s has the id of another", body)
		}
	}
	if other := record(`{"request_id":"12345678","score":1}`, "l"); other.ID == first.ID {
		t.Error("two keys say the same record")
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"request_id":"12345678","score":0.5,"label":"tone","comment":"\u0000"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, e := feedback.Read(b); e == nil {
			v.Record("o", ledger.Who{}, time.Now()).Encode()
		}
	})
}
