// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"syscall"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"fork.running", whileContextsRun},
	})
}

func forkOf(s *trapgate.Subprocess) *trapgate.Subprocess { return must(s.Fork()) }

// in is the same guest in another subprocess.
func (g *guest) in(s *trapgate.Subprocess) *guest {
	other := *g
	other.subprocess = s
	return &other
}

func kill(s *trapgate.Subprocess) {
	pid := s.PID()
	check(pid > 0, "the stub lives")
	ok(syscall.Kill(pid, syscall.SIGKILL))
}

func whileContextsRun(b trapgate.Backend) {
	g := open(b, "spin_counting")
	load(g.subprocess, otherCode, code("counting_calls"))
	setArg(g.context, 0, dataAt)
	join := start(g.run)
	waitChange(g.subprocess, dataAt, 0)
	for i := 0; i < 5; i++ {
		copied := forkOf(g.subprocess)
		seen := loadWord(copied, dataAt)
		check(seen != 0, "the copy has what was counted")
		waitChange(g.subprocess, dataAt, seen)
		// Nobody runs in the copy, so its word stands still.
		equal(loadWord(copied, dataAt), seen)
		other := createAt(g.platform, otherCode)
		event := run(other, copied)
		wantCall(&event, guestCall)
		other.Close()
		copied.Close()
	}
	ok(g.context.Interrupt())
	join()
	wantKind(&g.event, trapgate.KindInterrupted)
	g.close()
}
