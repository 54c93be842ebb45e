// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"encoding/binary"
	"syscall"

	"trapgate.dev/go/trapgate"
)

// Patched system calls in code that changes, goes away, is shared or is copied.

func init() {
	areas = append(areas, []testCase{
		{"patch.page_edge", pageEdgesWork},
		{"patch.page_edge_refused", pageEdgeIsRefused},
		{"patch.made_writable", forEachPatched(writableIsOriginal)},
		{"patch.guest_reads", guestReadsOriginal},
		{"patch.rewritten", guestRewritesCode},
		{"patch.rewritten_during_call", rewrittenDuringCall},
		{"patch.gone_during_call", forEachPatched(goneDuringCall)},
		{"patch.advice", forEachPatched(adviceKeepsSites)},
		{"patch.failed_operations", forEachPatched(failedOperationsKeepSites)},
		{"patch.no_access", forEachPatched(unreadableThenWritable)},
		{"patch.turned_off", turnedOffWithoutAccess},
		{"patch.shared_mapping", sharedIsLeftAlone},
		{"patch.writable_mapping", writableIsLeftAlone},
		{"patch.private_file", privateFilesKeepBytes},
		{"patch.fork", forEachPatched(forksUndoTheirOwn)},
		{"patch.fork_apart", forksGoTheirOwnWay},
	})
}

// partInPage is the part of the pattern's code that lies in a page, and where.
func (l *callLoop) partInPage(page uint64) (from uint64, original []byte) {
	from, original = l.at, l.original()
	if page > from {
		original = original[page-from:]
		from = page
	}
	if room := page + l.page - from; uint64(len(original)) > room {
		original = original[:room]
	}
	return from, original
}

func (l *callLoop) wantOriginalInPage(page uint64) {
	from, original := l.partInPage(page)
	same(read(l.subprocess, from, len(original)), original)
}

type pageChange int

const (
	madeWritable pageChange = iota
	unmapped
	replaced
	pageChanges
)

func (l *callLoop) changePage(page uint64, how pageChange) {
	switch how {
	case madeWritable:
		l.protectPage(page, protRW)
	case unmapped:
		ok(l.subprocess.Unmap(page, l.page))
	default:
		mapPages(l.subprocess, page, l.page, protRW)
	}
}

// changeAndGoOn: the other page has its bytes; the code stops where this one is missed, and runs on when it is back.
func (l *callLoop) changeAndGoOn(page, other uint64, how pageChange) {
	l.warm()
	l.changePage(page, how)
	l.wantOriginalInPage(other)
	if how == madeWritable {
		l.wantOriginalInPage(page)
	}
	l.run()
	wantKind(&l.event, trapgate.KindFault)
	equal(l.event.Fault.Access, trapgate.AccessExec)
	equal(l.pageDown(l.event.Fault.Addr), page)
	if how == unmapped {
		mapPages(l.subprocess, page, l.page, protRW)
	}
	if how != madeWritable {
		from, original := l.partInPage(page)
		write(l.subprocess, from, original)
	}
	l.protectPage(page, protRX)
	l.round(warmCalls)
}

// placeAtEdge puts the code so that so many bytes behind the label are the last ones of the first page.
func (l *callLoop) placeAtEdge(label string, inFirst uint64) (edge uint64) {
	edge = holeAt + l.page
	l.at = edge - l.offset(label) - inFirst
	l.putCode(l.at, l.original())
	return edge
}

func pageEdgesWork(b trapgate.Backend) {
	for _, name := range []string{"mov_eax", "mov_rax", "movabs", "libc_wrapper", "two_shorts"} {
		for inFirst := uint64(1); inFirst < 7; inFirst++ {
			at("%s, %d bytes in the first page", name, inFirst)
			l := openLoop(b, 0, findPattern(name))
			site := "call"
			if l.taken == before {
				site = "start"
			}
			edge := l.placeAtEdge(site, inFirst)
			l.start(2)
			for how := madeWritable; how < pageChanges; how++ {
				l.changeAndGoOn(edge, edge-l.page, how)
				l.changeAndGoOn(edge-l.page, edge, how)
			}
			l.warm()
			l.close()
		}
	}
}

// Its second page is one that may not be changed.
func pageEdgeIsRefused(b trapgate.Backend) {
	l := openLoop(b, 0, findPattern("libc_wrapper"))
	edge := l.placeAtEdge("call", 4)
	l.protectPage(edge, protRW|trapgate.ProtExec)
	l.start(2)
	l.round(manyCalls)
	check(l.isOriginal(), "the code is original")
	l.wantRefused(trapgate.PatchRefusedPageEdge)
	l.close()
}

func writableIsOriginal(l *callLoop) {
	for round := uint64(1); round <= 5; round++ {
		l.warm()
		if l.canPatch() {
			equal(l.stats().PatchSites, round)
		}
		l.protectPage(l.at, protRW)
		check(l.isOriginal(), "the code is original while it is writable")
		l.protectPage(l.at, protRX)
		check(l.isOriginal(), "the code is original when it is executable again")
	}
}

