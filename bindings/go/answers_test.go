// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate_test

import (
	"syscall"
	"testing"
	"time"

	"trapgate.dev/go/trapgate"
)

// A guest that makes the same call for ever is answered without an event, where the backend does that, and interrupted.
func TestAnswers(t *testing.T) {
	onEach(t, func(t *testing.T, p *trapgate.Platform) {
		s := newSubprocess(t, p)
		c := newContext(t, p, codeAt)
		info, err := p.Info()
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, s.Answer(trapgate.AnswerCalls, trapgate.AnswerValue, 1), syscall.EINVAL)
		wantError(t, s.Answer(1, trapgate.AnswerContextWord, trapgate.ContextWords), syscall.EINVAL)
		wantError(t, c.SetWord(trapgate.ContextWords, 1), syscall.EINVAL)
		for i := 0; i < 64; i++ {
			event, err := c.Switch(background, s)
			wantCall(t, &event, err, 0)
		}
		if err := c.SetWord(2, 5); err != nil {
			t.Fatal(err)
		}
		if err := s.Answer(guestCall, trapgate.AnswerContextWord, 2); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(20*time.Millisecond, func() {
			if err := c.SetWord(2, 6); err != nil {
				t.Error(err)
			}
			if err := c.Interrupt(); err != nil {
				t.Error(err)
			}
		})
		for kind := trapgate.KindSyscall; kind != trapgate.KindInterrupted; {
			event, err := c.Switch(background, s)
			if err != nil {
				t.Fatal(err)
			}
			kind = event.Kind
		}
		stats, err := p.Stats()
		if err != nil {
			t.Fatal(err)
		}
		if can := info.Capabilities&trapgate.CapAnswers != 0; can != (stats.AnsweredCalls != 0) {
			t.Fatalf("%d answered calls", stats.AnsweredCalls)
		}
		c.Close()
		if err := c.SetWord(0, 1); err == nil {
			t.Fatal("a closed context has a word")
		}
	})
}
