//! Where the outliers of a classifier's Gauss-Newton matrix come from: its classes (Papyan 2020).

use candle_core::{DType, Device, Tensor};
use faer::{Mat, Side};
use serde::{Deserialize, Serialize};

use crate::lanczos::vectors::{coefficients, dot, norm, scale, subtract};
use crate::{Curvature, DEFAULT_MEMORY, Error, FiniteSum, Parameters, Result};

/// The Gauss-Newton matrix of a cross-entropy over C classes as a sum of four (Papyan 2020, "Traces of class/cross-class
/// structure pervade deep learning spectra", section 3). With `g_icy` the gradient of example i of class c for the label y, each
/// weighted with the network's probability of y over the number of examples:
///
/// - *between classes*: the means `g_c` over all examples of a class and labels y other than c; rank C at most;
/// - *cross-class*: the means `g_cy` over the examples of a class, less `g_c`; rank C (C - 2) at most;
/// - *own label*: the means `g_cc`;
/// - *within*: what is left of each `g_icy`; the bulk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassStructure {
    /// Traces of the four parts, which add up to the Gauss-Newton matrix' trace.
    pub traces: Traces,
    /// Eigenvalues of the part between classes, descending.
    pub between: Vec<f64>,
    /// Eigenvalues of the cross-class part, descending.
    pub cross: Vec<f64>,
    /// Orthonormal vectors that span the `g_c`.
    #[serde(skip)]
    pub between_span: Vec<Vec<f64>>,
    /// Orthonormal vectors that span all `g_cy`.
    #[serde(skip)]
    pub whole_span: Vec<Vec<f64>>,
    /// Backward passes over the data set that it took.
    pub backward_passes: usize,
}

/// Traces of the parts of a Gauss-Newton matrix.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Traces {
    /// Of the part between classes.
    pub between: f64,
    /// Of the cross-class part.
    pub cross: f64,
    /// Of the part of examples' own labels.
    pub own: f64,
    /// Of the part within; NaN where the whole trace was not given.
    pub within: f64,
}

/// A weighted mean of gradients.
struct Mean {
    weight: f64,
    vector: Vec<f64>,
}

impl ClassStructure {
    /// The structure at a point. `labels` has the class of every example of the sum, whose loss must be a cross-entropy of
    /// softmax outputs [n, C]; `trace` is the trace of the Gauss-Newton matrix, if it is known.
    ///
    /// Takes C backward passes over the data set, and holds C^2 vectors of n numbers.
    pub fn new(sum: &dyn FiniteSum, at: &Parameters, labels: &[u32], trace: Option<f64>) -> Result<Self> {
        if labels.len() != sum.examples() {
            return Err(Error::Input(format!(
                "there are {} labels for {} examples: give one for each",
                labels.len(),
                sum.examples()
            )));
        }
        let classes = labels.iter().max().map_or(0, |most| *most as usize + 1);
        let mut means = vec![];
        for class in 0..classes {
            let members: Vec<u32> =
                (0..labels.len() as u32).filter(|i| labels[*i as usize] as usize == class).collect();
            if !members.is_empty() {
                let share = members.len() as f64 / labels.len() as f64;
                means.push((class, of_class(sum, at, &members, share)?));
            }
        }
        Self::of(means, classes, trace)
    }

    fn of(means: Vec<(usize, Vec<Mean>)>, classes: usize, trace: Option<f64>) -> Result<Self> {
        let (mut between, mut cross, mut own) = (vec![], vec![], 0.0);
        let mut all: Vec<Vec<f64>> = vec![];
        for (class, labels) in &means {
            let others =
                || labels.iter().enumerate().filter(|(label, _)| label != class).map(|(_, mean)| mean);
            let weight: f64 = others().map(|mean| mean.weight).sum();
            own += labels.get(*class).map_or(0.0, |mean| mean.weight * dot(&mean.vector, &mean.vector));
            if weight == 0.0 {
                continue;
            }
            let mut centre = vec![0.0; labels[0].vector.len()];
            for mean in others() {
                let share = mean.weight / weight;
                centre.iter_mut().zip(&mean.vector).for_each(|(c, g)| *c += share * g);
            }
            for mean in others() {
                let root = mean.weight.sqrt();
                cross
                    .push(mean.vector.iter().zip(&centre).map(|(g, c)| root * (g - c)).collect::<Vec<f64>>());
            }
            scale(&mut centre, weight.sqrt());
            between.push(centre);
            all.extend(labels.iter().map(|mean| {
                let root = mean.weight.sqrt();
                mean.vector.iter().map(|g| root * g).collect::<Vec<f64>>()
            }));
        }
        let square = |vectors: &[Vec<f64>]| vectors.iter().map(|v| dot(v, v)).sum::<f64>();
        let (of_between, of_cross) = (square(&between), square(&cross));
        let within = trace.map_or(f64::NAN, |trace| trace - of_between - of_cross - own);
        Ok(Self {
            traces: Traces { between: of_between, cross: of_cross, own, within },
            between: eigenvalues(&between)?,
            cross: eigenvalues(&cross)?,
            between_span: orthonormal(between),
            whole_span: orthonormal(all),
            backward_passes: classes,
        })
    }

