//! The line or block before everything else in which a proxy says for whom it forwards (PROXY protocol, versions
//! 1 and 2).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::stream::Stream;

/// How version 2 begins.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family, length of the rest.
const HEAD: usize = 16;

/// The longest line of version 1, its end included.
const LINE: usize = 107;

/// The longest rest of version 2 that is taken: addresses, and what proxies add to them.
const REST: usize = 4096;

/// Takes it off the stream. `None` if the proxy speaks for itself, as it does to see whether we are alive.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] if something else comes.
pub(super) async fn read(stream: &mut Stream) -> io::Result<Option<SocketAddr>> {
    let start = stream.look(HEAD, |bytes| !SIGNATURE.starts_with(&bytes[..bytes.len().min(12)])).await?;
    if start.starts_with(SIGNATURE) && start.len() >= HEAD {
        let len = HEAD + usize::from(u16::from_be_bytes([start[14], start[15]]));
        if len > HEAD + REST {
            return Err(wrong("it is too long"));
        }
        let bytes = stream.look(len, |_| false).await?;
        let block = bytes.get(..len).ok_or_else(|| wrong("it breaks off"))?;
        let source = binary(block).map_err(wrong)?;
        stream.skip(len);
        return Ok(source);
    }
    let bytes = stream.look(LINE, |bytes| end_of_line(bytes).is_some() || !begins_line(bytes)).await?;
    let len = end_of_line(&bytes).filter(|_| begins_line(&bytes)).ok_or_else(|| wrong("there is none"))?;
    let source =
        std::str::from_utf8(&bytes[..len]).map_err(|_| wrong("it is not text")).and_then(|line| {
            text(line.trim_end_matches("\r\n")).ok_or_else(|| wrong("it is not what the protocol says"))
        })?;
    stream.skip(len);
    Ok(source)
}

fn wrong(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the start of the PROXY protocol is missing: {why}"))
}

fn begins_line(bytes: &[u8]) -> bool {
    const START: &[u8] = b"PROXY ";
    let len = bytes.len().min(START.len());
    bytes[..len] == START[..len]
}

/// The length of the line with its end.
fn end_of_line(bytes: &[u8]) -> Option<usize> {
    bytes.windows(2).position(|pair| pair == b"\r\n").map(|at| at + 2)
}

/// `PROXY TCP4 source destination port port`; the outer `None` if it is something else.
#[expect(clippy::option_option, reason = "nobody is a valid answer")]
fn text(line: &str) -> Option<Option<SocketAddr>> {
    let mut words = line.split(' ');
    if words.next() != Some("PROXY") {
        return None;
    }
    let kind = words.next()?;
    if kind == "UNKNOWN" {
        return Some(None);
    }
    let (source, destination): (IpAddr, IpAddr) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let (port, _): (u16, u16) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let fits = match kind {
        "TCP4" => source.is_ipv4() && destination.is_ipv4(),
        "TCP6" => source.is_ipv6() && destination.is_ipv6(),
        _ => false,
    };
    (fits && words.next().is_none()).then_some(Some(SocketAddr::new(source, port)))
}

fn binary(block: &[u8]) -> Result<Option<SocketAddr>, &'static str> {
    let rest = &block[HEAD..];
    match block[12] {
        0x20 => return Ok(None),
        0x21 => {}
        _ => return Err("its version or command is unknown"),
    }
    let short = "its addresses break off";
    let port =
        |at: usize| rest.get(at..at + 2).map(|port| u16::from_be_bytes([port[0], port[1]])).ok_or(short);
    match block[13] {
        0x11 => {
            let octets: [u8; 4] = rest.get(..4).and_then(|octets| octets.try_into().ok()).ok_or(short)?;
            Ok(Some(SocketAddr::new(Ipv4Addr::from(octets).into(), port(8)?)))
        }
        0x21 => {
            let octets: [u8; 16] = rest.get(..16).and_then(|octets| octets.try_into().ok()).ok_or(short)?;
            Ok(Some(SocketAddr::new(IpAddr::from(Ipv6Addr::from(octets)).to_canonical(), port(32)?)))
        }
        // Sockets without an address that anybody could write down.
        0x00 | 0x31 => Ok(None),
        _ => Err("it is not about TCP"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_is_there() {
        let source = |line: &str| text(line).map(|source| source.map(|source| source.to_string()));
        assert_eq!(
            source("PROXY TCP4 192.0.2.1 10.0.0.1 56324 443"),
            Some(Some("192.0.2.1:56324".to_owned()))
        );
        assert_eq!(source("PROXY TCP6 2001:db8::1 ::1 1 2"), Some(Some("[2001:db8::1]:1".to_owned())));
        assert_eq!(source("PROXY UNKNOWN"), Some(None));
        assert_eq!(source("PROXY UNKNOWN ffff::1 ffff::1 65535 65535"), Some(None));
        for line in [
            "",
            "PROXY",
            "PROXY TCP4",
            "PROXY TCP4 192.0.2.1 10.0.0.1 56324",
            "PROXY TCP4 192.0.2.1 10.0.0.1 56324 443 1",
            "PROXY TCP4 ::1 ::1 1 2",
            "PROXY TCP6 192.0.2.1 10.0.0.1 1 2",
            "PROXY TCP4 192.0.2.1 10.0.0.1 65536 443",
            "PROXY UDP4 192.0.2.1 10.0.0.1 1 2",
            "GET / HTTP/1.1",
        ] {
            assert_eq!(text(line), None, "{line}");
        }
    }

    #[test]
    fn a_block_says_who_is_there() {
        let block = |command: u8, family: u8, rest: &[u8]| {
            let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
            [SIGNATURE.as_slice(), &[command, family], &len, rest].concat()
        };
        let four = [192, 0, 2, 1, 10, 0, 0, 1, 0xdc, 0x04, 1, 187];
        let source = binary(&block(0x21, 0x11, &four)).unwrap();
        assert_eq!(source, Some("192.0.2.1:56324".parse().unwrap()));
        let with_more = [four.as_slice(), &[4, 0, 1, 0]].concat();
        assert_eq!(binary(&block(0x21, 0x11, &with_more)).unwrap(), source);
        assert_eq!(binary(&block(0x20, 0x00, &[])), Ok(None), "the proxy itself");
        assert_eq!(binary(&block(0x21, 0x00, &[])), Ok(None));
        assert!(binary(&block(0x21, 0x11, &four[..9])).is_err());
        assert!(binary(&block(0x21, 0x12, &four)).is_err(), "datagrams");
        assert!(binary(&block(0x31, 0x11, &four)).is_err(), "a version to come");
        assert!(binary(&block(0x22, 0x11, &four)).is_err(), "an unknown command");
    }
}
