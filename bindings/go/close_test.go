// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate_test

import (
	"errors"
	"math/rand"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"trapgate.dev/go/trapgate"
)

type closer interface{ Close() error }

// Everything made from a platform, used and idle, closed in any order, twice.
func TestCloseInEveryOrder(t *testing.T) {
	onEach(t, func(t *testing.T, first *trapgate.Platform) {
		info, err := first.Info()
		if err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewSource(1))
		for round := 0; round < 30; round++ {
			p, err := trapgate.Open(trapgate.Options{Backend: info.Backend})
			if err != nil {
				t.Fatal(err)
			}
			s, idle := newSubprocess(t, p), newSubprocess(t, p)
			a, b, d := newContext(t, p, codeAt), newContext(t, p, codeAt), newContext(t, p, codeAt)
			q, err := p.NewQueue()
			if err != nil {
				t.Fatal(err)
			}
			r, err := p.NewRunner()
			if err != nil {
				t.Fatal(err)
			}
			event, err := a.Switch(background, s)
			wantCall(t, &event, err, 0)
			event, err = r.Switch(background, b, s)
			wantCall(t, &event, err, 0)
			if err := q.Submit(d, s); err != nil {
				t.Fatal(err)
			}
			all := []closer{p, s, idle, a, b, d, q, r, p, s, idle, a, b, d, q, r}
			random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			soon(t, "closing", func() {
				for _, one := range all {
					if err := one.Close(); err != nil {
						t.Error(err)
					}
				}
			})
			_, err = a.Switch(background, s)
			wantError(t, err, trapgate.ErrClosed)
			_, err = r.Switch(background, b, s)
			wantError(t, err, trapgate.ErrClosed)
			wantError(t, q.Submit(d, s), trapgate.ErrClosed)
		}
	})
}

// Close while a switch runs elsewhere: what is closed says what the switch returns.
func TestCloseWhileRunning(t *testing.T) {
	what := map[string]func(p *trapgate.Platform, s *trapgate.Subprocess, c *trapgate.Context) closer{
		"platform":   func(p *trapgate.Platform, _ *trapgate.Subprocess, _ *trapgate.Context) closer { return p },
		"subprocess": func(_ *trapgate.Platform, s *trapgate.Subprocess, _ *trapgate.Context) closer { return s },
		"context":    func(_ *trapgate.Platform, _ *trapgate.Subprocess, c *trapgate.Context) closer { return c },
	}
	onEach(t, func(t *testing.T, first *trapgate.Platform) {
		info, err := first.Info()
		if err != nil {
			t.Fatal(err)
		}
		for name, pick := range what {
			for _, through := range []string{"switch", "runner"} {
				for round := 0; round < 10; round++ {
					p, err := trapgate.Open(trapgate.Options{Backend: info.Backend})
					if err != nil {
						t.Fatal(err)
					}
					s, c := newSubprocess(t, p), newContext(t, p, spinAt)
					do := func() (trapgate.Event, error) { return c.Switch(background, s) }
					if through == "runner" {
						r, err := p.NewRunner()
						if err != nil {
							t.Fatal(err)
						}
						do = func() (trapgate.Event, error) { return r.Switch(background, c, s) }
					}
					var event trapgate.Event
					var all sync.WaitGroup
					all.Add(1)
					go func() {
						defer all.Done()
						event, err = do()
					}()
					time.Sleep(time.Duration(round) * 200 * time.Microsecond) // also before it runs
					soon(t, "closing the "+name+" under a "+through, func() {
						pick(p, s, c).Close()
						all.Wait()
					})
					if name == "subprocess" && err == nil {
						if event.Kind != trapgate.KindDead || event.Dead.Reason != trapgate.DeadDestroyed {
							t.Fatalf("event is %v", &event)
						}
					} else {
						wantError(t, err, trapgate.ErrClosed)
					}
					p.Close()
				}
			}
		}
	})
}

