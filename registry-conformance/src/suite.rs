//! What turns a list of cases into tests.

use std::future::Future;
use std::time::Duration;

/// How long a case may take before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs one case on a runtime of its own, with two threads so that races are real.
///
/// # Panics
/// If the case does, or if it is stuck.
pub fn run(case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be started");
    runtime
        .block_on(async { tokio::time::timeout(PATIENCE, case).await })
        .expect("the case is stuck: somebody waits for something that never comes");
}

/// Expands to a module with one test per case: `{name make check}` and then the lists of cases.
///
/// `check` is a path to `async fn(subject, case)`, which runs a case and looks after it.
#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    ({$(#[$attribute:meta])* $name:ident, $make:expr, $check:path} $($($group:ident)::+ { $($case:ident,)+ })+) => {
        $(#[$attribute])*
        mod $name {
            #[allow(unused_imports, reason = "what `make` names may be here")]
            use super::*;
            $crate::__tests! { @groups $make, $check, $($($group)::+ { $($case,)+ })+ }
        }
    };
    (@groups $make:expr, $check:path, $($($group:ident)::+ { $($case:ident,)+ })+) => {
        $( $crate::__tests! { @group $make, $check, ($crate::$($group)::+) $($case,)+ } )+
    };
    (@group $make:expr, $check:path, $group:tt $($case:ident,)+) => {
        $( $crate::__tests! { @case $make, $check, $group $case } )+
    };
    (@case $make:expr, $check:path, ($($group:tt)+) $case:ident) => {
        #[test]
        fn $case() {
            $crate::run(async {
                let (subject, _guard) = ($make).await;
                $check(subject, $($group)+::$case).await;
            });
        }
    };
}

/// Asserts that a result is an error of a kind.
macro_rules! refused {
    ($result:expr, $pattern:pat, $($message:tt)+) => {
        match $result {
            Err($pattern) => {}
            other => panic!("{}: expected {}, got {other:?}", format_args!($($message)+), stringify!($pattern)),
        }
    };
}
pub(crate) use refused;

/// The lists of cases as text, by file.
#[doc(hidden)]
#[macro_export]
macro_rules! __names {
    ({} $($first:ident $(:: $more:ident)* { $($case:ident,)+ })+) => {
        [$((
            concat!(stringify!($first) $(, "/", stringify!($more))*, ".rs"),
            &[$(stringify!($case)),+] as &[&str],
        )),+]
    };
}

#[cfg(test)]
pub(crate) mod tests {
    /// Asserts that the cases in a source file are those of a list.
    pub(crate) fn assert_listed(file: &str, source: &str, listed: &[&str]) {
        let written: Vec<_> = source
            .lines()
            .filter_map(|line| line.strip_prefix("pub async fn "))
            .map(|rest| rest.split(['(', '<']).next().unwrap_or_default())
            .collect();
        for case in &written {
            assert!(listed.contains(case), "{file}: {case} is not in the list of cases");
        }
        for case in listed {
            assert!(written.contains(case), "{file}: there is no {case}");
        }
    }
}
