//! The stack machine that reads pickles, protocols 0 to 5 as far as `torch.save` uses them.
//!
//! The operation codes are those of Python's `pickletools`.

use std::collections::BTreeMap;

use super::pickle::{Id, Value};

/// The machine that a pickle is a program for.
#[derive(Debug, Default)]
pub(super) struct Machine<'a> {
    rest: &'a [u8],
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: BTreeMap<u64, Id>,
}

impl<'a> Machine<'a> {
    /// A machine about to run a pickle.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, ..Self::default() }
    }

    /// Runs to the end; gives all values and the place of the result, or says what is wrong with the pickle.
    pub(super) fn run(mut self) -> Result<(Vec<Value>, Id), String> {
        loop {
            if let Some(root) = self.step()? {
                return Ok((self.values, root));
            }
        }
    }

    /// Does one operation; gives the result when it is the last.
    fn step(&mut self) -> Result<Option<Id>, String> {
        let [code] = self.array()?;
        match code {
            b'.' => return self.pop().map(Some),
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'J' => self.integer(|machine| Ok(i32::from_le_bytes(machine.array()?).into()))?,
            b'K' => self.integer(|machine| Ok(u8::from_le_bytes(machine.array()?).into()))?,
            b'M' => self.integer(|machine| Ok(u16::from_le_bytes(machine.array()?).into()))?,
            0x8a => self.long(1)?,
            0x8b => self.long(4)?,
            b'G' => {
                let number = f64::from_be_bytes(self.array()?);
                self.push(Value::Float(number));
            }
            b'U' | 0x8c => self.text(1)?,
            b'T' | b'X' => self.text(4)?,
            0x8d => self.text(8)?,
            b'C' => self.bytes(1)?,
            b'B' => self.bytes(4)?,
            0x8e | 0x96 => self.bytes(8)?,
            b')' | b']' | 0x8f => self.push(Value::Sequence(Vec::new())),
            b'}' => self.push(Value::Dictionary(Vec::new())),
            b'(' => self.marks.push(self.stack.len()),
            b't' | b'l' | 0x91 => {
                let items = self.pop_to_mark()?;
                self.push(Value::Sequence(items));
            }
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b'd' => {
                let items = self.pop_to_mark()?;
                let pairs = pairs(&items)?;
                self.push(Value::Dictionary(pairs));
            }
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            b'e' | 0x90 => {
                let items = self.pop_to_mark()?;
                self.append(&items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.insert(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.insert(&items)?;
            }
            // What `b` sets on an object after its making (hooks, versions) says nothing about tensors.
            b'0' | b'b' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            b'2' => self.stack.push(self.top()?),
            b'q' => self.remember(1)?,
            b'r' => self.remember(4)?,
            0x94 => drop(self.memo.insert(self.memo.len() as u64, self.top()?)),
            b'h' => self.recall(1)?,
            b'j' => self.recall(4)?,
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(module, name));
            }
            0x93 => self.global_from_stack()?,
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                self.call(callable, arguments);
            }
            0x92 => {
                let (_named, arguments, callable) = (self.pop()?, self.pop()?, self.pop()?);
                self.call(callable, arguments);
            }
            b'Q' => {
                let identifier = self.pop()?;
                self.push(Value::External(identifier));
            }
            other => return Err(format!("its pickle has the unknown operation code {other:#04x}")),
        }
        Ok(None)
    }

    fn take(&mut self, length: usize) -> Result<&[u8], String> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or("its pickle ends too early")?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or("its pickle ends too early")?;
        self.rest = rest;
        Ok(*taken)
    }

    /// An unsigned number of up to 8 bytes.
    fn number(&mut self, width: usize) -> Result<u64, String> {
        Ok(self.take(width)?.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    /// As many bytes as the number before them says.
    fn counted(&mut self, width: usize) -> Result<&[u8], String> {
        let length = self.number(width)?;
        self.take(usize::try_from(length).map_err(|_| "its pickle has a text of impossible length")?)
    }

    fn line(&mut self) -> Result<String, String> {
        let length = self.rest.iter().position(|byte| *byte == b'\n').ok_or("its pickle ends too early")?;
        let line = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.take(1)?;
        Ok(line)
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn top(&self) -> Result<Id, String> {
        self.stack.last().copied().ok_or_else(|| "its pickle takes from an empty stack".into())
    }

    fn pop(&mut self) -> Result<Id, String> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, String> {
        let height = self.marks.pop().ok_or("its pickle lacks a mark")?;
        if height > self.stack.len() {
            return Err("its pickle takes from below a mark".into());
        }
        Ok(self.stack.split_off(height))
    }

    fn integer(&mut self, read: impl FnOnce(&mut Self) -> Result<i64, String>) -> Result<(), String> {
        let integer = read(self)?;
        self.push(Value::Integer(integer));
        Ok(())
    }

    /// An integer of any length in two's complement.
    fn long(&mut self, width: usize) -> Result<(), String> {
        let bytes = self.counted(width)?;
        let value = if bytes.len() > 8 {
            Value::Opaque
        } else {
            let sign = if bytes.last().is_some_and(|byte| *byte >= 0x80) { -1 } else { 0 };
            Value::Integer(bytes.iter().rev().fold(sign, |integer, byte| (integer << 8) | i64::from(*byte)))
        };
        self.push(value);
        Ok(())
    }

    fn text(&mut self, width: usize) -> Result<(), String> {
        let text = String::from_utf8_lossy(self.counted(width)?).into_owned();
        self.push(Value::Text(text));
        Ok(())
    }

    fn bytes(&mut self, width: usize) -> Result<(), String> {
        self.counted(width)?;
        self.push(Value::Opaque);
        Ok(())
    }

    fn tuple(&mut self, length: usize) -> Result<(), String> {
        let start = self.stack.len().checked_sub(length).ok_or("its pickle takes from an empty stack")?;
        let items = self.stack.split_off(start);
        self.push(Value::Sequence(items));
        Ok(())
    }

    fn append(&mut self, items: &[Id]) -> Result<(), String> {
        let top = self.top()?;
        match &mut self.values[top] {
            Value::Sequence(list) => list.extend_from_slice(items),
            // Items of an object that is not looked into.
            Value::Call(..) => {}
            _ => return Err("its pickle appends to what is not a list".into()),
        }
        Ok(())
    }

    fn insert(&mut self, items: &[Id]) -> Result<(), String> {
        let pairs = pairs(items)?;
        let top = self.top()?;
        match &mut self.values[top] {
            Value::Dictionary(entries) => entries.extend(pairs),
            // Entries of an object that is not looked into.
            Value::Call(..) => {}
            _ => return Err("its pickle adds entries to what is not a dictionary".into()),
        }
        Ok(())
    }

    fn remember(&mut self, width: usize) -> Result<(), String> {
        let place = self.number(width)?;
        self.memo.insert(place, self.top()?);
        Ok(())
    }

    fn recall(&mut self, width: usize) -> Result<(), String> {
        let place = self.number(width)?;
        let id = self.memo.get(&place).ok_or("its pickle recalls what it never remembered")?;
        self.stack.push(*id);
        Ok(())
    }

    fn global_from_stack(&mut self) -> Result<(), String> {
        let (name, module) = (self.pop()?, self.pop()?);
        match (&self.values[module], &self.values[name]) {
            (Value::Text(module), Value::Text(name)) => {
                let global = Value::Global(module.clone(), name.clone());
                self.push(global);
                Ok(())
            }
            _ => Err("its pickle names a class by what is not a text".into()),
        }
    }

    /// Dictionaries of the standard library become plain ones; every other call is only noted.
    fn call(&mut self, callable: Id, arguments: Id) {
        let dictionary = matches!(
            &self.values[callable],
            Value::Global(module, name)
                if module == "collections" && matches!(name.as_str(), "OrderedDict" | "defaultdict")
        );
        self.push(if dictionary { Value::Dictionary(Vec::new()) } else { Value::Call(callable, arguments) });
    }
}

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, String> {
    let (pairs, odd) = items.as_chunks::<2>();
    if odd.is_empty() {
        Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
    } else {
        Err("its pickle has a key without a value".into())
    }
}
