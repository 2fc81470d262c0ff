package mapped

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// held is what the process has mapped of files, in kB.
func held(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "RssFile:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var written = "before"

func TestWhatIsNotNeededIsGivenBack(t *testing.T) {
	written = strings.Clone("since")
	before := held(t)
	if err := Forget(); err != nil {
		t.Fatal(err)
	}
	if after := held(t); after > before*3/4 {
		t.Errorf("%d kB of files are mapped, and %d kB were", after, before)
	}
	if written != "since" {
		t.Errorf("a variable is %q", written)
	}
	if err := Forget(); err != nil {
		t.Error(err)
	}
}

func TestOnlyCleanPartsOfTheProgramAreGivenBack(t *testing.T) {
	const smaps = `00400000-0253a000 r-xp 00000000 fe:00 10428610                           /opt/signal box
Size:              34024 kB
Rss:               22176 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
0253a000-050c9000 r--p 0213a000 fe:00 10428610                           /opt/signal box
Anonymous:             0 kB
050c9000-05200000 r--p 04cc9000 fe:00 10428610                           /opt/signal box
Anonymous:             4 kB
05200000-05300000 rw-p 04e00000 fe:00 10428610                           /opt/signal box
Anonymous:             0 kB
05300000-05400000 rw-p 00000000 00:00 0 
Anonymous:             0 kB
7f0000000000-7f0000100000 r-xp 00000000 fe:00 77                         /lib/libc.so.6
Anonymous:             0 kB
7ffd00000000-7ffd00002000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
`
	want := []part{{0x400000, 0x253a000}, {0x253a000, 0x50c9000}}
	if diff := cmp.Diff(want, clean([]byte(smaps), "/opt/signal box"), cmp.AllowUnexported(part{})); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got := clean([]byte(smaps), "/opt/other"); got != nil {
		t.Errorf("of another program: %v", got)
	}
}
