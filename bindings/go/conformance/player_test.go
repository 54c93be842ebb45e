// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"trapgate.dev/go/trapgate"
)

// A player plays cases that are rows; README.md beside them says what each word does.
type player struct {
	backend      trapgate.Backend
	platform     *trapgate.Platform
	contexts     map[uint64]*trapgate.Context
	subprocesses map[uint64]*trapgate.Subprocess
	files        map[uint64]int
	queue        *trapgate.Queue
	context      uint64
	subprocess   uint64
	event        trapgate.Event
	variables    map[string]uint64
	texts        []text
}

// A text is what $NAME is replaced with; the last one counts.
type text struct{ name, value string }

func playCase(b rowBlock) func(trapgate.Backend) {
	return func(backend trapgate.Backend) {
		p := &player{backend: backend, contexts: map[uint64]*trapgate.Context{},
			subprocesses: map[uint64]*trapgate.Subprocess{}, files: map[uint64]int{}, variables: map[string]uint64{}}
		p.play(b.head+1, b.end)
		p.platform.Close()
	}
}

func (p *player) current() *trapgate.Context { return p.contexts[p.context] }
func (p *player) home() *trapgate.Subprocess { return p.subprocesses[p.subprocess] }

func (p *player) newSubprocess(guest string) *trapgate.Subprocess {
	if guest == "nothing" {
		return createSubprocess(p.platform)
	}
	return createLoaded(p.platform, code(guest))
}

// A verb is how many words stand behind it, at least and at most, and what it does: what the library says.
type verb struct {
	least, most int
	act         func(p *player, r *row) error
}

var verbs map[string]verb

func init() {
	verbs = map[string]verb{
		"guest":       {1, 2, (*player).doGuest},
		"context":     {1, 1, (*player).doContext},
		"subprocess":  {1, 2, (*player).doSubprocess},
		"fork":        {1, 1, (*player).doFork},
		"destroy":     {1, 1, (*player).doDestroy},
		"kill":        {0, 0, func(p *player, r *row) error { return syscall.Kill(p.home().PID(), syscall.SIGKILL) }},
		"copy":        {1, 1, (*player).doCopy},
		"start":       {2, 2, func(p *player, r *row) error { return p.current().Start(p.at(r, 1), p.at(r, 2)) }},
		"set":         {2, 2, (*player).doSet},
		"return":      {1, 1, func(p *player, r *row) error { return p.current().SetReturn(int64(p.at(r, 1))) }},
		"again":       {0, 0, func(p *player, r *row) error { return p.current().RestartSyscall() }},
		"interrupt":   {0, 0, func(p *player, r *row) error { return p.current().Interrupt() }},
		"tls":         {1, 1, func(p *player, r *row) error { return p.current().SetTLS(p.at(r, 1)) }},
		"data":        {1, 1, func(p *player, r *row) error { return p.current().SetUserData(p.at(r, 1)) }},
		"step":        {1, 1, (*player).doStep},
		"run":         {0, 0, (*player).doRun},
		"queue":       {0, 0, (*player).doQueue},
		"map":         {3, 4, (*player).doMap},
		"unmap":       {2, 2, func(p *player, r *row) error { return p.home().Unmap(p.at(r, 1), p.at(r, 2)) }},
		"protect":     {3, 3, (*player).doProtect},
		"advise":      {3, 3, (*player).doAdvise},
		"code":        {2, 2, (*player).doCode},
		"store":       {2, 2, (*player).doStore},
		"load":        {2, 2, (*player).doLoad},
		"file":        {2, 2, (*player).doFile},
		"map_file":    {6, 6, (*player).doMapFile},
		"file_store":  {3, 3, (*player).doFileStore},
		"file_load":   {3, 3, (*player).doFileLoad},
		"file_close":  {1, 1, (*player).doFileClose},
		"call":        {1, 7, (*player).doCall},
		"fault":       {4, 4, (*player).doFault},
		"exception":   {2, 2, (*player).doException},
		"interrupted": {0, 0, func(p *player, r *row) error { return p.expect(r, trapgate.KindInterrupted) }},
		"dead":        {2, 2, (*player).doDead},
		"check":       {3, 3, (*player).doCheck},
		"needs":       {4, 99, (*player).doNeeds},
		"let":         {2, 2, func(p *player, r *row) error { p.variables[r.words[1]] = p.at(r, 2); return nil }},
		"refused":     {2, 99, (*player).doRefused},
		"times":       {1, 2, (*player).doTimes},
		"each":        {3, 255, (*player).doEach},
		"when":        {3, 3, (*player).doWhen},
		"end":         {0, 0, nil},
	}
}

