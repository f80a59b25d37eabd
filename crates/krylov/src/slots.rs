//! Which columns of several are worked on: they stand side by side at the left, so that operators see a block without gaps.

use faer::MatMut;

use crate::op::Scalar;

/// Where columns stand.
pub(crate) struct Slots {
    /// The column at each place.
    order: Vec<usize>,
    active: usize,
}

impl Slots {
    /// `k` columns, each at its own place, all to be worked on.
    pub(crate) fn new(k: usize) -> Self {
        Self { order: (0..k).collect(), active: k }
    }

    /// The columns that are worked on, by their places.
    pub(crate) fn working(&self) -> &[usize] {
        &self.order[..self.active]
    }

    /// Leaves out the columns that are done: each changes places, by `swap`, with the last one that works.
    pub(crate) fn retire(
        &mut self,
        mut done: impl FnMut(usize) -> bool,
        mut swap: impl FnMut(usize, usize),
    ) {
        // From the right, so that what comes from there has been looked at.
        for at in (0..self.active).rev() {
            if done(self.order[at]) {
                self.active -= 1;
                swap(at, self.active);
                self.order.swap(at, self.active);
            }
        }
    }

    /// Brings every column back to its own place.
    pub(crate) fn restore(mut self, mut swap: impl FnMut(usize, usize)) {
        for at in 0..self.order.len() {
            while self.order[at] != at {
                let other = self.order[at];
                swap(at, other);
                self.order.swap(at, other);
            }
        }
    }
}

/// Exchanges two columns of a matrix.
pub(crate) fn swap_columns<T: Scalar>(matrix: &mut MatMut<'_, T>, a: usize, b: usize) {
    if a != b {
        for i in 0..matrix.nrows() {
            let entry = matrix[(i, a)];
            matrix[(i, a)] = matrix[(i, b)];
            matrix[(i, b)] = entry;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns leave in any order, those that work stay at the left, and all come home.
    #[test]
    fn columns_leave_and_come_home() {
        let mut slots = Slots::new(6);
        let mut row: Vec<usize> = (0..6).collect();
        for leaving in [vec![1, 4], vec![], vec![0, 5], vec![3]] {
            slots.retire(|j| leaving.contains(&j), |a, b| row.swap(a, b));
            assert_eq!(slots.working(), &row[..slots.working().len()]);
            assert!(slots.working().iter().all(|j| !leaving.contains(j)));
        }
        assert_eq!(slots.working(), [2]);
        slots.restore(|a, b| row.swap(a, b));
        assert_eq!(row, [0, 1, 2, 3, 4, 5]);
    }
}
