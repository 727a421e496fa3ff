//! The same token again.

use super::*;

/// A controller whose clock the test turns.
fn with_clock(keys: TrustedKeys) -> (Token, Arc<AtomicU64>) {
    let clock = Arc::new(AtomicU64::new(NOW));
    let read = Arc::clone(&clock);
    let token = Token::new(options(), keys)
        .with_clock(move || SystemTime::UNIX_EPOCH + Duration::from_secs(read.load(Ordering::Relaxed)));
    (token, clock)
}

#[tokio::test]
async fn a_token_that_was_good_is_refused_once_it_has_expired() {
    let signer = Signer::new("ES256");
    let (controller, clock) = with_clock(jwks(&[signer.jwk_with_id("key")]));
    let token = signer.token(json!({"kid": "key"}), &claims());
    for (now, good) in
        [(NOW, true), (NOW + 660, true), (NOW + 661, false), (NOW + 1, true), (NOW - 61, false)]
    {
        clock.store(now, Ordering::Relaxed);
        if good {
            granted(&controller, &token, &now.to_string()).await;
        } else {
            refused(&controller, &token, INVALID, &now.to_string()).await;
        }
    }
}

#[tokio::test]
async fn a_token_that_was_good_is_refused_once_its_certificate_has_expired() {
    let root = Certified::root(Certified::params("root", true));
    let mut params = Certified::params("leaf", false);
    // 15 January 2027 is NOW, at 8 o'clock.
    params.not_after = date_time_ymd(2027, 1, 16);
    let leaf = root.issue(params);
    let (controller, clock) = with_clock(bundle(&[&root.certificate]));
    let token =
        leaf.signer().token(json!({"x5c": leaf.x5c(&[])}), &claims_with(json!({"exp": NOW + 1_000_000})));
    granted(&controller, &token, "before").await;
    clock.store(NOW + 86_400, Ordering::Relaxed);
    refused(&controller, &token, INVALID, "after").await;
}

#[tokio::test]
async fn what_a_remembered_token_grants_is_looked_at_for_each_request() {
    let signer = Signer::new("ES256");
    let controller = controller(jwks(&[signer.jwk_with_id("key")]));
    let header = format!("Bearer {}", signer.token(json!({"kid": "key"}), &claims()));
    for _ in 0..2 {
        let headers = [("authorization", header.as_bytes())];
        ask(&controller, &headers, &[on("a/b", Action::Pull)], &[]).await.unwrap();
        let refused = challenge(ask(&controller, &headers, &[on("a/b", Action::Push)], &[]).await);
        assert!(refused.ends_with("error=\"insufficient_scope\""), "{refused}");
        let refused = challenge(ask(&controller, &headers, &[on("a/c", Action::Pull)], &[]).await);
        assert!(refused.ends_with("error=\"insufficient_scope\""), "{refused}");
    }
}

#[tokio::test]
async fn replaced_keys_are_forgotten_with_all_they_have_verified() {
    let (old, new) = (Signer::new("ES256"), Signer::new("ES256"));
    let controller = controller(jwks(&[old.jwk_with_id("key")]));
    let (by_old, by_new) =
        (old.token(json!({"kid": "key"}), &claims()), new.token(json!({"kid": "key"}), &claims()));
    granted(&controller, &by_old, "old").await;
    refused(&controller, &by_new, None, "new").await;
    controller.replace_keys(jwks(&[new.jwk_with_id("key")]));
    refused(&controller, &by_old, None, "old").await;
    granted(&controller, &by_new, "new").await;
}
