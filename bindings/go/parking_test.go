// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate_test

import (
	"errors"
	"testing"
	"time"

	"trapgate.dev/go/trapgate"
)

// Guests that compute, each in a Switch of its own: closing the runner ends them all, and the contexts can be used again.
func TestRunnerCloseEndsSwitches(t *testing.T) {
	const guests = 8
	onEach(t, func(t *testing.T, p *trapgate.Platform) {
		s := newSubprocess(t, p)
		for round := 0; round < 3; round++ {
			r, err := p.NewRunner()
			if err != nil {
				t.Fatal(err)
			}
			before := switches(t, p)
			ended := make(chan error, guests)
			var contexts []*trapgate.Context
			for i := 0; i < guests; i++ {
				c := newContext(t, p, spinAt)
				contexts = append(contexts, c)
				go func() {
					_, err := r.Switch(background, c, s)
					ended <- err
				}()
			}
			for round == 0 && switches(t, p) < before+guests { // the other rounds end it while they are about to start
				time.Sleep(time.Millisecond)
			}
			r.Close()
			for range contexts {
				if err := <-ended; !errors.Is(err, trapgate.ErrClosed) {
					t.Fatalf("a switch of a closed runner: %v", err)
				}
			}
			for _, c := range contexts {
				if err := c.Start(codeAt, 0); err != nil {
					t.Fatal(err)
				}
				if event, err := c.Switch(background, s); err != nil || event.Kind != trapgate.KindSyscall {
					t.Fatalf("afterwards: %v, %v", &event, err)
				}
				c.Close()
			}
		}
	})
}

func switches(t *testing.T, p *trapgate.Platform) uint64 {
	t.Helper()
	stats, err := p.Stats()
	if err != nil {
		t.Fatal(err)
	}
	return stats.Switches
}

// A subprocess that is closed meanwhile is an event of each of its switches.
func TestRunnerSwitchInClosedSubprocess(t *testing.T) {
	onEach(t, func(t *testing.T, p *trapgate.Platform) {
		r, err := p.NewRunner()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		s := newSubprocess(t, p)
		before := switches(t, p)
		ended := make(chan trapgate.Event, 8)
		for i := 0; i < cap(ended); i++ {
			c := newContext(t, p, spinAt)
			go func() {
				event, err := r.Switch(background, c, s)
				if err != nil {
					t.Error(err)
				}
				ended <- event
			}()
		}
		for switches(t, p) < before+uint64(cap(ended)) {
			time.Sleep(time.Millisecond)
		}
		s.Close()
		for i := 0; i < cap(ended); i++ {
			if event := <-ended; event.Kind != trapgate.KindDead || event.Dead.Reason != trapgate.DeadDestroyed {
				t.Errorf("event %v", &event)
			}
		}
	})
}
