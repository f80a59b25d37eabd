//! One loop compiled for several instruction sets, and the choice among them at run time.

/// A kernel compiled for AVX2 and whatever the target has, with `, and avx512` for AVX-512 too, and the
/// choice among them.
///
/// AVX-512 is for loops that it has been measured to help: compilers turn some of the others into
/// gathers, and on a Zen 4 sums of rows in `f64` then take six times as long as with AVX2.
///
/// The kernel must be `#[inline(always)]`, with all that it calls: what is not inlined is compiled for
/// the target alone.
macro_rules! dispatched {
    ($(#[$doc:meta])* $vis:vis fn $name:ident
        [$($generics:tt)*] ($($arg:ident: $type:ty),* $(,)?) = $kernel:path) => {
        crate::simd::dispatched!(@sets [Avx2 "avx2"]
            { $(#[$doc])* $vis fn $name } [$($generics)*] ($($arg: $type),*) $kernel);
    };
    ($(#[$doc:meta])* $vis:vis fn $name:ident
        [$($generics:tt)*] ($($arg:ident: $type:ty),* $(,)?) = $kernel:path, and avx512) => {
        crate::simd::dispatched!(@sets [Avx512 "avx512f", Avx2 "avx2"]
            { $(#[$doc])* $vis fn $name } [$($generics)*] ($($arg: $type),*) $kernel);
    };
    (@sets [$($level:ident $set:tt),*] { $($head:tt)* } $generics:tt $args:tt $kernel:path) => {
        crate::simd::dispatched!(@function { $($head)* } $generics $args $kernel {
            $(crate::simd::dispatched!(@set $level $set $generics $args $kernel);)*
        });
    };
    (@function { $($head:tt)* } [$($generics:tt)*] ($($arg:ident: $type:ty),*) $kernel:path
        $sets:block) => {
        $($head)*<$($generics)*>($($arg: $type),*) {
            #[cfg(target_arch = "x86_64")]
            $sets
            $kernel($($arg),*);
        }
    };
    (@set $level:ident $set:tt [$($generics:tt)*] ($($arg:ident: $type:ty),*) $kernel:path) => {
        if crate::simd::Level::$level.on() {
            #[target_feature(enable = $set)]
            fn compiled<$($generics)*>($($arg: $type),*) {
                $kernel($($arg),*);
            }
            // SAFETY: the CPU has what is on, and so the feature that the function is compiled for.
            return unsafe { compiled($($arg),*) };
        }
    };
}

pub(crate) use dispatched;
