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

// Several pieces in one go.
func TestTransfer(t *testing.T) {
	const data = 0x200000
	onEach(t, func(t *testing.T, p *trapgate.Platform) {
		s := newSubprocess(t, p)
		if err := s.Map(data, 4096, trapgate.ProtRead|trapgate.ProtWrite, 0); err != nil {
			t.Fatal(err)
		}
		c, err := p.NewContext()
		if err != nil {
			t.Fatal(err)
		}
		pieces := []trapgate.Transfer{
			{Kind: trapgate.TransferWrite, Addr: data + 4090, Buffer: []byte("path\x00")},
			{Kind: trapgate.TransferRead, Addr: data + 4090, Buffer: make([]byte, 4)},
			{Kind: trapgate.TransferString, Addr: data + 4090, Buffer: bytes.Repeat([]byte{255}, 16)},
		}
		if err := c.Transfer(s, pieces); err != nil {
			t.Fatal(err)
		}
		if pieces[0].Done != 5 || pieces[1].Done != 4 || pieces[2].Done != 4 {
			t.Fatalf("done: %+v", pieces)
		}
		if string(pieces[1].Buffer) != "path" || !bytes.Equal(pieces[2].Buffer[:6], []byte("path\x00\xff")) {
			t.Fatalf("bytes: %+v", pieces)
		}
		pieces = []trapgate.Transfer{
			{Kind: trapgate.TransferRead, Addr: data + 4090, Buffer: make([]byte, 16)},
			{Kind: trapgate.TransferWrite, Addr: data, Buffer: []byte("x"), Done: 9},
		}
		if err := c.Transfer(s, pieces); !errors.Is(err, syscall.EFAULT) || pieces[0].Done != 6 || pieces[1].Done != 0 {
			t.Fatalf("a bad page: %v, %+v", err, pieces)
		}
		if !bytes.Equal(pieces[0].Buffer[:5], []byte("path\x00")) {
			t.Fatalf("in front of it: %q", pieces[0].Buffer)
		}
		if err := c.Transfer(s, make([]trapgate.Transfer, 1)); !errors.Is(err, syscall.EINVAL) {
			t.Fatalf("no kind: %v", err)
		}
		if err := c.Transfer(s, nil); err != nil {
			t.Fatal(err)
		}
		if err := c.Transfer(nil, pieces); err == nil {
			t.Fatal("no subprocess has memory")
		}
		c.Close()
		if err := c.Transfer(s, pieces); err == nil {
			t.Fatal("a closed context has copied")
		}
	})
}

// What a call brings and what its answer takes.
func TestCallBytes(t *testing.T) {
	const data = 0x200000
	onEach(t, func(t *testing.T, p *trapgate.Platform) {
		s := newSubprocess(t, p)
		if err := s.Map(data, 4096, trapgate.ProtRead|trapgate.ProtWrite, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := s.WriteMemory(data+4090, []byte("path\x00x")); err != nil {
			t.Fatal(err)
		}
		c := newContext(t, p, codeAt)
		event, err := c.Switch(background, s)
		wantCall(t, &event, err, 0)
		_, err = c.Brought(s, 0)
		wantError(t, err, syscall.EINVAL)
		brings := []trapgate.Bring{
			trapgate.BringString(guestCall, 5, 64), trapgate.BringCounted(guestCall, 5, 4, 64),
		}
		if err := s.SetBrings(brings); err != nil {
			t.Fatal(err)
		}
		regs, err := c.Registers()
		if err != nil {
			t.Fatal(err)
		}
		regs.SetArg(5, data+4090)
		regs.SetArg(4, 16)
		if err := c.SetRegisters(&regs); err != nil {
			t.Fatal(err)
		}
		event, err = c.Switch(background, s)
		wantCall(t, &event, err, 0)
		for piece, want := range []string{"path", "path\x00x"} {
			if got, err := c.Brought(s, piece); err != nil || string(got) != want {
				t.Fatalf("piece %d: %q, %v", piece, got, err)
			}
		}
		if err := c.Attach(data, []byte("answer")); err != nil {
			t.Fatal(err)
		}
		wantError(t, c.Attach(data, make([]byte, trapgate.AttachMax)), syscall.EINVAL)
		event, err = c.Switch(background, s)
		wantCall(t, &event, err, 0)
		buffer := make([]byte, 6)
		if _, err := s.ReadMemory(data, buffer); err != nil || string(buffer) != "answer" {
			t.Fatalf("%q, %v", buffer, err)
		}
		wantError(t, s.SetBrings([]trapgate.Bring{trapgate.BringBytes(trapgate.BringCalls, 0, 8)}), syscall.EINVAL)
		if err := s.SetBrings(nil); err != nil {
			t.Fatal(err)
		}
	})
}
