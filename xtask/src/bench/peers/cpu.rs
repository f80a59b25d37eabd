//! The CPU time of a pool of one thread.

use std::path::{Path, PathBuf};

use rayon::ThreadPool;

use crate::bench::Outcome;

/// The scheduler's account of a pool's only thread.
///
/// `/proc/self/stat` counts in hundredths of a second, too coarse for runs of a few of them. This
/// one counts nanoseconds, and is up to date whenever the thread waits for work, which is when it is
/// read.
#[derive(Debug)]
pub(super) struct Account {
    path: PathBuf,
}

impl Account {
    /// The account of `pool`'s thread.
    pub(super) fn of(pool: &ThreadPool) -> Outcome<Self> {
        let threads = pool.current_num_threads();
        if threads != 1 {
            return Err(format!("a pool of {threads} threads has no single account").into());
        }
        let thread = pool.install(|| std::fs::read_link("/proc/thread-self"))?;
        Ok(Self { path: Path::new("/proc").join(thread).join("schedstat") })
    }

    /// Seconds that the thread has run.
    pub(super) fn seconds(&self) -> Outcome<f64> {
        let path = self.path.display();
        let text = std::fs::read_to_string(&self.path).map_err(|e| format!("{path}: {e}"))?;
        let nanoseconds =
            running(&text).ok_or_else(|| format!("{path}: `{}` has no time", text.trim()))?;
        Ok(nanoseconds as f64 * 1e-9)
    }
}

/// The first of the three numbers: nanoseconds on a processor.
fn running(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::time::{Duration, Instant};

    use super::*;

    fn pool(threads: usize) -> ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
    }

    #[test]
    fn the_first_number_counts() {
        assert_eq!(running("40132816 52671937 33\n"), Some(40_132_816));
        assert_eq!(running("\n"), None);
        assert_eq!(running("a 1 2"), None);
    }

    /// However busy the machine, a thread runs no longer than the clock says and, as it gets to the
    /// end, for some part of that; what happens elsewhere is not its business. An account that is
    /// read while the thread still looks for more work lags by at most a tick, 10 ms or less.
    #[test]
    fn the_work_of_the_pool_counts_and_no_other() {
        let spin = || {
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(60) {
                black_box(());
            }
        };
        let pool = pool(1);
        let account = Account::of(&pool).unwrap();
        let (began, start) = (Instant::now(), account.seconds().unwrap());
        pool.install(spin);
        let work = account.seconds().unwrap() - start;
        assert!(work > 0.0 && work <= began.elapsed().as_secs_f64() + 0.01, "{work}");
        let start = account.seconds().unwrap();
        spin();
        let idle = account.seconds().unwrap() - start;
        assert!(idle < work, "{idle} {work}");
    }

    #[test]
    fn only_pools_of_one_thread_have_an_account() {
        assert!(Account::of(&pool(2)).unwrap_err().to_string().contains("2 threads"));
    }
}
