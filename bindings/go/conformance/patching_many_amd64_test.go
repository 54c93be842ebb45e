// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"

	"trapgate.dev/go/trapgate"
)

// Many patched system calls, and several contexts at one.

func init() {
	areas = append(areas, []testCase{
		{"patch.thousands", thousandsOfSites},
		{"patch.full", moreSitesThanFit},
		{"patch.threads", threadsAtFreshSite},
		{"patch.queue", queueAtFreshSite},
		{"patch.subprocesses", forEachPatched(contextWanders)},
		{"patch.copy", forEachPatched(copiesGoOn)},
		{"patch.death", forEachPatched(contextSurvivesDeath)},
		{"patch.unmapped_under", unmappedUnderArrivals},
		{"patch.writable_under", writableUnderArrivals},
	})
}

const (
	manyAt      = 0x50000000
	siteBytes   = 16
	firstNumber = 1000
	hotCalls    = 4     // the last one finds the site hot
	tableSites  = 16384 // that is how many there can be
)

// makeSites makes one call behind the other. Those of even numbers have their test behind, the others a jump; the last is
// followed by a jump to the first.
func makeSites(count int) (code []byte) {
	even := []byte{0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0x48, 0x85, 0xc0, 0x48, 0x85, 0xc0, 0x90, 0x90, 0x90}
	odd := []byte{0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0xeb, 0x07, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90}
	for i := 0; i < count; i++ {
		site := even
		if i%2 == 1 {
			site = odd
		}
		code = append(code, site...)
		binary.LittleEndian.PutUint32(code[i*siteBytes+1:], uint32(firstNumber+i))
	}
	code = append(code, 0xe9, 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(code[count*siteBytes+1:], uint32(-len(code)))
	return code
}

func siteAt(site int) uint64 { return manyAt + uint64(site)*siteBytes }

func (g *guest) callSite(site int) {
	g.run()
	wantCallAt(1, &g.event, uint64(firstNumber+site))
	equal(g.event.Syscall.IP, siteAt(site)+7)
}

// runThroughSites says how many of the calls were patched.
func (g *guest) runThroughSites(count int) (flagged uint64) {
	setIP(g.context, manyAt)
	for site := 0; site < count; site++ {
		g.callSite(site)
		if g.wasPatched() {
			flagged++
		}
	}
	return flagged
}

// wantManySites says how many sites are patched. A number can make its mov look like the end of other instructions: a few
// are left alone.
func (g *guest) wantManySites(count uint64) uint64 {
	if !g.canPatch() {
		return 0
	}
	stats := g.stats()
	decoys := stats.PatchRefusals[trapgate.PatchRefusedDecoy]
	fitting := count - decoys
	expected := fitting
	if expected > tableSites {
		expected = tableSites
	}
	check(decoys <= count/1000, "few are decoys")
	equal(stats.PatchSites, expected)
	check(stats.PatchSitesAfter*2 >= expected, "half of them take what is behind")
	check(stats.PatchSitesBefore*2 >= expected-2*decoys, "half of them take what is before")
	equal(stats.PatchRefusals[trapgate.PatchRefusedFull], fitting-expected)
	equal(g.refusals(), count-expected)
	return expected
}

func manySites(b trapgate.Backend, count int, undo bool) {
	sites := makeSites(count)
	length := uint64(len(sites))
	g := open(b, "call_loop")
	g.putCode(manyAt, sites)
	for site := 0; site < count; site++ {
		for i := 0; i < hotCalls; i++ {
			setIP(g.context, siteAt(site))
			g.callSite(site)
		}
	}
	equal(g.runThroughSites(count), g.wantManySites(uint64(count)))
	if undo {
		ok(g.subprocess.Protect(manyAt, length, protRW))
		same(read(g.subprocess, manyAt, len(sites)), sites)
		ok(g.subprocess.Protect(manyAt, length, protRX))
		g.runThroughSites(count)
	}
	g.close()
}

func thousandsOfSites(b trapgate.Backend) { manySites(b, 5000, true) }

func moreSitesThanFit(b trapgate.Backend) {
	platform := openPlatform(b, 0)
	count := 300
	if must(platform.Info()).Capabilities&trapgate.CapPatching != 0 {
		count += tableSites
	}
	platform.Close()
	manySites(b, count, false)
}

// freshSites gives four contexts code that nobody has been at, again and again; some of it lies in two pages.
func freshSites(b trapgate.Backend, meet func(loops []*callLoop)) {
	const rounds, contexts = 66, 4
	first := openLoop(b, 0, patchedPatterns[0])
	for round := 0; round < rounds; round++ {
		first.callPattern = patchedPatterns[round%len(patchedPatterns)]
		at("round %d, %s", round, first.name)
		first.at = holeAt + first.page - uint64(round%len(first.original()))
		first.putCode(first.at, first.original())
		var loops []*callLoop
		for i := uint64(0); i < contexts; i++ {
			loops = append(loops, first.beside().start(i*100))
		}
		meet(loops)
		equal(first.isOriginal(), !first.canPatch())
		for _, l := range loops {
			l.context.Close()
		}
	}
	if first.canPatch() {
		equal(first.stats().PatchSites, rounds)
	}
	first.close()
}

const freshCalls = 25

func threadsAtFreshSite(b trapgate.Backend) {
	freshSites(b, func(loops []*callLoop) {
		var ready sync.WaitGroup
		ready.Add(len(loops))
		inThreads(len(loops), func(i int) {
			ready.Done()
			ready.Wait()
			loops[i].round(freshCalls)
		})
	})
}

func queueAtFreshSite(b trapgate.Backend) {
	freshSites(b, func(loops []*callLoop) {
		q := must(loops[0].platform.NewQueue())
		submit := func(l *callLoop) {
			l.expect()
			ok(q.Submit(l.context, l.subprocess))
		}
		for i, l := range loops {
			ok(l.context.SetUserData(uint64(i)))
			submit(l)
		}
		for left := len(loops); left > 0; {
			event := waitOne(q)
			l := loops[event.UserData]
			l.event = event
			l.answer()
			if l.calls == freshCalls {
				left--
			} else {
				submit(l)
			}
		}
		q.Close()
	})
}

// arriveBehind runs into the place behind the call again and again; the code may be away meanwhile.
func (l *callLoop) arriveBehind(over *atomic.Bool) {
	for !over.Load() {
		if l.stopped && l.calls%2 == 1 {
			setIP(l.context, l.place("behind"))
		}
		l.expect()
		for l.run(); l.event.Kind == trapgate.KindFault; l.run() {
			equal(l.event.Fault.Access, trapgate.AccessExec)
		}
		l.answer()
	}
}

func changeUnder(b trapgate.Backend, name string, change func(l *callLoop)) {
	const rounds = 400
	at("%s", name)
	l := openLoop(b, 0, findPattern(name))
	var over atomic.Bool
	var joins []func()
	for i := uint64(0); i < 2; i++ {
		arriving := l.beside().start(i * 100)
		joins = append(joins, start(func() {
			arriving.arriveBehind(&over)
			arriving.context.Close()
		}))
	}
	for i := 0; i < rounds; i++ {
		change(l)
		sleepMicroseconds(300) // long enough for the code to be patched once more, now and then
	}
	over.Store(true)
	for _, join := range joins {
		join()
	}
	equal(l.stats().Exceptions, 0)
	// The library may have taken some of it for something that forbids patching: seen rarely, where much else runs.
	l.start(1000).round(warmCalls)
	if l.canPatch() && !l.wasPatched() {
		fmt.Printf("%s: patching was given up\n", name)
	}
	l.close()
}

func unmappedUnderArrivals(b trapgate.Backend) {
	for _, name := range []string{"libc_wrapper", "mov_eax"} {
		changeUnder(b, name, func(l *callLoop) {
			ok(l.subprocess.Unmap(l.pageDown(l.at), l.page))
			l.putCode(l.at, l.original())
		})
	}
}

func writableUnderArrivals(b trapgate.Backend) {
	for _, name := range []string{"libc_wrapper", "mov_eax"} {
		changeUnder(b, name, func(l *callLoop) {
			l.protectPage(l.at, protRW)
			check(l.isOriginal(), "the code is original")
			l.protectPage(l.at, protRX)
		})
	}
}

// warmSubprocess has the same code at the same place, patched by calls of others, behind so many other sites.
func (l *callLoop) warmSubprocess(otherSites uint64) *trapgate.Subprocess {
	other := l.beside()
	other.subprocess = createLoaded(l.platform, l.original())
	for i := uint64(0); i < otherSites; i++ {
		other.at = holeAt + i*l.page
		other.putCode(other.at, l.original())
		other.start(i).warm()
	}
	other.at = l.at
	other.start(otherSites).warm()
	other.context.Close()
	return other.subprocess
}

// Stopped in a patched call of one subprocess it goes on in another, where that site has another number, or is none.
func contextWanders(l *callLoop) {
	homes := []*trapgate.Subprocess{l.subprocess, l.warmSubprocess(1), l.warmSubprocess(2),
		createLoaded(l.platform, l.original())}
	l.warm()
	for i := 0; i < 60; i++ {
		l.subprocess = homes[i%len(homes)]
		l.round(1)
	}
	for _, home := range homes[1:] {
		home.Close()
	}
	l.subprocess = homes[0]
	l.round(1)
}

// A copy of a context that is stopped in a patched call.
func copiesGoOn(l *callLoop) {
	l.warm()
	own := l.with(createContext(l.platform))
	for i := 0; i < 10; i++ {
		copied := *l
		copied.guest = own
		ok(copied.context.CopyFrom(l.context))
		copied.round(3)
		l.round(1)
		copied.jumpToCall(77)
	}
	own.context.Close()
}

// Its subprocess dies; in another one the context goes on with what it had.
func contextSurvivesDeath(l *callLoop) {
	for i := 0; i < 4; i++ {
		l.warm()
		dead := l.subprocess
		kill(dead)
		l.run()
		wantDead(&l.event, trapgate.DeadKilled, killed)
		if i%2 == 1 {
			l.subprocess = l.warmSubprocess(1)
		} else {
			l.subprocess = createLoaded(l.platform, l.original())
		}
		dead.Close()
	}
	l.round(warmCalls)
}
