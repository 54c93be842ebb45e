// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"bytes"
	"errors"
	"math"
	"runtime"
	"syscall"
	"unsafe"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"memory.copy", copiesAnyLength},
		{"memory.copy_nothing", nothingToCopy},
		{"memory.partial_hole", partialAtAHole},
		{"memory.partial_long", partialAfterManyPages},
		{"memory.rights", rightsAreRespected},
		{"memory.out_of_reach", addressesOutOfReach},
		{"memory.forbidden", hostForbidsCopies},
		{"memory.reserved", libraryPagesAreNotGuestMemory},
		{"memory.edges", edgesOfUserSpace},
		{"memory.noreplace", noReplaceKeepsWhatIsThere},
		{"memory.unmap_nothing", unmapOfNothing},
		{"memory.precommit", populateMakesPresent},
		{"memory.advise", adviceTakesEffect},
		{"memory.advise_refused", otherAdviceIsRefused},
		{"memory.batch", batchRunsInOrder},
		{"memory.batch_failure", batchStopsWhereItFails},
		{"memory.batch_checked_first", batchIsCheckedFirst},
		{"memory.batch_long", longBatches},
		{"memory.map_limit", tooManyMappings},
		{"memory.threads", manyThreadsMap},
		{"memory.running_guest", mapUnderARunningGuest},
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
	g.close()
}

