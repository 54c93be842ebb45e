// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"syscall"
	"time"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"switch.statistics_calls", callsByWay},
		{"switch.spin_ns", anyTimeToSpin},
		{"switch.set_spin", timeToSpinChanges},
		{"switch.latency", latencyIsMeasured},
	})
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
	patched, could = patchedOfCalls(b, trapgate.OpenNoPatching|trapgate.OpenNoPlacement)
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

func timeToSpinChanges(b trapgate.Backend) {
	g := open(b, "counting_calls")
	for i, spin := range []time.Duration{1, 0, time.Millisecond, 1, 1<<63 - 1} {
		check(g.platform.SetSpin(spin) == nil, "the time to spin is set")
		g.call()
		equal(g.event.Syscall.Args[0], uint64(i+1))
	}
	refused(g.platform.SetSpin(-1), syscall.EINVAL)
	g.close()
}

func latencies(g *guest) (sum uint64) {
	for _, count := range g.stats().SwitchLatency {
		sum += count
	}
	return sum
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