    /// The share |P v|^2 of a unit vector that lies in the span of the means of classes, and in that of all means.
    pub fn shares(&self, vector: &[f64]) -> (f64, f64) {
        let inside = |span: &[Vec<f64>]| {
            if span.is_empty() { 0.0 } else { coefficients(span, vector).iter().map(|c| c * c).sum::<f64>() }
        };
        (inside(&self.between_span), inside(&self.whole_span))
    }
}

/// For every label y: the weight and the weighted mean of the members' gradients for y. `share` is that of the members among
/// all examples.
fn of_class(sum: &dyn FiniteSum, at: &Parameters, members: &[u32], share: f64) -> Result<Vec<Mean>> {
    let objective = sum.over(members)?;
    let curvature = Curvature::new(&*objective, at, DEFAULT_MEMORY)?;
    let parts = curvature.for_each_batch(|_, linearization| {
        let outputs = linearization.outputs()?;
        let [examples, classes] = outputs.dims()[..] else {
            return Err(Error::Input(format!(
                "outputs of shape {:?} are not the logits of classes: a classifier's have one row an example",
                outputs.dims()
            )));
        };
        let logits = outputs.to_dtype(DType::F64)?.to_vec2::<f64>()?;
        let probabilities: Vec<Vec<f64>> = logits.iter().map(|row| softmax(row)).collect();
        let mut found = vec![];
        for label in 0..classes {
            let weight: f64 = probabilities.iter().map(|p| p[label]).sum();
            // Row by row p_y (p - e_y): the gradient for the label, times its weight.
            let rows = probabilities.iter().flat_map(|p| {
                let slope = |(class, q): (usize, &f64)| p[label] * (q - f64::from(u8::from(class == label)));
                p.iter().enumerate().map(slope).collect::<Vec<f64>>()
            });
            let rows = Tensor::from_vec(rows.collect::<Vec<f64>>(), (examples, classes), &Device::Cpu)?;
            let mut vector = vec![0.0; at.len()];
            at.flatten(&linearization.vjp(&rows.to_dtype(at.dtype())?)?, &mut vector)?;
            found.push((weight, vector));
        }
        Ok(found)
    })?;
    let classes = parts.first().map_or(0, Vec::len);
    let mut means: Vec<Mean> =
        (0..classes).map(|_| Mean { weight: 0.0, vector: vec![0.0; at.len()] }).collect();
    for part in parts {
        for (mean, (weight, vector)) in means.iter_mut().zip(part) {
            mean.weight += weight;
            mean.vector.iter_mut().zip(&vector).for_each(|(m, v)| *m += v);
        }
    }
    for mean in &mut means {
        if mean.weight > 0.0 {
            let weight = mean.weight;
            scale(&mut mean.vector, 1.0 / weight);
        }
        mean.weight *= share / members.len() as f64;
    }
    Ok(means)
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|z| (z - largest).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| w / sum).collect()
}

/// The nonzero eigenvalues of the sum of v v', descending: those of the matrix of inner products.
fn eigenvalues(vectors: &[Vec<f64>]) -> Result<Vec<f64>> {
    if vectors.is_empty() {
        return Ok(vec![]);
    }
    let products: Vec<Vec<f64>> = vectors.iter().map(|v| coefficients(vectors, v)).collect();
    let gram = Mat::from_fn(vectors.len(), vectors.len(), |i, j| products[j][i]);
    let mut values = gram
        .self_adjoint_eigenvalues(Side::Lower)
        .map_err(|e| Error::Other(format!("a small matrix has no eigenvalues: {e:?}")))?;
    values.reverse();
    Ok(values)
}

/// An orthonormal basis of the span, by Gram-Schmidt done twice; what is rounding is left out.
fn orthonormal(vectors: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let mut basis: Vec<Vec<f64>> = vec![];
    let longest = vectors.iter().map(|v| norm(v)).fold(0.0, f64::max);
    for mut v in vectors {
        for _ in 0..2 {
            let along = coefficients(&basis, &v);
            subtract(&basis, &along, &mut v);
        }
        let length = norm(&v);
        if length > 1e-10 * longest {
            scale(&mut v, 1.0 / length);
            basis.push(v);
        }
    }
    basis
}
