//! One loop compiled for several instruction sets, and the choice among them at run time.

/// A kernel compiled for AVX-512, AVX2 and whatever the target has, and the choice among them.
///
/// The kernel must be `#[inline(always)]`, with all that it calls: what is not inlined is compiled for
/// the target alone.
macro_rules! dispatched {
    ($(#[$doc:meta])* $vis:vis fn $name:ident
        [$($generics:tt)*] ($($arg:ident: $type:ty),* $(,)?) = $kernel:path) => {
        $(#[$doc])*
        $vis fn $name<$($generics)*>($($arg: $type),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f")]
                fn avx512<$($generics)*>($($arg: $type),*) {
                    $kernel($($arg),*);
                }
                #[target_feature(enable = "avx2")]
                fn avx2<$($generics)*>($($arg: $type),*) {
                    $kernel($($arg),*);
                }
                if std::is_x86_feature_detected!("avx512f") {
                    // SAFETY: the CPU has the feature that the function is compiled for.
                    return unsafe { avx512($($arg),*) };
                }
                if std::is_x86_feature_detected!("avx2") {
                    // SAFETY: the CPU has the feature that the function is compiled for.
                    return unsafe { avx2($($arg),*) };
                }
            }
            $kernel($($arg),*);
        }
    };
}

pub(crate) use dispatched;
