// Command tokens sends hard texts to a reference tokenizer at its other end and compares what comes back with
// the tokens that Signalbox finds:
//
//	tokens -encoding NAME [-n COUNT] [-seed SEED] [-old] [-record FILE]
//
// It is no test of its own: internal/conformance/py/tokens.py runs it. On standard output it writes batches,
// a number of texts and each with its length before it; on standard input it reads for each text the number
// of its tokens and their ids. All numbers have 32 bits, least significant byte first.
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/signalbox-ai/signalbox/internal/testkit/texts"
	"github.com/signalbox-ai/signalbox/tokenizer"
)

func main() {
	c := check{in: bufio.NewReaderSize(os.Stdin, 1<<20), out: bufio.NewWriterSize(os.Stdout, 1<<20)}
	name := flag.String("encoding", "", "whose tokens")
	seed := flag.Uint64("seed", 1, "of the texts")
	old := flag.Bool("old", false, "no characters that are newer than Unicode 15.0")
	record := flag.String("record", "", "write what the reference says into this file")
	flag.IntVar(&c.n, "n", 1000, "how many texts")
	flag.Parse()
	if err := c.run(*name, texts.New(*seed, *old), *record); err != nil {
		panic(err)
	}
}

// batch is how many texts are on their way at once.
const batch = 500

type check struct {
	in    *bufio.Reader
	out   *bufio.Writer
	n     int
	coder tokenizer.Coder
	wrong int
	say   []byte // for the record
}

func (c *check) run(name string, source *texts.Source, record string) error {
	e, err := tokenizer.Encoding(name)
	if err != nil {
		return err
	}
	coder, ok := e.(tokenizer.Coder)
	if !ok {
		return fmt.Errorf("encoding %s names no tokens", name)
	}
	c.coder = coder
	for left := c.n; left > 0; left -= batch {
		if err := c.batch(source, min(left, batch)); err != nil {
			return err
		}
	}
	if record != "" {
		if err := os.WriteFile(record, c.say, 0o600); err != nil {
			return err
		}
	}
	fmt.Fprintf(os.Stderr, "%s: %d texts, %d differ\n", name, c.n, c.wrong)
	if c.wrong > 0 {
		return errors.New("differences")
	}
	return nil
}

func (c *check) batch(source *texts.Source, n int) error {
	var all []string
	head := binary.LittleEndian.AppendUint32(nil, uint32(n))
	for range n {
		s := source.Next()
		all = append(all, s)
		head = append(binary.LittleEndian.AppendUint32(head, uint32(len(s))), s...)
	}
	if _, err := c.out.Write(head); err != nil {
		return err
	}
	if err := c.out.Flush(); err != nil {
		return err
	}
	for _, s := range all {
		want, err := c.read()
		if err != nil {
			return err
		}
		c.compare(s, want)
	}
	return nil
}

func (c *check) read() ([]int, error) {
	var word [4]byte
	if _, err := io.ReadFull(c.in, word[:]); err != nil {
		return nil, err
	}
	ids := make([]int, binary.LittleEndian.Uint32(word[:]))
	for i := range ids {
		if _, err := io.ReadFull(c.in, word[:]); err != nil {
			return nil, err
		}
		ids[i] = int(binary.LittleEndian.Uint32(word[:]))
	}
	return ids, nil
}

func (c *check) compare(s string, want []int) {
	c.say = texts.AppendDigest(c.say, want)
	got := c.coder.Encode(nil, []byte(s))
	count := c.coder.Count([]byte(s))
	stream := c.coder.Stream()
	for i := 0; i < len(s); i += 4 {
		stream.Add([]byte(s[i:min(i+4, len(s))]))
	}
	if slices.Equal(got, want) && count == len(want) && stream.Total() == count {
		return
	}
	if c.wrong++; c.wrong <= 10 {
		fmt.Fprintf(os.Stderr, "%q: got %v, want %v; counts %d, streamed %d\n", s, got, want, count, stream.Total())
	}
}
