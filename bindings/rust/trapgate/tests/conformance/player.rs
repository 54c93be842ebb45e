// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Plays cases that are rows; `tests/conformance/rows/README.md` says what each word does.

use crate::row_values::*;
use crate::rows::{Block, Book, Row};
use crate::support::*;
use crate::{code, host};
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use trapgate::*;

/// How many words stand behind each: at least and at most.
const VERBS: &[(&str, usize, usize)] = &[
    ("guest", 1, 2),
    ("context", 1, 1),
    ("subprocess", 1, 2),
    ("fork", 1, 1),
    ("destroy", 1, 1),
    ("kill", 0, 0),
    ("copy", 1, 1),
    ("start", 2, 2),
    ("set", 2, 2),
    ("return", 1, 1),
    ("again", 0, 0),
    ("interrupt", 0, 0),
    ("tls", 1, 1),
    ("data", 1, 1),
    ("step", 1, 1),
    ("run", 0, 0),
    ("queue", 0, 0),
    ("map", 3, 4),
    ("unmap", 2, 2),
    ("protect", 3, 3),
    ("advise", 3, 3),
    ("code", 2, 2),
    ("store", 2, 2),
    ("load", 2, 2),
    ("file", 2, 2),
    ("map_file", 6, 6),
    ("file_store", 3, 3),
    ("file_load", 3, 3),
    ("file_close", 1, 1),
    ("call", 1, 7),
    ("fault", 4, 4),
    ("exception", 2, 2),
    ("interrupted", 0, 0),
    ("dead", 2, 2),
    ("check", 3, 3),
    ("needs", 4, 99),
    ("let", 2, 2),
    ("refused", 2, 99),
    ("times", 1, 2),
    ("each", 3, 255),
    ("when", 3, 3),
    ("end", 0, 0),
];

struct Player {
    book: &'static Book,
    backend: Backend,
    contexts: HashMap<u64, Context>,
    subprocesses: HashMap<u64, Subprocess>,
    files: HashMap<u64, File>,
    queue: Option<Queue>,
    platform: Option<Platform>,
    context: u64,
    subprocess: u64,
    event: Option<Event>,
    variables: HashMap<String, u64>,
    /// What `$NAME` is replaced with; the last one counts.
    texts: Vec<(String, String)>,
}

pub fn play(name: &str, backend: Backend) {
    let book = Book::get();
    let mut player = Player {
        book,
        backend,
        contexts: HashMap::new(),
        subprocesses: HashMap::new(),
        files: HashMap::new(),
        queue: None,
        platform: None,
        context: 0,
        subprocess: 0,
        event: None,
        variables: HashMap::new(),
        texts: Vec::new(),
    };
    player.play(book.find("case", name).expect("the case is there"));
}

/// Looks at every line: known words, and as many as they need.
pub fn check_all() {
    let book = Book::get();
    for block in &book.blocks {
        let head = &book.rows[block.head];
        assert!(head.words[0] != "define" || head.words.len() == 3, "{}: define NAME VALUE", head.place);
        for row in book.rows.get(block.head + 1..block.end).unwrap_or_default() {
            check_row(book, row, &row.words, false);
        }
    }
}

fn check_row(book: &Book, row: &Row, words: &[String], inside: bool) {
    let part =
        book.find("part", &words[0]).filter(|_| !inside).map(|block| book.rows[block.head].words.len() - 2);
    let (least, most) = match VERBS.iter().find(|verb| verb.0 == words[0]) {
        Some((_, least, most)) => (*least, *most),
        None => {
            part.map_or_else(|| panic!("{}: nothing is called {}", row.place, words[0]), |all| (all, all))
        }
    };
    assert!((least..=most).contains(&(words.len() - 1)), "{}: {} words", row.place, words.len());
    if words[0] == "refused" {
        check_row(book, row, &words[2..], true);
    }
}

fn rights(row: &Row, text: &str) -> Protection {
    let bits = [("r", sys::TG_PROT_READ), ("w", sys::TG_PROT_WRITE), ("x", sys::TG_PROT_EXEC)];
    let given: Vec<char> = text.chars().collect();
    assert!(given.len() == 3, "{}: {} are no rights", row.place, text);
    let mut all = 0;
    for (letter, (name, bit)) in given.iter().zip(bits) {
        match letter {
            '-' => (),
            _ if name.starts_with(*letter) => all |= bit,
            _ => panic!("{}: {} are no rights", row.place, text),
        }
    }
    Protection::from_bits(all)
}

