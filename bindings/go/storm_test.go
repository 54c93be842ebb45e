// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate_test

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"trapgate.dev/go/trapgate"
)

// Goroutines hand contexts to each other: each call arrives once, in order, wherever the context runs next.
func TestContextsMoveBetweenGoroutines(t *testing.T) {
	onBoth(t, func(t *testing.T, p *trapgate.Platform, do switcher) {
		const contexts, goroutines, rounds = 12, 100, 30
		type runnable struct {
			c     *trapgate.Context
			calls uint64
		}
		both := []*trapgate.Subprocess{newSubprocess(t, p), newSubprocess(t, p)}
		idle := make(chan *runnable, contexts)
		for i := 0; i < contexts; i++ {
			idle <- &runnable{c: newContext(t, p, countAt)}
		}
		var all sync.WaitGroup
		soon(t, "the storm", func() {
			for i := 0; i < goroutines; i++ {
				all.Add(1)
				go func(i int) {
					defer all.Done()
					for j := 0; j < rounds; j++ {
						one := <-idle
						event, err := do(background, one.c, both[(i+j)%2])
						one.calls++
						if err != nil || event.Kind != trapgate.KindSyscall || event.Syscall.Args[0] != one.calls {
							t.Errorf("event is %v, %v, not call %d", &event, err, one.calls)
						}
						if err := one.c.SetReturn(int64(one.calls)); err != nil {
							t.Error(err)
						}
						idle <- one
					}
				}(i)
			}
			all.Wait()
		})
	})
}

// Hundreds of goroutines that have nothing to do with each other, through as many platforms as backends.
func TestGoroutineStorm(t *testing.T) {
	onBoth(t, func(t *testing.T, p *trapgate.Platform, do switcher) {
		const goroutines = 200
		s := newSubprocess(t, p)
		var all sync.WaitGroup
		soon(t, "the storm", func() {
			for i := 0; i < goroutines; i++ {
				all.Add(1)
				go func() {
					defer all.Done()
					c, err := p.NewContext()
					if err != nil {
						t.Error(err)
						return
					}
					defer c.Close()
					if err := c.Start(countAt, 0); err != nil {
						t.Error(err)
					}
					for j := uint64(1); j <= 5; j++ {
						event, err := do(background, c, s)
						if err != nil || event.Syscall.Args[0] != j {
							t.Errorf("event is %v, %v, not call %d", &event, err, j)
							return
						}
						if regs, err := c.Registers(); err != nil || regs.Arg(0) != j {
							t.Error(regs.Arg(0), err)
						}
					}
				}()
			}
			all.Wait()
		})
		if stats, err := p.Stats(); err != nil || stats.Contexts != 0 {
			t.Fatal(stats.Contexts, err)
		}
	})
}

// One context used by many at once: one has it, the others are told so.
func TestOneContextManyGoroutines(t *testing.T) {
	onBoth(t, func(t *testing.T, p *trapgate.Platform, do switcher) {
		s, c := newSubprocess(t, p), newContext(t, p, countAt)
		var calls atomic.Uint64
		var all sync.WaitGroup
		for i := 0; i < 16; i++ {
			all.Add(1)
			go func() {
				defer all.Done()
				for j := 0; j < 20; j++ {
					if _, err := do(background, c, s); err == nil {
						calls.Add(1)
					} else if !errors.Is(err, syscall.EBUSY) {
						t.Error(err)
					}
					if _, err := c.Registers(); err != nil && !errors.Is(err, syscall.EBUSY) {
						t.Error(err)
					}
				}
			}()
		}
		soon(t, "the storm", all.Wait)
		event, err := do(background, c, s)
		wantCall(t, &event, err, calls.Load()+1)
	})
}

// A thousand guest threads, each a goroutine, and not a thread for each.
func TestRunnerWithAThousandContexts(t *testing.T) {
	onEach(t, func(t *testing.T, p *trapgate.Platform) {
		const contexts, calls = 1000, 5
		s := newSubprocess(t, p)
		r, err := p.NewRunner()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		before := threads(t)
		var handled atomic.Int64
		var all sync.WaitGroup
		soon(t, "the thousand", func() {
			for i := 0; i < contexts; i++ {
				c := newContext(t, p, countAt)
				all.Add(1)
				go func() {
					defer all.Done()
					seen := uint64(0)
					event, err := r.Run(background, c, s, func(event *trapgate.Event) trapgate.Next {
						handled.Add(1)
						seen++
						if event.Kind != trapgate.KindSyscall || event.Syscall.Args[0] != seen ||
							seen > 1 && event.Syscall.Args[1] != uint64(seen-1) {
							return trapgate.Stop(errors.New(event.String()))
						}
						if seen == calls {
							return trapgate.Stop(nil)
						}
						return trapgate.Return(int64(seen))
					})
					if err != nil || event.Syscall.Args[0] != calls {
						t.Errorf("event is %v, %v", &event, err)
					}
				}()
			}
			all.Wait()
		})
		if handled.Load() != contexts*calls {
			t.Fatal(handled.Load())
		}
		if after := threads(t); after > before+20 {
			t.Fatalf("there were %d threads, and now %d", before, after)
		}
	})
}

