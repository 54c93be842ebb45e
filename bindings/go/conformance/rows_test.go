// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// The cases that are data: tests/conformance/rows, whose README.md describes the language.
const rowsFolder = "../../../tests/conformance/rows"

// A row is one line: its words, and for one that opens a block the line of its end.
type row struct {
	place string
	words []string
	index int
	end   int
}

// A rowBlock is case, part or define with its name, and the lines between it and its end.
type rowBlock struct{ head, end int }

var (
	rows   []row
	blocks = map[string]rowBlock{} // by "case NAME"
)

// rowFiles are those of every architecture, then those of this one. There are none where only the module is.
func rowFiles() []string {
	machine := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	common, _ := filepath.Glob(rowsFolder + "/*.rows")
	special, _ := filepath.Glob(rowsFolder + "/" + machine + "/*.rows")
	return append(common, special...)
}

// readRows adds the cases of all files to the table.
func readRows() {
	for _, name := range rowFiles() {
		text, err := os.ReadFile(name)
		ok(err)
		lines := bufio.NewScanner(bytes.NewReader(text))
		for number := 1; lines.Scan(); number++ {
			addLine(fmt.Sprintf("%s:%d", filepath.Base(name), number), lines.Text())
		}
	}
	findBlocks()
	var area []testCase
	for i := range rows {
		if name := rows[i].words; rows[i].end != 0 && name[0] == "case" {
			area = append(area, testCase{name[1], playCase(blocks["case "+name[1]])})
		}
	}
	areas = append([][]testCase{area}, areas...)
}

func addLine(place, line string) {
	words := strings.Fields(line)
	for i, word := range words {
		if word[0] == '#' {
			words = words[:i]
			break
		}
	}
	switch {
	case len(words) == 0:
	case words[0] == "|": // it goes on with the words of the line before
		last := &rows[len(rows)-1]
		last.words = append(last.words, words[1:]...)
	default:
		rows = append(rows, row{place: place, words: words, index: len(rows)})
	}
}

func rowFail(r *row, format string, arguments ...any) {
	fmt.Printf("%s: %s\n", r.place, fmt.Sprintf(format, arguments...))
	os.Exit(1)
}

func addBlock(head int) {
	r := &rows[head]
	if len(r.words) < 2 {
		rowFail(r, "no name")
	}
	name := r.words[0] + " " + r.words[1]
	if _, there := blocks[name]; there {
		rowFail(r, "there twice")
	}
	blocks[name] = rowBlock{head, r.end}
}

func findBlocks() {
	var open []int
	for i := range rows {
		word := rows[i].words[0]
		outer := word == "case" || word == "part"
		inner := word == "each" || word == "times" || word == "when"
		switch {
		case len(open) == 0 && word == "define":
			addBlock(i)
		case len(open) == 0 && outer || len(open) > 0 && inner:
			open = append(open, i)
		case len(open) == 0:
			rowFail(&rows[i], "outside of a case or part")
		case word == "end":
			head := open[len(open)-1]
			open = open[:len(open)-1]
			rows[head].end = i
			if len(open) == 0 {
				addBlock(head)
			}
		}
	}
	if len(open) > 0 {
		rowFail(&rows[open[0]], "no end")
	}
}