// Made writable and executable at once it is never patched again, and the guest finds its own bytes.
func guestReadsOriginal(b trapgate.Backend) {
	original := code("patch_read_code")[symbol("patch_read_code_start")-symbol("patch_read_code"):]
	g := open(b, "patch_read_code")
	wantOwnBytes := func() {
		g.call()
		equal(g.event.Syscall.Args[0], binary.LittleEndian.Uint64(original))
		equal(g.event.Syscall.Args[1], binary.LittleEndian.Uint64(original[8:]))
	}
	wantOwnBytes()
	for i := 0; i < warmCalls; i++ {
		g.call()
	}
	equal(g.wasPatched(), g.canPatch())
	g.protectPage(codeAt, protRW|trapgate.ProtExec)
	for i := 0; i < manyCalls; i++ {
		wantOwnBytes()
		check(!g.wasPatched(), "the call is not patched")
	}
	if g.canPatch() {
		equal(g.stats().PatchRefusals[trapgate.PatchRefusedMapping], 1)
	}
	g.close()
}

// setTemplate: mov $0,%eax; syscall, and in the second word what goes before a return.
func (g *guest) setTemplate(withTest bool) {
	template := [16]byte{0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0xc3}
	if withTest {
		template = [16]byte{0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0x48, 0x85, 0xc0, 0x48, 0x85, 0xc0, 0xc3}
	}
	change(g.context, func(r *trapgate.Registers) {
		r.R14 = binary.LittleEndian.Uint64(template[:])
		r.RBP = binary.LittleEndian.Uint64(template[8:])
	})
}

func (g *guest) serveProtect(page uint64) {
	g.run()
	wantCallAt(1, &g.event, syscall.SYS_MPROTECT)
	equal(g.event.Syscall.Args[0], page)
	ok(g.subprocess.Protect(page, g.page, trapgate.Prot(g.event.Syscall.Args[2])))
	ok(g.context.SetReturn(0))
}

// A guest that writes code, runs it and writes other code to the same place.
func guestRewritesCode(b trapgate.Backend) {
	const rounds, calls = 150, 10
	g := open(b, "patch_jit")
	mapPages(g.subprocess, holeAt, g.page, protRW)
	change(g.context, func(r *trapgate.Registers) { r.RBX, r.R12 = holeAt, 1000 })
	g.setTemplate(false)
	for round := uint64(1); round <= rounds; round++ {
		g.serveProtect(holeAt)
		for i := 0; i < calls; i++ {
			g.run()
			wantCall(&g.event, 1000+round)
		}
		g.serveProtect(holeAt)
		g.setTemplate(round%3 == 0)
	}
	// One each round, apart from those of the guest itself.
	if g.canPatch() {
		check(g.stats().PatchSites >= rounds, "each round has its site")
	}
	g.close()
}

// While the context waits in its call, the code behind it is written anew: that is what runs when it goes on.
func rewrittenDuringCall(b trapgate.Backend) {
	immediate := label("patch_rewritten", "patch_rewritten_behind") + 3
	g := open(b, "patch_rewritten")
	change(g.context, func(r *trapgate.Registers) { r.RBX = guestCall })
	expected, value := uint64(0), uint32(0x101)
	for i := 0; i < 60; i++ {
		g.call()
		equal(regs(g.context).R15, expected)
		if i%10 == 9 {
			value++
			var bytes [4]byte
			binary.LittleEndian.PutUint32(bytes[:], value)
			g.protectPage(codeAt, protRW)
			write(g.subprocess, immediate, bytes[:])
			g.protectPage(codeAt, protRX)
		}
		expected += uint64(value)
	}
	g.close()
}

// The same with nothing there any more: it faults right behind the call.
func goneDuringCall(l *callLoop) {
	l.warm()
	ok(l.subprocess.Unmap(l.at, l.page))
	l.run()
	wantFault(&l.event, l.place("behind"), trapgate.AccessExec, syscall.SIGSEGV, segvMapErr)
	equal(l.event.Fault.IP, l.place("behind"))
	l.putCode(l.at, l.original())
	l.warm()
}

// Advice that leaves the bytes alone leaves sites alone.
func adviceKeepsSites(l *callLoop) {
	for _, advice := range []int{syscall.MADV_WILLNEED, syscall.MADV_NOHUGEPAGE, syscall.MADV_HUGEPAGE} {
		at("%s, advice %d", l.name, advice)
		l.warm()
		// Not every kernel knows the one about huge pages.
		_, _ = l.subprocess.Apply([]trapgate.MemOp{trapgate.AdviseOp(l.at, l.page, advice)})
		l.wantWhole()
	}
}

// Operations that fail, or come behind one that fails, change nothing.
func failedOperationsKeepSites(l *callLoop) {
	l.warm()
	done, err := l.subprocess.Apply([]trapgate.MemOp{
		trapgate.MapOp(l.at, l.page, trapgate.ProtNone, trapgate.MapNoReplace), trapgate.UnmapOp(l.at, l.page)})
	partial(done, err, 0, syscall.EEXIST)
	l.wantWhole()
}

