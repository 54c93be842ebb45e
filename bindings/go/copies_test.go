// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate_test

import (
	"bytes"
	"context"
	"errors"
	"syscall"
	"testing"

	"trapgate.dev/go/trapgate"
)

// Copies by way of a context: both directions, strings, what is said where they end, and a context that is closed.
func TestContextCopies(t *testing.T) {
	const data = 0x200000
	onEach(t, func(t *testing.T, p *trapgate.Platform) {
		s, err := p.NewSubprocess()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Map(data, 4096, trapgate.ProtRead|trapgate.ProtWrite, 0); err != nil {
			t.Fatal(err)
		}
		c, err := p.NewContext()
		if err != nil {
			t.Fatal(err)
		}
		if n, err := c.WriteMemory(s, data+4090, []byte("path\x00")); n != 5 || err != nil {
			t.Fatalf("write: %d, %v", n, err)
		}
		buffer := make([]byte, 16)
		if n, err := c.ReadString(s, data+4090, buffer); n != 4 || err != nil || !bytes.Equal(buffer[:5], []byte("path\x00")) {
			t.Fatalf("string: %d, %v, %q", n, err, buffer)
		}
		if n, err := c.ReadMemory(s, data+4090, buffer); n != 6 || !errors.Is(err, syscall.EFAULT) {
			t.Fatalf("read: %d, %v", n, err)
		}
		if n, err := c.ReadMemory(nil, data, buffer); n != 0 || err == nil {
			t.Fatalf("read of no subprocess: %d, %v", n, err)
		}
		c.Close()
		if _, err := c.ReadMemory(s, data, buffer); err == nil {
			t.Fatal("a closed context has copied")
		}
		if _, err := c.Switch(context.Background(), s); err == nil {
			t.Fatal("a closed context has run")
		}
	})
}
