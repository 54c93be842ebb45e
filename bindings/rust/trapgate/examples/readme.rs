// SPDX-License-Identifier: Apache-2.0 OR MIT
use trapgate::{Context, Event, Mapping, Platform, Protection, Subprocess};

const GUEST: &[u8] = b"\xb8\x27\0\0\0\x0f\x05\x89\xc7\xb8\x3c\0\0\0\x0f\x05"; // x86-64: exit(getpid())

fn main() -> trapgate::Result<()> {
    let platform = Platform::open()?;
    let subprocess = Subprocess::new(&platform)?;
    subprocess.map(0x10000, 4096, Protection::ALL, Mapping::zeros())?;
    subprocess.write(0x10000, GUEST)?;
    let mut context = Context::new(&platform)?;
    context.start(0x10000, 0)?;
    while let Event::Syscall(call) = context.switch(&subprocess)? {
        println!("call {}, argument {}", call.nr, call.args[0]);
        if call.nr == 60 {
            break;
        }
        context.set_return(1234)?; // what getpid() returns to the guest
    }
    Ok(())
}
