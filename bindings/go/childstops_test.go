// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate_test

import (
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"trapgate.dev/go/trapgate"
)

// Each stops a stub on ptrace, and raises a signal or two where stops raise any.
const stoppingCalls = 200

// With IgnoreChildStops a SIGCHLD means a child that has ended: the stops of a guest raise none.
func TestIgnoreChildStops(t *testing.T) {
	onBoth(t, func(t *testing.T, p *trapgate.Platform, do switcher) {
		signals := make(chan os.Signal, 1000)
		signal.Notify(signals, syscall.SIGCHLD)
		defer signal.Stop(signals)
		if err := trapgate.IgnoreChildStops(); err != nil {
			t.Fatal(err)
		}
		s, c := newSubprocess(t, p), newContext(t, p, countAt)
		for i := uint64(1); i <= stoppingCalls; i++ {
			event, err := do(background, c, s)
			wantCall(t, &event, err, i)
		}
		// A few may be of children of the tests before this one: their handler ran late.
		if count := len(signals); count > stoppingCalls/10 {
			t.Fatalf("%d signals of %d calls, and no child's end", count, stoppingCalls)
		}
		if err := exec.Command("/bin/true").Run(); err != nil {
			t.Fatal(err)
		}
		soon(t, "the signal of the child", func() { <-signals })
	})
}