impl Player {
    fn play(&mut self, block: &Block) {
        self.play_lines(block.head + 1, block.end);
    }

    fn play_lines(&mut self, first: usize, end: usize) {
        let mut index = first;
        while index < end {
            let row = &self.book.rows[index];
            self.line(row);
            index = index.max(row.end) + 1;
        }
    }

    fn line(&mut self, from: &Row) {
        let mut row = from.clone();
        for word in &mut row.words {
            *word = self.replaced(from, word);
        }
        if let Some(part) = self.book.find("part", &row.words[0]) {
            let before = self.texts.len();
            let names = &self.book.rows[part.head].words[2..];
            self.texts.extend(names.iter().cloned().zip(row.words[1..].iter().cloned()));
            self.play(part);
            self.texts.truncate(before);
        } else if let Err(error) = self.act(&row, &row.words) {
            panic!("{}: {}: {}", row.place, row.words[0], error);
        }
    }

    fn replaced(&self, row: &Row, word: &str) -> String {
        let mut pieces = word.split('$');
        let mut all = pieces.next().unwrap_or_default().to_string();
        for piece in pieces {
            let length = piece.bytes().take_while(u8::is_ascii_lowercase).count();
            let found = self.texts.iter().rev().find(|(name, _)| *name == piece[..length]);
            let (_, text) = found.unwrap_or_else(|| panic!("{}: nothing is called ${}", row.place, piece));
            all = all + text + &piece[length..];
        }
        all
    }

    /// Operators count from left to right.
    fn number(&self, row: &Row, text: &str) -> u64 {
        let mut total = 0;
        let mut operator = '+';
        let mut rest = text;
        loop {
            let prefix = rest.chars().next().filter(|letter| "-~".contains(*letter));
            rest = &rest[prefix.map_or(0, char::len_utf8)..];
            let length = rest.find(|letter| "+-*&|".contains(letter)).unwrap_or(rest.len());
            let atom = self.atom(row, &rest[..length]);
            let value = match prefix {
                Some('-') => atom.wrapping_neg(),
                Some(_) => !atom,
                None => atom,
            };
            total = match operator {
                '+' => value.wrapping_add(total),
                '-' => u64::wrapping_sub(total, value),
                '*' => value.wrapping_mul(total),
                '&' => total & value,
                _ => total | value,
            };
            match rest[length..].chars().next() {
                None => return total,
                Some(next) => operator = next,
            }
            rest = &rest[length + 1..];
        }
    }

    fn atom(&self, row: &Row, text: &str) -> u64 {
        literal(text)
            .or_else(|| label(text))
            .or_else(|| match text.split_once('.') {
                Some(("event", field)) => event_value(self.event.as_ref()?, self.current(), field),
                Some(("info", field)) => info_value(self.platform(), field),
                Some(("stats", field)) => stats_value(self.platform(), field),
                Some(("cpu", feature)) => cpu_value(feature),
                Some(("native", guest)) => native_signal(guest),
                _ => None,
            })
            .or_else(|| self.variables.get(text).copied())
            .or_else(|| {
                let definition = self.book.find("define", text)?;
                Some(self.number(row, &self.book.rows[definition.head].words[2]))
            })
            .or_else(|| match text {
                "pid" => self.home().pid().map(u64::from),
                _ => register(self.current(), text),
            })
            .unwrap_or_else(|| panic!("{}: nothing is called {} here", row.place, text))
    }

    fn platform(&self) -> &Platform {
        self.platform.as_ref().expect("a guest first")
    }

    fn current(&self) -> &Context {
        &self.contexts[&self.context]
    }

    fn current_mut(&mut self) -> &mut Context {
        self.contexts.get_mut(&self.context).expect("a guest first")
    }

    fn home(&self) -> &Subprocess {
        &self.subprocesses[&self.subprocess]
    }

    fn new_subprocess(&self, guest: &str) -> Subprocess {
        match guest {
            "nothing" => Subprocess::new(self.platform()).unwrap(),
            _ => loaded_subprocess(self.platform(), guest),
        }
    }

