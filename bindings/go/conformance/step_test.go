// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"syscall"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"step.every_instruction", everyInstruction},
		{"step.across_call", acrossACall},
		{"step.stops", stopsWhenTold},
		{"step.does_not_leak", doesNotLeak},
		{"step.onto_fault", ontoAFault},
	})
}

func (g *guest) requireSteps() {
	if g.info().Capabilities&trapgate.CapSingleStep == 0 {
		skip("this backend cannot run single instructions here")
	}
}

func openStepping(b trapgate.Backend, name string) *guest {
	g := open(b, name)
	g.requireSteps()
	return g
}

func setStep(c *trapgate.Context, on bool) {
	change(c, func(r *trapgate.Registers) { r.SetStep(on) })
}

func (g *guest) step() {
	setStep(g.context, true)
	g.run()
}

func everyInstruction(b trapgate.Backend) {
	g := openStepping(b, "steps")
	last := uint64(codeAt)
	for i := 0; i < 3; i++ {
		g.step()
		wantException(&g.event, syscall.SIGTRAP, trapTrace)
		now := ip(g.context)
		check(now > last && now <= label("steps", "steps_call"), "the guest goes on")
		equal(g.event.Exception.IP, now)
		last = now
	}
	equal(last, label("steps", "steps_call"))
	g.close()
}

// The call itself comes as a call; the steps go on behind it.
func acrossACall(b trapgate.Backend) {
	g := openStepping(b, "steps")
	after := label("steps", "steps_after_call")
	g.step()
	for steps := 1; g.event.Kind == trapgate.KindException && g.event.Exception.Signal == syscall.SIGTRAP; steps++ {
		check(steps < 5, "the call comes soon")
		g.step()
	}
	wantCall(&g.event, guestCall)
	equal(ip(g.context), after)
	ok(g.context.SetReturn(0))
	g.step()
	wantException(&g.event, syscall.SIGTRAP, trapTrace)
	check(ip(g.context)-after <= 1, "the step is the next one")
	g.close()
}

func stopsWhenTold(b trapgate.Backend) {
	g := openStepping(b, "steps")
	g.step()
	wantException(&g.event, syscall.SIGTRAP, trapTrace)
	setStep(g.context, false)
	g.call()
	equal(ip(g.context), label("steps", "steps_after_call"))
	g.call()
	g.close()
}

// A context that steps and one that does not share the stub.
func doesNotLeak(b trapgate.Backend) {
	g := openStepping(b, "steps")
	other := createStarted(g.platform)
	for i := 0; i < 3; i++ {
		g.step()
		wantException(&g.event, syscall.SIGTRAP, trapTrace)
		ok(other.Start(codeAt, stackTop))
		event := run(other, g.subprocess)
		wantCall(&event, guestCall)
	}
	other.Close()
	g.close()
}

func ontoAFault(b trapgate.Backend) {
	g := openStepping(b, "read_calls")
	setArg(g.context, 0, holeAt)
	g.step()
	wantFault(&g.event, holeAt, trapgate.AccessRead, syscall.SIGSEGV, segvMapErr)
	setArg(g.context, 0, dataAt)
	g.step()
	wantException(&g.event, syscall.SIGTRAP, trapTrace)
	g.close()
}
