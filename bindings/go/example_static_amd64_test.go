// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate_test

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"syscall"
	"testing"

	"trapgate.dev/go/trapgate"
)

// Runs a real program, /bin/busybox echo hello: it is loaded as the kernel would, and the few calls that it makes are
// served here. TestStaticProgram runs this.
func Example_static() {
	status, err := runStatic(os.Stdout, "/bin/busybox", "echo", "hello")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("status", status)
}

const (
	pageSize  = 4096
	stackTop  = 0x700000000000
	stackSize = 1 << 20
	mmapAt    = 0x500000000000

	mostAtOnce = 1 << 16 // of a write; the guest hears how much that was

	rw = trapgate.ProtRead | trapgate.ProtWrite
)

// A program is a guest with one thread.
type program struct {
	subprocess *trapgate.Subprocess
	thread     *trapgate.Context
	stdout     io.Writer
	brk, heap  uint64 // the heap's end, and the end of what is mapped of it
	mmap       uint64 // where the next mapping goes
}

// runStatic runs a static program and returns its exit status.
func runStatic(stdout io.Writer, path string, args ...string) (status int, err error) {
	platform, err := trapgate.Open(trapgate.Options{})
	if err != nil {
		return 0, err
	}
	defer platform.Close()
	p := &program{stdout: stdout, mmap: mmapAt}
	if p.subprocess, err = platform.NewSubprocess(); err != nil {
		return 0, err
	}
	if p.thread, err = platform.NewContext(); err != nil {
		return 0, err
	}
	entry, aux, err := p.load(path)
	if err != nil {
		return 0, err
	}
	sp, err := p.pushArguments(append([]string{path}, args...), aux)
	if err != nil {
		return 0, err
	}
	if err := p.thread.Start(entry, sp); err != nil {
		return 0, err
	}
	for {
		event, err := p.thread.Switch(context.Background(), p.subprocess)
		if err != nil {
			return 0, err
		}
		if event.Kind != trapgate.KindSyscall {
			return 0, fmt.Errorf("the program ended: %v", &event)
		}
		if nr := event.Syscall.Nr; nr == syscall.SYS_EXIT || nr == syscall.SYS_EXIT_GROUP {
			return int(event.Syscall.Args[0]), nil
		}
		if err := p.thread.SetReturn(p.serve(event.Syscall.Nr, event.Syscall.Args)); err != nil {
			return 0, err
		}
	}
}

// load maps the segments of the program, and returns where it begins and what the auxiliary vector says of it.
func (p *program) load(path string) (entry uint64, aux []uint64, err error) {
	file, err := elf.Open(path)
	if err != nil {
		return 0, nil, err
	}
	defer file.Close()
	if file.Type != elf.ET_EXEC {
		return 0, nil, fmt.Errorf("%s is no static program with fixed addresses", path)
	}
	for _, segment := range file.Progs {
		if segment.Type != elf.PT_LOAD {
			continue
		}
		start := segment.Vaddr &^ (pageSize - 1)
		length := segment.Vaddr + segment.Memsz - start
		contents, err := io.ReadAll(segment.Open())
		if err != nil {
			return 0, nil, err
		}
		if err := p.subprocess.Map(start, length, rw, 0); err != nil {
			return 0, nil, err
		}
		if _, err := p.subprocess.WriteMemory(segment.Vaddr, contents); err != nil {
			return 0, nil, err
		}
		prot := trapgate.Prot(segment.Flags&elf.PF_R>>2 | segment.Flags&elf.PF_W | segment.Flags&elf.PF_X<<2)
		if err := p.subprocess.Protect(start, length, prot); err != nil {
			return 0, nil, err
		}
		p.brk = (start + length + pageSize - 1) &^ (pageSize - 1)
	}
	p.heap = p.brk
	if p.brk == 0 {
		return 0, nil, fmt.Errorf("%s has nothing to load", path)
	}
	headers := file.Progs[0].Vaddr - file.Progs[0].Off + 64
	return file.Entry, []uint64{3, headers, 4, 56, 5, uint64(len(file.Progs)), 6, pageSize, 9, file.Entry}, nil
}

// pushArguments fills the stack: strings, then the count, the pointers and the auxiliary vector.
func (p *program) pushArguments(args []string, aux []uint64) (sp uint64, err error) {
	if err := p.subprocess.Map(stackTop-stackSize, stackSize, rw, 0); err != nil {
		return 0, err
	}
	var text bytes.Buffer
	text.Write(make([]byte, 16)) // for AT_RANDOM
	base := uint64(stackTop - pageSize)
	words := []uint64{uint64(len(args))}
	for _, arg := range args {
		words = append(words, base+uint64(text.Len()))
		text.WriteString(arg + "\x00")
	}
	words = append(words, 0, 0) // the ends of the arguments and of the environment
	words = append(append(words, aux...), 25, base, 0, 0)
	sp = (base - uint64(8*len(words))) &^ 15
	var vector bytes.Buffer
	if err := binary.Write(&vector, binary.LittleEndian, words); err != nil {
		return 0, err
	}
	if _, err := p.subprocess.WriteMemory(base, text.Bytes()); err != nil {
		return 0, err
	}
	_, err = p.subprocess.WriteMemory(sp, vector.Bytes())
	return sp, err
}

func least(a, b uint64) uint64 {
	if a < b {
		return a
	}
	return b
}

func failure(errno syscall.Errno) int64 { return -int64(errno) }

