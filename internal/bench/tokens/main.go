// Command tokens counts the same texts with Signalbox's tokenizer, with github.com/tiktoken-go/tokenizer and
// with tiktoken's Rust core, in turn on one core, and prints a table:
//
//	go run ./internal/bench/tokens        (make bench does it)
//
// It is for comparing within one run, not between runs. The Rust core needs a Python with tiktoken: the one that
// make conformance has installed, or what SIGNALBOX_TIKTOKEN_PYTHON names. Texts that are not on this machine
// are left out.
package main

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"

	other "github.com/tiktoken-go/tokenizer"

	"github.com/signalbox-ai/signalbox/tokenizer"
)

func main() {
	runtime.GOMAXPROCS(1)
	if err := run(); err != nil {
		panic(err)
	}
}

// sample is a text to count.
type sample struct {
	name string
	text []byte
}

func run() error {
	samples, err := samples()
	if err != nil {
		return err
	}
	start := time.Now()
	ours, err := tokenizer.Encoding("o200k_base")
	if err != nil {
		return err
	}
	fmt.Printf("o200k_base, loaded in %d ms\n\n", time.Since(start).Milliseconds())
	theirs, err := other.Get(other.O200kBase)
	if err != nil {
		return err
	}
	rust, err := startRust()
	if err != nil {
		fmt.Println("without tiktoken:", err)
	}
	fmt.Println("text        KB   tokens  MB/s warm  cold  tiktoken (Rust)  times  tiktoken-go  times  its tokens")
	for _, s := range samples {
		if err := row(s, ours, theirs, rust); err != nil {
			return err
		}
	}
	fmt.Println()
	return hostile(ours)
}

func row(s sample, ours tokenizer.Text, theirs other.Codec, rust *rust) error {
	n, wrong := 0, 0
	var cold time.Duration
	mine, its, core := time.Hour, time.Hour, time.Hour
	for round := range 3 {
		for k := range 10 {
			start := time.Now()
			n = ours.Count(s.text)
			took := time.Since(start)
			if round+k == 0 {
				cold = took
			}
			mine = min(mine, took)
		}
		start := time.Now()
		ids, _, err := theirs.Encode(string(s.text))
		if err != nil {
			return err
		}
		its, wrong = min(its, time.Since(start)), len(ids)
		if rust == nil {
			continue
		}
		tokens, took, err := rust.count(s.text)
		if err != nil {
			return err
		}
		if core = min(core, took); tokens != n {
			return fmt.Errorf("%s: %d tokens, tiktoken says %d", s.name, n, tokens)
		}
	}
	speed := func(d time.Duration) float64 { return float64(len(s.text)) / d.Seconds() / 1e6 }
	line := fmt.Sprintf("%-10s %4d %8d %10.0f %5.0f", s.name, len(s.text)>>10, n, speed(mine), speed(cold))
	if rust != nil {
		line += fmt.Sprintf(" %16.1f %5.1fx", speed(core), float64(core)/float64(mine))
	} else {
		line += fmt.Sprintf(" %16s %6s", "-", "-")
	}
	fmt.Printf("%s %12.1f %5.1fx %11d\n", line, speed(its), float64(its)/float64(mine), wrong)
	return nil
}

