//! `/debug/pprof/`: what there is of Go's profiles.

use http::StatusCode;

use super::{Answer, not_found, text};

const INDEX: &str = "\
/debug/pprof/profile?seconds=30  where this process spends its CPU time, for `go tool pprof` and other readers of profile.proto
/debug/pprof/cmdline             the command line
";

const NO_HEAP: &str = "\
There is no profile of the heap: this program does not record its allocations.
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
        "heap" | "allocs" => text(StatusCode::NOT_IMPLEMENTED, NO_HEAP),
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

#[cfg(not(feature = "profiling"))]
async fn profile(_: &str) -> Answer {
    const OFF: &str =
        "This program was built without the feature `profiling`.\n`perf record -g -p <pid>` profiles it.\n";
    text(StatusCode::NOT_IMPLEMENTED, OFF)
}

#[cfg(feature = "profiling")]
async fn profile(query: &str) -> Answer {
    use std::time::Duration;

    use super::answer;
    use super::profile::{ProfileError, record};

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
