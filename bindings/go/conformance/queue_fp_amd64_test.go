// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"bytes"
	"runtime"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{{"queue.fp_set_before_submit", setBeforeSubmit}})
}

// setBeforeSubmit: what is submitted just before makes the stub thread save what it has, to be rid of the context.
func setBeforeSubmit(b trapgate.Backend) {
	const contexts = 6
	runtime.LockOSThread()
	g, q := openQueue(b, "fp_look")
	rounds := 20000
	if b == trapgate.BackendPtrace {
		rounds = 1000 // a stub thread is stopped when its context is at rest
	}
	state := g.newState()
	ok(g.context.FPState(state))
	if has("xsave") {
		state[headerAt] |= 3
	}
	var all [contexts]*trapgate.Context
	for i := range all {
		all[i] = createCounter(g.platform, i)
		setArg(all[i], 1, dataAt+block*uint64(i))
	}
	pattern := func(round, i int) []byte { return bytes.Repeat([]byte{byte(1 + (round*contexts+i)%251)}, sseBytes) }
	for round := 0; round < rounds; round++ {
		for i, c := range all {
			copy(state[xmmAt:], pattern(round, i))
			ok(c.SetFPState(state))
		}
		for i := range all {
			ok(q.Submit(all[(i+round)%contexts], g.subprocess))
		}
		for range all {
			event := waitOne(q)
			wantCall(&event, guestCall)
			i := int(event.UserData)
			same(read(g.subprocess, dataAt+block*uint64(i), sseBytes), pattern(round, i))
		}
	}
	q.Close()
	g.close()
}