func threads(t *testing.T) int {
	list, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// What a handler may do with its context, and what happens to Run meanwhile.
func TestHandler(t *testing.T) {
	onEach(t, func(t *testing.T, p *trapgate.Platform) {
		s, other, c := newSubprocess(t, p), newSubprocess(t, p), newContext(t, p, countAt)
		r, err := p.NewRunner()
		if err != nil {
			t.Fatal(err)
		}
		refusal := errors.New("no")
		run := func(handler trapgate.Handler) (event trapgate.Event, err error) {
			soon(t, "a handler", func() { event, err = r.Run(background, c, s, handler) })
			return event, err
		}
		_, err = run(func(*trapgate.Event) trapgate.Next { return trapgate.Stop(refusal) })
		wantError(t, err, refusal)

		// Registers, and a result by SetReturn.
		rounds := 0
		event, err := run(func(event *trapgate.Event) trapgate.Next {
			regs, err := event.Context.Registers()
			if err == nil {
				regs.SetArg(0, 100)
				err = event.Context.SetRegisters(&regs)
			}
			if err == nil {
				err = event.Context.SetReturn(7)
			}
			if rounds++; err != nil || rounds == 2 {
				return trapgate.Stop(err)
			}
			return trapgate.Resume()
		})
		wantCall(t, &event, err, 101)
		if event.Syscall.Args[1] != 7 {
			t.Fatal(event.Syscall.Args)
		}

		// The context runs elsewhere meanwhile; a nested switch is one of them.
		_, err = run(func(event *trapgate.Event) trapgate.Next {
			if _, err := c.Switch(background, other); err != nil {
				return trapgate.Stop(err)
			}
			return trapgate.Stop(nil)
		})
		if err != nil {
			t.Fatal(err)
		}

		// Closing the subprocess under itself: the next event says so.
		rounds = 0
		event, err = run(func(event *trapgate.Event) trapgate.Next {
			if rounds++; event.Kind == trapgate.KindDead {
				return trapgate.Stop(nil)
			}
			s.Close()
			return trapgate.Resume()
		})
		if err != nil || event.Kind != trapgate.KindDead || event.Dead.Reason != trapgate.DeadDestroyed || rounds != 2 {
			t.Fatal(&event, err, rounds)
		}

		// Closing the context under itself.
		s = other
		_, err = run(func(event *trapgate.Event) trapgate.Next {
			event.Context.Close()
			return trapgate.Resume()
		})
		wantError(t, err, trapgate.ErrClosed)
		r.Close()
	})
}

func TestRunnerDeath(t *testing.T) {
	onEach(t, func(t *testing.T, p *trapgate.Platform) {
		s, healthy := newSubprocess(t, p), newSubprocess(t, p)
		r, err := p.NewRunner()
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for i := 0; i < 50; i++ {
			c := newContext(t, p, spinAt)
			all.Add(1)
			go func() {
				defer all.Done()
				event, err := r.Switch(background, c, s)
				if err != nil || event.Kind != trapgate.KindDead || event.Dead.Status != killed {
					t.Errorf("event is %v, %v", &event, err)
				}
			}()
		}
		c := newContext(t, p, countAt)
		for i := uint64(1); i <= 20; i++ {
			event, err := r.Switch(background, c, healthy)
			wantCall(t, &event, err, i)
		}
		if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		soon(t, "the dead", all.Wait)
		event, err := r.Switch(background, c, healthy)
		wantCall(t, &event, err, 21)
	})
}

// With ContextOneThread the state stays with the runner's thread; when the runner is closed others may have it.
func TestRunnerLetsGo(t *testing.T) {
	onEach(t, func(t *testing.T, p *trapgate.Platform) {
		s, c := newSubprocess(t, p), newContext(t, p, countAt)
		if err := c.SetFlags(trapgate.ContextOneThread); err != nil {
			t.Fatal(err)
		}
		for i := uint64(1); i < 10; i += 2 {
			r, err := p.NewRunner()
			if err != nil {
				t.Fatal(err)
			}
			event, err := r.Switch(background, c, s)
			wantCall(t, &event, err, i)
			event, err = r.Switch(background, c, s)
			wantCall(t, &event, err, i+1)
			r.Close()
		}
	})
}

// A queue is driven by a goroutine that does not hold its thread, while others keep it moving: Wait sees to that.
func TestQueueHoldsItsThread(t *testing.T) {
	onEach(t, func(t *testing.T, p *trapgate.Platform) {
		const contexts, rounds = 20, 20
		s := newSubprocess(t, p)
		q, err := p.NewQueue()
		if err != nil {
			t.Fatal(err)
		}
		var stop atomic.Bool
		var busy sync.WaitGroup
		for i := 0; i < 4; i++ {
			busy.Add(1)
			go func() {
				defer busy.Done()
				for !stop.Load() {
					runtime.Gosched()
				}
			}()
		}
		submitted := make(chan struct{})
		go func() { // others may submit
			defer close(submitted)
			for i := 0; i < contexts; i++ {
				c := newContext(t, p, countAt)
				if err := q.Submit(c, s); err != nil {
					t.Error(err)
				}
			}
		}()
		events := make([]trapgate.Event, 3)
		seen := map[*trapgate.Context]uint64{}
		soon(t, "the queue", func() {
			for left := contexts * rounds; left > 0; {
				count, err := q.Wait(background, events, -1)
				if err != nil {
					t.Error(err)
					return
				}
				for i := range events[:count] {
					c := events[i].Context
					seen[c]++
					left--
					if events[i].Syscall.Args[0] != seen[c] {
						t.Errorf("event is %v", &events[i])
					}
					if seen[c] < rounds {
						if err := q.Submit(c, s); err != nil {
							t.Error(err)
						}
					}
				}
				time.Sleep(100 * time.Microsecond) // another thread could take over here
			}
			q.Close()
		})
		<-submitted
		stop.Store(true)
		busy.Wait()
	})
}
