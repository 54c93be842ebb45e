// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reads the cases that are data: `tests/conformance/rows`, whose README.md describes the language.

use std::path::PathBuf;
use std::sync::Mutex;

/// One line: its words, and for one that opens a block the line of its end.
#[derive(Clone)]
pub struct Row {
    pub place: String,
    pub words: Vec<String>,
    pub index: usize,
    pub end: usize,
}

/// `case NAME SENTENCE`, `part NAME PARAMETER...` or `define NAME VALUE`, and the lines between it and its end.
pub struct Block {
    pub head: usize,
    pub end: usize,
}

#[derive(Default)]
pub struct Book {
    pub rows: Vec<Row>,
    pub blocks: Vec<Block>,
}

/// The files of every architecture, then those of this one. There are none where only the crate is.
fn files() -> Vec<PathBuf> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../tests/conformance/rows");
    let mut files = Vec::new();
    for folder in [root.to_string(), format!("{}/{}", root, std::env::consts::ARCH)] {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        found.retain(|path| path.extension().map_or(false, |extension| extension == "rows"));
        found.sort();
        files.extend(found);
    }
    files
}

impl Book {
    fn add_line(&mut self, place: String, line: &str) {
        let words = line.split_ascii_whitespace().take_while(|word| !word.starts_with('#'));
        let words: Vec<String> = words.map(str::to_string).collect();
        match words.first().map(String::as_str) {
            None => (),
            // It goes on with the words of the line before.
            Some("|") => self.rows.last_mut().expect("a line before").words.extend_from_slice(&words[1..]),
            _ => self.rows.push(Row { place, words, index: self.rows.len(), end: 0 }),
        }
    }

    fn add_block(&mut self, head: usize) {
        let row = &self.rows[head];
        assert!(row.words.len() > 1, "{}: no name", row.place);
        assert!(self.find(&row.words[0], &row.words[1]).is_none(), "{}: there twice", row.place);
        self.blocks.push(Block { head, end: row.end });
    }

    fn find_blocks(&mut self) {
        let mut open = Vec::new();
        for index in 0..self.rows.len() {
            let word = self.rows[index].words[0].clone();
            match (word.as_str(), open.len()) {
                ("define", 0) => self.add_block(index),
                ("case" | "part", 0) | ("each" | "times" | "when", 1..) => open.push(index),
                (_, 0) => panic!("{}: outside of a case or part", self.rows[index].place),
                ("end", _) => {
                    let head = open.pop().unwrap();
                    self.rows[head].end = index;
                    if open.is_empty() {
                        self.add_block(head);
                    }
                }
                _ => (),
            }
        }
        assert!(open.is_empty(), "{}: no end", self.rows[open[0]].place);
    }

    fn read() -> Self {
        let mut book = Book::default();
        for path in files() {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            for (number, line) in (1..).zip(text.lines()) {
                book.add_line(format!("{}:{}", name, number), line);
            }
        }
        book.find_blocks();
        book
    }

    /// Read once and kept.
    pub fn get() -> &'static Book {
        static BOOK: Mutex<Option<&'static Book>> = Mutex::new(None);
        BOOK.lock().unwrap().get_or_insert_with(|| Box::leak(Box::new(Book::read())))
    }

    pub fn find(&self, kind: &str, name: &str) -> Option<&Block> {
        self.blocks.iter().find(|block| {
            let words = &self.rows[block.head].words;
            words[0] == kind && words[1] == name
        })
    }

    /// The names of the cases, in the order of the files.
    pub fn cases(&'static self) -> impl Iterator<Item = &'static str> {
        let heads = self.blocks.iter().map(move |block| &self.rows[block.head].words);
        heads.filter(|words| words[0] == "case").map(|words| words[1].as_str())
    }
}
