// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate_test

import (
	"context"
	"errors"
	"io"
	"runtime/pprof"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"trapgate.dev/go/trapgate"
)

func TestCancelledBefore(t *testing.T) {
	onBoth(t, func(t *testing.T, p *trapgate.Platform, do switcher) {
		s, c := newSubprocess(t, p), newContext(t, p, countAt)
		ctx, cancel := context.WithCancel(background)
		cancel()
		_, err := do(ctx, c, s)
		wantError(t, err, context.Canceled)
		event, err := do(background, c, s) // the guest has not moved, and nothing is left over
		wantCall(t, &event, err, 1)
	})
}

func TestCancelledDuring(t *testing.T) {
	onBoth(t, func(t *testing.T, p *trapgate.Platform, do switcher) {
		s, c := newSubprocess(t, p), newContext(t, p, spinAt)
		for i := 0; i < 20; i++ {
			ctx, cancel := context.WithTimeout(background, time.Duration(i%4)*time.Millisecond)
			soon(t, "a switch whose time is over", func() {
				_, err := do(ctx, c, s)
				wantError(t, err, context.DeadlineExceeded)
			})
			cancel()
		}
		// The context is of use as before.
		if err := c.Start(countAt, 0); err != nil {
			t.Fatal(err)
		}
		for i := uint64(1); i < 10; i++ {
			event, err := do(background, c, s)
			wantCall(t, &event, err, i)
		}
	})
}

// An end that comes after the event, or while nothing runs, has no effect on the next switch.
func TestCancelledAfter(t *testing.T) {
	onBoth(t, func(t *testing.T, p *trapgate.Platform, do switcher) {
		s, c := newSubprocess(t, p), newContext(t, p, countAt)
		for i := uint64(1); i < 200; i++ {
			ctx, cancel := context.WithCancel(background)
			event, err := do(ctx, c, s)
			wantCall(t, &event, err, i)
			cancel()
		}
	})
}

// Ends race with calls: each switch gives either the next call or the error, and none is lost.
func TestCancelRaces(t *testing.T) {
	onBoth(t, func(t *testing.T, p *trapgate.Platform, do switcher) {
		s, c := newSubprocess(t, p), newContext(t, p, countAt)
		calls, cancelled := uint64(0), 0
		for i := 0; i < 500; i++ {
			ctx, cancel := context.WithCancel(background)
			go cancel()
			for {
				event, err := do(ctx, c, s)
				if errors.Is(err, context.Canceled) {
					cancelled++
					break
				}
				calls++
				wantCall(t, &event, err, calls)
				if event.Flags&trapgate.FlagInterruptPending != 0 {
					t.Fatal("the flag promises an event that nobody asked for")
				}
			}
		}
		event, err := do(background, c, s)
		wantCall(t, &event, err, calls+1)
		if cancelled != 500 {
			t.Fatal(cancelled)
		}
	})
}

// Interrupts that the program asks for are delivered among those of ends, and none of them comes without a cause.
func TestCancelAndInterrupt(t *testing.T) {
	onBoth(t, func(t *testing.T, p *trapgate.Platform, do switcher) {
		s, c := newSubprocess(t, p), newContext(t, p, spinAt)
		for i := 0; i < 100; i++ {
			ctx, cancel := context.WithCancel(background)
			go cancel()
			if err := c.Interrupt(); err != nil {
				t.Fatal(err)
			}
			interrupted := 0
			soon(t, "a switch", func() {
				for {
					event, err := do(ctx, c, s)
					if err != nil {
						wantError(t, err, context.Canceled)
						return
					}
					if event.Kind != trapgate.KindInterrupted {
						t.Errorf("event is %v", &event)
					}
					interrupted++
				}
			})
			if interrupted > 1 {
				t.Fatalf("one interrupt came %d times", interrupted)
			}
			if interrupted == 0 { // then it is still there
				event, err := do(background, c, s)
				if err != nil || event.Kind != trapgate.KindInterrupted {
					t.Fatalf("event is %v, %v, not interrupted", &event, err)
				}
			}
		}
	})
}

// One context.Context for many switches, that ends while one runs.
func TestCancelOfALoop(t *testing.T) {
	onBoth(t, func(t *testing.T, p *trapgate.Platform, do switcher) {
		s, c := newSubprocess(t, p), newContext(t, p, countAt)
		ctx, cancel := context.WithCancel(background)
		var rounds atomic.Uint64
		go func() {
			for rounds.Load() < 100 {
				time.Sleep(time.Millisecond)
			}
			cancel()
		}()
		soon(t, "the loop", func() {
			for {
				event, err := do(ctx, c, s)
				if err != nil {
					wantError(t, err, context.Canceled)
					return
				}
				wantCall(t, &event, err, rounds.Add(1))
			}
		})
	})
}

func TestQueueWaitEndsWithItsContext(t *testing.T) {
	onEach(t, func(t *testing.T, p *trapgate.Platform) {
		q, err := p.NewQueue()
		if err != nil {
			t.Fatal(err)
		}
		s, c := newSubprocess(t, p), newContext(t, p, spinAt)
		if err := q.Submit(c, s); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(background, 2*time.Millisecond)
		defer cancel()
		soon(t, "the wait", func() {
			_, err := q.Wait(ctx, make([]trapgate.Event, 1), -1)
			wantError(t, err, context.DeadlineExceeded)
			q.Close()
		})
	})
}

// What Go's runtime does to threads for its own sake, and what a profiler does, costs no event.
func TestSignalsOfTheRuntime(t *testing.T) {
	onBoth(t, func(t *testing.T, p *trapgate.Platform, do switcher) {
		s, c := newSubprocess(t, p), newContext(t, p, countAt)
		if err := pprof.StartCPUProfile(io.Discard); err != nil {
			t.Fatal(err)
		}
		defer pprof.StopCPUProfile()
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case <-stop:
					return
				default:
					syscall.Kill(syscall.Getpid(), syscall.SIGURG)
					time.Sleep(20 * time.Microsecond)
				}
			}
		}()
		for i := uint64(1); i <= 500; i++ {
			event, err := do(background, c, s)
			wantCall(t, &event, err, i)
		}
		close(stop)
		<-done
	})
}
