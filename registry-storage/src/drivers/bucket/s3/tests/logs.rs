//! What is logged of requests.

use std::sync::Mutex;

use super::*;
use crate::drivers::bucket::options::S3Log;

#[tokio::test]
async fn what_is_logged_has_no_secret() {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let emulator = S3Emulator::start().await;
    for (log, wanted, unwanted) in [
        (S3Log::Off, &[][..], &["bucket request"][..]),
        (S3Log::Requests, &["bucket request ", "status=200", "error=404"], &["is signed", "tried again"]),
        (
            S3Log::Signing,
            &["bucket request is signed", "key=\"emulator-access-key\"", "x-amz-security-token:***"],
            &[],
        ),
        (S3Log::Retries, &["is tried again", "503 SlowDown"], &["status=200"]),
        (S3Log::Errors, &["error=404", "503 SlowDown"], &["status=200"]),
    ] {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(move || writer.clone())
            .finish();
        let mut options = options(&emulator);
        options.log = log;
        options.credentials.as_mut().unwrap().session_token = Some(Secret::new("the-token"));
        let guard = tracing::subscriber::set_default(subscriber);
        let bucket = bucket(&options);
        emulator.inject(one(Effect::SlowDown(None), Kind::Put));
        bucket.put("k", "content".into(), false).await.unwrap();
        assert!(bucket.head("absent").await.is_err());
        drop(guard);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        // The emulator logs too, and has no secrets to keep.
        let ours = text.lines().filter(|line| line.contains("drivers::bucket::"));
        let text = ours.collect::<Vec<_>>().join("\n");
        for part in wanted {
            assert!(text.contains(part), "{log:?}: {part} is not in {text}");
        }
        for part in unwanted.iter().chain(&[SECRET_KEY, "the-token"]) {
            assert!(!text.contains(part), "{log:?}: {part} is in {text}");
        }
    }
}
