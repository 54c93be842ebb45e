// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The guests, out of the C build's guests.so.

use std::collections::HashMap;
use std::sync::Mutex;

pub const GUESTS_VARIABLE: &str = "TRAPGATE_TEST_GUESTS";

const SYMBOL_TABLE: u64 = 2;
const SYMBOL_SIZE: usize = 24;

/// The file, and where each symbol's bytes are in it.
struct Guests {
    bytes: Vec<u8>,
    symbols: HashMap<String, usize>,
}

fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    let mut word = [0; 8];
    word[..size].copy_from_slice(&bytes[at..at + size]);
    u64::from_le_bytes(word)
}

fn text(bytes: &[u8], at: usize) -> String {
    let end = at + bytes[at..].iter().position(|byte| *byte == 0).expect("names end");
    String::from_utf8_lossy(&bytes[at..end]).into_owned()
}

impl Guests {
    fn read() -> Self {
        let path =
            std::env::var_os(GUESTS_VARIABLE).unwrap_or_else(|| panic!("{} is not set", GUESTS_VARIABLE));
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{:?}: {}", path, error));
        assert!(bytes.starts_with(b"\x7fELF\x02\x01"), "{:?} is no 64-bit ELF file", path);
        let symbols = Self::parse_symbols(&bytes);
        Guests { bytes, symbols }
    }

    fn parse_symbols(bytes: &[u8]) -> HashMap<String, usize> {
        let (table, count) = (number(bytes, 40, 8) as usize, number(bytes, 60, 2) as usize);
        let section =
            |index: usize, field: usize, size: usize| number(bytes, table + index * 64 + field, size);
        let symbol_table =
            (0..count).find(|index| section(*index, 4, 4) == SYMBOL_TABLE).expect("a symbol table");
        let names = section(section(symbol_table, 40, 4) as usize, 24, 8) as usize;
        let start = section(symbol_table, 24, 8) as usize;
        let end = start + section(symbol_table, 32, 8) as usize;
        let mut symbols = HashMap::new();
        for at in (start..end).step_by(SYMBOL_SIZE) {
            let name = text(bytes, names + number(bytes, at, 4) as usize);
            let home = number(bytes, at + 6, 2) as usize;
            if let (Some(name), true) = (name.strip_prefix("guest_"), home < count) {
                let in_section = number(bytes, at + 8, 8) - section(home, 16, 8);
                symbols.insert(name.to_string(), (section(home, 24, 8) + in_section) as usize);
            }
        }
        symbols
    }

    /// Read once and kept.
    fn get() -> &'static Guests {
        static GUESTS: Mutex<Option<&'static Guests>> = Mutex::new(None);
        GUESTS.lock().unwrap().get_or_insert_with(|| Box::leak(Box::new(Guests::read())))
    }

    fn place(&self, name: &str) -> usize {
        *self.symbols.get(name).unwrap_or_else(|| panic!("no guest has the label {}", name))
    }
}

/// The code of a guest.
pub fn guest(name: &str) -> &'static [u8] {
    let guests = Guests::get();
    &guests.bytes[guests.place(name)..guests.place(&format!("{}_end", name))]
}

/// How far a label is behind the start of its guest.
pub fn offset(name: &str, label: &str) -> u64 {
    let guests = Guests::get();
    (guests.place(label) - guests.place(name)) as u64
}
