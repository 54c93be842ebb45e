// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"encoding/binary"
	"os"
	"strconv"

	"trapgate.dev/go/trapgate"
)

// Patched system calls among random instructions: a loop of calls with random instructions around them. The test carries
// out the same instructions itself and compares every register at every call. r13 points to data; rcx, r11 and rsp are
// left alone.

func init() {
	areas = append(areas, []testCase{{"patch.random", randomNeighbours}})
}

const (
	seedVariable = "PATCHING_SEED" // one program instead of many

	programs     = 40
	programCalls = 60
	programSites = 6
	programWords = 8
	dataRegister = 13
)

var usableRegisters = []int{0, 2, 3, 5, 6, 7, 8, 9, 10, 14, 15}

// An op is one instruction, or a few that belong together.
type op struct {
	opKind
	to, from int
	number   int32
	form     int // of a call: how the number is loaded; of a nop: its length; of what accesses data: the displacement's
	place    int // of a call: the instruction; behind it 2 bytes on
	isCall   bool
}

// An opKind knows how an instruction is written, and what it does to the test's own registers; nil: nothing.
type opKind struct{ emit, carryOut func(p *program, o *op) }

type program struct {
	random    uint64
	ops       []*op
	code      []byte
	at        uint64
	registers [16]uint64
	words     [programWords]uint64
	next      int // operation
}

func (p *program) nextRandom() uint64 {
	p.random = p.random*6364136223846793005 + 1442695040888963407
	return p.random >> 33
}

func (p *program) below(limit uint64) int { return int(p.nextRandom() % limit) }

func (p *program) bytes(bytes ...int) {
	for _, value := range bytes {
		p.code = append(p.code, byte(value))
	}
}

func (p *program) long(number int32) {
	p.bytes(int(number), int(number>>8), int(number>>16), int(number>>24))
}

// instruction is a 64-bit one with a register and a register or memory operand.
func (p *program) instruction(opcode, mode, register, operand int) {
	p.bytes(0x48|register>>3<<2|operand>>3, opcode, mode<<6|register&7<<3|operand&7)
}

// one is an instruction with one register operand, extended by a number in the other's place.
func one(opcode, extension int, do func(old uint64) uint64) opKind {
	return opKind{
		func(p *program, o *op) { p.instruction(opcode, 3, extension, o.to) },
		func(p *program, o *op) { p.registers[o.to] = do(p.registers[o.to]) },
	}
}

func two(opcode int, do func(to, from *uint64)) opKind {
	return opKind{
		func(p *program, o *op) { p.instruction(opcode, 3, o.from, o.to) },
		func(p *program, o *op) { do(&p.registers[o.to], &p.registers[o.from]) },
	}
}

// numbered has a number behind it.
func numbered(opcode, extension int, tail func(p *program, number int32), do func(to *uint64, number int32)) opKind {
	return opKind{
		func(p *program, o *op) {
			p.instruction(opcode, 3, extension, o.to)
			tail(p, o.number)
		},
		func(p *program, o *op) { do(&p.registers[o.to], o.number) },
	}
}

// access reads or writes one of the words that dataRegister points to.
func access(opcode int, do func(register, word *uint64)) opKind {
	word := func(o *op) int { return int(uint32(o.number) % programWords) }
	return opKind{
		func(p *program, o *op) {
			if o.form%2 == 1 {
				p.instruction(opcode, 2, o.to, dataRegister)
				p.long(int32(8 * word(o)))
			} else {
				p.instruction(opcode, 1, o.to, dataRegister)
				p.bytes(8 * word(o))
			}
		},
		func(p *program, o *op) { do(&p.registers[o.to], &p.words[word(o)]) },
	}
}

func extended(number int32) uint64 { return uint64(int64(number)) }

func sevenBits(p *program, number int32) { p.bytes(int(number & 0x7f)) }

func threeBits(p *program, number int32) { p.bytes(int(number & 7)) }

