//! The solver allocates nothing inside its loop: more steps, same number of allocations.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(unsafe_code)]

use core::ops::ControlFlow;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::{Mat, MatMut, Par};
use nearlin_krylov::{Cg, Identity, LeastSquares, Minres, Observer, Step};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations of so many steps of conjugate gradients, of MINRES, and of both methods for least squares.
fn allocations(steps: usize) -> [usize; 4] {
    let a = Mat::from_fn(200, 200, |i, j| if i == j { 1.0 + i as f64 } else { 0.0 });
    let b = Mat::from_fn(200, 3, |i, j| 1.0 + (i * j) as f64);
    let identity = Identity { dim: 200 };
    let mut x = Mat::zeros(200, 3);
    let mut watch = |_: &Step<'_>| ControlFlow::Continue(());
    let mut counted = |run: &mut dyn FnMut(MatMut<'_, f64>, &mut dyn Observer)| {
        let before = ALLOCATIONS.get();
        run(x.as_mut(), &mut watch);
        ALLOCATIONS.get() - before
    };
    let par = Par::Seq;
    let mut scratch = MemBuffer::new(Cg::scratch::<f64>(&a, &identity, 3, par));
    let cg = Cg::default().with_rtol(0.0).with_max_iters(steps).with_replace_every(5);
    let of_cg = counted(&mut |x, watch| {
        let stack = MemStack::new(&mut scratch);
        cg.solve_into(x, &a, &identity, b.as_ref(), watch, par, stack).unwrap();
    });
    let mut scratch = MemBuffer::new(Minres::scratch::<f64>(&a, &identity, 3, par));
    let minres = Minres::default().with_rtol(0.0).with_max_iters(steps);
    let of_minres = counted(&mut |x, watch| {
        let stack = MemStack::new(&mut scratch);
        minres.solve_into(x, &a, &identity, b.as_ref(), watch, par, stack).unwrap();
    });
    let mut scratch = MemBuffer::new(LeastSquares::scratch::<f64>(&a, None, 3, par));
    let mut fit = |method: LeastSquares| {
        let settings = method.with_tol(0.0).with_max_iters(steps);
        counted(&mut |x, watch| {
            let stack = MemStack::new(&mut scratch);
            settings.solve_into(x, &a, None, b.as_ref(), watch, par, stack).unwrap();
        })
    };
    [of_cg, of_minres, fit(LeastSquares::lsqr()), fit(LeastSquares::lsmr())]
}

#[test]
fn allocations_do_not_grow_with_steps() {
    allocations(2); // warms thread-local buffers of the matrix product
    assert_eq!(allocations(3), allocations(60));
}