    fn is_true(&self, row: &Row, words: &[String]) -> bool {
        let (left, right) = (self.number(row, &words[0]), self.number(row, &words[2]));
        match words[1].as_str() {
            "==" => left == right,
            "!=" => left != right,
            "<=" => left <= right,
            other => panic!("{}: {} compares nothing", row.place, other),
        }
    }

    /// Checks fields of the event against words.
    fn expect(&self, row: &Row, kind: u64, fields: &[(&str, &str)]) {
        let event = self.event.as_ref().expect("a run first");
        let field = |name: &str| event_value(event, self.current(), name);
        assert_eq!(field("kind"), Some(kind), "{}: {:x?}", row.place, event);
        for (name, word) in fields {
            assert_eq!(field(name), Some(self.number(row, word)), "{}: {} of {:x?}", row.place, name, event);
        }
    }

    fn run(&mut self) -> Result<()> {
        let mut context = self.contexts.remove(&self.context).expect("a guest first");
        let home = &self.subprocesses[&self.subprocess];
        let event = match &self.queue {
            None => context.switch(home),
            Some(queue) => match queue.submit(context, home) {
                Ok(()) => {
                    let completion = wait_one(queue);
                    context = completion.context;
                    Ok(completion.event)
                }
                Err(refused) => {
                    context = refused.context;
                    Err(refused.error)
                }
            },
        };
        self.contexts.insert(self.context, context);
        self.event = Some(event?);
        Ok(())
    }

    /// What the library says to a statement.
    fn act(&mut self, row: &Row, words: &[String]) -> Result<()> {
        let n = |index: usize| words.get(index).map_or(0, |word| self.number(row, word));
        match words[0].as_str() {
            "guest" => {
                let options = Platform::options().backend(self.backend).raw_flags(n(2));
                self.platform = Some(options.open().unwrap());
                self.subprocesses.insert(0, self.new_subprocess(&words[1]));
                self.contexts.insert(0, started_context(self.platform()));
            }
            "context" => {
                self.context = n(1);
                if !self.contexts.contains_key(&self.context) {
                    self.contexts.insert(self.context, started_context(self.platform()));
                }
            }
            "subprocess" => {
                self.subprocess = n(1);
                if !self.subprocesses.contains_key(&self.subprocess) {
                    self.subprocesses.insert(self.subprocess, self.new_subprocess(&words[2]));
                }
            }
            "fork" => drop(self.subprocesses.insert(n(1), self.home().fork()?)),
            "destroy" => drop(self.subprocesses.remove(&n(1))),
            "kill" => host::kill(self.home().pid().unwrap(), libc::SIGKILL),
            "copy" => {
                let index = n(1);
                let mut copy = match self.contexts.remove(&index) {
                    Some(copy) => copy,
                    None => Context::new(self.platform())?,
                };
                let result = copy.copy_from(self.current());
                self.contexts.insert(index, copy);
                result?;
            }
            "map" => self.home().map(
                n(1),
                n(2),
                rights(row, &words[3]),
                Mapping::zeros().with_flags(n(4) as u32),
            )?,
            "unmap" => self.home().unmap(n(1), n(2))?,
            "protect" => self.home().protect(n(1), n(2), rights(row, &words[3]))?,
            "advise" => self.home().apply(&[Operation::advise(n(1), n(2), n(3) as i32)])?,
            "code" => load_code(self.home(), n(1), code::guest(&words[2])),
            "store" => self.home().write(n(1), &n(2).to_ne_bytes())?,
            "load" => {
                let mut word = [0; 8];
                self.home().read(n(2), &mut word)?;
                self.variables.insert(words[1].clone(), u64::from_ne_bytes(word));
            }
            "queue" => self.queue = Some(Queue::new(self.platform())?),
            "run" => self.run()?,
            "let" => drop(self.variables.insert(words[1].clone(), n(2))),
            "refused" => {
                let errno = n(1) as i32;
                let said = self.act(row, &words[2..]).map_err(|error| error.errno());
                assert_eq!(said, Err(errno), "{}: {}", row.place, words[2]);
            }
            _ => return self.act_on_context(row, words),
        }
        Ok(())
    }

