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
		for i := uint64(1); i <= 100; i++ {
			event, err := do(background, c, s)
			wantCall(t, &event, err, i)
		}
		if count := len(signals); count != 0 {
			t.Fatalf("%d signals without a child's end", count)
		}
		if err := exec.Command("/bin/true").Run(); err != nil {
			t.Fatal(err)
		}
		soon(t, "the signal of the child", func() { <-signals })
	})
}