// Pages that nobody can read for a while: made writable from there, the bytes are the original ones.
func unreadableThenWritable(l *callLoop) {
	l.warm()
	l.protectPage(l.at, trapgate.ProtNone)
	l.protectPage(l.at, protRW)
	check(l.isOriginal(), "the code is original")
	l.protectPage(l.at, protRX)
	l.warm()
	l.protectPage(l.at, trapgate.ProtNone)
	l.protectPage(l.at, protRX)
	l.wantWhole()
}

// Patching ends in a subprocess where a context steps. Whatever pages allow by then, they allow afterwards.
func (g *guest) turnOffByStep() {
	g.putCode(holeAt, code("steps"))
	other := g.with(createAt(g.platform, holeAt))
	other.step()
	wantException(&other.event, syscall.SIGTRAP, trapTrace)
	other.context.Close()
}

func turnedOffWithoutAccess(b trapgate.Backend) {
	for _, rights := range []trapgate.Prot{trapgate.ProtNone, trapgate.ProtRead, protRX} {
		at("with rights %d", rights)
		l := openLoop(b, 0, findPattern("libc_wrapper"))
		l.requireSteps()
		l.warm()
		l.protectPage(l.at, rights)
		l.turnOffByStep()
		if rights != protRX {
			setIP(l.context, l.at)
			l.run()
			wantFault(&l.event, l.at, trapgate.AccessExec, syscall.SIGSEGV, segvAccErr)
			l.protectPage(l.at, protRX)
			setIP(l.context, l.place("behind"))
		}
		check(l.isOriginal(), "the code is original")
		l.round(manyCalls)
		check(!l.wasPatched(), "the call is not patched")
		check(l.isOriginal(), "the code stays original")
		l.close()
	}
}

// Mappings of files.

func wantInFile(file int, original []byte) {
	now := make([]byte, len(original))
	equal(must(syscall.Pread(file, now, 0)), len(original))
	same(now, original)
}

func runInFile(b trapgate.Backend, p callPattern, prot trapgate.Prot, flags trapgate.MapFlags, patched bool) {
	at("%s, rights %d, flags %d", p.name, prot, flags)
	file := memoryFile(codeSize)
	equal(must(syscall.Pwrite(file, p.original(), 0)), len(p.original()))
	l := openLoop(b, 0, p)
	l.at = holeAt
	ok(l.subprocess.MapFile(l.at, l.page, prot, flags, file, 0))
	l.start(3)
	l.round(manyCalls)
	patched = patched && l.canPatch()
	equal(l.wasPatched(), patched)
	equal(l.isOriginal(), !patched)
	wantInFile(file, p.original())
	if !patched {
		l.wantRefused(trapgate.PatchRefusedMapping)
	}
	l.close()
	wantInFile(file, p.original())
	syscall.Close(file)
}

func sharedIsLeftAlone(b trapgate.Backend) {
	for _, p := range patchedPatterns {
		runInFile(b, p, protRX, trapgate.MapShared, false)
	}
}

func writableIsLeftAlone(b trapgate.Backend) {
	for _, p := range patchedPatterns {
		runInFile(b, p, protRW|trapgate.ProtExec, 0, false)
		runInFile(b, p, protRW|trapgate.ProtExec, trapgate.MapShared, false)
	}
}

func privateFilesKeepBytes(b trapgate.Backend) {
	for _, p := range patchedPatterns {
		runInFile(b, p, protRX, 0, true)
	}
}

// fork is the same loop in a copy of its subprocess, stopped where this one is.
func (l *callLoop) fork() *callLoop {
	child := l.beside()
	child.subprocess = forkOf(l.subprocess)
	ok(child.context.CopyFrom(l.context))
	return child
}

func (l *callLoop) endFork() {
	l.context.Close()
	l.subprocess.Close()
}

func (l *callLoop) wantStillPatched() {
	l.round(1)
	equal(l.wasPatched(), l.canPatch())
	equal(l.isOriginal(), !l.canPatch())
	l.jumpToCall(4321)
	l.jumpBehind(0, 1)
}

// Each makes its own code writable; the other does not notice.
func forksUndoTheirOwn(mother *callLoop) {
	mother.warm()
	child := mother.fork()
	child.wantStillPatched()
	mother.wantStillPatched()
	grandchild := child.fork()
	child.wantWhole()
	mother.wantStillPatched()
	grandchild.wantStillPatched()
	mother.wantWhole()
	child.wantStillPatched()
	child.endFork()
	grandchild.wantWhole()
	mother.wantWhole()
	grandchild.endFork()
}

func (l *callLoop) moveTo(p callPattern) {
	l.callPattern, l.at = p, holeAt
	l.putCode(l.at, l.original())
	l.start(5).warm()
}

// New sites of both, different ones at the same address.
func forksGoTheirOwnWay(b trapgate.Backend) {
	mother := openLoop(b, 0, findPattern("mov_eax"))
	mother.warm()
	child := mother.fork()
	mother.moveTo(findPattern("libc_wrapper"))
	child.moveTo(findPattern("movabs"))
	mother.wantStillPatched()
	child.wantStillPatched()
	mother.wantWhole()
	child.wantStillPatched()
	child.wantWhole()
	child.endFork()
	mother.wantWhole()
	mother.close()
}
