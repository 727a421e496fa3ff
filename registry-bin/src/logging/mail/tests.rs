//! What is mailed, how often, and that nobody waits for it. A real server is in `e2e/logging.sh`.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use super::*;

fn hook() -> MailHook {
    MailHook {
        levels: vec![Severity::Error, Severity::Panic],
        host: "127.0.0.1".to_owned(),
        port: 1,
        credentials: None,
        insecure: false,
        from: "registry@example.com".parse().unwrap(),
        to: vec!["a@example.com".parse().unwrap(), "B <b@example.com>".parse().unwrap()],
    }
}

fn entry(message: &str) -> Entry {
    Entry::new(Severity::Error, SystemTime::UNIX_EPOCH, message.to_owned(), "vars.name=a/b\n".to_owned())
}

/// A hook whose mails end up in a list, as text.
fn recorder(limit: Limit) -> (Queue, Arc<Mutex<Vec<String>>>) {
    let mails = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&mails);
    let queue = Queue::with(&hook(), limit, move |message| {
        writer.lock().unwrap().push(String::from_utf8(message.formatted()).unwrap());
        Ok(())
    });
    (queue, mails)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[test]
fn a_mail_has_the_form_of_the_original() {
    let (queue, mails) = recorder(Limit::default());
    queue.push(entry("it broke\nBcc: x@example.com"));
    queue.finish(soon());
    let mails = mails.lock().unwrap();
    assert_eq!(mails.len(), 1);
    let mail = mails[0].replace("\r\n ", " ");
    for part in [
        "From: registry@example.com\r\n",
        "To: a@example.com, B <b@example.com>\r\n",
        &format!("Subject: [error] {}: it broke Bcc: x@example.com\r\n", smtp::host_name()),
        "Content-Type: text/plain; charset=utf-8\r\n",
        "it broke\r\nBcc: x@example.com\r\n\r\nlevel=error\r\ntime=1970-01-01T00:00:00.000000000Z\r\nvars.name=a/b\r\n",
    ] {
        assert!(mail.contains(part), "{part}: {mail}");
    }
    assert!(!mail.contains("\r\nBcc: x@example.com\r\nC"), "no header may come out of a message: {mail}");
}

#[test]
fn only_the_levels_of_the_hook_are_wanted() {
    let (queue, _) = recorder(Limit::default());
    let wanted: Vec<_> = Severity::ALL.into_iter().filter(|severity| queue.wants(*severity)).collect();
    assert_eq!(wanted, [Severity::Panic, Severity::Error]);
}

#[test]
fn beyond_the_limit_lines_share_a_mail() {
    let (queue, mails) = recorder(Limit::new(2, Duration::from_secs(3600)));
    for n in 0..10 {
        queue.push(entry(&format!("line {n}")));
    }
    queue.finish(soon());
    let mails = mails.lock().unwrap();
    assert_eq!(mails.len(), 3, "{mails:#?}");
    assert!(mails[2].contains("line 2 (and 7 more)"), "{}", mails[2]);
    assert!((2..10).all(|n| mails[2].contains(&format!("line {n}\r\n"))), "{}", mails[2]);
}

#[test]
fn a_server_that_hangs_makes_nobody_wait_and_what_is_dropped_is_counted() {
    let (go, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let mails = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&mails);
    let queue = Queue::with(&hook(), Limit::new(1, Duration::from_secs(3600)), move |message| {
        let _ = gate.lock().unwrap().recv();
        writer.lock().unwrap().push(String::from_utf8(message.formatted()).unwrap());
        Ok(())
    });
    let started = Instant::now();
    for n in 0..10_000 {
        queue.push(entry(&format!("line {n}")));
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    drop(go);
    queue.finish(soon());
    let mails = mails.lock().unwrap();
    assert_eq!(mails.len(), 2);
    assert!(mails[1].contains("more lines came in too fast to be mailed"), "{}", mails[1]);
}

#[test]
fn the_end_does_not_wait_for_ever() {
    let (_never, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let queue = Queue::with(&hook(), Limit::default(), move |_| {
        let _ = gate.lock().unwrap().recv();
        Ok(())
    });
    queue.push(entry("x"));
    let started = Instant::now();
    queue.finish(Instant::now() + Duration::from_millis(100));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}
