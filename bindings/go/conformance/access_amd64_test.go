// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"strings"
	"syscall"

	"trapgate.dev/go/trapgate"
	"trapgate.dev/go/trapgate/internal/native"
)

func init() {
	areas = append(areas, []testCase{
		{"access.reads", func(b trapgate.Backend) { checkForms(b, readForms, trapgate.AccessRead) }},
		{"access.writes", func(b trapgate.Backend) { checkForms(b, writeForms, trapgate.AccessWrite) }},
		{"access.updates", updates},
		{"access.hints", hints},
		{"access.segment_bases", segmentBases},
		{"access.across_pages", acrossPages},
		{"access.repeated", repeatedCopyStopsInTheMiddle},
		{"access.own_code", ownCode},
		{"access.through_pointer", throughPointers},
		{"access.fetch_across_pages", fetchAcrossPages},
		{"access.data_behind_code", dataRightBehindTheCode},
	})
}

const (
	targetPage = 0x40010000
	target     = targetPage + 0x240 // aligned for every form, and far from the edges of its page
	fsOffset   = 0x20000
)

// The instruction forms of guests/x86_64/access.S: what the processor needs comes behind a colon, and instructions that
// move a large area, which may report any byte of its page, have a star.
const (
	readForms = `load_byte load_word load_indexed load_addr32 load_extend load_sign add_from compare compare_zero
		test_bits bit_test multiply conditional push_from pop_register leave_frame translate load_string scan_string
		scan_repeated compare_strings move_from move_from_rep move_both load_sse load_sse_op load_sse_scalar load_x87
		load_x87_cw load_mxcsr load_fxrstor* load_xrstor*:xsave load_avx:avx2 load_gather:avx2 load_avx512:avx512f
		load_avx512_op:avx512f load_fs load_gs`
	writeForms = `store_byte store_word store_constant store_indexed store_nontemp store_condition store_segment
		push_register push_constant push_memory push_flags call_near call_register enter_frame pop_to store_string
		store_string_rep move_to move_to_rep store_sse store_sse_low store_sse_nt store_masked* store_x87 store_x87_int
		store_x87_cw store_x87_all* store_mxcsr store_fxsave* store_xsave*:xsave store_avx:avx2 store_avx_mask:avx2
		store_avx512:avx512f store_avx512_k:avx512f store_scatter:avx512f store_fs store_gs`
	updateForms = `add_to or_to increment increment_lock negate shift shift_double bit_set bit_reset_lock exchange
		exchange_add compare_swap compare_swap_no compare_swap_16:cx16`
	hintForms = `hint_prefetch hint_prefetchw hint_lea hint_nop`
)

func (g *guest) enterForm() {
	g.restart()
	change(g.context, func(r *trapgate.Registers) { r.RDI, r.RSI, r.RCX = target, dataAt, 1 })
	g.run()
}

type form struct {
	name   string
	access trapgate.Access
	inPage bool
}

func (f form) wantFault(g *guest, code int32) {
	addr := uint64(target)
	if g.event.Kind == trapgate.KindFault && f.inPage && g.event.Fault.Addr&^(g.page-1) == targetPage {
		addr = g.event.Fault.Addr
	}
	wantFault(&g.event, addr, f.access, syscall.SIGSEGV, code)
	equal(g.event.Fault.IP, label(f.name, f.name+"_at"))
}

func (f form) check(g *guest) {
	load(g.subprocess, codeAt, code(f.name))
	mapPages(g.subprocess, dataAt, g.page, protRW)
	ok(g.subprocess.Unmap(targetPage, g.page))
	at("%s, nothing mapped", f.name)
	g.enterForm()
	f.wantFault(g, segvMapErr)

	mapPages(g.subprocess, targetPage, g.page, trapgate.ProtNone)
	at("%s, no rights", f.name)
	g.enterForm()
	f.wantFault(g, segvAccErr)

	if f.access == trapgate.AccessWrite {
		ok(g.subprocess.Protect(targetPage, g.page, trapgate.ProtRead))
		at("%s, read-only", f.name)
		g.enterForm()
		f.wantFault(g, segvAccErr)
	}
	ok(g.subprocess.Protect(targetPage, g.page, protRW))
	at("%s, served", f.name)
	g.call()
}

