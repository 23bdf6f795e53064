//! Entries chosen by index: embeddings and gathering.

use candle_core::{DType, Tensor};

use crate::error::shape;
use crate::rule::{Axes, Axis, Index, Linear};
use crate::{Error, Result, Value, device};

/// Rows of a table: argument 0 is the table [v, ..], argument 1 the indices (integers, any shape).
#[derive(Debug)]
struct Rows {
    table: Vec<usize>,
    out: Vec<usize>,
}

impl Linear for Rows {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn fix(&self, arguments: &[&Tensor]) -> Result<Option<Tensor>> {
        let ids = indices("embedding", arguments[1], self.table[0])?;
        if device::holds(&ids) {
            return device::places_of_rows(&ids, self.table[0]).map(Some);
        }
        Ok(Some(ids))
    }

    fn apply(&self, arguments: &[Option<&Tensor>], fixed: Option<&Tensor>) -> Result<Tensor> {
        let (table, ids) = both("embedding", arguments[0], fixed)?;
        if device::holds(table) {
            return Ok(device::rows(&table.contiguous()?, ids)?.reshape(self.out.as_slice())?);
        }
        Ok(table.contiguous()?.index_select(&ids.flatten_all()?, 0)?.reshape(self.out.as_slice())?)
    }

    fn adjoint(&self, _: usize, g: &Tensor, fixed: Option<&Tensor>) -> Result<Tensor> {
        let (g, ids) = both("embedding", Some(g), fixed)?;
        if device::holds(g) {
            return device::rows_adjoint(&g.contiguous()?, ids, &self.table);
        }
        let mut rows = vec![ids.elem_count()];
        rows.extend(&self.table[1..]);
        let zeros = Tensor::zeros(self.table.as_slice(), g.dtype(), g.device())?;
        Ok(zeros.index_add(&ids.flatten_all()?, &g.contiguous()?.reshape(rows)?, 0)?)
    }

    fn axes(&self, arguments: &[&[usize]], _: &[usize]) -> Option<Axes> {
        let free = |(name, &length): (usize, &usize)| Axis::Product(vec![Index::free(name, length)]);
        let (table, ids) = (arguments[0], arguments[1]);
        let all: Vec<Axis> = ids.iter().chain(&table[1..]).enumerate().map(free).collect();
        // Indices name the table's rows, so that these keep their places.
        let rows = Axis::Product(vec![Index::ordered(all.len(), table[0])]);
        let of_table = std::iter::once(rows).chain(all[ids.len()..].iter().cloned()).collect();
        Some(Axes { arguments: vec![of_table, all[..ids.len()].to_vec()], result: all })
    }
}

/// One entry along the last axis per index: argument 0 is [n, c], argument 1 the indices [n].
#[derive(Debug)]
pub(super) struct Pick {
    pub(super) from: [usize; 2],
}

impl Pick {
    /// Positions in the flattened argument, at which nothing collides.
    fn flat(&self, ids: &Tensor) -> Result<Tensor> {
        let ids = ids.to_vec1::<u32>()?;
        let flat: Vec<u32> = ids.iter().enumerate().map(|(i, id)| (i * self.from[1]) as u32 + id).collect();
        Ok(Tensor::new(flat, &candle_core::Device::Cpu)?)
    }
}

impl Linear for Pick {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn fix(&self, arguments: &[&Tensor]) -> Result<Option<Tensor>> {
        let ids = indices("gather", arguments[1], self.from[1])?;
        Ok(Some(self.flat(&ids)?.to_device(arguments[1].device())?))
    }

    fn apply(&self, arguments: &[Option<&Tensor>], fixed: Option<&Tensor>) -> Result<Tensor> {
        let (x, flat) = both("gather", arguments[0], fixed)?;
        if device::holds(x) {
            return device::pick(&x.contiguous()?, flat);
        }
        Ok(x.contiguous()?.flatten_all()?.index_select(flat, 0)?)
    }

    fn adjoint(&self, _: usize, g: &Tensor, fixed: Option<&Tensor>) -> Result<Tensor> {
        let (g, flat) = both("gather", Some(g), fixed)?;
        if device::holds(g) {
            return device::pick_adjoint(&g.contiguous()?, flat, self.from);
        }
        let zeros = Tensor::zeros(self.from[0] * self.from[1], g.dtype(), g.device())?;
        Ok(zeros.index_add(flat, &g.contiguous()?, 0)?.reshape(self.from.as_slice())?)
    }
}

fn both<'a>(
    operation: &'static str,
    x: Option<&'a Tensor>,
    ids: Option<&'a Tensor>,
) -> Result<(&'a Tensor, &'a Tensor)> {
    x.zip(ids)
        .ok_or_else(|| Error::Unavailable(format!("{operation} was applied without its argument or indices")))
}

/// Checks that all indices lie below `limit`, and gives them as u32.
fn indices(operation: &'static str, ids: &Tensor, limit: usize) -> Result<Tensor> {
    if ids.dtype().is_float() {
        return Err(shape(operation, "indices must be integers"));
    }
    let ids = ids.to_dtype(DType::U32)?.contiguous()?;
    let largest = ids.flatten_all()?.to_vec1::<u32>()?.into_iter().max().unwrap_or(0);
    if largest as usize >= limit {
        return Err(shape(
            operation,
            format!("index {largest} is out of range: there are {limit} classes or rows"),
        ));
    }
    Ok(ids)
}

impl Value {
    /// Rows of this table [v, ..] at integer `ids` of any shape: [ids.., ..].
    pub fn embedding(&self, ids: &Value) -> Result<Value> {
        self.dim(0)?;
        let mut out = ids.dims().to_vec();
        out.extend(&self.dims()[1..]);
        let rule = Rows { table: self.dims().to_vec(), out: out.clone() };
        Ok(self.builder.linear(rule, &[self, ids], &out))
    }

    /// Entry `ids[i]` of row i: from [n, c] and integer `[n]` to `[n]`.
    pub fn gather(&self, ids: &Value) -> Result<Value> {
        let &[n, c] = self.dims() else {
            return Err(shape("gather", format!("expected two axes, found shape {:?}", self.dims())));
        };
        if ids.dims() != [n] {
            return Err(shape("gather", format!("{n} rows need {n} indices, found shape {:?}", ids.dims())));
        }
        Ok(self.builder.linear(Pick { from: [n, c] }, &[self, ids], &[n]))
    }
}
