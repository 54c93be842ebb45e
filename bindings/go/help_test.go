// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate_test

import (
	"context"
	"errors"
	"runtime"
	"syscall"
	"testing"
	"time"

	"trapgate.dev/go/trapgate"
)

const (
	codeAt  = 0x10000
	spinAt  = codeAt + 0x100
	countAt = codeAt + 0x200

	guestCall = 39
)

// x86-64. What is called here is getpid, whatever the answer means.
var guests = map[uint64][]byte{
	codeAt:  {0xb8, guestCall, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7},                               // calls for ever
	spinAt:  {0xf3, 0x90, 0xeb, 0xfc},                                                         // never calls
	countAt: {0x48, 0xff, 0xc7, 0xb8, guestCall, 0, 0, 0, 0x0f, 0x05, 0x89, 0xc6, 0xeb, 0xf2}, // counts; argument 1 is the last result
}

var background = context.Background()

// onEach runs a test on every backend that works here.
func onEach(t *testing.T, run func(t *testing.T, p *trapgate.Platform)) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the guests are of amd64")
	}
	for _, backend := range []trapgate.Backend{trapgate.BackendPtrace, trapgate.BackendSystrap} {
		t.Run(backend.String(), func(t *testing.T) {
			found, err := trapgate.Probe(backend)
			if err != nil {
				t.Fatal(err)
			}
			if !found.Available {
				t.Skip(found.Reason)
			}
			p, err := trapgate.Open(trapgate.Options{Backend: backend})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			run(t, p)
		})
	}
}

func newSubprocess(t testing.TB, p *trapgate.Platform) *trapgate.Subprocess {
	t.Helper()
	s, err := p.NewSubprocess()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Map(codeAt, 4096, trapgate.ProtRead|trapgate.ProtWrite, 0); err != nil {
		t.Fatal(err)
	}
	for addr, code := range guests {
		if _, err := s.WriteMemory(addr, code); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Protect(codeAt, 4096, trapgate.ProtRead|trapgate.ProtExec); err != nil {
		t.Fatal(err)
	}
	return s
}

func newContext(t testing.TB, p *trapgate.Platform, ip uint64) *trapgate.Context {
	t.Helper()
	c, err := p.NewContext()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(ip, 0); err != nil {
		t.Fatal(err)
	}
	return c
}

// wantCall wants the next call of the counting guest, or any if the number is 0.
func wantCall(t testing.TB, event *trapgate.Event, err error, number uint64) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if event.Kind != trapgate.KindSyscall || event.Syscall.Nr != guestCall ||
		number != 0 && event.Syscall.Args[0] != number {
		t.Fatalf("event is %v, argument %d; not call %d", event, event.Syscall.Args[0], number)
	}
}

func wantError(t testing.TB, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("error is %v, not %v", err, target)
	}
}

// soon runs the function and fails if it is not over in good time.
func soon(t testing.TB, what string, run func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		run()
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		panic(what + " does not end") // with the stacks of all goroutines
	}
}

// A switcher is a Context.Switch or a Runner.Switch.
type switcher func(ctx context.Context, c *trapgate.Context, s *trapgate.Subprocess) (trapgate.Event, error)

// onBoth runs a test with plain switches and through a runner.
func onBoth(t *testing.T, run func(t *testing.T, p *trapgate.Platform, do switcher)) {
	onEach(t, func(t *testing.T, p *trapgate.Platform) {
		t.Run("switch", func(t *testing.T) {
			run(t, p, func(ctx context.Context, c *trapgate.Context, s *trapgate.Subprocess) (trapgate.Event, error) {
				return c.Switch(ctx, s)
			})
		})
		t.Run("runner", func(t *testing.T) {
			runner, err := p.NewRunner()
			if err != nil {
				t.Fatal(err)
			}
			run(t, p, runner.Switch)
			runner.Close()
		})
	})
}

const killed = int32(syscall.SIGKILL)
