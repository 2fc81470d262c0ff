// Package gctune sets how often Go collects garbage, by what a process lives on and how fast it allocates: GOGC as a number is
// right for one load only. It gives memory back to the system behind a rush, of which Go would keep as much as it has use for in the
// next. It changes nothing where GOGC is set in the environment, and bounds no memory by itself.
package gctune

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// A collection costs by what it looks through, and saves by how much was allocated since the last. So there is to be one about each
// pause, within bounds of the room that garbage may take: never less than is looked through. What lives and has no pointers, as a
// million keys do, is no work, and asks for no room.
const (
	pause   = 1500 * time.Millisecond
	least   = 16 << 20  // bytes of garbage, also for a process that does little
	most    = 160 << 20 // also for one that does much, if not more is looked through
	start   = 50        // GOGC before Run
	begin   = 400       // and until something is known
	lowest  = 5
	highest = 2000
)

// What a rush needed goes back to the system when it is over. That takes a collection, which is to be worth it.
const (
	quiet = 1 << 20  // bytes that are allocated in a second, at most
	calm  = 3        // looks in a row that find it quiet: what a rush left may be made smaller when it is a while old
	rush  = 32 << 20 // bytes that were allocated since it was given back last, at least
	spare = 8 << 20  // bytes that are free and not given back, or may be garbage, at least
)

// over reports whether memory should be given back, when it was quiet for some looks in a row.
func over(looks int, since, free uint64) bool { return looks >= calm && since >= rush && free >= spare }

// percent is GOGC for a live heap in bytes, how much of it is looked through, and a rate of allocation in bytes per second.
func percent(live, scanned, rate uint64) int {
	scanned = min(scanned, live) // what is looked through is that of all that is allocated
	room := uint64(float64(rate) * pause.Seconds())
	room = max(least, scanned, min(room, most))
	return int(min(highest, max(lowest, 100*room/max(live, 1<<20))))
}

// near reports whether a change is not worth the moment for which the world is stopped.
func near(a, b int) bool { return max(a, b)*4 <= min(a, b)*5 }

// Start sets GOGC for a start, until Run: of what a start allocates much lives, such as all that a store holds and what was read of the
// configuration, and garbage twice as large would be the most that the process ever takes.
func Start() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(start)
	}
}

// Run sets GOGC until the context ends.
func Run(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	now := begin
	debug.SetGCPercent(now)
	read := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/scan/heap:bytes"}, {Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(read)
	before, at := read[1].Value.Uint64(), time.Now()
	given, looks := before, 0
	for tick := time.NewTicker(2 * time.Second); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		metrics.Read(read)
		all, t := read[1].Value.Uint64(), time.Now()
		rate := uint64(float64(all-before) / t.Sub(at).Seconds())
		before, at = all, t
		if looks++; rate > quiet {
			looks = 0
		}
		live := read[0].Value.Uint64()
		if live == 0 {
			continue // nothing was collected yet
		}
		if want := percent(live, read[2].Value.Uint64(), rate); !near(want, now) {
			now = want
			debug.SetGCPercent(now)
		}
		if objects := read[4].Value.Uint64(); over(looks, all-given, read[3].Value.Uint64()+max(objects, live)-live) {
			debug.FreeOSMemory()
			given = all
		}
	}
}
