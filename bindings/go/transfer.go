// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate

// #include <stdlib.h>
// #include "shim.h"
import "C"

import "unsafe"

// TransferKind says what is done with a piece of guest memory: Transfer.
type TransferKind uint32

// The kinds.
const (
	TransferRead   TransferKind = C.TG_TRANSFER_READ   // guest memory to the buffer
	TransferWrite  TransferKind = C.TG_TRANSFER_WRITE  // the buffer to guest memory
	TransferString TransferKind = C.TG_TRANSFER_STRING // as Context.ReadString
)

// TransferPieces is how many pieces can be moved in one go.
const TransferPieces = C.TG_TRANSFER_PIECES

// Transfer is a piece of guest memory that is read or written beside others: Context.Transfer.
type Transfer struct {
	Kind   TransferKind
	Addr   uint64 // in the guest
	Buffer []byte
	Done   int // set by Context.Transfer: bytes moved; TransferString: those in front of the 0
}

// transferBlock is what C gets: structs, and behind them the bytes that they point to, for Go's memory has no pointers to
// Go's memory when C sees it.
type transferBlock struct {
	block  unsafe.Pointer
	pieces []C.tg_transfer
}

func newTransferBlock(transfers []Transfer) transferBlock {
	head := len(transfers) * int(unsafe.Sizeof(C.tg_transfer{}))
	size := head
	for i := range transfers {
		size += len(transfers[i].Buffer)
	}
	block := C.calloc(1, C.size_t(size))
	pieces := unsafe.Slice((*C.tg_transfer)(block), len(transfers))
	at := head
	for i := range transfers {
		t, piece := &transfers[i], &pieces[i]
		piece.size = C.uint32_t(unsafe.Sizeof(*piece))
		piece.kind, piece.addr = C.uint32_t(t.Kind), C.uint64_t(t.Addr)
		piece.buffer, piece.length = unsafe.Add(block, at), C.uint64_t(len(t.Buffer))
		at += len(t.Buffer)
		if t.Kind == TransferWrite {
			copy(bytesAt(piece), t.Buffer)
		}
	}
	return transferBlock{block, pieces}
}

func bytesAt(piece *C.tg_transfer) []byte {
	return unsafe.Slice((*byte)(piece.buffer), int(piece.length))
}

// takeBack gives what was read, of a string its 0 byte too.
func (b transferBlock) takeBack(transfers []Transfer) {
	for i := range transfers {
		t, piece := &transfers[i], &b.pieces[i]
		t.Done = int(piece.done)
		switch t.Kind {
		case TransferRead:
			copy(t.Buffer, bytesAt(piece)[:t.Done])
		case TransferString:
			copy(t.Buffer, bytesAt(piece)[:t.Done])
			if t.Done < len(t.Buffer) {
				t.Buffer[t.Done] = bytesAt(piece)[t.Done]
			}
		}
	}
	C.free(b.block)
}

// Transfer does for each of the pieces what ReadMemory, WriteMemory or ReadString does, in their order and in one go where
// the backend can: what a piece writes the pieces behind it read. It ends with EFAULT at the first byte that cannot be
// moved: Done of that piece says where, exact to the byte, and is 0 in all pieces behind it. EINVAL for an unknown kind and
// for more than TransferPieces pieces.
func (c *Context) Transfer(s *Subprocess, pieces []Transfer) error {
	const op = "transfer"
	if err := c.acquire(op, contextUsed); err != nil {
		return err
	}
	defer c.release()
	if err := s.enter(op); err != nil {
		return err
	}
	defer s.leave()
	if len(pieces) == 0 {
		return c.call(op, func() C.int { return C.tg_context_transfer(c.h.ptr, s.h.ptr, nil, 0) })
	}
	block := newTransferBlock(pieces)
	defer block.takeBack(pieces)
	return c.call(op, func() C.int {
		return C.tg_context_transfer(c.h.ptr, s.h.ptr, &block.pieces[0], C.size_t(len(pieces)))
	})
}