func checkForms(b trapgate.Backend, forms string, access trapgate.Access) {
	g := open(b, "call_loop")
	if g.info().Capabilities&trapgate.CapAccessExact == 0 {
		skip("this backend does not name the access exactly")
	}
	for _, entry := range strings.Fields(forms) {
		name, feature, _ := strings.Cut(entry, ":")
		if has(feature) {
			form{strings.TrimSuffix(name, "*"), access, strings.HasSuffix(name, "*")}.check(g)
		}
	}
	g.close()
}

func requireUpdatesThatWrite(b trapgate.Backend) {
	// ptrace has no error code and looks at the instruction.
	if b != trapgate.BackendPtrace && !native.UpdatesAreWrites() {
		skip("this machine calls the first fault of an update a read, also natively")
	}
}

func updates(b trapgate.Backend) {
	requireUpdatesThatWrite(b)
	checkForms(b, updateForms, trapgate.AccessWrite)
}

func hints(b trapgate.Backend) {
	g := open(b, "call_loop")
	for _, name := range strings.Fields(hintForms) {
		at("%s", name)
		load(g.subprocess, codeAt, code(name))
		g.enterForm()
		wantCall(&g.event, guestCall)
	}
	g.close()
}

// The target is reached through a segment base; the address reported is the linear one.
func segmentBases(b trapgate.Backend) {
	g := open(b, "call_loop")
	for _, f := range []form{{"load_fs", trapgate.AccessRead, false}, {"store_fs", trapgate.AccessWrite, false},
		{"load_gs", trapgate.AccessRead, false}, {"store_gs", trapgate.AccessWrite, false}} {
		at("%s", f.name)
		load(g.subprocess, codeAt, code(f.name))
		g.restart()
		change(g.context, func(r *trapgate.Registers) { r.FSBase, r.GSBase, r.RDI = fsOffset, fsOffset, target-fsOffset })
		g.run()
		f.wantFault(g, segvMapErr)
	}
	g.close()
}

// An access that begins on a good page and ends on a bad one: the address is on the bad page.
func acrossPages(b trapgate.Backend) {
	const edge = dataAt + dataSize
	g := open(b, "read_calls")
	g.touch(edge - 3)
	wantFault(&g.event, edge, trapgate.AccessRead, syscall.SIGSEGV, segvMapErr)
	load(g.subprocess, codeAt, code("write_calls"))
	g.touch(edge - 3)
	wantFault(&g.event, edge, trapgate.AccessWrite, syscall.SIGSEGV, segvMapErr)
	// Nothing of the write may show.
	equal(loadWord(g.subprocess, edge-8), 0)
	mapPages(g.subprocess, edge, g.page, protRW)
	g.call()
	equal(loadWord(g.subprocess, edge-3), touched)
	g.close()
}

func repeatedCopyStopsInTheMiddle(b trapgate.Backend) {
	const edge = dataAt + dataSize
	g := open(b, "copy_words")
	for i := uint64(0); i < 4; i++ {
		storeWord(g.subprocess, dataAt+8*i, 100+i)
	}
	change(g.context, func(r *trapgate.Registers) { r.RSI, r.RDI, r.RCX = dataAt, edge-16, 4 })
	g.run()
	wantFault(&g.event, edge, trapgate.AccessWrite, syscall.SIGSEGV, segvMapErr)
	equal(regs(g.context).RCX, 2)
	equal(regs(g.context).RDI, edge)
	mapPages(g.subprocess, edge, g.page, protRW)
	g.call()
	for i := uint64(0); i < 4; i++ {
		equal(loadWord(g.subprocess, edge-16+8*i), 100+i)
	}
	g.close()
}