var opKinds = []opKind{
	one(0xf7, 2, func(old uint64) uint64 { return ^old }),    // not
	one(0xf7, 3, func(old uint64) uint64 { return -old }),    // neg
	one(0xff, 0, func(old uint64) uint64 { return old + 1 }), // inc
	one(0xff, 1, func(old uint64) uint64 { return old - 1 }), // dec
	two(0x01, func(to, from *uint64) { *to += *from }),       // add
	two(0x31, func(to, from *uint64) { *to ^= *from }),       // xor
	two(0x89, func(to, from *uint64) { *to = *from }),        // mov
	two(0x87, func(to, from *uint64) { *to, *from = *from, *to }),
	numbered(0x83, 0, sevenBits, func(to *uint64, number int32) { *to += uint64(number & 0x7f) }),       // add
	numbered(0x81, 5, (*program).long, func(to *uint64, number int32) { *to -= extended(number) }),      // sub
	numbered(0xc1, 4, threeBits, func(to *uint64, number int32) { *to <<= uint(number & 7) }),           // shl
	numbered(0xc7, 0, (*program).long, func(to *uint64, number int32) { *to = extended(number) }),       // mov
	numbered(0x81, 7, (*program).long, func(*uint64, int32) {}),                                         // cmp
	access(0x89, func(register, word *uint64) { *word = *register }),                                    // store
	access(0x01, func(register, word *uint64) { *word += *register }),                                   // add to
	access(0x8b, func(register, word *uint64) { *register = *word }),                                    // load
	{emitLEA, func(p *program, o *op) { p.registers[o.to] = p.registers[o.from] + extended(o.number) }}, // lea
	{emitSetLow, func(p *program, o *op) { p.registers[o.to] = uint64(uint32(o.number)) }},              // mov
	{emitNop, nil},
	{emitJump, nil},
}

var callKind = opKind{emitCall, func(p *program, o *op) { p.registers[0] = uint64(o.number) }}

func emitLEA(p *program, o *op) {
	p.instruction(0x8d, 2, o.to, o.from)
	p.long(o.number)
}

func emitSetLow(p *program, o *op) {
	if o.to >= 8 {
		p.bytes(0x41)
	}
	p.bytes(0xb8 | o.to&7)
	p.long(o.number)
}

