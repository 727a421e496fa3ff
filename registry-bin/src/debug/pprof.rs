//! `/debug/pprof/`: what there is of Go's profiles.

use http::StatusCode;

use super::{Answer, not_found, text};

const INDEX: &str = "\
/debug/pprof/profile?seconds=30  where this process spends its CPU time, for `go tool pprof` and other readers of profile.proto
/debug/pprof/heap                whose memory this process has, in the same form, if it was built with heap-profile
/debug/pprof/cmdline             the command line
";

#[cfg(not(feature = "heap-profile"))]
const NO_HEAP: &str = "\
There is no profile of the heap: this program was built without the feature `heap-profile`, in which it records its
allocations. `cargo build --release --features heap-profile` makes one that does.
/debug/vars and the metric process_resident_memory_bytes say how much memory it has. To see where from, attach
`heaptrack --pid <pid>`, or `bpftrace` to malloc; neither needs a restart.
";

const OF_GO: &str = "\
This profile is about Go's runtime, which this program does not have.
/debug/pprof/profile shows where CPU time goes; `perf record -g -p <pid>` shows waiting too.
";

pub(super) async fn answer(which: &str, query: &str) -> Answer {
    match which {
        "" => text(StatusCode::OK, INDEX),
        "profile" => profile(query).await,
        "cmdline" => text(StatusCode::OK, command()),
        "heap" | "allocs" => heap(query).await,
        "goroutine" | "block" | "mutex" | "threadcreate" | "trace" | "symbol" => {
            text(StatusCode::NOT_IMPLEMENTED, OF_GO)
        }
        _ => not_found(),
    }
}

/// The words of the command line with zeros between them, as Go has it.
fn command() -> String {
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    words.join("\0")
}

#[cfg(any(not(feature = "profiling"), feature = "heap-profile"))]
async fn profile(_: &str) -> Answer {
    const OFF: &str = "This program was built without the feature `profiling`, or with `heap-profile`, which excludes it.\n\
        `perf record -g -p <pid>` profiles it.\n";
    text(StatusCode::NOT_IMPLEMENTED, OFF)
}

#[cfg(all(feature = "profiling", not(feature = "heap-profile")))]
async fn profile(query: &str) -> Answer {
    use std::time::Duration;

    use super::answer;
    use super::profile::{ProfileError, cpu::record};

    /// What Go takes without a word about it, and what nobody waits for longer than.
    const SECONDS: u64 = 30;
    const MOST: u64 = 300;

    let given = query.split('&').find_map(|pair| pair.strip_prefix("seconds="));
    let seconds = match given.map(str::parse) {
        None => SECONDS,
        Some(Ok(seconds @ 1..=MOST)) => seconds,
        Some(_) => {
            let said = format!("seconds has to be a whole number from 1 to {MOST}\n");
            return text(StatusCode::BAD_REQUEST, said);
        }
    };
    match record(Duration::from_secs(seconds)).await {
        Ok(profile) => answer(StatusCode::OK, "application/octet-stream", profile),
        Err(error @ ProfileError::Busy) => text(StatusCode::CONFLICT, format!("{error}\n")),
        Err(error @ ProfileError::Failed(_)) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

#[cfg(not(feature = "heap-profile"))]
async fn heap(_: &str) -> Answer {
    text(StatusCode::NOT_IMPLEMENTED, NO_HEAP)
}

/// What is held and what ever was are in one profile, as Go's `heap` and `allocs` are; readers ask for a kind of sample.
#[cfg(feature = "heap-profile")]
async fn heap(query: &str) -> Answer {
    use super::answer;
    use super::profile::heap::record;

    let as_text = query.split('&').any(|pair| pair.strip_prefix("debug=").is_some_and(|debug| debug != "0"));
    match record(as_text).await {
        Ok(profile) if as_text => text(StatusCode::OK, profile),
        Ok(profile) => answer(StatusCode::OK, "application/octet-stream", profile),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}
