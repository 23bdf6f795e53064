//! Saved results as data for other programs: NumPy archives, tables, and files for ParaView.

use std::path::Path;

use crate::exit::Failure;
use crate::output;
use crate::saved::{Kind, Results};

pub(crate) mod csv;
mod height;
mod npz;
mod vti;
mod vtk;
mod vtp;

pub(crate) use npz::Array;

/// A format of data, which a file's name ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DataFormat {
    /// Arrays for NumPy.
    Npz,
    /// A table with a row for every point.
    Csv,
    /// VTK's polygons: a surface or a line with heights.
    Vtp,
    /// VTK's image: a surface seen from above.
    Vti,
}

impl DataFormat {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Npz, Self::Csv, Self::Vtp, Self::Vti];

    /// What a file's name ends in.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Npz => "npz",
            Self::Csv => "csv",
            Self::Vtp => "vtp",
            Self::Vti => "vti",
        }
    }

    /// The format that a file's name asks for.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let extension = output::extension(path);
        Self::ALL.into_iter().find(|format| format.extension() == extension)
    }

    /// The formats that hold results of a kind.
    pub(crate) fn holding(kind: Kind) -> &'static [Self] {
        match kind {
            Kind::Surface => &Self::ALL,
            Kind::Line => &[Self::Npz, Self::Csv, Self::Vtp],
            _ => &[Self::Npz, Self::Csv],
        }
    }

    /// Refuses a format that cannot hold results of a kind.
    pub(crate) fn check(self, path: &Path, kind: Kind) -> Result<(), Failure> {
        let holding = Self::holding(kind);
        if holding.contains(&self) {
            return Ok(());
        }
        let endings: Vec<&str> = holding.iter().map(|format| format.extension()).collect();
        Err(Failure::Usage(format!(
            "`{}` cannot hold {}: give the file one of {}",
            path.display(),
            kind.name(),
            output::endings(&endings)
        )))
    }
}

/// Numbers that were measured on the nodes of a grid, or along a line.
#[derive(Debug, Clone)]
pub(crate) struct Sampled {
    /// The coordinates' names and nodes. In measures, the first coordinate varies fastest.
    pub(crate) axes: Vec<(&'static str, Vec<f64>)>,
    /// The measures' names and values; NaN where nothing is known.
    pub(crate) measures: Vec<(&'static str, Vec<f64>)>,
}

impl Sampled {
    /// The loss at every point.
    fn loss(&self) -> &[f64] {
        &self.measures[0].1
    }

    /// Coordinates, and measures with the last coordinate first: `loss[j, i]` belongs to `x[i]`, `y[j]`.
    pub(crate) fn arrays(&self) -> Vec<Array> {
        let shape: Vec<usize> = self.axes.iter().rev().map(|(_, nodes)| nodes.len()).collect();
        let axes = self.axes.iter().map(|(name, nodes)| Array::list(*name, nodes));
        let measures = self.measures.iter().map(|(name, values)| Array::reals(*name, shape.clone(), values));
        axes.chain(measures).collect()
    }
}

/// Writes results of one kind in a format.
pub(crate) fn save(path: &Path, format: DataFormat, results: &Results) -> Result<(), Failure> {
    let group = results.group()?;
    format.check(path, group.kind())?;
    let count = group.count();
    if format != DataFormat::Npz && count != 1 {
        return Err(Failure::Usage(format!(
            "`{}` holds one result, and there are {count}: write them one after the other, or all into one .npz",
            path.display()
        )));
    }
    let bytes = match format {
        DataFormat::Npz => npz::archive(group.entries())?,
        DataFormat::Csv => group.table().into_bytes(),
        DataFormat::Vtp | DataFormat::Vti => {
            let (sampled, document) = group.sampled();
            let text = match format {
                DataFormat::Vti => vti::image(&sampled, document)?,
                _ => vtp::polygons(&sampled, document)?,
            };
            text.into_bytes()
        }
    };
    output::write(path, &bytes)
}