// checkRows looks at every line: known words, and as many as they need.
func checkRows() {
	for _, b := range blocks {
		if head := &rows[b.head]; head.words[0] == "define" && len(head.words) != 3 {
			rowFail(head, "define NAME VALUE")
		}
		for i := b.head + 1; i < b.end; i++ {
			checkRow(&rows[i], rows[i].words, false)
		}
	}
}

func checkRow(r *row, words []string, inside bool) {
	known, there := verbs[words[0]]
	if part, is := blocks["part "+words[0]]; is && !inside {
		known.least, there = len(rows[part.head].words)-2, true
		known.most = known.least
	}
	if !there || len(words)-1 < known.least || len(words)-1 > known.most {
		rowFail(r, "%s with %d words", words[0], len(words)-1)
	}
	if words[0] == "refused" {
		checkRow(r, words[2:], true)
	}
}

func (p *player) play(first, end int) {
	for i := first; i < end; i++ {
		p.line(&rows[i])
		if rows[i].end != 0 {
			i = rows[i].end
		}
	}
}

// with plays lines with texts added.
func (p *player) with(texts []text, first, end int) {
	before := len(p.texts)
	p.texts = append(p.texts, texts...)
	p.play(first, end)
	p.texts = p.texts[:before]
}

func (p *player) line(from *row) {
	r := *from
	r.words = make([]string, len(from.words))
	for i, word := range from.words {
		r.words[i] = p.replaced(from, word)
	}
	if part, there := blocks["part "+r.words[0]]; there {
		var texts []text
		for i, name := range rows[part.head].words[2:] {
			texts = append(texts, text{name, r.words[i+1]})
		}
		p.with(texts, part.head+1, part.end)
	} else if err := verbs[r.words[0]].act(p, &r); err != nil {
		rowFail(&r, "%s: %v", r.words[0], err)
	}
}

func (p *player) replaced(r *row, word string) string {
	pieces := strings.Split(word, "$")
	all := pieces[0]
	for _, piece := range pieces[1:] {
		rest := strings.TrimLeft(piece, "abcdefghijklmnopqrstuvwxyz")
		name, i := strings.TrimSuffix(piece, rest), len(p.texts)-1
		for i >= 0 && p.texts[i].name != name {
			i--
		}
		if i < 0 {
			rowFail(r, "nothing is called $%s", name)
		}
		all += p.texts[i].value + rest
	}
	return all
}

// at is a word as a number; 0 if it is not there.
func (p *player) at(r *row, word int) uint64 {
	if word >= len(r.words) {
		return 0
	}
	return p.number(r, r.words[word])
}

func rights(r *row, word int) (found trapgate.Prot) {
	all := [...]trapgate.Prot{trapgate.ProtRead, trapgate.ProtWrite, trapgate.ProtExec}
	if len(r.words[word]) != len(all) {
		rowFail(r, "%s are no rights", r.words[word])
	}
	for i, letter := range r.words[word] {
		if letter == rune("rwx"[i]) {
			found |= all[i]
		} else if letter != '-' {
			rowFail(r, "%s are no rights", r.words[word])
		}
	}
	return found
}

func (p *player) doGuest(r *row) error {
	p.platform = openPlatform(p.backend, trapgate.OpenFlags(p.at(r, 2)))
	p.subprocesses[0] = p.newSubprocess(r.words[1])
	p.contexts[0] = createStarted(p.platform)
	return nil
}