func TestCloseOfAQueueThatIsWaitedOn(t *testing.T) {
	onEach(t, func(t *testing.T, p *trapgate.Platform) {
		s := newSubprocess(t, p)
		for round := 0; round < 10; round++ {
			q, err := p.NewQueue()
			if err != nil {
				t.Fatal(err)
			}
			c := newContext(t, p, spinAt)
			if err := q.Submit(c, s); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error)
			go func() {
				_, err := q.Wait(background, make([]trapgate.Event, 1), -1)
				ended <- err
			}()
			time.Sleep(time.Duration(round) * 200 * time.Microsecond)
			soon(t, "closing the queue", func() {
				q.Close()
				wantError(t, <-ended, trapgate.ErrClosed)
			})
			// It was stopped by the one that waited, so the subprocess lives and the context can be used again.
			if err := c.Start(codeAt, 0); err != nil {
				t.Fatal(err)
			}
			if event, err := c.Switch(background, s); round > 5 {
				wantCall(t, &event, err, 0)
			}
			if s.PID() == 0 { // closed before the wait had begun, on ptrace
				s.Close()
				s = newSubprocess(t, p)
			}
			c.Close()
		}
	})
}

// A context that is closed while a queue has it goes when its event comes, and the event with it.
func TestCloseOfAQueuedContext(t *testing.T) {
	onEach(t, func(t *testing.T, p *trapgate.Platform) {
		q, err := p.NewQueue()
		if err != nil {
			t.Fatal(err)
		}
		s, closed, other := newSubprocess(t, p), newContext(t, p, spinAt), newContext(t, p, codeAt)
		for _, c := range []*trapgate.Context{closed, other} {
			if err := q.Submit(c, s); err != nil {
				t.Fatal(err)
			}
		}
		closed.Close()
		events := make([]trapgate.Event, 4)
		count, err := q.Wait(background, events, -1)
		if err != nil || count != 1 || events[0].Context != other {
			t.Fatal(count, err, events[:count])
		}
		if count, err = q.Wait(background, events, 20*time.Millisecond); count != 0 || err != nil {
			t.Fatal(count, err)
		}
		if stats, err := p.Stats(); err != nil || stats.Contexts != 1 {
			t.Fatal(stats.Contexts, err)
		}
		q.Close()
	})
}

// Dropped handles are closed some time.
func TestFinalizers(t *testing.T) {
	onEach(t, func(t *testing.T, p *trapgate.Platform) {
		before, err := p.Stats()
		if err != nil {
			t.Fatal(err)
		}
		func() {
			s, c := newSubprocess(t, p), newContext(t, p, codeAt)
			event, err := c.Switch(background, s)
			wantCall(t, &event, err, 0)
			if r, err := p.NewRunner(); err == nil {
				event, err := r.Switch(background, c, s)
				wantCall(t, &event, err, 0)
			}
		}()
		soon(t, "the collector", func() {
			for {
				runtime.GC()
				after, err := p.Stats()
				if err != nil || after.Contexts == before.Contexts && after.Subprocesses == before.Subprocesses {
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
	})
}

func TestErrors(t *testing.T) {
	onEach(t, func(t *testing.T, p *trapgate.Platform) {
		s, c := newSubprocess(t, p), newContext(t, p, codeAt)
		err := s.Map(1, 4096, trapgate.ProtRead, 0)
		var failure *trapgate.Error
		if !errors.As(err, &failure) || failure.Op != "map" || failure.Errno != syscall.EINVAL || len(failure.Message) < 10 {
			t.Fatalf("%#v", err)
		}
		wantError(t, err, syscall.EINVAL)
		if errors.Is(err, trapgate.ErrClosed) || errors.Is(err, syscall.EFAULT) {
			t.Fatal("the error is others, too")
		}
		if text := err.Error(); !strings.HasPrefix(text, "trapgate: map: ") || !strings.Contains(text, failure.Message) {
			t.Fatal(text)
		}
		_, err = s.ReadMemory(0x7000000, make([]byte, 1))
		wantError(t, err, syscall.EFAULT)
		if errors.Is(err, os.ErrNotExist) {
			t.Fatal("a fault is no missing file")
		}
		s.Close()
		_, err = c.Switch(background, s)
		wantError(t, err, trapgate.ErrClosed)
		wantError(t, err, syscall.EINVAL)
	})
}
