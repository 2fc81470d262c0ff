// Command tokens sends hard texts to a reference tokenizer at its other end and compares what comes back with
// the tokens that Signalbox finds:
//
//	tokens -encoding NAME [-vocab FILE] [-n COUNT] [-seed SEED] [-old] [-counts] [-record FILE]
//
// It is no test of its own: internal/conformance/py/tokens.py runs it. On standard output it writes batches,
// a number of texts and each with its length before it; on standard input it reads for each text the number
// of its tokens and, but with -counts, their ids. All numbers have 32 bits, least significant byte first.
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
	file := flag.String("vocab", "", "the vocabulary's file, where it is not shipped")
	record := flag.String("record", "", "write what the reference says into this file")
	flag.BoolVar(&c.counts, "counts", false, "the reference counts and names no tokens")
	flag.IntVar(&c.n, "n", 1000, "how many texts")
	flag.Parse()
	if err := c.run(*name, *file, texts.New(*seed, *old), *record); err != nil {
		panic(err)
	}
}

// batch is how many texts are on their way at once.
const batch = 500

type check struct {
	in     *bufio.Reader
	out    *bufio.Writer
	n      int
	text   tokenizer.Text
	counts bool // no tokens are named
	wrong  int
	say    []byte // for the record
}

// open returns the encoding, of a vocabulary's file if there is one.
func open(name, file string) (tokenizer.Text, error) {
	if file == "" {
		return tokenizer.Encoding(name)
	}
	return tokenizer.Load(name, func() ([]byte, error) { return os.ReadFile(file) })
}

func (c *check) run(name, file string, source *texts.Source, record string) (err error) {
	if c.text, err = open(name, file); err != nil {
		return err
	}
	if _, ok := c.text.(tokenizer.Coder); !ok && !c.counts {
		return fmt.Errorf("encoding %s names no tokens", name)
	}
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
		n, want, err := c.read()
		if err != nil {
			return err
		}
		c.compare(s, n, want)
	}
	return nil
}

// read returns what the reference says of a text: how many tokens, and which.
func (c *check) read() (n int, ids []int, err error) {
	var word [4]byte
	if _, err := io.ReadFull(c.in, word[:]); err != nil {
		return 0, nil, err
	}
	n = int(binary.LittleEndian.Uint32(word[:]))
	if c.counts {
		return n, nil, nil
	}
	ids = make([]int, n)
	for i := range ids {
		if _, err := io.ReadFull(c.in, word[:]); err != nil {
			return 0, nil, err
		}
		ids[i] = int(binary.LittleEndian.Uint32(word[:]))
	}
	return n, ids, nil
}

func (c *check) compare(s string, n int, want []int) {
	var got []int
	if coder, ok := c.text.(tokenizer.Coder); ok && !c.counts {
		c.say = texts.AppendDigest(c.say, want)
		got = coder.Encode(nil, []byte(s))
	} else {
		c.say = binary.AppendUvarint(c.say, uint64(n))
	}
	count := c.text.Count([]byte(s))
	stream := c.text.Stream()
	for i := 0; i < len(s); i += 4 {
		stream.Add([]byte(s[i:min(i+4, len(s))]))
	}
	if slices.Equal(got, want) && count == n && stream.Total() == count {
		return
	}
	if c.wrong++; c.wrong <= 10 {
		fmt.Fprintf(os.Stderr, "%+q: got %v, want %v; counts %d, streamed %d, want %d\n", s, got, want, count, stream.Total(), n)
	}
}