// serve answers a call. What is not known does not exist.
func (p *program) serve(nr uint64, args [6]uint64) int64 {
	const setFS, anonymous = 0x1002, 0x20
	switch nr {
	case syscall.SYS_WRITE:
		data := make([]byte, least(args[2], mostAtOnce))
		count, err := p.subprocess.ReadMemory(args[1], data)
		if count == 0 && err != nil {
			return failure(syscall.EFAULT)
		}
		if args[0] == 1 {
			p.stdout.Write(data[:count])
		}
		return int64(count)
	case syscall.SYS_WRITEV:
		total := int64(0)
		for i := uint64(0); i < args[2] && i < 16; i++ {
			var vector [16]byte
			if _, err := p.subprocess.ReadMemory(args[1]+16*i, vector[:]); err != nil {
				return failure(syscall.EFAULT)
			}
			part := [6]uint64{args[0], binary.LittleEndian.Uint64(vector[:]), binary.LittleEndian.Uint64(vector[8:])}
			count := p.serve(syscall.SYS_WRITE, part)
			if count < 0 && total == 0 {
				return count
			}
			if count > 0 {
				total += count
			}
			if count < 0 || uint64(count) < part[2] {
				break
			}
		}
		return total
	case syscall.SYS_BRK:
		end := (args[0] + pageSize - 1) &^ (pageSize - 1) // 0 if the sum wraps
		if args[0] > p.brk && end > p.brk && end < mmapAt {
			if end > p.heap && p.subprocess.Map(p.heap, end-p.heap, rw, 0) != nil {
				return int64(p.brk)
			}
			if end > p.heap {
				p.heap = end
			}
			p.brk = args[0]
		}
		return int64(p.brk)
	case syscall.SYS_MMAP:
		length := (args[1] + pageSize - 1) &^ (pageSize - 1)
		if args[3]&anonymous == 0 || p.subprocess.Map(p.mmap, length, trapgate.Prot(args[2]&7), 0) != nil {
			return failure(syscall.ENOMEM)
		}
		p.mmap += length
		return int64(p.mmap - length)
	case syscall.SYS_MPROTECT:
		if p.subprocess.Protect(args[0], args[1], trapgate.Prot(args[2]&7)) != nil {
			return failure(syscall.ENOMEM)
		}
		return 0
	case syscall.SYS_ARCH_PRCTL:
		if args[0] != setFS || p.thread.SetTLS(args[1]) != nil {
			return failure(syscall.EINVAL)
		}
		return 0
	case syscall.SYS_SET_TID_ADDRESS, syscall.SYS_GETUID, syscall.SYS_GETPID:
		return 1000
	}
	return failure(syscall.ENOSYS)
}

func TestStaticProgram(t *testing.T) {
	const path = "/bin/busybox"
	file, err := elf.Open(path)
	if err != nil {
		t.Skip(err)
	}
	static := file.Type == elf.ET_EXEC
	if file.Close(); !static {
		t.Skip(path + " is no static program with fixed addresses")
	}
	var stdout strings.Builder
	status, err := runStatic(&stdout, path, "echo", "hello")
	if err != nil || status != 0 || stdout.String() != "hello\n" {
		t.Fatalf("it wrote %q and ended with %d, %v", stdout.String(), status, err)
	}
	if status, err = runStatic(&stdout, path, "false"); err != nil || status != 1 {
		t.Fatalf("it ended with %d, %v", status, err)
	}
}

// writeAll writes 64 KiB from its own memory in one call, and ends with 0 if the call says so.
var writeAll = []byte{
	0xb8, 1, 0, 0, 0, 0xbf, 1, 0, 0, 0, // mov $SYS_write, %eax; mov $1, %edi
	0xbe, 0, 0, 1, 0, 0xba, 0, 0, 1, 0, 0x0f, 0x05, // mov $0x10000, %esi; mov $0x10000, %edx; syscall
	0x3d, 0, 0, 1, 0, 0x0f, 0x95, 0xc0, 0x0f, 0xb6, 0xf8, // cmp $0x10000, %eax; setne %al; movzx %al, %edi
	0xb8, 60, 0, 0, 0, 0x0f, 0x05, // mov $SYS_exit, %eax; syscall
}

// writeProgram makes a file with so many segments, each of which holds the file.
func writeProgram(t *testing.T, segments int, code []byte) string {
	const at = 0x10000
	var file bytes.Buffer
	header := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT),
		Entry: uint64(at + 64 + 56*segments), Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: uint16(segments),
	}
	if err := binary.Write(&file, binary.LittleEndian, &header); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < segments; i++ {
		segment := elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: at,
			Filesz: uint64(64 + 56*segments + len(code)), Memsz: 0x20000}
		if err := binary.Write(&file, binary.LittleEndian, &segment); err != nil {
			t.Fatal(err)
		}
	}
	file.Write(code)
	path := t.TempDir() + "/program"
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestStaticProgramWritesAll(t *testing.T) {
	var stdout strings.Builder
	status, err := runStatic(&stdout, writeProgram(t, 1, writeAll))
	if err != nil || status != 0 || stdout.Len() != 0x10000 {
		t.Fatalf("it wrote %d bytes and ended with %d, %v", stdout.Len(), status, err)
	}
}

func TestStaticProgramWithoutSegments(t *testing.T) {
	if _, err := runStatic(io.Discard, writeProgram(t, 0, writeAll)); err == nil {
		t.Fatal("it ran")
	}
}
