//! What can go wrong on the way.

use std::sync::Mutex;

use registry_core::BoxError;

use super::*;
use crate::drivers::bucket::s3::credentials::Source;

#[tokio::test]
async fn throttling_and_resets_are_tried_again() {
    let emulator = S3Emulator::start().await;
    let bucket = bucket(&options(&emulator));
    for effect in [Effect::SlowDown(None), Effect::InternalError, Effect::ResetBefore, Effect::ResetInBody(3)]
    {
        for kind in [Kind::Put, Kind::List, Kind::CreateMultipart, Kind::UploadPart, Kind::DeleteObjects] {
            let fault = Fault::new(effect.clone()).on(kind).times(2);
            emulator.inject(FaultPlan::none().with(fault));
            emulator.clear_requests();
            bucket.put("k", "content".into(), false).await.unwrap();
            let page = ListKeys { prefix: "", fold: false, after: None, limit: 5 };
            bucket.list(&page).await.unwrap();
            let upload = bucket.begin("m").await.unwrap();
            bucket.put_part("m", &upload, 1, vec!["pi".into(), "ece".into()]).await.unwrap();
            bucket.abort("m", &upload).await.unwrap();
            bucket.delete(&["k".to_owned(), "m".to_owned()]).await.unwrap();
            let tries = kinds(&emulator).iter().filter(|other| **other == kind).count();
            assert_eq!(tries, 3, "{effect:?} {kind:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_asked_for_again() {
    let emulator = S3Emulator::start().await;
    let bucket = bucket(&options(&emulator));
    bucket.put("k", "content".into(), false).await.unwrap();
    let upload = bucket.begin("m").await.unwrap();
    bucket.put_part("m", &upload, 1, vec!["piece".into()]).await.unwrap();
    let fault = Fault::new(Effect::ResetInBody(100)).times(2);
    for kind in [Kind::List, Kind::ListParts, Kind::ListUploads, Kind::CreateMultipart] {
        emulator.inject(FaultPlan::none().with(fault.clone().on(kind)));
        emulator.clear_requests();
        let page = ListKeys { prefix: "", fold: false, after: None, limit: 5 };
        assert_eq!(bucket.list(&page).await.unwrap().keys.len(), 1);
        assert_eq!(bucket.parts("m", &upload).await.unwrap().len(), 1);
        assert_eq!(bucket.uploads("m", None).await.unwrap().len(), 1);
        bucket.abort("n", &bucket.begin("n").await.unwrap()).await.unwrap();
        let tries = kinds(&emulator).iter().filter(|other| **other == kind).count();
        assert_eq!(tries, 3, "{kind:?}");
    }
}

#[tokio::test]
async fn a_service_that_asks_for_time_gets_it() {
    let emulator = S3Emulator::start().await;
    let bucket = bucket(&options(&emulator));
    let begun = std::time::Instant::now();
    emulator.inject(one(Effect::SlowDown(Some(Duration::from_secs(2))), Kind::Put));
    bucket.put("k", Bytes::new(), false).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(2));
    // More than there is patience for: the caller is told when to come back.
    emulator.inject(one(Effect::SlowDown(Some(Duration::from_secs(900))), Kind::Put));
    match bucket.put("k", Bytes::new(), false).await.unwrap_err() {
        BucketError::Unavailable { retry_after, source } => {
            assert_eq!(retry_after, Some(Duration::from_secs(900)));
            assert!(source.to_string().contains("503 SlowDown"), "{source}");
        }
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn a_lost_answer_to_what_was_done_is_looked_after() {
    let emulator = S3Emulator::start().await;
    let bucket = bucket(&options(&emulator));

    // The object is ours: its upload is gone because it was completed.
    let upload = bucket.begin("whole").await.unwrap();
    let part = bucket.put_part("whole", &upload, 1, vec!["content".into()]).await.unwrap();
    emulator.inject(one(Effect::ResetAfter, Kind::Complete));
    emulator.clear_requests();
    bucket.complete("whole", &upload, std::slice::from_ref(&part)).await.unwrap();
    assert_eq!(kinds(&emulator), [Kind::Complete, Kind::Complete, Kind::Head]);
    // Later, or by somebody else, too.
    bucket.complete("whole", &upload, &[part]).await.unwrap();

    // It is not: another size, or nothing at all.
    let wrong = Part { number: 1, size: 3, tag: "\"x\"".to_owned() };
    for key in ["whole", "nothing"] {
        let error = bucket.complete(key, &upload, std::slice::from_ref(&wrong)).await.unwrap_err();
        assert!(matches!(error, BucketError::NoSuchUpload), "{error:?}");
    }

    // What there is was written by us, and then by another.
    emulator.inject(one(Effect::ResetAfter, Kind::Put));
    bucket.put("lock", "mine".into(), true).await.unwrap();
    assert!(matches!(bucket.put("lock", "mine".into(), true).await, Err(BucketError::AlreadyExists)));
    emulator.inject(one(Effect::InternalError, Kind::Put));
    assert!(matches!(bucket.put("lock", "other".into(), true).await, Err(BucketError::AlreadyExists)));
}

/// Credentials of which the first are those of nobody.
#[derive(Debug)]
struct Rotating(Mutex<u32>);

#[async_trait]
impl Source for Rotating {
    async fn fetch(&self) -> Result<Credentials, BoxError> {
        let mut fetched = self.0.lock().unwrap();
        *fetched += 1;
        Ok(Credentials {
            access_key: ACCESS_KEY.to_owned(),
            secret_key: Secret::new(SECRET_KEY),
            session_token: None,
            expires: None,
        })
    }
}

#[tokio::test]
async fn expired_credentials_are_replaced_in_the_middle_of_an_upload() {
    let emulator = S3Emulator::start().await;
    let options = options(&emulator);
    let mut bucket = bucket(&options);
    let rotating = Keyring::fetched(Rotating(Mutex::new(0)));
    let endpoint = Arc::clone(&bucket.endpoint);
    let authority = Arc::new(Authority::new(rotating, "eu-west-1", true, options.log, endpoint));
    let protocol = Arc::clone(&authority) as Arc<dyn crate::drivers::bucket::http::Protocol>;
    let transport = Transport::new(protocol, &options.bucket, BucketHealth::new());
    bucket.client = transport.connect(&client_options(&options.bucket, true).unwrap()).unwrap();

    let upload = bucket.begin("k").await.unwrap();
    emulator.inject(one(Effect::ExpiredToken, Kind::UploadPart));
    let part = bucket.put_part("k", &upload, 1, vec!["content".into()]).await.unwrap();
    emulator.inject(one(Effect::ExpiredToken, Kind::Complete));
    bucket.complete("k", &upload, &[part]).await.unwrap();
    assert_eq!(authority.keyring.get().await.unwrap().0, 2);

    // Those that cannot be replaced are refused, not tried again.
    let fixed = super::bucket(&options);
    emulator.inject(FaultPlan::none().with(Fault::new(Effect::ExpiredToken)));
    emulator.clear_requests();
    let error = fixed.put("k", Bytes::new(), false).await.unwrap_err();
    // Whoever hands them out may have new ones soon.
    let unavailable = matches!(error, BucketError::Unavailable { .. });
    assert!(unavailable && format!("{error:?}").contains("ExpiredToken"), "{error:?}");
    assert_eq!(kinds(&emulator), [Kind::Put]);
    // The answer to a HEAD has no room to say why.
    let error = fixed.head("k").await.unwrap_err();
    assert!(matches!(error, BucketError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_service_that_is_gone_is_not_asked_by_everyone() {
    let mut options = {
        let emulator = S3Emulator::start().await;
        options(&emulator)
    };
    options.bucket.retries = 0;
    let health = BucketHealth::new();
    let bucket = S3::new(&options, health.clone()).unwrap();
    for _ in 0..5 {
        assert!(health.state().answering);
        assert!(matches!(bucket.head("k").await, Err(BucketError::Unavailable { .. })));
    }
    let state = health.state();
    assert!(!state.answering && state.failures == 5, "{state:?}");
    let error = bucket.put("k", Bytes::new(), false).await.unwrap_err();
    assert!(format!("{error:?}").contains("Tripped"), "{error:?}");
}
