// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"bytes"
	"errors"
	"syscall"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"memory.copy", copiesAnyLength},
		{"memory.partial_hole", partialAtAHole},
		{"memory.batch", batchRunsInOrder},
		{"memory.batch_failure", batchStopsWhereItFails},
	})
}

func pattern(length int) []byte {
	bytes := make([]byte, length)
	for i := range bytes {
		bytes[i] = byte(i*7 + i/251)
	}
	return bytes
}

// partial checks a copy that ends before its end, or not.
func partial(done int, err error, wantedDone int, errno syscall.Errno) {
	if done != wantedDone || (errno == 0) != (err == nil) || (errno != 0 && !errors.Is(err, errno)) {
		fail(1, "is %d, %v, not %d, %v", done, err, wantedDone, errno)
	}
}

func copiesAnyLength(b trapgate.Backend) {
	const most = 1 << 20
	out, in := pattern(most), make([]byte, most)
	g := open(b, "call_loop")
	mapPages(g.subprocess, holeAt, 2*most, protRW)
	for _, length := range []int{1, 2, 7, 8, 4095, 4096, 4097, 65536, most - 8} {
		for _, offset := range []uint64{0, 1, 4090} {
			at("%d bytes at offset %d", length, offset)
			equal(must(g.subprocess.WriteMemory(holeAt+offset, out[:length])), length)
			for i := range in[:length+1] {
				in[i] = 0xee
			}
			equal(must(g.subprocess.ReadMemory(holeAt+offset, in[:length])), length)
			same(in[:length], out[:length])
			equal(in[length], 0xee)
		}
	}
	equal(must(g.subprocess.ReadMemory(dataAt, nil)), 0)
	equal(must(g.subprocess.WriteMemory(dataAt, []byte{})), 0)
	g.close()
}

func partialAtAHole(b trapgate.Backend) {
	out := pattern(64)
	g := open(b, "call_loop")
	mapPages(g.subprocess, holeAt, g.page, protRW)
	for before := 0; before <= len(out); before += 16 {
		addr := holeAt + g.page - uint64(before)
		errno := syscall.EFAULT
		if before == len(out) {
			errno = 0
		}
		at("%d bytes before the hole", before)
		done, err := g.subprocess.WriteMemory(addr, out)
		partial(done, err, before, errno)
		back := bytes.Repeat([]byte{0xcc}, len(out))
		done, err = g.subprocess.ReadMemory(addr, back)
		partial(done, err, before, errno)
		same(back[:before], out[:before])
		check(before == len(back) || back[before] == 0xcc, "nothing behind the edge is written")
	}
	g.close()
}

func batchRunsInOrder(b trapgate.Backend) {
	g := open(b, "write_calls")
	page := g.page
	equal(must(g.subprocess.Apply([]trapgate.MemOp{
		trapgate.MapOp(holeAt, 4*page, trapgate.ProtNone, 0),
		trapgate.ProtectOp(holeAt, 3*page, protRW),
		trapgate.UnmapOp(holeAt+page, page),
		trapgate.MapOp(holeAt+page, page, trapgate.ProtRead, 0),
		trapgate.AdviseOp(holeAt, page, syscall.MADV_DONTNEED),
	})), 5)
	g.touch(holeAt + 2*page)
	wantCall(&g.event, guestCall)
	g.touch(holeAt + page)
	wantFault(&g.event, holeAt+page, trapgate.AccessWrite, syscall.SIGSEGV, segvAccErr)
	g.touch(holeAt + 3*page)
	wantFault(&g.event, holeAt+3*page, trapgate.AccessWrite, syscall.SIGSEGV, segvAccErr)
	equal(must(g.subprocess.Apply([]trapgate.MemOp{
		trapgate.MapOp(holeAt+8*page, page, protRW, 0),
		trapgate.MoveOp(holeAt+8*page, page, holeAt+6*page),
	})), 2)
	storeWord(g.subprocess, holeAt+6*page, 1)
	done, err := g.subprocess.ReadMemory(holeAt+8*page, make([]byte, 8))
	partial(done, err, 0, syscall.EFAULT)
	g.close()
}

func batchStopsWhereItFails(b trapgate.Backend) {
	g := open(b, "call_loop")
	page := g.page
	done, err := g.subprocess.Apply([]trapgate.MemOp{
		trapgate.MapOp(holeAt, page, protRW, 0),
		trapgate.MapOp(holeAt+page, page, protRW, 0),
		trapgate.ProtectOp(holeAt+8*page, page, protRW), // nothing is mapped there
		trapgate.MapOp(holeAt+2*page, page, protRW, 0),
	})
	partial(done, err, 2, syscall.ENOMEM)
	storeWord(g.subprocess, holeAt+page, 1)
	_, err = g.subprocess.ReadMemory(holeAt+2*page, make([]byte, 8))
	refused(err, syscall.EFAULT)
	check(sentence(err) != "", "there is a sentence")
	g.close()
}
