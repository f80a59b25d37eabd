//! The models of work: what a kernel must do, from its shape alone.

use serde::{Deserialize, Serialize};

/// What the amount of a [`Work`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Unit {
    /// Multiplications and additions of floating-point numbers, or what replaces them.
    Flop,
    /// Additions of floating-point numbers.
    Add,
}

/// A scalar type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    F32,
    F64,
}

impl Precision {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

/// A kernel at a shape; letters as in the kernel's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Model {
    /// The Walsh-Hadamard transform of `columns` vectors of length `n`.
    Fwht { n: usize, columns: usize },
    /// The lower triangle of `M M^T` for a mask `M : n x m`.
    PopcountGram { n: usize, m: usize },
    /// The update of such a triangle where columns of the mask are `flipped`.
    PopcountUpdate { n: usize, m: usize, flipped: usize },
    /// `passes` products with the Jacobian or its adjoint.
    Jacobian { n: usize, m: usize, d: usize, k: usize, passes: usize },
    /// The forward pass of a network whose directions are shared by `copies` neurons each.
    Forward { n: usize, m: usize, d: usize, k: usize, copies: usize },
    /// `A = L L^T`, n x n.
    Cholesky { n: usize },
    /// The factor `R` of `A : r x n`.
    Qr { r: usize, n: usize },
    /// `R^-1 B` for `R : n x n`, `B : n x k`.
    Triangular { n: usize, k: usize },
    /// An SRHT of `A : n x k` (n a power of two) to `s` rows.
    Srht { n: usize, k: usize, s: usize },
    /// A `TensorSRHT` of `A : p q x k` (powers of two) to `s` rows.
    TensorSrht { p: usize, q: usize, k: usize, s: usize },
    /// A sparse embedding of `A : n x k` with `each` signs a column.
    SparseSign { n: usize, k: usize, s: usize, each: usize },
    /// A dense embedding of `A : n x k` to `s` rows.
    Gaussian { n: usize, k: usize, s: usize },
}

/// What a kernel must do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Work {
    /// How much of the unit.
    pub(super) amount: f64,
    /// What is counted.
    pub(super) unit: Unit,
    /// Bytes that must be read or written: every operand once.
    pub(super) bytes: f64,
}

impl Model {
    /// The work, with the formula of its amount.
    ///
    /// Sums that a table look-up replaces count as if they were made: a rate is then an equivalent,
    /// which a faster algorithm may raise above the machine's peak. What is read and written is
    /// every operand once, as if caches were boundless.
    fn counted(self, precision: Precision) -> (Work, &'static str) {
        use Unit::{Add, Flop};
        let log = |n: usize| n.max(1).ilog2() as usize;
        // Amount, unit, formula; mask bits and scalars that move.
        let (amount, unit, formula, bits, scalars) = match self {
            Self::Fwht { n, columns } => {
                (n * log(n) * columns, Add, "n log2 n a column", 0, 2 * n * columns)
            }
            // One bit of the product of two mask rows replaces a multiplication and an addition.
            Self::PopcountGram { n, m } => {
                (n * (n + 1) * m, Flop, "n (n + 1) m", n * m, n * (n + 1))
            }
            // The flipped columns, old and new, or all of them; both masks, and three triangles: the
            // products and the matrix before and after.
            Self::PopcountUpdate { n, m, flipped } => {
                let formula = "n (n + 1) min(2 f, m) for f flipped neurons";
                let columns = m.min(2 * flipped);
                (n * (n + 1) * columns, Flop, formula, 2 * n * m, 3 * n * (n + 1) / 2)
            }
            // As in the documentation of nearlin-dense: one output needs no product with the signs.
            Self::Jacobian { n, m, d, k, passes } => {
                let signs = if k > 1 { k } else { 0 };
                let formula = "2 n m d a pass, 2 n m (d + K) where K > 1";
                let scalars = passes * (n * d + m * d + n * k + m * k);
                (2 * n * m * (d + signs) * passes, Flop, formula, n * m * passes, scalars)
            }
            Self::Forward { n, m, d, k, copies } => {
                let directions = m / copies;
                let amount = 2 * n * d * (m + directions) + 2 * n * m * k;
                let scalars = n * d + (m + directions) * d + n * k + m * k;
                (amount, Flop, "2 n m d (1 + 1 / copies) + 2 n m K", n * m, scalars)
            }
            Self::Cholesky { n } => (n * n * n / 3, Flop, "n^3 / 3", 0, n * (n + 1)),
            Self::Qr { r, n } => {
                (2 * n * n * r - 2 * n * n * n / 3, Flop, "2 n^2 (r - n / 3)", 0, 2 * r * n)
            }
            Self::Triangular { n, k } => (n * n * k, Flop, "n^2 k", 0, n * (n + 1) / 2 + 2 * n * k),
            Self::Srht { n, k, s } => (n * log(n) * k, Add, "n log2 n a column", 0, (n + s) * k),
            Self::TensorSrht { p, q, k, s } => {
                (p * q * log(p * q) * k, Add, "p q log2(p q) a column", 0, (p * q + s) * k)
            }
            Self::SparseSign { n, k, s, each } => (n * k * each, Add, "n k each", 0, (n + s) * k),
            Self::Gaussian { n, k, s } => {
                (2 * n * k * s, Flop, "2 n k s, the random numbers not counted", 0, (n + s) * k)
            }
        };
        let bytes = bits as f64 / 8.0 + (scalars * precision.bytes()) as f64;
        (Work { amount: amount as f64, unit, bytes }, formula)
    }

    /// What the kernel must do.
    pub(super) fn work(self, precision: Precision) -> Work {
        self.counted(precision).0
    }

    /// The formula of the amount of work.
    pub(super) fn formula(self) -> &'static str {
        self.counted(Precision::F64).1
    }

    /// The shape in words: `n = 64, m = 128`.
    pub(super) fn shape(self) -> String {
        match self {
            Self::Fwht { n, columns: 1 } => format!("n = 2^{}", n.ilog2()),
            Self::Fwht { n, columns } => format!("n = 2^{}, {columns} columns", n.ilog2()),
            Self::PopcountGram { n, m } => format!("n = {n}, m = {m}"),
            Self::PopcountUpdate { n, m, flipped } => {
                format!("n = {n}, m = {m}, {flipped} flipped")
            }
            Self::Jacobian { n, m, d, k, .. } | Self::Forward { n, m, d, k, .. } => {
                format!("n = {n}, m = {m}, d = {d}, K = {k}")
            }
            Self::Cholesky { n } => format!("n = {n}"),
            Self::Qr { r, n } => format!("{r} x {n}"),
            Self::Triangular { n, k } => format!("n = {n}, k = {k}"),
            Self::Srht { n, k, s } | Self::Gaussian { n, k, s } => {
                format!("{n} x {k} to {s} rows")
            }
            Self::TensorSrht { p, q, k, s } => format!("{p} * {q} x {k} to {s} rows"),
            Self::SparseSign { n, k, s, each } => {
                format!("{n} x {k} to {s} rows, {each} signs")
            }
        }
    }
}
