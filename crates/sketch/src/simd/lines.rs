//! Rows as lines of the cache: made from columns, and added to sums that are lines too.
//!
//! Products with signs are exact, so that all kernels give the same bits.

use std::array::from_fn;

use num_traits::One;

use super::lanes::Lanes;

/// Most scalars of a line.
pub(crate) const WIDEST: usize = 16;

/// Rows that are added without asking whether there are more.
const GROUP: usize = 4;

/// Which of some rows are added to which sums, and which are taken off.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// How many rows there are; one of zeros follows them.
    rows: usize,
    /// How many sums there are.
    sums: usize,
    order: Order,
}

/// What is added first.
#[derive(Clone, Debug)]
enum Order {
    /// A row to all of its sums: twice the number of each, which is below that of the sums, and one more to take the row off.
    ByRow(Vec<u32>),
    /// All rows of a sum, with twice the number of each, at most that of the rows, and one more to take it off: those of a
    /// sum in order, filled up with the row of zeros to whole groups.
    BySum(Vec<Target>, Vec<u32>),
}

/// A sum that something is added to.
#[derive(Clone, Copy, Debug)]
struct Target {
    /// Which one; below the number of sums.
    sum: u32,
    /// How many groups of entries are its own.
    groups: u32,
}

impl Plan {
    /// From `each` places for each row: twice the number of a sum, and one more to take the row off.
    ///
    /// Sums are read and written once where they get more than one row on average, else every time.
    ///
    /// # Panics
    /// If a place is not below `2 sums`.
    pub(crate) fn new(places: &[u32], each: usize, sums: usize) -> Self {
        let rows = places.len() / each;
        if places.len() < sums {
            assert!(places.iter().all(|&place| ((place >> 1) as usize) < sums));
            return Self { rows, sums, order: Order::ByRow(places.to_vec()) };
        }
        let mut at = vec![0_u32; sums];
        for place in places {
            at[(place >> 1) as usize] += 1;
        }
        let mut targets = Vec::with_capacity(sums);
        let mut filled = 0;
        for (sum, at) in at.iter_mut().enumerate().filter(|(_, at)| **at > 0) {
            let groups = at.div_ceil(GROUP as u32);
            targets.push(Target { sum: sum as u32, groups });
            *at = filled;
            filled += groups * GROUP as u32;
        }
        let mut entries = vec![(rows as u32) << 1; filled as usize];
        for (row, places) in places.chunks_exact(each).enumerate() {
            for place in places {
                let at = &mut at[(place >> 1) as usize];
                entries[*at as usize] = (row as u32) << 1 | place & 1;
                *at += 1;
            }
        }
        Self { rows, sums, order: Order::BySum(targets, entries) }
    }

    /// How many rows, without the one of zeros, and sums there are.
    pub(crate) fn shape(&self) -> (usize, usize) {
        (self.rows, self.sums)
    }
}

/// `line_i <- scale (columns_0[i], columns_1[i], ..)`, a line having as many scalars as there are columns, in vectors of `N`.
///
/// # Safety
/// `rows` scalars of each column must be readable, `rows` lines writable, lines a whole number of vectors `V`, `N` the number of
/// lanes of `V`, and the CPU must have the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn transpose<V: Lanes, const N: usize>(
    columns: &[*const V::Elem],
    lines: *mut V::Elem,
    rows: usize,
    scale: V::Elem,
) {
    let width = columns.len();
    let whole = rows / N * N;
    // SAFETY: all of these rows and columns are there, and the caller has the instructions.
    unsafe {
        let scales = V::splat(scale);
        for first in (0..whole).step_by(N) {
            for (side, columns) in columns.chunks_exact(N).enumerate() {
                let columns: &[*const V::Elem; N] = columns.try_into().expect("a chunk of N");
                let v: [V; N] = from_fn(|at| V::load(columns[at].add(first)).times(scales));
                let v = exchanged(v);
                for (row, v) in v.into_iter().enumerate() {
                    v.store(lines.add((first + row) * width + side * N));
                }
            }
        }
        for row in whole..rows {
            for (at, column) in columns.iter().enumerate() {
                lines.add(row * width + at).write(scale * *column.add(row));
            }
        }
    }
}

/// The transpose of `N` vectors of `N` lanes.
///
/// # Safety
/// The CPU must have the instructions of `V`.
#[inline(always)]
unsafe fn exchanged<V: Lanes, const N: usize>(mut v: [V; N]) -> [V; N] {
    let mut half = 1;
    while half < N {
        for i in 0..N {
            if i & half == 0 {
                // SAFETY: the caller has the instructions.
                (v[i], v[i | half]) = unsafe { v[i].exchange(v[i | half], half) };
            }
        }
        half *= 2;
    }
    v
}

/// Adds rows to the sums that a plan has for them.
///
/// # Safety
/// `sums` and `rows`, one more of these, must be as many lines as the plan says, of `C V::N` scalars, and the CPU must have the
/// instructions of `V`.
#[inline(always)]
pub(super) unsafe fn add<V: Lanes, const C: usize>(
    sums: *mut V::Elem,
    rows: *const V::Elem,
    plan: &Plan,
) {
    // SAFETY: passed on: these are the plan's own lists.
    unsafe {
        match &plan.order {
            Order::ByRow(places) => by_row::<V, C>(sums, rows, places, places.len() / plan.rows),
            Order::BySum(targets, entries) => by_sum::<V, C>(sums, rows, targets, entries),
        }
    }
}

/// # Safety
/// That of [`add`], with the lists of one plan.
#[inline(always)]
unsafe fn by_sum<V: Lanes, const C: usize>(
    sums: *mut V::Elem,
    rows: *const V::Elem,
    targets: &[Target],
    entries: &[u32],
) {
    let width = C * V::N;
    let signs = [V::Elem::one(), -V::Elem::one()];
    let mut entries = entries.chunks_exact(GROUP);
    for target in targets {
        // SAFETY: the plan names only sums and rows that are there, and the caller has the instructions.
        unsafe {
            let sum = sums.add(target.sum as usize * width);
            let mut v: [V; C] = from_fn(|at| V::load(sum.add(at * V::N)));
            for group in entries.by_ref().take(target.groups as usize) {
                for &entry in group {
                    let row = rows.add((entry >> 1) as usize * width);
                    let sign = V::splat(signs[(entry & 1) as usize]);
                    v = from_fn(|at| v[at].plus_signed(V::load(row.add(at * V::N)), sign));
                }
            }
            for (at, v) in v.iter().enumerate() {
                v.store(sum.add(at * V::N));
            }
        }
    }
}

/// # Safety
/// That of [`add`], with the list of one plan, `each` places for each row.
#[inline(always)]
unsafe fn by_row<V: Lanes, const C: usize>(
    sums: *mut V::Elem,
    rows: *const V::Elem,
    places: &[u32],
    each: usize,
) {
    let width = C * V::N;
    let signs = [V::Elem::one(), -V::Elem::one()];
    for (row, places) in places.chunks_exact(each).enumerate() {
        // SAFETY: the plan names only sums and rows that are there, and the caller has the instructions.
        unsafe {
            let v: [V; C] = from_fn(|at| V::load(rows.add(row * width + at * V::N)));
            for &place in places {
                let sum = sums.add((place >> 1) as usize * width);
                let sign = V::splat(signs[(place & 1) as usize]);
                for (at, v) in v.iter().enumerate() {
                    let sum = sum.add(at * V::N);
                    V::load(sum).plus_signed(*v, sign).store(sum);
                }
            }
        }
    }
}
