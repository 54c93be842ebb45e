// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate_test

import (
	"syscall"
	"testing"
	"time"

	"trapgate.dev/go/trapgate"
)

const clockMonotonic = 1

// Clocks are what they were set to, a copy begins with them, and one follows the host's where the counter allows that.
func TestClocks(t *testing.T) {
	for _, backend := range []trapgate.Backend{trapgate.BackendPtrace, trapgate.BackendSystrap} {
		p, err := trapgate.Open(trapgate.Options{Backend: backend, Flags: trapgate.OpenVDSOOwn})
		if err != nil {
			t.Log(err)
			continue
		}
		info, err := p.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.VDSOKind == trapgate.VDSONone {
			t.Skip("there is no vDSO of the library's own for this processor")
		}
		s := newSubprocess(t, p)
		wantError(t, s.SetClocks([]trapgate.Clock{{Number: trapgate.Clocks}}), syscall.EINVAL)
		set := trapgate.Clock{Number: clockMonotonic, Kind: trapgate.ClockTime, BaseNS: 77}
		if err := s.SetClocks([]trapgate.Clock{{Number: 0}, set}); err != nil {
			t.Fatal(err)
		}
		copied, err := s.Fork()
		if err != nil {
			t.Fatal(err)
		}
		if got, ns, err := copied.Clock(clockMonotonic); err != nil || got != set || ns != 77 {
			t.Fatal(got, ns, err)
		}
		if got, ns, err := copied.Clock(0); err != nil || got.Kind != trapgate.ClockCall || ns != 0 {
			t.Fatal(got, ns, err)
		}
		copied.Close()
		follow(t, p, s)
		p.Close()
	}
}

func follow(t *testing.T, p *trapgate.Platform, s *trapgate.Subprocess) {
	host := p.NewHostClock(clockMonotonic)
	for i := 0; i < 3; i++ {
		line, err := host.Follow()
		if err != nil || i == 0 && line.Kind != trapgate.ClockCall {
			t.Fatal(line, err)
		}
		if err := s.SetClocks([]trapgate.Clock{line}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond)
	}
	if p.Counter() > 0 {
		t.Log("off by", host.Error())
	}
	if _, err := p.NewHostClock(77).Follow(); err == nil {
		t.Fatal("there is a clock 77")
	}
}