// hostile prints the speed on a megabyte of what slows tokenizers down, and how many times longer ten times as
// much takes.
func hostile(e tokenizer.Text) error {
	fmt.Println("1 MB of             MB/s  t(10n)/t(n)")
	letters := uint32(1)
	random := func(set string) string {
		rs := []rune(set)
		var b strings.Builder
		for b.Len() < 1<<20 {
			letters = letters*1664525 + 1013904223
			b.WriteRune(rs[int(letters>>16)%len(rs)])
		}
		return b.String()
	}
	for _, c := range []struct{ name, text string }{
		{"one letter", strings.Repeat("a", 1<<20)}, {"spaces", strings.Repeat(" ", 1<<20)}, {"digits", strings.Repeat("7", 1<<20)}, {"hyphens", strings.Repeat("-", 1<<20)},
		{"combining marks", strings.Repeat("\u0301", 1<<19)}, {"random letters", random("abcdefghijklmnopqrstuvwxyz")}, {"random white space", random(" \t\n\r")},
		{"random symbols", random("!#$%&()*+,-./:;<=>?@[]^_{|}~")}, {"Han", random("的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运")},
		{"random bytes", bytesOf(1 << 20)}, {"invalid UTF-8", strings.Repeat("\xff", 1<<20)},
	} {
		best := func(p []byte) time.Duration {
			least := time.Hour
			for range 5 {
				start := time.Now()
				e.Count(p)
				least = min(least, time.Since(start))
			}
			return least
		}
		p := []byte(c.text)
		whole, tenth := best(p), best(p[:len(p)/10])
		fmt.Printf("%-18s %5.0f %12.1f\n", c.name, float64(len(p))/whole.Seconds()/1e6, float64(whole)/float64(tenth))
	}
	return nil
}

func bytesOf(n int) string {
	b, x := make([]byte, n), uint64(1)
	for i := range b {
		x = x*6364136223846793005 + 1442695040888963407
		b[i] = byte(x >> 56)
	}
	return string(b)
}

// samples are prose (a novel and a treatise that two compressors test with), Go's own source, the recorded
// exchanges, and Vim's tutorials in many languages.
func samples() (out []sample, err error) {
	gzipped := filepath.Join("..", "shared", "data")
	if d := os.Getenv("SIGNALBOX_DATA"); d != "" {
		gzipped = d
	}
	for _, s := range []struct{ name, pattern string }{
		{"prose", said("list", "-m", "-f", "{{.Dir}}", "github.com/klauspost/compress") + "/testdata/Mark*.txt"},
		{"code", said("env", "GOROOT") + "/src/net/http/*.go"},
		{"languages", "/usr/share/vim/vim*/tutor/*.utf-8"},
		{"JSON", gzipped + "/recorded/exchanges.jsonl.gz"},
	} {
		names, err := filepath.Glob(s.pattern)
		if err != nil {
			return nil, err
		}
		var text []byte
		for _, name := range names {
			if text, err = read(text, name); err != nil {
				return nil, err
			}
		}
		text = text[:min(len(text), 2<<20)]
		for len(text) > 0 && !utf8.Valid(text) {
			text = []byte(strings.ToValidUTF8(string(text), ""))
		}
		if len(text) > 0 {
			out = append(out, sample{s.name, text})
		}
	}
	return out, nil
}

func read(dst []byte, name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, err
		}
	}
	text, err := io.ReadAll(r)
	return append(dst, text...), err
}

func said(args ...string) string {
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		return "/nowhere"
	}
	return strings.TrimSpace(string(out))
}

// rust is a Python that counts with tiktoken.
type rust struct {
	in  io.WriteCloser
	out *bufio.Reader
}

func startRust() (*rust, error) {
	python := os.Getenv("SIGNALBOX_TIKTOKEN_PYTHON")
	if python == "" {
		python = filepath.Join(".cache", "conformance", "tokens", "bin", "python")
	}
	c := exec.Command(python, "-B", filepath.Join("internal", "bench", "tokens", "reference.py")) //nolint:gosec // a Python that whoever measures names
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil { // ends with its input, which ends with this program
		return nil, fmt.Errorf("%w; make conformance installs it", err)
	}
	return &rust{in, bufio.NewReader(out)}, nil
}

func (r *rust) count(text []byte) (n int, took time.Duration, err error) {
	if _, err := fmt.Fprintf(r.in, "%d\n%s", len(text), text); err != nil {
		return 0, 0, err
	}
	_, err = fmt.Fscanln(r.out, &n, &took)
	return n, took, err
}
