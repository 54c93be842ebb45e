// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"syscall"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"fault.null", nullTouch},
		{"fault.address_exact", addressIsExact},
		{"fault.write_first_time", writeIsNamedAtOnce},
		{"fault.write_after_read", writeAfterRead},
		{"fault.maperr_accerr", codesTellMapsFromRights},
		{"fault.no_access_page", readOfNoAccessPage},
		{"fault.exec_of_data", executeOfData},
		{"fault.exec_of_nothing", executeOfNothing},
		{"fault.return_to_nothing", returnToNothing},
		{"fault.invalidate", invalidate},
		{"fault.remap", remapAtSameAddress},
		{"fault.past_end_of_file", pastEndOfFile},
		{"fault.past_end_of_file_write", pastEndOfFileWrite},
		{"fault.reserved_ranges", libraryPagesFault},
		{"fault.stack", stackThatIsNotThere},
		{"fault.per_subprocess", otherSubprocessKeepsItsPages},
	})
}

const touched = 0x5a5a5a5a5a5a5a5a

// touch sends the guest at an address, from its beginning.
func (g *guest) touch(addr uint64) {
	g.restart()
	change(g.context, func(r *trapgate.Registers) {
		r.SetArg(0, addr)
		r.SetArg(1, touched)
	})
	g.run()
}

func nullTouch(b trapgate.Backend) {
	g := open(b, "read_calls")
	g.touch(0)
	wantFault(&g.event, 0, trapgate.AccessRead, syscall.SIGSEGV, segvMapErr)
	equal(g.event.Fault.IP, codeAt)
	g.run()
	wantFault(&g.event, 0, trapgate.AccessRead, syscall.SIGSEGV, segvMapErr)
	g.close()
}

func addressIsExact(b trapgate.Backend) {
	g := open(b, "read_calls")
	for _, offset := range []uint64{0, 1, 7, 8, 0x7ff, 0xff8} {
		g.touch(holeAt + offset)
		wantFault(&g.event, holeAt+offset, trapgate.AccessRead, syscall.SIGSEGV, segvMapErr)
	}
	g.close()
}

func writeIsNamedAtOnce(b trapgate.Backend) {
	g := open(b, "write_calls")
	g.touch(holeAt + 8)
	wantFault(&g.event, holeAt+8, trapgate.AccessWrite, syscall.SIGSEGV, segvMapErr)
	g.close()
}

func writeAfterRead(b trapgate.Backend) {
	g := open(b, "read_then_write")
	g.touch(holeAt)
	wantFault(&g.event, holeAt, trapgate.AccessRead, syscall.SIGSEGV, segvMapErr)
	mapPages(g.subprocess, holeAt, g.page, trapgate.ProtRead)
	g.run()
	wantFault(&g.event, holeAt, trapgate.AccessWrite, syscall.SIGSEGV, segvAccErr)
	ok(g.subprocess.Protect(holeAt, g.page, protRW))
	g.call()
	equal(loadWord(g.subprocess, holeAt), touched)
	g.close()
}

func codesTellMapsFromRights(b trapgate.Backend) {
	g := open(b, "write_calls")
	mapPages(g.subprocess, holeAt, g.page, trapgate.ProtNone)
	g.touch(holeAt)
	wantFault(&g.event, holeAt, trapgate.AccessWrite, syscall.SIGSEGV, segvAccErr)
	ok(g.subprocess.Protect(holeAt, g.page, trapgate.ProtRead))
	g.touch(holeAt)
	wantFault(&g.event, holeAt, trapgate.AccessWrite, syscall.SIGSEGV, segvAccErr)
	ok(g.subprocess.Unmap(holeAt, g.page))
	g.touch(holeAt)
	wantFault(&g.event, holeAt, trapgate.AccessWrite, syscall.SIGSEGV, segvMapErr)
	g.close()
}

func readOfNoAccessPage(b trapgate.Backend) {
	g := open(b, "read_calls")
	mapPages(g.subprocess, holeAt, g.page, trapgate.ProtNone)
	g.touch(holeAt + 16)
	wantFault(&g.event, holeAt+16, trapgate.AccessRead, syscall.SIGSEGV, segvAccErr)
	g.close()
}

func executeOfData(b trapgate.Backend) {
	g := open(b, "jump")
	g.touch(dataAt + 0x123)
	wantFault(&g.event, dataAt+0x123, trapgate.AccessExec, syscall.SIGSEGV, segvAccErr)
	equal(g.event.Fault.IP, dataAt+0x123)
	equal(ip(g.context), dataAt+0x123)
	g.close()
}

