//! What the system says about this process, as Go's library shows it. Linux alone says it in this way.

use std::fs;

use crate::family::Family;
use crate::names::{self, Name};

/// Appends the metrics of this process. What cannot be read is left out.
pub(crate) fn read(families: &mut Vec<Family>) {
    let mut add = |name: &'static Name, value: Option<f64>| {
        families.extend(value.map(|value| Family::single(name, value)));
    };
    let stat = fs::read_to_string("/proc/self/stat").ok();
    let stat = stat.as_deref().and_then(Stat::parse);
    add(&names::CPU_SECONDS, stat.as_ref().map(|stat| stat.cpu_seconds));
    add(&names::VIRTUAL, stat.as_ref().map(|stat| stat.virtual_bytes));
    add(&names::RESIDENT, stat.as_ref().map(|stat| stat.resident_bytes));
    add(&names::THREADS, stat.as_ref().map(|stat| stat.threads));
    add(&names::STARTED, stat.as_ref().and_then(|stat| Some(boot_time()? + stat.started_after_boot)));
    // Reading the directory has it open itself.
    let open = fs::read_dir("/proc/self/fd").ok().map(|files| files.count().saturating_sub(1) as f64);
    add(&names::OPEN_FILES, open);
    let unlimited = 18_446_744_073_709_551_615.0;
    let limit =
        |resource| rustix::process::getrlimit(resource).current.map_or(unlimited, |limit| limit as f64);
    add(&names::MAX_FILES, Some(limit(rustix::process::Resource::Nofile)));
    add(&names::VIRTUAL_MAX, Some(limit(rustix::process::Resource::As)));
    let network = fs::read_to_string("/proc/self/net/netstat").ok();
    let network = network.as_deref().and_then(octets);
    add(&names::NETWORK_RECEIVED, network.map(|(received, _)| received));
    add(&names::NETWORK_SENT, network.map(|(_, sent)| sent));
}

/// What we want of `/proc/self/stat`.
struct Stat {
    cpu_seconds: f64,
    threads: f64,
    /// In seconds.
    started_after_boot: f64,
    virtual_bytes: f64,
    resident_bytes: f64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name of the program, in parentheses, may contain anything. The field after it is the third.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let per_second = rustix::param::clock_ticks_per_second() as f64;
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) / per_second,
            threads: field(20)?,
            started_after_boot: field(22)? / per_second,
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * rustix::param::page_size() as f64,
        })
    }
}

/// Seconds since 1970.
fn boot_time() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// Bytes received and sent: each protocol has a line of names and one of numbers.
fn octets(text: &str) -> Option<(f64, f64)> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("IpExt: "));
    let (names, values) = (lines.next()?, lines.next()?);
    let value = |wanted: &str| {
        let mut pairs = names.split_whitespace().zip(values.split_whitespace());
        pairs.find(|(name, _)| *name == wanted)?.1.parse().ok()
    };
    Some((value("InOctets")?, value("OutOctets")?))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::Value;

    #[test]
    fn this_process_runs_and_needs_memory() {
        let mut families = Vec::new();
        read(&mut families);
        let value = |name: &'static Name| {
            let family = families.iter().find(|family| family.name == name).unwrap();
            let Value::Number(value) = family.samples[0].value else { unreachable!() };
            value
        };
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        assert!((now - 600.0..=now + 2.0).contains(&value(&names::STARTED)));
        assert!(value(&names::RESIDENT) > 500_000.0 && value(&names::VIRTUAL) > value(&names::RESIDENT));
        assert!(value(&names::OPEN_FILES) >= 3.0 && value(&names::MAX_FILES) > value(&names::OPEN_FILES));
        assert!(value(&names::THREADS) >= 1.0 && value(&names::CPU_SECONDS) >= 0.0);
    }

    #[test]
    fn a_program_may_be_called_anything() {
        let fields: Vec<String> = (3..=52).map(|n| n.to_string()).collect();
        let stat = Stat::parse(&format!("7 (a) (b) {}", fields.join(" "))).unwrap();
        assert_eq!((stat.threads, stat.virtual_bytes), (20.0, 23.0));
    }

    #[test]
    fn bytes_of_the_network_are_found_by_name() {
        let text = "TcpExt: A B\nTcpExt: 1 2\nIpExt: X InOctets OutOctets\nIpExt: 0 5 6\n";
        assert_eq!(octets(text), Some((5.0, 6.0)));
        assert_eq!(octets("IpExt: X\nIpExt: 1\n"), None);
    }
}
