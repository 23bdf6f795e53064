//! What a pickle says, as plain data: no class is looked up and nothing is called.
//!
//! Candle's own reader of pickles serves files that are known to be good. A file that comes from elsewhere may be cut
//! or have flipped bits, and there it can panic or ask for gigabytes; it also loses what a dictionary gets after it was
//! put in the memo, and does not know protocols 3 to 5. Here every value lies in one list and refers to others by their
//! place in it, so that shared values stay shared and no nesting can exhaust the stack.

use super::unpickler::Machine;

/// The place of a value in its [`Graph`].
pub(super) type Id = usize;

/// One value of a pickle.
#[derive(Debug, Clone)]
pub(super) enum Value {
    None,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    /// Bytes, and integers of more than 64 bits.
    Opaque,
    /// Tuples, lists and sets.
    Sequence(Vec<Id>),
    /// Dictionaries, ordered ones included, in the order of the file.
    Dictionary(Vec<(Id, Id)>),
    /// A class or a function by its module and its name.
    Global(String, String),
    /// The result of calling the first on the second.
    Call(Id, Id),
    /// An object outside the pickle, by its identifier: a storage.
    External(Id),
}

/// The values of a pickle.
#[derive(Debug)]
pub(super) struct Graph {
    values: Vec<Value>,
    root: Id,
}

impl Graph {
    /// Reads a pickle, or says what is wrong with it.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let (values, root) = Machine::new(bytes).run()?;
        Ok(Self { values, root })
    }

    /// The value the pickle is of.
    pub(super) fn root(&self) -> Id {
        self.root
    }

    /// The value at a place.
    pub(super) fn value(&self, id: Id) -> &Value {
        &self.values[id]
    }

    /// The text at a place, if it is a text.
    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.value(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items of the sequence at a place, if it is one.
    pub(super) fn sequence(&self, id: Id) -> Option<&[Id]> {
        match self.value(id) {
            Value::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The module and the name of the class or function at a place, if it is one.
    pub(super) fn global(&self, id: Id) -> Option<(&str, &str)> {
        match self.value(id) {
            Value::Global(module, name) => Some((module, name)),
            _ => None,
        }
    }

    /// The integer at a place as a size, if it is one.
    pub(super) fn size(&self, id: Id) -> Option<usize> {
        match self.value(id) {
            Value::Integer(integer) => usize::try_from(*integer).ok(),
            _ => None,
        }
    }
}
