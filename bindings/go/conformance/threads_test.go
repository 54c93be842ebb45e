// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"syscall"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"thread.busy", secondSwitchIsBusy},
	})
}

func secondSwitchIsBusy(b trapgate.Backend) {
	g := open(b, "spin_counting")
	setArg(g.context, 0, dataAt)
	join := start(g.run)
	waitChange(g.subprocess, dataAt, 0)
	_, err := g.context.Switch(background, g.subprocess)
	refused(err, syscall.EBUSY)
	_, err = g.context.Registers()
	refused(err, syscall.EBUSY)
	refused(g.context.SetRegisters(&trapgate.Registers{}), syscall.EBUSY)
	refused(g.context.Start(codeAt, stackTop), syscall.EBUSY)
	refused(g.context.SetReturn(0), syscall.EBUSY)
	refused(g.context.RestartSyscall(), syscall.EBUSY)
	ok(g.context.Interrupt())
	join()
	wantKind(&g.event, trapgate.KindInterrupted)
	g.close()
}
