//! Loss and accuracy at a point: one forward pass over the data.

use candle_core::DType;
use relief_hessian::{Evaluation, Objective, Parameters, Section, weight_decay_term};

use super::{Task, TaskError};

/// How a point is measured.
#[derive(Debug, Clone, Copy, Default)]
pub struct Measure<'a> {
    /// Running statistics of batch norm instead of the checkpoint's.
    pub statistics: Option<&'a Parameters>,
    /// Stop as soon as the loss is known to be at least this much: no loss is negative, so the examples seen so far
    /// prove it. [`Measured::loss`] is then the cap.
    pub cap: Option<f64>,
    /// Look at every example: standard error, and loss and accuracy of each class.
    pub in_detail: bool,
}

/// What a forward pass over the data tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The mean loss with its weight decay term, or the cap where it is at least that.
    pub loss: f64,
    /// Share of right answers (of positions, for text); none for real targets and above the cap.
    pub accuracy: Option<f64>,
    /// Standard error of the mean loss, the examples taken as a sample: their standard deviation / sqrt(examples). Only in
    /// detail, and for two examples or more.
    pub standard_error: Option<f64>,
    /// Each class by itself, where targets are class labels; only in detail.
    pub classes: Vec<ClassMeasured>,
}

/// Loss and accuracy on the examples of one class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassMeasured {
    /// How many they are.
    pub examples: usize,
    /// Their mean loss, without weight decay; NaN where there are none.
    pub loss: f64,
    /// Share of right answers among them; NaN where there are none.
    pub accuracy: f64,
}

impl Task {
    /// Share of examples (or positions) whose largest output is the label; `None` for real targets.
    pub fn accuracy(&self, at: &Parameters) -> Result<Option<f64>, TaskError> {
        Ok(self.measure(at)?.accuracy)
    }

    /// Loss, with its weight decay term, and accuracy.
    pub fn measure(&self, at: &Parameters) -> Result<Measured, TaskError> {
        self.measure_as(at, &Measure::default())
    }

    /// The same with other statistics, up to a cap, or in detail.
    pub fn measure_as(&self, at: &Parameters, how: &Measure<'_>) -> Result<Measured, TaskError> {
        let objective = self.evaluated();
        let decay = weight_decay_term(objective, at)?;
        self.measure_with(decay, how, &|batch| match how.statistics {
            Some(statistics) => objective.evaluate_with(at, statistics, batch),
            None => objective.evaluate(at, batch),
        })
    }

    /// The same at the point with these coordinates of a section of this task; statistics only where
    /// the section was made for such that vary.
    pub fn measure_on(
        &self,
        section: &Section,
        coordinates: &[f64],
        how: &Measure<'_>,
    ) -> Result<Measured, TaskError> {
        let at = section.at(coordinates)?;
        self.measure_with(at.weight_decay_term(), how, &|batch| section.evaluate(&at, how.statistics, batch))
    }

    /// What the batches' losses and outputs tell, with a weight decay term.
    fn measure_with(
        &self,
        weight_decay_term: f64,
        how: &Measure<'_>,
        evaluate: &dyn Fn(usize) -> relief_hessian::Result<Evaluation>,
    ) -> Result<Measured, TaskError> {
        let objective = self.evaluated();
        let mut loss = weight_decay_term;
        let mut seen = Seen::default();
        let mut labels = self.labels.iter().flatten().copied();
        for batch in 0..objective.batches() {
            let Evaluation { loss: mean, outputs } = evaluate(batch)?;
            loss += objective.weight(batch) * mean;
            if let Some(cap) = how.cap.filter(|cap| loss >= *cap) {
                return Ok(Measured { loss: cap, accuracy: None, standard_error: None, classes: vec![] });
            }
            let Some(outputs) = outputs else { continue };
            if self.labels.is_some() {
                let width = outputs.dims().last().copied().unwrap_or(1);
                let entries = outputs.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
                let rows = entries.chunks_exact(width).zip(&mut labels);
                seen.answers.extend(rows.map(|(row, label)| (label, right(row, label))));
            }
            if how.in_detail {
                let targets = &objective.batch(batch).tensors[1];
                seen.losses.extend(self.loss.of_examples(&outputs, targets, self.smoothing)?);
            }
        }
        Ok(seen.measured(loss, how.in_detail))
    }
}

/// What was seen of the examples so far.
#[derive(Default)]
struct Seen {
    /// Label of every example or position, and whether it was answered.
    answers: Vec<(u32, bool)>,
    /// Loss of every example.
    losses: Vec<f64>,
}

impl Seen {
    fn measured(self, loss: f64, in_detail: bool) -> Measured {
        let share = |answers: &[(u32, bool)]| {
            answers.iter().filter(|(_, right)| *right).count() as f64 / answers.len() as f64
        };
        let accuracy = (!self.answers.is_empty()).then(|| share(&self.answers));
        let n = self.losses.len() as f64;
        let standard_error = (self.losses.len() > 1).then(|| {
            let mean = self.losses.iter().sum::<f64>() / n;
            let squares: f64 = self.losses.iter().map(|l| (l - mean).powi(2)).sum();
            (squares / (n - 1.0) / n).sqrt()
        });
        // A text has many labels an example, and no class.
        let by_class = in_detail && self.losses.len() == self.answers.len();
        let count = self.answers.iter().map(|(label, _)| *label + 1).max().filter(|_| by_class).unwrap_or(0);
        let classes = (0..count).map(|class| {
            let of_class = |i: &usize| self.answers[*i].0 == class;
            let members: Vec<usize> = (0..self.answers.len()).filter(of_class).collect();
            let answers: Vec<_> = members.iter().map(|&i| self.answers[i]).collect();
            let loss = members.iter().map(|&i| self.losses[i]).sum::<f64>() / members.len() as f64;
            ClassMeasured { examples: members.len(), loss, accuracy: share(&answers) }
        });
        Measured { loss, accuracy, standard_error, classes: classes.collect() }
    }
}

/// Whether the first largest output is the label; with one output, whether it is positive where the label is 1.
fn right(row: &[f64], label: u32) -> bool {
    let prediction = match row {
        [logit] => usize::from(*logit > 0.0),
        row => row.iter().enumerate().fold(0, |best, (i, x)| if *x > row[best] { i } else { best }),
    };
    prediction == label as usize
}
