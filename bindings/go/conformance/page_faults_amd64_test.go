// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"syscall"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"page_fault.codes", pageFaultCodes},
		{"page_fault.derived", pageFaultDerived},
	})
}

// pageFaultCodes: the data page of each guest has been written to before it gets its rights.
func pageFaultCodes(b trapgate.Backend) {
	const none, read = trapgate.Prot(0), trapgate.ProtRead
	g := open(b, "call_loop")
	for _, c := range []struct {
		name   string
		rights trapgate.Prot
		code   uint64
	}{
		{"load_page", none, 4}, {"store_page", none, 6}, {"run_page", none, 0x14},
		{"store_page", read, 7}, {"run_page", read, 0x15},
		{"load_null", read, 4}, {"store_null", read, 6}, {"run_null", read, 0x14},
		{"load_kernel", read, 5}, {"store_kernel", read, 7}, {"run_kernel", read, 0x15},
	} {
		at("%s %d", c.name, c.rights)
		load(g.subprocess, codeAt, code("raise_"+c.name))
		ok(g.subprocess.Protect(dataAt, g.page, protRW))
		storeWord(g.subprocess, dataAt, 0)
		ok(g.subprocess.Protect(dataAt, g.page, c.rights))
		g.restart()
		setArg(g.context, 0, dataAt)
		g.run()
		equal(g.event.Kind, trapgate.KindFault)
		equal(g.event.Flags&trapgate.FlagTrap, trapgate.FlagTrap)
		equal(g.event.Fault.Trap, trapgate.Trap{Number: 14, ErrorCode: c.code})
	}
	g.close()
}

func pageFaultDerived(b trapgate.Backend) {
	const mapErr = 1
	g := open(b, "read_calls")
	g.run()
	wantFault(&g.event, 0, trapgate.AccessRead, syscall.SIGSEGV, mapErr)
	equal(g.event.Flags&trapgate.FlagTrapDerived != 0, b == trapgate.BackendPtrace)
	g.close()
}
