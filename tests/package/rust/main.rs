// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A program outside of the tree that knows only the installed library and the crate: opens a platform, makes an address
//! space, writes to it and reads the bytes back.

use trapgate::{Backend, Mapping, Platform, Protection, Subprocess};

const SKIPPED: i32 = 77;
const SENT: &[u8] = b"through the installed library";

fn main() -> trapgate::Result<()> {
    let probe = Backend::Ptrace.probe()?;
    if !probe.available {
        println!("consumer: {}: {}; {}", probe.step, probe.reason, probe.remedy);
        std::process::exit(SKIPPED);
    }
    let platform = Platform::options().backend(Backend::Ptrace).open()?;
    let info = platform.info()?;
    let subprocess = Subprocess::new(&platform)?;
    let page = info.user.start + 16 * info.page_size;
    subprocess.map(page, info.page_size, Protection::READ | Protection::WRITE, Mapping::zeros())?;
    subprocess.write(page, SENT)?;
    let mut received = vec![0; SENT.len()];
    subprocess.read(page, &mut received)?;
    assert_eq!(received, SENT);
    Ok(())
}