func emitNop(p *program, o *op) {
	nops := [][]int{
		{0x90},
		{0x66, 0x90},
		{0x0f, 0x1f, 0x00},
		{0x0f, 0x1f, 0x40, 0x00},
		{0x0f, 0x1f, 0x44, 0x00, 0x00},
		{0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
		{0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00},
		{0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
		{0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
	}
	p.bytes(nops[o.form%len(nops)]...)
}

// emitJump jumps over bytes that are no code.
func emitJump(p *program, o *op) {
	over := o.form % 5
	p.bytes(0xeb, over)
	for ; over > 0; over-- {
		p.bytes(int(p.nextRandom()))
	}
}

func emitCall(p *program, o *op) {
	switch o.form % 5 {
	case 0:
		p.bytes(0xb8)
		p.long(o.number)
	case 1:
		p.instruction(0xc7, 3, 0, 0)
		p.long(o.number)
	case 2: // movabs
		p.bytes(0x48, 0xb8)
		p.long(o.number)
		p.long(0)
	case 3: // push, pop %rax
		p.bytes(0x68)
		p.long(o.number)
		p.bytes(0x58)
	default: // xor %eax,%eax; or $number,%eax
		p.bytes(0x31, 0xc0, 0x0d)
		p.long(o.number)
	}
	o.place = len(p.code)
	p.bytes(0x0f, 0x05)
}

func (p *program) add(o op) {
	register := func() int { return usableRegisters[p.below(uint64(len(usableRegisters)))] }
	o.to, o.from, o.form = register(), register(), p.below(1000)
	if o.isCall {
		limit := uint64(100)
		if p.below(2) == 0 {
			limit = 1000000000
		}
		o.number = int32(100 + p.below(limit))
	} else {
		o.number = int32(p.nextRandom() * 3)
	}
	p.ops = append(p.ops, &o)
	o.emit(p, &o)
}

func (p *program) addSome(count int) {
	for ; count > 0; count-- {
		p.add(op{opKind: opKinds[p.below(uint64(len(opKinds)))]})
	}
}

func makeProgram(seed uint64) *program {
	p := &program{random: seed}
	p.nextRandom()
	for i := 0; i < programSites; i++ {
		p.addSome(p.below(4))
		p.add(op{opKind: callKind, isCall: true})
		p.addSome(1 + p.below(5))
	}
	p.bytes(0xe9)
	p.long(-int32(len(p.code) + 4))
	return p
}

// toCall carries out all up to the next call.
func (p *program) toCall() *op {
	for {
		o := p.ops[p.next]
		p.next = (p.next + 1) % len(p.ops)
		if o.carryOut != nil {
			o.carryOut(p, o)
		}
		if o.isCall {
			return o
		}
	}
}

// numberedRegisters are in the order of the processor's numbers.
func numberedRegisters(r *trapgate.Registers) [16]*uint64 {
	return [16]*uint64{&r.RAX, &r.RCX, &r.RDX, &r.RBX, &r.RSP, &r.RBP, &r.RSI, &r.RDI,
		&r.R8, &r.R9, &r.R10, &r.R11, &r.R12, &r.R13, &r.R14, &r.R15}
}

func (p *program) callAt(call *op) uint64 { return p.at + uint64(call.place) }

func (p *program) compare(g *guest, call *op) {
	wantCallAt(1, &g.event, uint64(call.number))
	equal(g.event.Syscall.IP, p.callAt(call)+callLength)
	now := regs(g.context)
	for i, register := range numberedRegisters(&now) {
		if i != 1 && i != 11 {
			equal(*register, p.registers[i])
		}
	}
	bytes := read(g.subprocess, dataAt, 8*programWords)
	for i, word := range p.words {
		equal(binary.LittleEndian.Uint64(bytes[8*i:]), word)
	}
}

func (p *program) wantBytes(g *guest) {
	first := g.pageDown(p.at)
	length := g.pageDown(p.at+uint64(len(p.code))-1) + g.page - first
	ok(g.subprocess.Protect(first, length, protRW))
	same(read(g.subprocess, p.at, len(p.code)), p.code)
	ok(g.subprocess.Protect(first, length, protRX))
}

// disturb does what a guest must not notice: a restart, a jump to the call, code made writable and executable again.
func (p *program) disturb(g *guest, call *op) {
	switch p.below(16) {
	case 0:
		ok(g.context.RestartSyscall())
		g.run()
		p.compare(g, call)
	case 1:
		setIP(g.context, p.callAt(call))
		g.run()
		p.compare(g, call)
	case 2:
		if p.below(4) == 0 {
			p.wantBytes(g)
		}
	}
}

func (p *program) start(g *guest) {
	p.at = holeAt + g.page - uint64(p.below(uint64(len(p.code))))
	g.putCode(p.at, p.code)
	ok(g.context.Start(p.at, stackTop))
	change(g.context, func(r *trapgate.Registers) {
		fillRegisters(r, p.nextRandom())
		r.R13 = dataAt
		for i, register := range numberedRegisters(r) {
			p.registers[i] = *register
		}
	})
	write(g.subprocess, dataAt, make([]byte, 8*programWords))
}

func (p *program) run(g *guest, seed uint64) {
	p.start(g)
	for calls := 0; calls < programCalls; calls++ {
		at("%s=%d, call %d", seedVariable, seed, calls)
		call := p.toCall()
		g.run()
		p.compare(g, call)
		p.disturb(g, call)
		result := int64(p.below(4096)) - 4096
		p.registers[0] = uint64(result)
		ok(g.context.SetReturn(result))
	}
	p.wantBytes(g)
}

func randomNeighbours(b trapgate.Backend) {
	first, count := uint64(os.Getpid())*1000, uint64(programs)
	if wanted := os.Getenv(seedVariable); wanted != "" {
		first, count = must(strconv.ParseUint(wanted, 10, 64)), 1
	}
	g := open(b, "call_loop")
	for i := uint64(0); i < count; i++ {
		makeProgram(first+i).run(g, first+i)
	}
	if g.canPatch() {
		check(g.stats().PatchSites > count, "programs have patched sites")
	}
	g.close()
}
