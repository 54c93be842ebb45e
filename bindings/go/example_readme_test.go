// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate_test

import (
	"context"
	"fmt"
	"log"

	"trapgate.dev/go/trapgate"
)

func Example() {
	guest := "\xb8\x27\x00\x00\x00\x0f\x05\x89\xc7\xb8\x3c\x00\x00\x00\x0f\x05" // x86-64: exit(getpid())

	platform, err := trapgate.Open(trapgate.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer platform.Close() // and all that was made from it
	check := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	subprocess, err := platform.NewSubprocess()
	check(err)
	check(subprocess.Map(0x10000, 4096, trapgate.ProtRead|trapgate.ProtWrite|trapgate.ProtExec, 0))
	_, err = subprocess.WriteMemory(0x10000, []byte(guest))
	check(err)
	thread, err := platform.NewContext()
	check(err)
	check(thread.Start(0x10000, 0))
	for {
		event, err := thread.Switch(context.Background(), subprocess)
		check(err)
		fmt.Printf("call %d, argument %d\n", event.Syscall.Nr, event.Syscall.Args[0])
		if event.Kind != trapgate.KindSyscall || event.Syscall.Nr == 60 {
			break
		}
		check(thread.SetReturn(1234)) // what getpid() returns to the guest
	}
	// Output:
	// call 39, argument 0
	// call 60, argument 1234
}
