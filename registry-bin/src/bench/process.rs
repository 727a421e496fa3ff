//! What a process has used so far, from `/proc`.

use std::path::PathBuf;
use std::time::Duration;

/// A process on this machine.
#[derive(Debug)]
pub(super) struct Process {
    pid: u32,
    /// Clock ticks per second, the unit of `/proc/PID/stat`.
    ticks: u64,
}

/// Resident memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) now: u64,
    /// The most there has been since the process began.
    pub(super) peak: u64,
}

/// Why there are no figures of the server's process.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    #[error("cannot read {}, is --pid the server's process on this machine: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("cannot make sense of {}", path.display())]
    Format { path: PathBuf },
}

impl Process {
    pub(super) fn new(pid: u32) -> Result<Self, ProcessError> {
        let process = Self { pid, ticks: rustix::param::clock_ticks_per_second().max(1) };
        process.cpu()?;
        process.memory()?;
        Ok(process)
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Processor time of all threads, in the process and in the kernel for it.
    pub(super) fn cpu(&self) -> Result<Duration, ProcessError> {
        let ticks = self.read("stat", ticks_used)?;
        Ok(Duration::from_nanos((u128::from(ticks) * 1_000_000_000 / u128::from(self.ticks)) as u64))
    }

    pub(super) fn memory(&self) -> Result<Memory, ProcessError> {
        self.read("status", |text| {
            Some(Memory { now: kilobytes(text, "VmRSS:")? * 1024, peak: kilobytes(text, "VmHWM:")? * 1024 })
        })
    }

    fn read<T>(&self, file: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, ProcessError> {
        let path = PathBuf::from(format!("/proc/{}/{file}", self.pid));
        match std::fs::read(&path) {
            // The name of a process may be any bytes.
            Ok(bytes) => parse(&String::from_utf8_lossy(&bytes)).ok_or(ProcessError::Format { path }),
            Err(source) => Err(ProcessError::Read { path, source }),
        }
    }
}

/// `utime` and `stime` added up: fields 14 and 15 of `/proc/PID/stat`. Field 2 is the name in parentheses,
/// which may hold spaces and parentheses, so counting begins behind the last one.
fn ticks_used(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    next()?.checked_add(next()?)
}

fn kilobytes(status: &str, key: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(key))?;
    value.trim().strip_suffix("kB")?.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: &str = "S 1 4242 4242 0 -1 4194560 1831 0 3 0 217 58 900 900 20 0 9 0 8817 1 2 3";

    #[test]
    fn times_are_found_whatever_the_name_is() {
        for name in ["registry", "my registry", "a) S 9 (b", "((", ") )", ""] {
            assert_eq!(ticks_used(&format!("4242 ({name}) {NUMBERS}\n")), Some(275), "{name:?}");
        }
    }

    #[test]
    fn what_is_no_stat_line_has_no_times() {
        for text in ["", "4242 (registry", "4242 (registry) S 1 2", "1 (x) S 1 2 3 4 5 6 7 8 9 10 a b"] {
            assert_eq!(ticks_used(text), None, "{text:?}");
        }
    }

    #[test]
    fn memory_is_in_kilobytes() {
        let text = "Name:\tx\nVmPeak:\t  99 kB\nVmHWM:\t   20480 kB\nVmRSS:\t   18432 kB\n";
        assert_eq!(kilobytes(text, "VmRSS:"), Some(18_432));
        assert_eq!(kilobytes(text, "VmHWM:"), Some(20_480));
        assert_eq!(kilobytes(text, "VmSwap:"), None);
    }

    #[test]
    fn this_process_has_figures_and_one_that_is_not_there_says_so() {
        let process = Process::new(std::process::id()).unwrap();
        let memory = process.memory().unwrap();
        assert!(memory.now > 0 && memory.peak >= memory.now, "{memory:?}");
        let error = Process::new(u32::MAX).unwrap_err().to_string();
        assert!(error.starts_with("cannot read /proc/4294967295/stat, is --pid"), "{error}");
    }
}