func executeOfNothing(b trapgate.Backend) {
	g := open(b, "jump")
	g.touch(holeAt + 0x44)
	wantFault(&g.event, holeAt+0x44, trapgate.AccessExec, syscall.SIGSEGV, segvMapErr)
	equal(g.event.Fault.IP, holeAt+0x44)
	load(g.subprocess, holeAt, code("call_loop"))
	setIP(g.context, holeAt)
	g.call()
	g.close()
}

func returnToNothing(b trapgate.Backend) {
	g := open(b, "jump_by_return")
	g.touch(holeAt)
	wantFault(&g.event, holeAt, trapgate.AccessExec, syscall.SIGSEGV, segvMapErr)
	equal(sp(g.context), stackTop)
	g.close()
}

func invalidate(b trapgate.Backend) {
	g := open(b, "read_calls")
	mapPages(g.subprocess, holeAt, g.page, protRW)
	g.touch(holeAt)
	wantCall(&g.event, guestCall)
	ok(g.subprocess.Unmap(holeAt, g.page))
	g.run()
	wantFault(&g.event, holeAt, trapgate.AccessRead, syscall.SIGSEGV, segvMapErr)
	g.close()
}

func remapAtSameAddress(b trapgate.Backend) {
	g := open(b, "read_calls")
	for round := uint64(1); round <= 20; round++ {
		g.touch(holeAt)
		wantFault(&g.event, holeAt, trapgate.AccessRead, syscall.SIGSEGV, segvMapErr)
		mapPages(g.subprocess, holeAt, g.page, protRW)
		g.call()
		equal(g.event.Syscall.Args[1], 0)
		storeWord(g.subprocess, holeAt, round)
		g.call()
		equal(g.event.Syscall.Args[1], round)
		ok(g.subprocess.Unmap(holeAt, g.page))
	}
	g.close()
}

// A page of a file that the file does not have.
func pastEndOfFile(b trapgate.Backend) {
	file := memoryFile(0)
	g := open(b, "read_calls")
	ok(syscall.Ftruncate(file, int64(g.page)))
	ok(g.subprocess.MapFile(holeAt, 2*g.page, protRW, trapgate.MapShared, file, 0))
	g.touch(holeAt + g.page - 8)
	wantCall(&g.event, guestCall)
	g.touch(holeAt + g.page)
	wantKind(&g.event, trapgate.KindFault)
	equal(g.event.Fault.Signal, syscall.SIGBUS)
	equal(g.event.Fault.Code, busAdrErr)
	equal(g.event.Fault.Access, trapgate.AccessRead)
	equal(g.event.Fault.Addr&^(g.page-1), holeAt+g.page)
	ok(syscall.Ftruncate(file, int64(2*g.page)))
	g.call()
	syscall.Close(file)
	g.close()
}

func pastEndOfFileWrite(b trapgate.Backend) {
	file := memoryFile(0)
	g := open(b, "write_calls")
	ok(g.subprocess.MapFile(holeAt, g.page, protRW, trapgate.MapShared, file, 0))
	g.touch(holeAt)
	wantKind(&g.event, trapgate.KindFault)
	equal(g.event.Fault.Signal, syscall.SIGBUS)
	equal(g.event.Fault.Code, busAdrErr)
	equal(g.event.Fault.Access, trapgate.AccessWrite)
	syscall.Close(file)
	g.close()
}

// The reserved ranges are as out of reach as a hole.
func libraryPagesFault(b trapgate.Backend) {
	g := open(b, "write_calls")
	for _, reserved := range g.info().Reserved {
		g.touch(reserved.Start)
		wantKind(&g.event, trapgate.KindFault)
		equal(g.event.Fault.Addr, reserved.Start)
		equal(g.event.Fault.Access, trapgate.AccessWrite)
	}
	g.close()
}

func stackThatIsNotThere(b trapgate.Backend) {
	g := open(b, "jump_by_return")
	ok(g.context.Start(codeAt, holeAt+64))
	setArg(g.context, 0, codeAt)
	g.run()
	wantFault(&g.event, holeAt+56, trapgate.AccessWrite, syscall.SIGSEGV, segvMapErr)
	g.close()
}

func otherSubprocessKeepsItsPages(b trapgate.Backend) {
	g := open(b, "read_calls")
	other := createLoaded(g.platform, code("read_calls"))
	mapPages(g.subprocess, holeAt, g.page, protRW)
	g.touch(holeAt)
	wantCall(&g.event, guestCall)
	setIP(g.context, codeAt)
	g.event = run(g.context, other)
	wantFault(&g.event, holeAt, trapgate.AccessRead, syscall.SIGSEGV, segvMapErr)
	other.Close()
	g.close()
}
