package writer_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger/writer"
	"github.com/signalbox-ai/signalbox/internal/testkit/ledgertest"
)

func TestWhileTheStoreIsAwayRecordsWaitInTheSpool(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		w := start(t, writer.Params{Store: s, Batch: 10, Spool: dir})
		add(w, 0, 20)
		synctest.Wait()
		s.set(true)
		for n := 20; n < 120; n += 10 {
			add(w, n, n+10)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if st := w.Stats(); st.Written != 20 || st.Held != 100 || st.Lost != 0 || !st.Away || st.Spool == 0 {
			t.Errorf("while it is away: %+v", st)
		}
		s.set(false)
		add(w, 120, 130)
		time.Sleep(time.Minute)
		synctest.Wait()
		if st := w.Stats(); st.Written != 130 || st.Held != 0 || st.Away || st.Spool != 0 || s.count() != 130 {
			t.Errorf("when it is back: %+v", st)
		}
		end(t, w)
	})
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("%d files are left", len(files))
	}
}

func TestASpoolOutlivesItsProcess(t *testing.T) {
	dir := t.TempDir()
	s := newStore()
	s.set(true)
	synctest.Test(t, func(t *testing.T) {
		w := start(t, writer.Params{Store: s, Batch: 10, Spool: dir})
		add(w, 0, 35)
		if st := end(t, w); st.Held != 35 {
			t.Errorf("%+v", st)
		}
	})
	tear(t, dir)
	s.set(false)
	s.takes = 2 // and goes away in the middle
	synctest.Test(t, func(t *testing.T) {
		w := start(t, writer.Params{Store: s, Batch: 10, Spool: dir})
		time.Sleep(time.Second)
		s.set(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		if st := end(t, w); st.Written != 34 || st.Known != 0 || st.Added != 34 {
			t.Errorf("%+v", st)
		}
	})
	if s.count() != 34 { // the torn one is gone
		t.Errorf("%d records, want 34", s.count())
	}
}

// TestASpoolIsOfOneProcess: another that is started by mistake would take the files away under the one that writes them.
func TestASpoolIsOfOneProcess(t *testing.T) {
	dir := t.TempDir()
	s := newStore()
	first := start(t, writer.Params{Store: s, Spool: dir})
	if w, err := writer.New(writer.Params{Store: s, Spool: dir}); err == nil {
		end(t, w)
		t.Error("two have one spool")
	} else if !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
	end(t, first)
	end(t, start(t, writer.Params{Store: s, Spool: dir}))
}

// tear cuts the last bytes off the newest segment, as a crash does.
func tear(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.ledger"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	last := files[len(files)-1]
	info, err := os.Stat(last)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(last, info.Size()-5); err != nil {
		t.Fatal(err)
	}
}

func TestADamagedFrameEndsItsSegment(t *testing.T) {
	dir := t.TempDir()
	s := newStore()
	s.set(true)
	synctest.Test(t, func(t *testing.T) {
		w := start(t, writer.Params{Store: s, Batch: 5, Spool: dir})
		add(w, 0, 5)
		end(t, w)
	})
	path := filepath.Join(dir, "00000001.ledger")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s.set(false)
	synctest.Test(t, func(t *testing.T) {
		w := start(t, writer.Params{Store: s, Spool: dir})
		time.Sleep(time.Minute)
		end(t, w)
	})
	if s.count() != 2 {
		t.Errorf("%d records came back, want the two before the damage", s.count())
	}
}

// TestARecordOfAnotherFormIsLostAlone: a newer program may have left one with an item that this one does not know.
func TestARecordOfAnotherFormIsLostAlone(t *testing.T) {
	dir := t.TempDir()
	var data []byte
	for n := range 3 {
		line := ledgertest.Make(fmt.Sprint(n), ledgertest.Noon()).Encode()
		if n == 1 {
			line = bytes.Replace(line, []byte(`"units":{`), []byte(`"units":{"per_hologram":1,`), 1)
		}
		data = binary.BigEndian.AppendUint32(data, uint32(len(line)))
		data = binary.BigEndian.AppendUint32(data, crc32.Checksum(line, crc32.MakeTable(crc32.Castagnoli)))
		data = append(data, line...)
	}
	data = append(data, make([]byte, 64)...) // as a crash may leave
	if err := os.WriteFile(filepath.Join(dir, "00000001.ledger"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newStore()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, writer.Params{Store: s, Spool: dir})
		time.Sleep(time.Minute)
		if st := end(t, w); st.Written != 2 || st.Lost != 1 || st.Added != 3 {
			t.Errorf("%+v", st)
		}
	})
}

func TestBeyondTheSpoolsLimitTheLossIsCounted(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		s.set(true)
		w := start(t, writer.Params{Store: s, Queue: 40, Batch: 10, Spool: dir, Limit: 20_000})
		for n := 0; n < 300; n += 10 {
			add(w, n, n+10)
			time.Sleep(time.Second)
		}
		st := w.Stats()
		if st.Held == 0 || st.Held > 30 || st.Lost == 0 || st.Spool > 20_000 {
			t.Errorf("%+v", st)
		}
		s.set(false)
		time.Sleep(time.Minute)
		st = end(t, w)
		if st.Held != 0 || st.Written != int64(s.count()) || st.Lost+st.Written != 300 {
			t.Errorf("when it is back: %+v, the store has %d", st, s.count())
		}
	})
}

// TestWhatAFullDiskTookInPartIsLostOnce: what is counted as lost does not come back from the half of a batch that the disk had
// room for, and no file is left for each try.
func TestWhatAFullDiskTookInPartIsLostOnce(t *testing.T) {
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	limit := func(l syscall.Rlimit) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
			t.Error(err)
		}
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	defer limit(was)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		s.set(true)
		w := start(t, writer.Params{Store: s, Queue: 20, Batch: 10, Spool: dir})
		limit(syscall.Rlimit{Cur: 4 << 10, Max: was.Max}) // half a batch
		for n := 0; n < 200; n += 10 {
			add(w, n, n+10)
			time.Sleep(time.Second)
		}
		limit(was)
		st := w.Stats()
		if files, _ := os.ReadDir(dir); len(files) > 1 || st.Spool != 0 || st.Held != 0 || st.Lost == 0 {
			t.Errorf("%d files, %+v", len(files), st)
		}
		add(w, 200, 210)
		s.set(false)
		time.Sleep(time.Minute)
		st = end(t, w)
		if st.Held != 0 || st.Known != 0 || st.Written != int64(s.count()) || st.Lost+st.Written != 210 {
			t.Errorf("when it is back: %+v, the store has %d", st, s.count())
		}
	})
}
