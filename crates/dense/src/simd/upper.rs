//! The upper halves of the vector registers.

/// Says that nobody needs the upper halves of this thread's vector registers any more.
///
/// faer's products of matrices end with numbers in them where they use AVX-512. Processors of Intel's then take some
/// sixty nanoseconds for every change between old and new instructions, as at the beginning and end of each function of
/// the system's mathematical library that has a version for FMA: an arc cosine in `f64` took 130 ns after such a
/// product, and 4 ns after this instruction. Compiled code clears the registers by itself where it uses them.
#[inline]
pub fn clear_upper() {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx") {
        #[target_feature(enable = "avx")]
        fn clear() {
            core::arch::x86_64::_mm256_zeroupper();
        }
        // SAFETY: the CPU has AVX.
        unsafe { clear() }
    }
}
