// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"reflect"
	"strconv"
	"strings"

	"trapgate.dev/go/trapgate"
)

// number is what a word of a row is; operators count from left to right.
func (p *player) number(r *row, text string) uint64 {
	total, operator := uint64(0), byte('+')
	for {
		prefix := byte(0)
		if text != "" && (text[0] == '-' || text[0] == '~') {
			prefix, text = text[0], text[1:]
		}
		length := strings.IndexAny(text, "+-*&|")
		if length < 0 {
			length = len(text)
		}
		value := p.atom(r, text[:length])
		switch prefix {
		case '-':
			value = -value
		case '~':
			value = ^value
		}
		switch operator {
		case '+':
			total += value
		case '-':
			total -= value
		case '*':
			total *= value
		case '&':
			total &= value
		case '|':
			total |= value
		}
		if length == len(text) {
			return total
		}
		operator, text = text[length], text[length+1:]
	}
}

func (p *player) atom(r *row, text string) uint64 {
	if value, err := strconv.ParseUint(text, 0, 64); err == nil {
		return value
	}
	if name, place, there := strings.Cut(text, ":"); there {
		return label(name, place)
	}
	if value, there := p.dotted(text); there {
		return value
	}
	if value, there := p.variables[text]; there {
		return value
	}
	if definition, there := blocks["define "+text]; there {
		return p.number(r, rows[definition.head].words[2])
	}
	if text == "pid" {
		return uint64(p.home().PID())
	}
	if text == "tls" {
		return must(p.current().TLS())
	}
	registers := regs(p.current())
	if register := registerOf(&registers, text); register != nil {
		return *register
	}
	rowFail(r, "nothing is called %s here", text)
	return 0
}

// dotted is a name that belongs to what stands before its dot.
func (p *player) dotted(text string) (uint64, bool) {
	of, name, _ := strings.Cut(text, ".")
	switch of {
	case "event":
		return eventValue(&p.event, name)
	case "info":
		return fieldOf(must(p.platform.Info()), name)
	case "stats":
		return fieldOf(must(p.platform.Stats()), name)
	case "cpu":
		if name == "any" || has(name) {
			return 1, true
		}
		return 0, true
	case "native":
		return uint64(runNative(name)), true
	}
	return 0, false
}

// fieldOf is the member of that name, written as C writes names.
func fieldOf(of any, name string) (uint64, bool) {
	member := reflect.ValueOf(of).FieldByNameFunc(func(field string) bool {
		return strings.EqualFold(field, strings.ReplaceAll(name, "_", ""))
	})
	switch {
	case !member.IsValid():
		return 0, false
	case member.CanInt():
		return uint64(member.Int()), true
	case member.CanUint():
		return member.Uint(), true
	}
	return 0, false
}

func eventValue(event *trapgate.Event, name string) (uint64, bool) {
	switch name {
	case "kind", "flags", "arch", "user_data":
		return fieldOf(*event, name)
	}
	switch event.Kind {
	case trapgate.KindSyscall:
		if index, err := strconv.Atoi(strings.TrimPrefix(name, "arg")); err == nil && index < 6 {
			return event.Syscall.Args[index], true
		}
		return fieldOf(event.Syscall, name)
	case trapgate.KindFault:
		return memberOf(event.Fault, event.Fault.Trap, name)
	case trapgate.KindException:
		return memberOf(event.Exception, event.Exception.Trap, name)
	case trapgate.KindDead:
		return fieldOf(event.Dead, name)
	}
	return 0, false
}

func memberOf(event any, trap trapgate.Trap, name string) (uint64, bool) {
	switch name {
	case "signo":
		return fieldOf(event, "signal")
	case "trap":
		return uint64(trap.Number), true
	case "error_code":
		return trap.ErrorCode, true
	}
	return fieldOf(event, name)
}

// registerOf is a register by the name that rows use.
func registerOf(r *trapgate.Registers, name string) *uint64 {
	if index, err := strconv.Atoi(strings.TrimPrefix(name, "arg")); err == nil && index < 6 {
		return argument(r, index)
	}
	if special := common(r, name); special != nil {
		return special
	}
	member := reflect.ValueOf(r).Elem().FieldByNameFunc(func(field string) bool {
		return strings.EqualFold(field, strings.ReplaceAll(name, "_", ""))
	})
	if member.IsValid() && member.CanAddr() {
		register, _ := member.Addr().Interface().(*uint64)
		return register
	}
	return nil
}
