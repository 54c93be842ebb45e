// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate_test

import (
	"errors"
	"syscall"
	"testing"

	"trapgate.dev/go/trapgate"
)

// Empty again, with its process; a closed one says so.
func TestReset(t *testing.T) {
	const data = 0x200000
	onEach(t, func(t *testing.T, p *trapgate.Platform) {
		s := newSubprocess(t, p)
		pid := s.PID()
		buffer := make([]byte, 1)
		for i := 0; i < 3; i++ {
			if err := s.Map(data, 4096, trapgate.ProtRead|trapgate.ProtWrite, 0); err != nil {
				t.Fatal(err)
			}
			if _, err := s.ReadMemory(data, buffer); err != nil {
				t.Fatal(err)
			}
			if err := s.Reset(); err != nil {
				t.Fatal(err)
			}
			if _, err := s.ReadMemory(data, buffer); !errors.Is(err, syscall.EFAULT) {
				t.Fatalf("read: %v", err)
			}
		}
		if s.PID() != pid {
			t.Fatalf("it was process %d, and is %d", pid, s.PID())
		}
		s.Close()
		if err := s.Reset(); err == nil {
			t.Fatal("a closed subprocess was reset")
		}
	})
}
