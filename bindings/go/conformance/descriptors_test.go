// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"encoding/binary"
	"fmt"
	"os"
	"syscall"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"descriptor.unusable", unusableDescriptors},
		{"descriptor.zero", zeroIsMeant},
	})
}

// A sharedFile is a file that we have mapped too.
type sharedFile struct {
	fd    int
	bytes []byte
}

func openShared(length uint64) sharedFile {
	fd := memoryFile(length)
	return sharedFile{fd, must(syscall.Mmap(fd, 0, int(length), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED))}
}

func (f sharedFile) word(index uint64) uint64 { return binary.LittleEndian.Uint64(f.bytes[8*index:]) }

func (f sharedFile) set(index, value uint64) { binary.LittleEndian.PutUint64(f.bytes[8*index:], value) }

func (f sharedFile) close() {
	ok(syscall.Munmap(f.bytes))
	ok(syscall.Close(f.fd))
}

func (g *guest) writes(addr, value uint64) {
	g.restart()
	change(g.context, func(r *trapgate.Registers) {
		r.SetArg(0, addr)
		r.SetArg(1, value)
	})
	g.call()
}

func (g *guest) reads(addr uint64) uint64 {
	g.restart()
	setArg(g.context, 0, addr)
	g.call()
	return g.event.Syscall.Args[1]
}

func openReadOnly(length uint64) *os.File {
	file := memoryFile(length)
	defer syscall.Close(file)
	return must(os.Open(fmt.Sprintf("/proc/self/fd/%d", file)))
}

func unusableDescriptors(b trapgate.Backend) {
	g := open(b, "call_loop")
	s := g.subprocess
	readOnly := openReadOnly(g.page)
	reader, writer, err := os.Pipe()
	ok(err)
	refused(s.MapFile(holeAt, g.page, protRW, trapgate.MapShared, int(readOnly.Fd()), 0), syscall.EACCES)
	ok(s.MapFile(holeAt, g.page, protRW, 0, int(readOnly.Fd()), 0))
	next := holeAt + g.page
	refused(s.MapFile(next, g.page, trapgate.ProtRead, trapgate.MapShared, int(reader.Fd()), 0), syscall.ENODEV)
	refused(s.MapFile(next, g.page, trapgate.ProtRead, trapgate.MapShared, 987654, 0), syscall.EBADF)
	_, err = s.ReadMemory(next, make([]byte, 1))
	refused(err, syscall.EFAULT)
	check(sentence(err) != "", "there is a sentence")
	readOnly.Close()
	reader.Close()
	writer.Close()
	g.close()
}

// In Go a descriptor is always meant, 0 included.
func zeroIsMeant(b trapgate.Backend) {
	g := open(b, "call_loop")
	file := openShared(g.page)
	file.set(0, 42)
	ok(syscall.Dup3(file.fd, 0, 0))
	ok(g.subprocess.MapFile(holeAt, g.page, trapgate.ProtRead, trapgate.MapShared, 0, 0))
	equal(loadWord(g.subprocess, holeAt), 42)
	equal(must(g.subprocess.Apply([]trapgate.MemOp{
		trapgate.MapFileOp(holeAt, g.page, trapgate.ProtRead, trapgate.MapShared, 0, 0)})), 1)
	file.close()
	g.close()
}
