// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate_test

import (
	"errors"
	"syscall"
	"testing"

	"trapgate.dev/go/trapgate"
)

// A guest that counts its calls in argument 0 and hands back results in argument 1.
func TestExchange(t *testing.T) {
	onEach(t, func(t *testing.T, p *trapgate.Platform) {
		s, c := newSubprocess(t, p), newContext(t, p, countAt)
		var regs trapgate.Registers
		var event trapgate.Event
		exchange := func(what trapgate.Exchange, calls, result uint64) {
			t.Helper()
			if err := c.Exchange(s, &regs, what, &event); err != nil {
				t.Fatal(err)
			}
			if event.Kind != trapgate.KindSyscall || event.Context != c || event.Syscall.Nr != guestCall {
				t.Fatalf("event %v of %p", &event, event.Context)
			}
			if regs.Arg(0) != calls || event.Syscall.Args[0] != calls || regs.Arg(1) != result {
				t.Fatalf("call %d, result %d; want %d, %d", regs.Arg(0), regs.Arg(1), calls, result)
			}
			if own, err := c.Registers(); err != nil || own != regs {
				t.Fatalf("other registers than the context's (%v)", err)
			}
		}
		if err := c.Exchange(s, &regs, trapgate.ExchangeReturn, &event); !errors.Is(err, syscall.EINVAL) {
			t.Fatalf("a result before any call: %v", err)
		}
		if err := c.Exchange(nil, &regs, trapgate.ExchangeNothing, &event); !errors.Is(err, trapgate.ErrClosed) {
			t.Fatalf("no subprocess: %v", err)
		}
		exchange(trapgate.ExchangeNothing, 1, 0)
		for i := uint64(2); i < 100; i += 2 {
			setResult(&regs, i)
			exchange(trapgate.ExchangeReturn, i, i)
			setResult(&regs, i+1)
			exchange(trapgate.ExchangeAll, i+1, i+1)
		}
		regs.SetArg(0, 1000)
		setResult(&regs, 5)
		exchange(trapgate.ExchangeAll, 1001, 5)
		if err := c.Exchange(s, &regs, 99, &event); !errors.Is(err, syscall.EINVAL) {
			t.Fatalf("an unknown kind: %v", err)
		}
		c.Close()
		if err := c.Exchange(s, &regs, trapgate.ExchangeNothing, &event); !errors.Is(err, trapgate.ErrClosed) {
			t.Fatalf("a closed context: %v", err)
		}
	})
}

// Nothing is allocated, and registers and event may be on the stack.
func TestExchangeAllocatesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, p *trapgate.Platform) {
		s, c := newSubprocess(t, p), newContext(t, p, countAt)
		once := func() {
			var regs trapgate.Registers
			var event trapgate.Event
			if err := c.Exchange(s, &regs, trapgate.ExchangeNothing, &event); err != nil {
				t.Error(err)
			}
		}
		once()
		if n := testing.AllocsPerRun(100, once); n != 0 {
			t.Fatalf("%v allocations", n)
		}
	})
}

// Interrupt ends it, and so does closing the subprocess: with registers of where the guest was.
func TestExchangeEnds(t *testing.T) {
	onEach(t, func(t *testing.T, p *trapgate.Platform) {
		s, c := newSubprocess(t, p), newContext(t, p, spinAt)
		var regs trapgate.Registers
		var event trapgate.Event
		if err := c.Interrupt(); err != nil {
			t.Fatal(err)
		}
		if err := c.Exchange(s, &regs, trapgate.ExchangeNothing, &event); err != nil || event.Kind != trapgate.KindInterrupted {
			t.Fatalf("%v, %v", &event, err)
		}
		ended := make(chan error)
		go func() { ended <- c.Exchange(s, &regs, trapgate.ExchangeNothing, &event) }()
		s.Close()
		if err := <-ended; err == nil && event.Kind != trapgate.KindDead || err != nil && !errors.Is(err, trapgate.ErrClosed) {
			t.Fatalf("%v, %v", &event, err)
		}
	})
}

func setResult(regs *trapgate.Registers, value uint64) { regs.RAX = value }