    fn act_on_context(&mut self, row: &Row, words: &[String]) -> Result<()> {
        let verbs = ["start", "set", "return", "again", "tls", "data", "step", "interrupt"];
        if !verbs.contains(&words[0].as_str()) {
            return self.act_on_file(row, words);
        }
        // The first word of `set` is a register.
        let first = if words[0] == "set" { 2 } else { 1 };
        let values: Vec<u64> = words[first..].iter().map(|word| self.number(row, word)).collect();
        let context = self.current_mut();
        match words[0].as_str() {
            "start" => context.start(values[0], values[1]),
            "set" => {
                let known = set_register(context, &words[1], values[0]).is_some();
                assert!(known, "{}: no register is called {}", row.place, words[1]);
                Ok(())
            }
            "return" => context.set_return(values[0] as i64),
            "again" => context.restart_syscall(),
            "tls" => context.set_tls(values[0]),
            "data" => context.set_user_data(values[0]),
            "step" => {
                context.regs_mut().set_single_step(values[0] != 0);
                Ok(())
            }
            _ => {
                context.interrupt();
                Ok(())
            }
        }
    }

    fn act_on_file(&mut self, row: &Row, words: &[String]) -> Result<()> {
        let n = |index: usize| self.number(row, &words[index]);
        match words[0].as_str() {
            "file" => {
                let (index, size) = (n(1), n(2));
                let file = self.files.entry(index).or_insert_with(|| host::memfd("rows", 0));
                file.set_len(size).unwrap();
            }
            "map_file" => {
                let mapping = Mapping::of(&self.files[&n(5)], n(6)).with_flags(n(4) as u32);
                self.home().map(n(1), n(2), rights(row, &words[3]), mapping)?;
            }
            "file_store" => self.files[&n(1)].write_all_at(&n(3).to_ne_bytes(), n(2)).unwrap(),
            "file_load" => {
                let mut word = [0; 8];
                self.files[&n(2)].read_exact_at(&mut word, n(3)).unwrap();
                self.variables.insert(words[1].clone(), u64::from_ne_bytes(word));
            }
            "file_close" => drop(self.files.remove(&n(1))),
            _ => self.look(row, words),
        }
        Ok(())
    }

    /// What is compared, and what is played again.
    fn look(&mut self, row: &Row, words: &[String]) {
        let w = |index: usize| words[index].as_str();
        match w(0) {
            "call" => {
                let names = ["nr", "arg0", "arg1", "arg2", "arg3", "arg4", "arg5"];
                let fields: Vec<_> = names.into_iter().zip(words[1..].iter().map(String::as_str)).collect();
                self.expect(row, 1, &fields);
            }
            "fault" => {
                self.expect(row, 2, &[("addr", w(1)), ("access", w(2)), ("signo", w(3)), ("code", w(4))])
            }
            "exception" => self.expect(row, 3, &[("signo", w(1)), ("code", w(2))]),
            "interrupted" => self.expect(row, 4, &[]),
            "dead" => self.expect(row, 5, &[("reason", w(1)), ("status", w(2))]),
            "check" => {
                let (left, right) = (self.number(row, w(1)), self.number(row, w(3)));
                let truth = self.is_true(row, &words[1..]);
                assert!(truth, "{}: {} is {:#x}, {} is {:#x}", row.place, w(1), left, w(3), right);
            }
            "needs" if !self.is_true(row, &words[1..]) => skip(&words[4..].join(" ")),
            "needs" => (),
            "when" if self.is_true(row, &words[1..]) => self.play_lines(row.index + 1, row.end),
            "when" => (),
            "times" => {
                for round in 0..self.number(row, w(1)) {
                    let name = words.get(2).cloned().unwrap_or_default();
                    self.body(row, vec![(name, round.to_string())]);
                }
            }
            "each" => {
                let names = words.iter().position(|word| word == ":").unwrap_or(1) - 1;
                let values = &words[names + 2..];
                assert!(names > 0 && values.len() % names == 0, "{}: {} values", row.place, values.len());
                for group in values.chunks(names) {
                    self.body(row, words[1..=names].iter().cloned().zip(group.iter().cloned()).collect());
                }
            }
            other => panic!("{}: nothing is called {}", row.place, other),
        }
    }

    fn body(&mut self, row: &Row, texts: Vec<(String, String)>) {
        let before = self.texts.len();
        self.texts.extend(texts);
        self.play_lines(row.index + 1, row.end);
        self.texts.truncate(before);
    }
}
