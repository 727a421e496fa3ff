//! How many files the process may have open, which bounds how many connections it can serve.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// No more than this unless more is asked for: even an idle connection takes some tens of KiB.
const MOST: u64 = 16_384;

/// Raises the limit of open files as far as the process may by itself. The lower limit that it starts with is
/// meant for programs that cannot count beyond it, which this one can.
pub(crate) fn raise_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Refused, everything works with the limit as it is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// How many connections there may be if nobody says: half of the files, so that the store can have the others.
pub(super) fn connections() -> usize {
    share(getrlimit(Resource::Nofile).current)
}

fn share(files: Option<u64>) -> usize {
    let share = files.map_or(MOST, |files| (files / 2).clamp(1, MOST));
    usize::try_from(share).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_can_have_half_of_the_files() {
        for (files, share_of) in [(None, 16_384), (Some(1), 1), (Some(1024), 512), (Some(1 << 20), 16_384)] {
            assert_eq!(share(files), share_of, "{files:?}");
        }
    }

    #[test]
    fn the_limit_of_open_files_can_be_raised_to_the_hard_one() {
        raise_limit();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