func ownCode(b trapgate.Backend) {
	g := open(b, "write_own_code")
	g.run()
	wantFault(&g.event, codeAt, trapgate.AccessWrite, syscall.SIGSEGV, segvAccErr)
	equal(g.event.Fault.IP, codeAt)
	ok(g.subprocess.Protect(codeAt, g.page, protRW|trapgate.ProtExec))
	g.call()
	g.close()
}

func throughPointers(b trapgate.Backend) {
	g := open(b, "jump_through")
	g.enterForm()
	wantFault(&g.event, target, trapgate.AccessRead, syscall.SIGSEGV, segvMapErr)
	load(g.subprocess, codeAt, code("return_through"))
	g.enterForm()
	wantFault(&g.event, target, trapgate.AccessRead, syscall.SIGSEGV, segvMapErr)
	equal(g.event.Fault.IP, label("return_through", "return_through_at"))
	// With a pointer there, the pointer's target is what faults.
	mapPages(g.subprocess, targetPage, g.page, protRW)
	storeWord(g.subprocess, target, holeAt)
	g.run()
	wantFault(&g.event, holeAt, trapgate.AccessExec, syscall.SIGSEGV, segvMapErr)
	g.close()
}

// placeAcross puts code so that its first bytes are at the end of a page, and nothing behind it.
func (g *guest) placeAcross(first []byte) (edge uint64) {
	edge = targetPage + g.page
	mapPages(g.subprocess, targetPage, g.page, protRW)
	must(g.subprocess.WriteMemory(edge-uint64(len(first)), first))
	ok(g.subprocess.Protect(targetPage, g.page, protRX))
	ok(g.subprocess.Unmap(edge, g.page))
	return edge
}

func wantFetchAcross(g *guest, code []byte, first int) {
	at("%d bytes before the edge", first)
	edge := g.placeAcross(code[:first])
	g.restart()
	setIP(g.context, edge-uint64(first))
	g.run()
	wantFault(&g.event, edge, trapgate.AccessExec, syscall.SIGSEGV, segvMapErr)
	equal(g.event.Fault.IP, edge-uint64(first))
	mapPages(g.subprocess, edge, g.page, protRW)
	must(g.subprocess.WriteMemory(edge, code[first:]))
	g.run()
	wantFault(&g.event, edge, trapgate.AccessExec, syscall.SIGSEGV, segvAccErr)
	ok(g.subprocess.Protect(edge, g.page, protRX))
	g.call()
}

func fetchAcrossPages(b trapgate.Backend) {
	g := open(b, "call_loop")
	for first := 1; first < 10; first++ {
		wantFetchAcross(g, code("long_instruction"), first)
	}
	for first := 1; first < 9; first++ {
		wantFetchAcross(g, code("long_nop"), first)
	}
	g.close()
}

// The instruction ends at the page's end and touches data right behind itself: no fetch, whatever the address.
func dataRightBehindTheCode(b trapgate.Backend) {
	g := open(b, "call_loop")
	touchBehind := func(instruction []byte) uint64 {
		edge := g.placeAcross(instruction)
		g.restart()
		setIP(g.context, edge-uint64(len(instruction)))
		setArg(g.context, 0, edge)
		g.run()
		return edge
	}
	edge := touchBehind([]byte{0x8a, 0x07}) // mov (%rdi), %al
	wantFault(&g.event, edge, trapgate.AccessRead, syscall.SIGSEGV, segvMapErr)
	edge = touchBehind([]byte{0x88, 0x07}) // mov %al, (%rdi)
	wantFault(&g.event, edge, trapgate.AccessWrite, syscall.SIGSEGV, segvMapErr)
	mapPages(g.subprocess, edge, g.page, protRW)
	g.run()
	wantFault(&g.event, edge, trapgate.AccessExec, syscall.SIGSEGV, segvAccErr)
	g.close()
}