func (p *player) doContext(r *row) error {
	p.context = p.at(r, 1)
	if p.current() == nil {
		p.contexts[p.context] = createStarted(p.platform)
	}
	return nil
}

func (p *player) doSubprocess(r *row) error {
	p.subprocess = p.at(r, 1)
	if p.home() == nil {
		p.subprocesses[p.subprocess] = p.newSubprocess(r.words[2])
	}
	return nil
}

func (p *player) doFork(r *row) (err error) {
	p.subprocesses[p.at(r, 1)], err = p.home().Fork()
	return err
}

func (p *player) doDestroy(r *row) error {
	index := p.at(r, 1)
	err := p.subprocesses[index].Close()
	delete(p.subprocesses, index)
	return err
}

func (p *player) doCopy(r *row) error {
	index := p.at(r, 1)
	if p.contexts[index] == nil {
		p.contexts[index] = createContext(p.platform)
	}
	return p.contexts[index].CopyFrom(p.current())
}

func (p *player) doSet(r *row) error {
	value := p.at(r, 2)
	change(p.current(), func(registers *trapgate.Registers) {
		register := registerOf(registers, r.words[1])
		if register == nil {
			rowFail(r, "no register is called %s", r.words[1])
		}
		*register = value
	})
	return nil
}

func (p *player) doStep(r *row) error {
	on := p.at(r, 1) != 0
	change(p.current(), func(registers *trapgate.Registers) { registers.SetStep(on) })
	return nil
}

func (p *player) doRun(r *row) (err error) {
	if p.queue == nil {
		p.event, err = p.current().Switch(background, p.home())
		return err
	}
	if err := p.queue.Submit(p.current(), p.home()); err != nil {
		return err
	}
	var events [1]trapgate.Event
	count, err := p.queue.Wait(background, events[:], -1)
	if err == nil && (count != 1 || events[0].Context != p.current()) {
		rowFail(r, "%d events", count)
	}
	p.event = events[0]
	return err
}

func (p *player) doQueue(r *row) (err error) {
	p.queue, err = p.platform.NewQueue()
	return err
}

func (p *player) doMap(r *row) error {
	return p.home().Map(p.at(r, 1), p.at(r, 2), rights(r, 3), trapgate.MapFlags(p.at(r, 4)))
}

func (p *player) doProtect(r *row) error {
	return p.home().Protect(p.at(r, 1), p.at(r, 2), rights(r, 3))
}

func (p *player) doAdvise(r *row) error {
	_, err := p.home().Apply([]trapgate.MemOp{trapgate.AdviseOp(p.at(r, 1), p.at(r, 2), int(p.at(r, 3)))})
	return err
}

func (p *player) doCode(r *row) error {
	load(p.home(), p.at(r, 1), code(r.words[2]))
	return nil
}

func (p *player) doStore(r *row) error {
	var bytes [8]byte
	binary.LittleEndian.PutUint64(bytes[:], p.at(r, 2))
	_, err := p.home().WriteMemory(p.at(r, 1), bytes[:])
	return err
}

func (p *player) doLoad(r *row) error {
	var bytes [8]byte
	_, err := p.home().ReadMemory(p.at(r, 2), bytes[:])
	p.variables[r.words[1]] = binary.LittleEndian.Uint64(bytes[:])
	return err
}

func (p *player) doFile(r *row) error {
	index := p.at(r, 1)
	if _, there := p.files[index]; !there {
		p.files[index] = memoryFile(0)
	}
	return syscall.Ftruncate(p.files[index], int64(p.at(r, 2)))
}

func (p *player) doMapFile(r *row) error {
	return p.home().MapFile(p.at(r, 1), p.at(r, 2), rights(r, 3), trapgate.MapFlags(p.at(r, 4)), p.files[p.at(r, 5)], p.at(r, 6))
}

