//! Large pages for large arrays.
//!
//! A walk down the rows of a mask, or down a column of blocks of a matrix, touches a page of memory a row:
//! with pages of 4 KiB, more than the processor's tables of pages hold. Linux gives pages of 2 MiB to whom
//! asks, and asking costs a microsecond.
#![allow(unsafe_code)]

/// Bytes below which nothing is gained.
const LARGE: usize = 4 << 20;

/// Asks for large pages for an array that has not been written to yet; elsewhere than on Linux, and
/// where the system says no, nothing happens.
pub(crate) fn enlarge<T>(values: &mut [T]) {
    #[cfg(target_os = "linux")]
    if size_of_val(values) >= LARGE {
        const PAGE: usize = 4096;
        let skip = values.as_ptr().addr().wrapping_neg() % PAGE;
        let len = (size_of_val(values) - skip) / PAGE * PAGE;
        // SAFETY: the range lies in one array, and advice on the size of its pages changes no contents.
        unsafe {
            let start = values.as_mut_ptr().cast::<u8>().add(skip);
            libc::madvise(start.cast(), len, libc::MADV_HUGEPAGE);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = values;
}
