// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"trapgate.dev/go/trapgate"
)

// Goroutines that fail at different things, and change threads as Go likes: each error has the sentence of its own call.
func TestErrorsCarryTheirOwnSentence(t *testing.T) {
	const rounds = 25000
	onEach(t, func(t *testing.T, p *trapgate.Platform) {
		s, err := p.NewSubprocess()
		if err != nil {
			t.Fatal(err)
		}
		mistakes := map[string]func() error{
			"multiple of the page size": func() error { return s.Map(0x10001, 4096, trapgate.ProtRead, 0) },
			"the length is 0":           func() error { return s.Protect(0x10000, 0, trapgate.ProtRead) },
			"no access":                 func() error { _, err := s.ReadMemory(0x500000, make([]byte, 1)); return err },
			"another platform":          foreignSwitch(t, p),
		}
		var all sync.WaitGroup
		for words, mistake := range mistakes {
			words, mistake := words, mistake
			all.Add(1)
			go func() {
				defer all.Done()
				wrong := 0
				for i := 0; i < rounds; i++ {
					var failure *trapgate.Error
					if !errors.As(mistake(), &failure) || !strings.Contains(failure.Message, words) {
						wrong++
					}
				}
				if wrong > 0 {
					t.Errorf("%d of %d errors do not say %q", wrong, rounds, words)
				}
			}()
		}
		all.Wait()
	})
}

// foreignSwitch switches a context of p in a subprocess of another platform.
func foreignSwitch(t *testing.T, p *trapgate.Platform) func() error {
	other, err := trapgate.Open(trapgate.Options{Backend: trapgate.BackendPtrace})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	s, err := other.NewSubprocess()
	if err != nil {
		t.Fatal(err)
	}
	c := newContext(t, p, codeAt)
	return func() error { _, err := c.Switch(background, s); return err }
}
