// SPDX-License-Identifier: Apache-2.0 OR MIT

// A program outside of the tree that knows only the installed library and the package: opens a platform, makes an
// address space, writes to it and reads the bytes back.
package main

import (
	"bytes"
	"fmt"
	"log"
	"os"

	"trapgate.dev/go/trapgate"
)

const skipped = 77

func main() {
	availability, err := trapgate.Probe(trapgate.BackendPtrace)
	if err != nil {
		log.Fatal(err)
	}
	if !availability.Available {
		fmt.Println("consumer: ptrace does not work here:", availability.Reason)
		os.Exit(skipped)
	}
	if err := writeAndReadBack([]byte("through the installed library")); err != nil {
		log.Fatal(err)
	}
}

func writeAndReadBack(sent []byte) error {
	platform, err := trapgate.Open(trapgate.Options{Backend: trapgate.BackendPtrace})
	if err != nil {
		return err
	}
	defer platform.Close()
	info, err := platform.Info()
	if err != nil {
		return err
	}
	subprocess, err := platform.NewSubprocess()
	if err != nil {
		return err
	}
	page := info.User.Start + 16*info.PageSize
	if err := subprocess.Map(page, info.PageSize, trapgate.ProtRead|trapgate.ProtWrite, 0); err != nil {
		return err
	}
	if _, err := subprocess.WriteMemory(page, sent); err != nil {
		return err
	}
	received := make([]byte, len(sent))
	if _, err := subprocess.ReadMemory(page, received); err != nil {
		return err
	}
	if !bytes.Equal(sent, received) {
		return fmt.Errorf("read %q, wrote %q", received, sent)
	}
	return nil
}