func nothingToCopy(b trapgate.Backend) {
	g := open(b, "call_loop")
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

// Many pages, then one that refuses: every byte before it is copied, however long that is.
func partialAfterManyPages(b trapgate.Backend) {
	out := pattern(128 * 4096)
	g := open(b, "call_loop")
	for good := uint64(1); good < 100; good += 7 {
		mapPages(g.subprocess, holeAt, 128*g.page, protRW)
		ok(g.subprocess.Protect(holeAt+good*g.page, g.page, trapgate.ProtNone))
		wanted := int(good*g.page - 3)
		done, err := g.subprocess.WriteMemory(holeAt+3, out[:len(out)-3])
		partial(done, err, wanted, syscall.EFAULT)
		in := make([]byte, len(out))
		done, err = g.subprocess.ReadMemory(holeAt+3, in[:len(in)-3])
		partial(done, err, wanted, syscall.EFAULT)
		same(in[:wanted], out[:wanted])
		equal(in[wanted], 0)
	}
	g.close()
}

func rightsAreRespected(b trapgate.Backend) {
	word := make([]byte, 8)
	g := open(b, "call_loop")
	mapPages(g.subprocess, holeAt, g.page, trapgate.ProtRead)
	done, err := g.subprocess.WriteMemory(holeAt, []byte{42, 0, 0, 0, 0, 0, 0, 0})
	partial(done, err, 0, syscall.EFAULT)
	equal(loadWord(g.subprocess, holeAt), 0)
	ok(g.subprocess.Protect(holeAt, g.page, trapgate.ProtNone))
	done, err = g.subprocess.ReadMemory(holeAt, word)
	partial(done, err, 0, syscall.EFAULT)
	done, err = g.subprocess.WriteMemory(codeAt, word)
	partial(done, err, 0, syscall.EFAULT)
	g.close()
}

func addressesOutOfReach(b trapgate.Backend) {
	word := []byte{42, 0, 0, 0, 0, 0, 0, 0}
	g := open(b, "call_loop")
	for _, addr := range []uint64{0, 0xffffffffff600000, 0x8000000000000000, math.MaxUint64 - 7} {
		at("address %#x", addr)
		done, err := g.subprocess.WriteMemory(addr, word)
		equal(done, 0)
		check(errors.Is(err, syscall.EFAULT) || errors.Is(err, syscall.EINVAL), "writing is refused")
		done, err = g.subprocess.ReadMemory(addr, word)
		equal(done, 0)
		check(errors.Is(err, syscall.EFAULT) || errors.Is(err, syscall.EINVAL), "reading is refused")
	}
	equal(word[0], 42)
	g.close()
}

func libraryPagesAreNotGuestMemory(b trapgate.Backend) {
	g := open(b, "call_loop")
	info, s := g.info(), g.subprocess
	for _, r := range info.Reserved {
		check(r.Start < r.End, "a range is not empty")
		_, err := s.WriteMemory(r.Start, []byte{'x'})
		check(err != nil, "writing is refused")
		refused(s.Map(r.Start, g.page, protRW, 0), syscall.EINVAL)
		refused(s.Unmap(r.Start, g.page), syscall.EINVAL)
		refused(s.Unmap(r.Start-g.page, 2*g.page), syscall.EINVAL)
		refused(s.Protect(r.End-g.page, g.page, protRW), syscall.EINVAL)
	}
	refused(s.Map(info.User.End, g.page, protRW, 0), syscall.EINVAL)
	refused(s.Map(info.User.End-g.page, 2*g.page, protRW, 0), syscall.EINVAL)
	if info.User.Start >= g.page {
		refused(s.Map(info.User.Start-g.page, g.page, protRW, 0), syscall.EINVAL)
	}
	g.call()
	must(s.ReadMemory(codeAt, make([]byte, 1)))
	g.close()
}

func isReserved(info *trapgate.Info, addr uint64) bool {
	for _, r := range info.Reserved {
		if r.Start <= addr && addr < r.End {
			return true
		}
	}
	return false
}

func edgesOfUserSpace(b trapgate.Backend) {
	g := open(b, "write_calls")
	info := g.info()
	for _, edge := range []uint64{info.User.Start, info.User.End - g.page} {
		if isReserved(&info, edge) {
			continue
		}
		at("edge %#x", edge)
		mapPages(g.subprocess, edge, g.page, protRW)
		g.touch(edge)
		wantCall(&g.event, guestCall)
		equal(loadWord(g.subprocess, edge), touched)
		ok(g.subprocess.Unmap(edge, g.page))
	}
	g.close()
}

func noReplaceKeepsWhatIsThere(b trapgate.Backend) {
	g := open(b, "call_loop")
	s := g.subprocess
	storeWord(s, dataAt, 7)
	refused(s.Map(dataAt, g.page, protRW, trapgate.MapNoReplace), syscall.EEXIST)
	equal(loadWord(s, dataAt), 7)
	ok(s.Map(holeAt, g.page, protRW, trapgate.MapNoReplace))
	equal(loadWord(s, holeAt), 0)
	ok(s.Map(dataAt, g.page, protRW, 0))
	equal(loadWord(s, dataAt), 0)
	g.close()
}

func unmapOfNothing(b trapgate.Backend) {
	g := open(b, "call_loop")
	ok(g.subprocess.Unmap(holeAt, 16*g.page))
	refused(g.subprocess.Protect(holeAt, g.page, protRW), syscall.ENOMEM)
	g.close()
}

func populateMakesPresent(b trapgate.Backend) {
	g := open(b, "call_loop")
	pid := g.subprocess.PID()
	ok(g.subprocess.Map(holeAt, 64*g.page, protRW, trapgate.MapPopulate))
	equal(resident(pid, holeAt), 64*g.page)
	ok(g.subprocess.Map(holeAt+1<<24, 64*g.page, protRW, trapgate.MapNoReserve))
	equal(resident(pid, holeAt+1<<24), 0)
	g.close()
}

func adviceTakesEffect(b trapgate.Backend) {
	g := open(b, "call_loop")
	storeWord(g.subprocess, dataAt, 5)
	equal(must(g.subprocess.Apply([]trapgate.MemOp{trapgate.AdviseOp(dataAt, g.page, syscall.MADV_DONTNEED)})), 1)
	equal(loadWord(g.subprocess, dataAt), 0)
	must(g.subprocess.Apply([]trapgate.MemOp{trapgate.AdviseOp(dataAt, g.page, syscall.MADV_WILLNEED)}))
	g.close()
}

// Advice that would change what a fork copies or reach other processes is not on the list.
func otherAdviceIsRefused(b trapgate.Backend) {
	g := open(b, "call_loop")
	for _, advice := range []int{syscall.MADV_DONTFORK, syscall.MADV_HWPOISON, syscall.MADV_MERGEABLE, 9999, -1} {
		at("advice %d", advice)
		done, err := g.subprocess.Apply([]trapgate.MemOp{trapgate.AdviseOp(dataAt, g.page, advice)})
		partial(done, err, 0, syscall.EINVAL)
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

// A bad argument anywhere means that nothing runs.
func batchIsCheckedFirst(b trapgate.Backend) {
	g := open(b, "call_loop")
	done, err := g.subprocess.Apply([]trapgate.MemOp{
		trapgate.MapOp(holeAt, g.page, protRW, 0),
		trapgate.MapOp(holeAt+g.page+1, g.page, protRW, 0),
	})
	partial(done, err, 0, syscall.EINVAL)
	_, err = g.subprocess.ReadMemory(holeAt, make([]byte, 8))
	refused(err, syscall.EFAULT)
	g.close()
}

func longBatches(b trapgate.Backend) {
	const pages = 1000
	g := open(b, "call_loop")
	var maps, unmaps []trapgate.MemOp
	for i := uint64(0); i < pages; i++ {
		maps = append(maps, trapgate.MapOp(holeAt+2*i*g.page, g.page, protRW, 0))
		unmaps = append(unmaps, trapgate.UnmapOp(holeAt+2*i*g.page, g.page))
	}
	equal(must(g.subprocess.Apply(maps)), pages)
	for i := uint64(0); i < pages; i++ {
		storeWord(g.subprocess, holeAt+2*i*g.page, i)
	}
	for i := uint64(0); i < pages; i++ {
		equal(loadWord(g.subprocess, holeAt+2*i*g.page), i)
	}
	equal(must(g.subprocess.Apply(unmaps)), pages)
	_, err := g.subprocess.ReadMemory(holeAt, make([]byte, 1))
	refused(err, syscall.EFAULT)
	g.close()
}

// The host's limit on mappings per process: an error, and everything goes on afterwards.
func tooManyMappings(b trapgate.Backend) {
	const batch, most = 1024, 1 << 18
	g := open(b, "write_calls")
	ops := make([]trapgate.MemOp, batch)
	total := uint64(0)
	var err error
	for err == nil && total < most {
		for i := range ops {
			prot := trapgate.ProtRead
			if i%2 == 1 {
				prot = protRW
			}
			ops[i] = trapgate.MapOp(holeAt+(total+uint64(i))*g.page, g.page, prot, 0)
		}
		var done int
		done, err = g.subprocess.Apply(ops)
		total += uint64(done)
	}
	if err == nil {
		skip("this host allows more than %d mappings", most)
	}
	refused(err, syscall.ENOMEM)
	g.touch(holeAt + g.page)
	wantCall(&g.event, guestCall)
	ok(g.subprocess.Unmap(holeAt, total*g.page))
	mapPages(g.subprocess, holeAt, 2*g.page, protRW)
	g.touch(holeAt + g.page)
	wantCall(&g.event, guestCall)
	g.close()
}

func mapAndUnmap(s *trapgate.Subprocess, addr, page uint64) {
	for round := uint64(1); round <= 200; round++ {
		mapPages(s, addr, page, protRW)
		storeWord(s, addr, round)
		equal(loadWord(s, addr), round)
		ok(s.Unmap(addr, page))
	}
}

func manyThreadsMap(b trapgate.Backend) {
	g := open(b, "counting_calls")
	var joins []func()
	for i := uint64(0); i < 4; i++ {
		addr := holeAt + i*16*g.page
		joins = append(joins, start(func() { mapAndUnmap(g.subprocess, addr, g.page) }))
	}
	for i := uint64(1); i <= 500; i++ {
		g.call()
		equal(g.event.Syscall.Args[0], i)
	}
	for _, join := range joins {
		join()
	}
	g.close()
}

func mapUnderARunningGuest(b trapgate.Backend) {
	g := open(b, "spin_counting")
	setArg(g.context, 0, dataAt)
	join := start(g.run)
	waitChange(g.subprocess, dataAt, 0)
	mapAndUnmap(g.subprocess, holeAt, g.page)
	waitChange(g.subprocess, dataAt, loadWord(g.subprocess, dataAt))
	ok(g.context.Interrupt())
	join()
	wantKind(&g.event, trapgate.KindInterrupted)
	g.close()
}

// forbidCopies is like a container's profile, and like Yama's settings 2 and 3; for all threads of this program.
func forbidCopies() {
	const (
		loadNumber = 0x20 // BPF_LD | BPF_W | BPF_ABS
		jumpEqual  = 0x15 // BPF_JMP | BPF_JEQ | BPF_K
		give       = 0x06 // BPF_RET | BPF_K

		setNoNewPrivs    = 38 // PR_SET_NO_NEW_PRIVS
		setModeFilter    = 1  // SECCOMP_SET_MODE_FILTER
		allThreads       = 1  // SECCOMP_FILTER_FLAG_TSYNC
		withErrno, allow = 0x00050000, 0x7fff0000
	)
	type instruction struct {
		code   uint16
		jt, jf uint8
		k      uint32
	}
	program := []instruction{
		{code: loadNumber},
		{jumpEqual, 1, 0, sysProcessVMReadv},
		{jumpEqual, 0, 1, sysProcessVMWritev},
		{code: give, k: withErrno | uint32(syscall.EPERM)},
		{code: give, k: allow},
	}
	filter := struct {
		length  uint16
		program *instruction
	}{uint16(len(program)), &program[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, setNoNewPrivs, 1, 0, 0, 0, 0)
	equal(errno, 0)
	_, _, errno = syscall.RawSyscall(sysSeccomp, setModeFilter, allThreads, uintptr(unsafe.Pointer(&filter)))
	equal(errno, 0)
}

func callsAreStillPatched(b trapgate.Backend) {
	g := open(b, "call_loop")
	for i := 0; i < 100; i++ {
		g.call()
	}
	if g.info().Capabilities&trapgate.CapPatching != 0 {
		equal(g.stats().PatchSites, 1)
	}
	g.close()
}

func hostForbidsCopies(b trapgate.Backend) {
	forbidCopies()
	copiesAnyLength(b)
	partialAtAHole(b)
	partialAfterManyPages(b)
	rightsAreRespected(b)
	addressesOutOfReach(b)
	callsAreStillPatched(b)
}
