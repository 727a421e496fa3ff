//! What is in the files, after whatever has happened to them.

use std::fs;
use std::time::Duration;

use super::*;

struct Scratch {
    directory: tempfile::TempDir,
    drops: Arc<Drops>,
}

impl Scratch {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), drops: Arc::new(Drops::new("e")) }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("queue")
    }

    fn open(&self, max_bytes: u64) -> DiskQueue {
        DiskQueue::open(&self.path(), "e", max_bytes, Arc::clone(&self.drops)).unwrap()
    }

    /// The content of all segments.
    fn files(&self) -> Vec<(u64, String)> {
        let numbers = segment::numbers(&self.path()).unwrap();
        let read = |number| {
            let content = fs::read_to_string(segment::path(&self.path(), number)).unwrap();
            (number, content.trim_end_matches('\0').to_owned())
        };
        numbers.into_iter().map(read).collect()
    }
}

fn line(number: usize) -> Bytes {
    format!("{{\"n\":{number}}}").into()
}

async fn push(queue: &DiskQueue, number: usize) {
    queue.push(line(number), true).unwrap().await.unwrap();
}

async fn peek(queue: &DiskQueue, most: usize) -> Batch {
    tokio::time::timeout(Duration::from_secs(10), queue.peek(most)).await.unwrap()
}

fn done(queue: &DiskQueue, batch: &Batch) {
    let Upto::Place(place) = batch.upto else { panic!("a place") };
    queue.done(place, batch.lines.len() as u64);
}

/// Takes `count` events one by one.
async fn take(queue: &DiskQueue, count: usize) -> Vec<Bytes> {
    let mut taken = Vec::new();
    for _ in 0..count {
        let batch = peek(queue, 1).await;
        taken.extend(batch.lines.iter().cloned());
        done(queue, &batch);
    }
    taken
}

fn lines(numbers: std::ops::Range<usize>) -> Vec<Bytes> {
    numbers.map(line).collect()
}

#[tokio::test]
async fn events_come_out_in_order_and_what_was_acknowledged_is_in_the_file() {
    let scratch = Scratch::new();
    let queue = scratch.open(1 << 20);
    for number in 0..3 {
        push(&queue, number).await;
    }
    assert_eq!(scratch.files(), [(1, "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n".to_owned())]);
    assert_eq!(queue.pending(), 3);
    let batch = peek(&queue, 2).await;
    assert_eq!(batch.lines, lines(0..2));
    assert_eq!(peek(&queue, 2).await.lines, lines(0..2), "until they are done");
    done(&queue, &batch);
    assert_eq!((take(&queue, 1).await, queue.pending()), (lines(2..3), 0));
}

#[tokio::test]
async fn a_restart_goes_on_where_the_queue_was() {
    let scratch = Scratch::new();
    let queue = scratch.open(64 << 10);
    for number in 0..5000 {
        queue.push(line(number), false);
    }
    push(&queue, 5000).await;
    assert_eq!(take(&queue, 1200).await, lines(0..1200));
    queue.close().await;
    drop(queue);
    let queue = scratch.open(64 << 10);
    assert_eq!(queue.pending(), 3801);
    push(&queue, 5001).await;
    assert_eq!(take(&queue, 3802).await, lines(1200..5002));
    queue.close().await;
    assert_eq!(scratch.drops.count(), 0);
    assert_eq!(scratch.files().len(), 1, "what was delivered is removed");
}

#[tokio::test]
async fn what_is_not_in_memory_any_more_is_read_from_the_files() {
    let scratch = Scratch::new();
    let queue = scratch.open(64 << 20);
    let long = |number: usize| Bytes::from(format!("{{\"n\":{number},\"x\":\"{}\"}}", "x".repeat(10_000)));
    for number in 0..300 {
        queue.push(long(number), true).unwrap().await.unwrap();
    }
    let mut taken = 0;
    while taken < 300 {
        let batch = peek(&queue, 7).await;
        for line in &batch.lines {
            assert_eq!(*line, long(taken));
            taken += 1;
        }
        done(&queue, &batch);
    }
    assert_eq!(queue.pending(), 0);
}

#[tokio::test]
async fn without_a_cursor_everything_that_is_there_comes_again() {
    let scratch = Scratch::new();
    let queue = scratch.open(1 << 20);
    push(&queue, 0).await;
    push(&queue, 1).await;
    assert_eq!(take(&queue, 1).await, lines(0..1));
    queue.close().await;
    drop(queue);
    for spoiled in ["", "nonsense", "00000000000000000001 00000000000000000003\n"] {
        fs::write(scratch.path().join("cursor"), spoiled).unwrap();
        let queue = scratch.open(1 << 20);
        assert_eq!((queue.pending(), peek(&queue, 9).await.lines), (2, lines(0..2)), "{spoiled:?}");
        queue.close().await;
    }
}

