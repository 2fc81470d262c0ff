package shelf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// around is how many equal lines are shown around what differs.
const around = 3

// edit is a line of one of two texts, or of both.
type edit struct {
	sign byte // ' ', '-' or '+'
	line string
}

// Diff writes what differs between two texts, which have names, in the unified form, as diff -u does.
func Diff(from, to string, before, after []byte) string {
	edits := compare(lines(before), lines(after))
	shown := make([]bool, len(edits))
	for i, e := range edits {
		if e.sign == ' ' {
			continue
		}
		for j := max(0, i-around); j <= min(len(edits)-1, i+around); j++ {
			shown[j] = true
		}
	}
	var b strings.Builder
	a, c := 1, 1 // the next lines of both
	for i := 0; i < len(edits); {
		if !shown[i] {
			i, a, c = i+1, a+1, c+1
			continue
		}
		if b.Len() == 0 {
			fmt.Fprintf(&b, "--- %s\n+++ %s\n", from, to)
		}
		end, olds, news := i, 0, 0
		for ; end < len(edits) && shown[end]; end++ {
			if edits[end].sign != '+' {
				olds++
			}
			if edits[end].sign != '-' {
				news++
			}
		}
		fmt.Fprintf(&b, "@@ -%s +%s @@\n", span(a, olds), span(c, news))
		for ; i < end; i++ {
			fmt.Fprintf(&b, "%c%s\n", edits[i].sign, edits[i].line)
		}
		a, c = a+olds, c+news
	}
	return b.String()
}

// span is a range of lines as the unified form has it: an empty one begins at the line before.
func span(first, n int) string {
	switch n {
	case 0:
		return fmt.Sprintf("%d,0", first-1)
	case 1:
		return strconv.Itoa(first)
	}
	return fmt.Sprintf("%d,%d", first, n)
}

func lines(text []byte) []string {
	s := strings.TrimSuffix(string(text), "\n")
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// compare finds a longest common subsequence of lines. What both texts begin and end with is left out of the search, which
// takes room for the product of what is left: templates are at most a few thousand lines.
func compare(a, b []string) (out []edit) {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		out = append(out, edit{' ', a[head]})
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	x, y := a[head:len(a)-tail], b[head:len(b)-tail]
	const most = 1 << 22
	if len(x)*len(y) > most { // too much has changed to be told apart
		for _, l := range x {
			out = append(out, edit{'-', l})
		}
		for _, l := range y {
			out = append(out, edit{'+', l})
		}
	} else {
		out = append(out, longest(x, y)...)
	}
	for _, l := range a[len(a)-tail:] {
		out = append(out, edit{' ', l})
	}
	return out
}

func longest(x, y []string) (out []edit) {
	table := make([][]int32, len(x)+1) // the common length of what begins at i and j
	for i := range table {
		table[i] = make([]int32, len(y)+1)
	}
	for i := range slices.Backward(x) {
		for j := len(y) - 1; j >= 0; j-- {
			if x[i] == y[j] {
				table[i][j] = table[i+1][j+1] + 1
			} else {
				table[i][j] = max(table[i+1][j], table[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(x) || j < len(y) {
		switch {
		case i < len(x) && j < len(y) && x[i] == y[j]:
			out = append(out, edit{' ', x[i]})
			i, j = i+1, j+1
		case j == len(y) || i < len(x) && table[i+1][j] >= table[i][j+1]:
			out = append(out, edit{'-', x[i]})
			i++
		default:
			out = append(out, edit{'+', y[j]})
			j++
		}
	}
	return out
}
