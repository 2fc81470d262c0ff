package remote

import (
	"context"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/signalbox-ai/signalbox/internal/evals"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
)

// Page is a run that is being written. Outcomes are sent as they come, those together that come while others are under way.
// Its methods are called by one goroutine at a time.
type Page struct {
	Run evals.Run // as it stood when it was opened

	book  Book
	keep  bool
	done  map[[2]string]bool
	all   []evals.Outcome
	wake  chan struct{} // something waits, or closed: nothing more comes
	ended chan struct{} // closed when nothing is sent any more

	mu    sync.Mutex
	queue []*v1.EvalOutcome
	err   error
}

// Bounds of what is sent.
const (
	mostBytes = 512 << 10 // of a request, but for one outcome that is larger by itself; the API takes 1 MiB
	tries     = 6
	patience  = 30 * time.Second // of one request
)

// cut marks a text of which the end is not kept.
const cut = " … [the rest is not kept]"

// Done reports whether a case has its outcome.
func (p *Page) Done(id, target string) bool { return p.done[[2]string{id, target}] }

// All returns the outcomes of the run so far.
func (p *Page) All() []evals.Outcome { return p.all }

// Add hands an outcome over. Its error is that of one that was sent before.
func (p *Page) Add(o evals.Outcome) error {
	p.all = append(p.all, o)
	m := Message(&o)
	if p.keep {
		m.Text = fit(m.Text)
	} else {
		m.Text = ""
	}
	for _, c := range m.Checks {
		if c.Why = strings.ToValidUTF8(c.Why, "�"); !p.keep {
			c.Why = "" // it quotes the answer
		}
	}
	m.Exchange = column(m.Exchange)
	m.Exchange = strings.ToValidUTF8(m.Exchange[:min(len(m.Exchange), evals.MostName)], "") // an id of another gateway may be anything
	m.Error = column(m.Error)
	p.mu.Lock()
	p.queue = append(p.queue, m)
	err := p.err
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default: // it wakes anyway
	}
	return err
}

// column makes a text one that the store has a place for.
func column(s string) string { return strings.ReplaceAll(strings.ToValidUTF8(s, "�"), "\x00", " ") }

// fit cuts a text to what is kept.
func fit(s string) string {
	s = strings.ToValidUTF8(s, "�")
	if len(s) <= evals.MostText {
		return s
	}
	return strings.ToValidUTF8(s[:evals.MostText-len(cut)], "") + cut
}

// Close waits until all is sent.
func (p *Page) Close() error {
	close(p.wake)
	<-p.ended
	return p.err
}

// send sends what comes until nothing more does, or it is no use.
func (p *Page) send(ctx context.Context) {
	defer close(p.ended)
	for more := true; more; {
		_, more = <-p.wake
		for {
			some := p.next()
			if len(some) == 0 {
				break
			}
			if err := p.put(ctx, some); err != nil {
				p.mu.Lock()
				p.err = p.book.word(p.Run.Name, err)
				p.mu.Unlock()
				return
			}
		}
	}
}

// next takes what is sent together.
func (p *Page) next() []*v1.EvalOutcome {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, bytes := 0, 0
	for _, m := range p.queue {
		bytes += proto.Size(m)
		if n == evals.MostBatch || n > 0 && bytes > mostBytes {
			break
		}
		n++
	}
	some := p.queue[:n:n]
	p.queue = p.queue[n:]
	return some
}

// put sends outcomes until the service has taken them: what it took already stays as it is, so that they can be sent again.
func (p *Page) put(ctx context.Context, some []*v1.EvalOutcome) error {
	wait := 500 * time.Millisecond
	for try := 1; ; try++ {
		one, cancel := context.WithTimeout(ctx, patience)
		_, err := p.book.API.AddEvalOutcomes(one, &v1.AddEvalOutcomesRequest{Organization: p.book.Organization, Run: p.Run.Name, Outcomes: some})
		cancel()
		switch connect.CodeOf(err) {
		case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeInternal, connect.CodeUnknown, connect.CodeResourceExhausted, connect.CodeAborted:
		default:
			return err
		}
		if err == nil || try == tries {
			return err
		}
		time.Sleep(wait)
		wait *= 2
	}
}