#[tokio::test]
async fn a_torn_end_is_cut_off_wherever_it_is_torn() {
    let scratch = Scratch::new();
    let queue = scratch.open(1 << 20);
    for number in 0..3 {
        push(&queue, number).await;
    }
    queue.close().await;
    drop(queue);
    let file = segment::path(&scratch.path(), 1);
    let whole = fs::read(&file).unwrap();
    for keep in 0..=whole.len() {
        fs::write(&file, &whole[..keep]).unwrap();
        let _ = fs::remove_file(scratch.path().join("cursor"));
        let queue = scratch.open(1 << 20);
        let survivors = keep / 8;
        assert_eq!(queue.pending(), survivors as u64, "{keep} bytes");
        push(&queue, 9).await;
        let mut expected = lines(0..survivors);
        expected.push(line(9));
        assert_eq!(take(&queue, survivors + 1).await, expected, "{keep} bytes");
        queue.close().await;
    }
    // A crash leaves the zeros that were to be written over.
    fs::write(&file, [&whole[..], &[0; 100]].concat()).unwrap();
    let _ = fs::remove_file(scratch.path().join("cursor"));
    let queue = scratch.open(1 << 20);
    push(&queue, 3).await;
    assert_eq!(take(&queue, 4).await, lines(0..4));
    queue.close().await;
    drop(queue);
    // A power cut may also leave a hole: a line of zeros where the second was.
    let mut holed = whole.clone();
    holed[8..15].fill(0);
    fs::write(&file, &holed).unwrap();
    fs::remove_file(scratch.path().join("cursor")).unwrap();
    let queue = scratch.open(1 << 20);
    assert_eq!((queue.pending(), take(&queue, 1).await), (1, lines(0..1)));
}

#[tokio::test]
async fn a_cursor_behind_the_end_of_a_torn_file_is_at_the_end() {
    let scratch = Scratch::new();
    let queue = scratch.open(1 << 20);
    push(&queue, 0).await;
    push(&queue, 1).await;
    take(&queue, 2).await;
    queue.close().await;
    drop(queue);
    fs::write(segment::path(&scratch.path(), 1), "{\"n\":0}\n").unwrap();
    let queue = scratch.open(1 << 20);
    assert_eq!(queue.pending(), 0);
    push(&queue, 2).await;
    assert_eq!(take(&queue, 1).await, lines(2..3));
}

#[tokio::test]
async fn a_full_queue_gives_up_the_oldest_and_stays_within_its_bound() {
    let scratch = Scratch::new();
    let bound = 64 << 10;
    let queue = scratch.open(bound);
    for number in 0..20_000 {
        if let Some(durable) = queue.push(line(number), number % 1000 == 999) {
            durable.await.unwrap();
        }
    }
    let numbers = segment::numbers(&scratch.path()).unwrap();
    let size: u64 = numbers
        .iter()
        .map(|number| fs::metadata(segment::path(&scratch.path(), *number)).unwrap().len())
        .sum();
    assert!(size <= bound, "{size}");
    let left = usize::try_from(queue.pending()).unwrap();
    assert_eq!(left as u64 + scratch.drops.count(), 20_000);
    assert!(left > 3500, "{left}");
    assert_eq!(take(&queue, left).await, lines(20_000 - left..20_000));
}

#[tokio::test]
async fn what_is_dropped_while_it_is_delivered_is_not_done_twice() {
    let scratch = Scratch::new();
    let queue = scratch.open(64 << 10);
    push(&queue, 0).await;
    let batch = peek(&queue, 1).await;
    for number in 1..10_000 {
        if number % 1000 == 0 {
            push(&queue, number).await;
        } else {
            queue.push(line(number), false);
        }
    }
    push(&queue, 10_000).await;
    let pending = queue.pending();
    done(&queue, &batch);
    assert_eq!(queue.pending(), pending);
    let left = usize::try_from(pending).unwrap();
    assert_eq!(take(&queue, left).await.last(), Some(&line(10_000)));
}

#[tokio::test]
async fn a_damaged_line_is_skipped() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.path()).unwrap();
    fs::write(segment::path(&scratch.path(), 1), "{\"n\":0}\nxx\n{\"n\":1}\nyy").unwrap();
    fs::write(segment::path(&scratch.path(), 2), "{\"n\":2}\n").unwrap();
    let queue = scratch.open(1 << 20);
    assert_eq!(take(&queue, 3).await, lines(0..3));
    assert_eq!((queue.pending(), scratch.drops.count()), (0, 1));
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let scratch = Scratch::new();
    let _queue = scratch.open(1 << 20);
    let second = DiskQueue::open(&scratch.path(), "e", 1 << 20, Arc::clone(&scratch.drops));
    assert_eq!(second.unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn many_pushes_share_a_sync() {
    let scratch = Scratch::new();
    let queue = Arc::new(scratch.open(1 << 20));
    let pushes: Vec<_> = (0..200)
        .map(|number| {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move { push(&queue, number).await })
        })
        .collect();
    for push in pushes {
        push.await.unwrap();
    }
    let written = scratch.files().remove(0).1;
    assert_eq!(written.lines().count(), 200);
}

#[tokio::test]
async fn a_disk_that_refuses_holds_nobody_up_and_is_tried_again() {
    let scratch = Scratch::new();
    let queue = scratch.open(64 << 10);
    let directory = scratch.path();
    // The next segment cannot be made where a directory has its name.
    let obstacle = segment::path(&directory, 2);
    fs::create_dir(&obstacle).unwrap();
    for number in 0..2000 {
        queue.push(line(number), false);
    }
    let held_up = tokio::time::timeout(Duration::from_secs(5), push(&queue, 2000)).await;
    held_up.expect("a push waits for a disk that refuses");
    let first = take(&queue, 100).await;
    fs::remove_dir(&obstacle).unwrap();
    let rest = take(&queue, 1901).await;
    assert_eq!([first, rest].concat(), lines(0..2001));
}
