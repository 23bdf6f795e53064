//! A basis as lists for a file.

use super::Krylov;
use crate::Result;
use crate::lanczos::vector::Vector;
use crate::state_file::StateFile;

impl Krylov {
    /// All numbers, as lists for a file.
    pub(crate) fn lists(&self) -> Result<[(&'static str, Vec<f64>); 4]> {
        let mut entries = vec![];
        for v in &self.vectors {
            let v = v.entries()?;
            // All at once: what grows is copied as it does, and needs twice the room.
            entries.reserve_exact(if entries.is_empty() { self.vectors.len() * v.len() } else { 0 });
            entries.extend_from_slice(&v);
        }
        Ok([
            ("vectors", entries),
            ("projected", self.projected.concat()),
            ("coupling", self.coupling.concat()),
            ("sizes", vec![self.len() as f64, self.given as f64]),
        ])
    }

    /// A basis of vectors of `n` entries from such lists, `None` if these do not fit together.
    pub(crate) fn take(file: &mut StateFile, n: usize) -> Option<Self> {
        let &[m, given] = file.take("sizes")?.as_slice() else { return None };
        let (m, given) = (m as usize, given as usize);
        let rows = |list: Vec<f64>, length: usize| -> Vec<Vec<f64>> {
            list.chunks(length.max(1)).map(<[f64]>::to_vec).collect()
        };
        let (vectors, projected) = (file.take("vectors")?, file.take("projected")?);
        let coupling = file.take("coupling")?;
        let count = vectors.len() / n.max(1);
        let fits = n > 0
            && vectors.len() == count * n
            && count >= m + given
            && projected.len() == m * m
            && coupling.len() == m * (count - m);
        // Before the first product the rows are empty, and a list cannot say how many they are.
        let coupling = if m == 0 { vec![vec![]; count] } else { rows(coupling, m) };
        let vectors = || rows(vectors, n).into_iter().map(Vector::Host).collect();
        fits.then(|| Self {
            vectors: vectors(),
            projected: rows(projected, m),
            coupling,
            given,
            device: None,
        })
    }
}