func (p *player) doFileStore(r *row) error {
	var bytes [8]byte
	binary.LittleEndian.PutUint64(bytes[:], p.at(r, 3))
	_, err := syscall.Pwrite(p.files[p.at(r, 1)], bytes[:], int64(p.at(r, 2)))
	return err
}

func (p *player) doFileLoad(r *row) error {
	var bytes [8]byte
	_, err := syscall.Pread(p.files[p.at(r, 2)], bytes[:], int64(p.at(r, 3)))
	p.variables[r.words[1]] = binary.LittleEndian.Uint64(bytes[:])
	return err
}

func (p *player) doFileClose(r *row) error {
	index := p.at(r, 1)
	err := syscall.Close(p.files[index])
	delete(p.files, index)
	return err
}

// expect compares members of the event, by name, with the words behind the verb.
func (p *player) expect(r *row, kind trapgate.Kind, members ...string) error {
	if p.event.Kind != kind {
		rowFail(r, "event is %v, not %v", &p.event, kind)
	}
	for i, word := range r.words[1:] {
		actual, _ := eventValue(&p.event, members[i])
		if wanted := p.number(r, word); actual != wanted {
			rowFail(r, "event is %v: %s is %#x, not %#x", &p.event, members[i], actual, wanted)
		}
	}
	return nil
}

func (p *player) doCall(r *row) error {
	return p.expect(r, trapgate.KindSyscall, "nr", "arg0", "arg1", "arg2", "arg3", "arg4", "arg5")
}

func (p *player) doFault(r *row) error {
	return p.expect(r, trapgate.KindFault, "addr", "access", "signo", "code")
}

func (p *player) doException(r *row) error {
	return p.expect(r, trapgate.KindException, "signo", "code")
}

func (p *player) doDead(r *row) error { return p.expect(r, trapgate.KindDead, "reason", "status") }

func (p *player) isTrue(r *row) bool {
	left, right := p.at(r, 1), p.at(r, 3)
	switch r.words[2] {
	case "==":
		return left == right
	case "!=":
		return left != right
	case "<=":
		return left <= right
	}
	rowFail(r, "%s compares nothing", r.words[2])
	return false
}

func (p *player) doCheck(r *row) error {
	if !p.isTrue(r) {
		rowFail(r, "%s is %#x, %s is %#x", r.words[1], p.at(r, 1), r.words[3], p.at(r, 3))
	}
	return nil
}

func (p *player) doNeeds(r *row) error {
	if !p.isTrue(r) {
		skip("%s", strings.Join(r.words[4:], " "))
	}
	return nil
}

func (p *player) doRefused(r *row) error {
	statement := *r
	statement.words = r.words[2:]
	err := verbs[statement.words[0]].act(p, &statement)
	if errno := syscall.Errno(p.at(r, 1)); !errors.Is(err, errno) {
		rowFail(r, "%s is %v, not %v", statement.words[0], err, errno)
	}
	return nil
}

func (p *player) doTimes(r *row) error {
	name := ""
	if len(r.words) > 2 {
		name = r.words[2]
	}
	for i, times := uint64(0), p.at(r, 1); i < times; i++ {
		p.with([]text{{name, fmt.Sprint(i)}}, r.index+1, r.end)
	}
	return nil
}

// doEach takes as many values at a time as there are names before the colon.
func (p *player) doEach(r *row) error {
	names := 0
	for names+1 < len(r.words) && r.words[names+1] != ":" {
		names++
	}
	if names == 0 || (len(r.words)-names-2)%names != 0 {
		rowFail(r, "values for each of %d names", names)
	}
	for values := r.words[names+2:]; len(values) > 0; values = values[names:] {
		var texts []text
		for i, name := range r.words[1 : names+1] {
			texts = append(texts, text{name, values[i]})
		}
		p.with(texts, r.index+1, r.end)
	}
	return nil
}

func (p *player) doWhen(r *row) error {
	if p.isTrue(r) {
		p.play(r.index+1, r.end)
	}
	return nil
}
