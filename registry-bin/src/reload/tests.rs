//! Files that change, also by way of links, and new ones that are refused.

use std::path::Path;
use std::sync::Mutex;

use super::*;

const OFTEN: Duration = Duration::from_millis(10);

/// A word in a file; `bad` is none.
struct Word {
    file: PathBuf,
    log: Mutex<Vec<Result<String, String>>>,
}

impl Word {
    fn new(file: PathBuf) -> Arc<Self> {
        Arc::new(Self { file, log: Mutex::default() })
    }

    fn read(&self) -> Vec<Result<String, String>> {
        self.log.lock().unwrap().clone()
    }

    async fn reaches(&self, expected: &[Result<&str, &str>]) {
        let expected: Vec<Result<String, String>> =
            expected.iter().map(|one| one.map(str::to_owned).map_err(str::to_owned)).collect();
        let bound = tokio::time::timeout(Duration::from_secs(20), async {
            while self.read() != expected {
                tokio::time::sleep(OFTEN).await;
            }
        });
        assert!(bound.await.is_ok(), "{:?} instead of {expected:?}", self.read());
    }
}

impl Reload for Word {
    fn name(&self) -> &'static str {
        "word"
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.file.clone()]
    }

    fn reload(&self) -> Result<String, String> {
        let result = match std::fs::read_to_string(&self.file) {
            Ok(text) if text == "bad" => Err("it is bad".to_owned()),
            Ok(text) => Ok(text),
            Err(error) => Err(error.kind().to_string()),
        };
        self.log.lock().unwrap().push(result.clone());
        result
    }
}

fn start(word: &Arc<Word>, every: Duration) -> watch::Sender<usize> {
    let (count, hangups) = watch::channel(0);
    let watch = Watch::new(vec![Arc::clone(word) as Arc<dyn Reload>]);
    tokio::spawn(watch.run_every(every, hangups));
    count
}

/// Replaces what is there at once.
fn put(path: &Path, text: &str) {
    let half = path.with_extension("half");
    std::fs::write(&half, text).unwrap();
    std::fs::rename(half, path).unwrap();
}

#[tokio::test]
async fn a_file_that_changes_is_read_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("word");
    put(&path, "one");
    let word = Word::new(path.clone());
    let _hangups = start(&word, OFTEN);
    tokio::time::sleep(OFTEN * 5).await;
    assert_eq!(word.read(), [], "nothing has changed");
    put(&path, "two");
    word.reaches(&[Ok("two")]).await;
    put(&path, "bad");
    word.reaches(&[Ok("two"), Err("it is bad")]).await;
    tokio::time::sleep(OFTEN * 5).await;
    assert_eq!(word.read().len(), 2, "what is bad is not read over and over");
    put(&path, "three");
    word.reaches(&[Ok("two"), Err("it is bad"), Ok("three")]).await;
    std::fs::remove_file(&path).unwrap();
    word.reaches(&[Ok("two"), Err("it is bad"), Ok("three"), Err("entity not found")]).await;
}

#[tokio::test]
async fn a_directory_that_is_swapped_by_a_symbolic_link_is_seen() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for (version, text) in [("..1", "one"), ("..2", "two")] {
        std::fs::create_dir(root.join(version)).unwrap();
        put(&root.join(version).join("word"), text);
    }
    let link = |to: &str| {
        std::os::unix::fs::symlink(to, root.join("..data_tmp")).unwrap();
        std::fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    };
    link("..1");
    std::os::unix::fs::symlink("..data/word", root.join("word")).unwrap();
    let word = Word::new(root.join("word"));
    let _hangups = start(&word, OFTEN);
    link("..2");
    word.reaches(&[Ok("two")]).await;
}

#[tokio::test]
async fn a_hangup_reads_everything_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("word");
    put(&path, "one");
    let word = Word::new(path.clone());
    let hangups = start(&word, Duration::from_secs(3600));
    hangups.send_modify(|count| *count += 1);
    word.reaches(&[Ok("one")]).await;
    hangups.send_modify(|count| *count += 1);
    word.reaches(&[Ok("one"), Ok("one")]).await;
}
