// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"syscall"
	"time"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"switch.several_platforms", severalPlatforms},
		{"switch.statistics", statisticsCount},
		{"switch.statistics_calls", callsByWay},
		{"switch.spin_ns", anyTimeToSpin},
		{"switch.latency", latencyIsMeasured},
	})
}

func severalPlatforms(b trapgate.Backend) {
	first, second := open(b, "counting_calls"), open(b, "counting_calls")
	first.call()
	second.call()
	first.call()
	_, err := first.context.Switch(background, second.subprocess)
	refused(err, syscall.EINVAL)
	first.close()
	second.call()
	equal(second.event.Syscall.Args[0], 2)
	second.close()
}

func statisticsCount(b trapgate.Backend) {
	g := open(b, "read_calls")
	setArg(g.context, 0, dataAt)
	before := g.stats()
	g.call()
	setArg(g.context, 0, holeAt)
	g.run()
	wantKind(&g.event, trapgate.KindFault)
	ok(g.context.Interrupt())
	g.run()
	wantKind(&g.event, trapgate.KindInterrupted)
	after := g.stats()
	equal(after.Subprocesses, 1)
	equal(after.Contexts, 1)
	equal(after.Syscalls-before.Syscalls, 1)
	equal(after.Faults-before.Faults, 1)
	equal(after.Interrupts-before.Interrupts, 1)
	check(after.Switches-before.Switches >= 2, "switches are counted")
	g.close()
}

// patchedOfCalls says how many of a hundred calls were patched, and whether any could be.
func patchedOfCalls(b trapgate.Backend, flags trapgate.OpenFlags) (uint64, bool) {
	const calls = 100
	g := openFlags(b, flags, "counting_calls")
	for i := 0; i < calls; i++ {
		g.call()
	}
	stats := g.stats()
	equal(stats.Syscalls, calls)
	equal(stats.PatchedCalls+stats.UnpatchedCalls, calls)
	equal(stats.PatchSites, stats.PatchSitesBefore+stats.PatchSitesAfter)
	equal(stats.PatchSites > 0, stats.PatchedCalls > 0)
	could := g.info().Capabilities&trapgate.CapPatching != 0
	g.close()
	return stats.PatchedCalls, could
}

func callsByWay(b trapgate.Backend) {
	patched, could := patchedOfCalls(b, 0)
	if !could {
		equal(patched, 0)
	}
	patched, could = patchedOfCalls(b, trapgate.OpenNoPatching)
	equal(patched, 0)
	check(!could, "without patching there is no such capability")
}

func anyTimeToSpin(b trapgate.Backend) {
	for _, spin := range []time.Duration{1, time.Millisecond, 1<<63 - 1} {
		g := openOptions(trapgate.Options{Backend: b, Spin: spin}, "counting_calls")
		for i := uint64(1); i <= 10; i++ {
			g.call()
			equal(g.event.Syscall.Args[0], i)
		}
		g.close()
	}
	_, err := trapgate.Open(trapgate.Options{Backend: b, Spin: -1})
	refused(err, syscall.EINVAL)
}

func latencies(g *guest) uint64 {
	stats := g.stats()
	return sum(stats.SwitchLatency[:])
}

func latencyIsMeasured(b trapgate.Backend) {
	g := open(b, "counting_calls")
	g.call()
	equal(latencies(g), 0)
	g.close()

	g = openFlags(b, trapgate.OpenLatency, "counting_calls")
	equal(latencies(g), 0)
	for i := 0; i < 10; i++ {
		g.call()
	}
	equal(latencies(g), 10)
	queue := must(g.platform.NewQueue())
	ok(queue.Submit(g.context, g.subprocess))
	waitOne(queue)
	equal(latencies(g), 11)
	queue.Close()
	g.close()
}

const (
	measuredCalls = 50
	delay         = 40 * time.Millisecond
	delayBucket   = 24 // from 17 ms on
	delayTries    = 50
)

func sum(counts []uint64) (sum uint64) {
	for _, count := range counts {
		sum += count
	}
	return sum
}
