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
		{"descriptor.shared", sharedBothWays},
		{"descriptor.private", privateStaysPrivate},
		{"descriptor.offset", offsetCounts},
		{"descriptor.closed", mappingOutlivesDescriptor},
		{"descriptor.two_subprocesses", twoSubprocessesShare},
		{"descriptor.reused_number", reusedNumber},
		{"descriptor.unusable", unusableDescriptors},
		{"descriptor.read_only", readOnlyStays},
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

// The descriptor is opened after the platform and the subprocess are there.
func sharedBothWays(b trapgate.Backend) {
	g := open(b, "write_calls")
	file := openShared(2 * g.page)
	ok(g.subprocess.MapFile(holeAt, g.page, protRW, trapgate.MapShared, file.fd, 0))
	g.writes(holeAt+8, 11)
	equal(file.word(1), 11)
	file.set(1, 22)
	equal(loadWord(g.subprocess, holeAt+8), 22)
	storeWord(g.subprocess, holeAt+8, 33)
	equal(file.word(1), 33)
	file.close()
	g.close()
}

func privateStaysPrivate(b trapgate.Backend) {
	g := open(b, "write_calls")
	file := openShared(g.page)
	file.set(0, 5)
	ok(g.subprocess.MapFile(holeAt, g.page, protRW, 0, file.fd, 0))
	equal(loadWord(g.subprocess, holeAt), 5)
	g.writes(holeAt, 6)
	equal(loadWord(g.subprocess, holeAt), 6)
	equal(file.word(0), 5)
	file.close()
	g.close()
}

func offsetCounts(b trapgate.Backend) {
	g := open(b, "read_calls")
	file := openShared(8 * g.page)
	for page := uint64(0); page < 8; page++ {
		file.set(page*g.page/8, 100+page)
	}
	ok(g.subprocess.MapFile(holeAt, 2*g.page, trapgate.ProtRead, trapgate.MapShared, file.fd, 5*g.page))
	equal(g.reads(holeAt), 105)
	equal(g.reads(holeAt+g.page), 106)
	file.close()
	g.close()
}

func mappingOutlivesDescriptor(b trapgate.Backend) {
	g := open(b, "read_calls")
	file := openShared(g.page)
	file.set(0, 71)
	equal(must(g.subprocess.Apply([]trapgate.MemOp{
		trapgate.MapFileOp(holeAt, g.page, trapgate.ProtRead, trapgate.MapShared, file.fd, 0)})), 1)
	file.close()
	equal(g.reads(holeAt), 71)
	g.close()
}

func twoSubprocessesShare(b trapgate.Backend) {
	g := open(b, "write_calls")
	other := createLoaded(g.platform, code("write_calls"))
	file := openShared(g.page)
	ok(g.subprocess.MapFile(holeAt, g.page, protRW, trapgate.MapShared, file.fd, 0))
	ok(other.MapFile(holeAt+g.page, g.page, trapgate.ProtRead, trapgate.MapShared, file.fd, 0))
	g.writes(holeAt, 9)
	equal(loadWord(other, holeAt+g.page), 9)
	other.Close()
	file.close()
	g.close()
}

// A number that is closed and opened again means the new file.
func reusedNumber(b trapgate.Backend) {
	g := open(b, "read_calls")
	first := openShared(g.page)
	first.set(0, 1)
	ok(g.subprocess.MapFile(holeAt, g.page, trapgate.ProtRead, trapgate.MapShared, first.fd, 0))
	number := first.fd
	first.close()
	second := openShared(g.page)
	equal(second.fd, number)
	second.set(0, 2)
	ok(g.subprocess.MapFile(holeAt+g.page, g.page, trapgate.ProtRead, trapgate.MapShared, second.fd, 0))
	equal(loadWord(g.subprocess, holeAt), 1)
	equal(loadWord(g.subprocess, holeAt+g.page), 2)
	second.close()
	g.close()
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

// A read-only descriptor stays read-only: the guest's mapping cannot be made writable later.
func readOnlyStays(b trapgate.Backend) {
	g := open(b, "call_loop")
	readOnly := openReadOnly(g.page)
	ok(g.subprocess.MapFile(holeAt, g.page, trapgate.ProtRead, trapgate.MapShared, int(readOnly.Fd()), 0))
	refused(g.subprocess.Protect(holeAt, g.page, protRW), syscall.EACCES)
	readOnly.Close()
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
