//! Certificates that vouch for a key.

use super::*;

#[tokio::test]
async fn chains_lead_to_the_bundle() {
    let root = Certified::root(Certified::params("root", true));
    let middle = root.issue(Certified::params("middle", true));
    let lower = middle.issue(Certified::params("lower", true));
    let leaf = lower.issue(Certified::params("leaf", false));
    let trust_root = controller(bundle(&[&root.certificate]));
    granted(&trust_root, &leaf.token(&[&lower, &middle]), "in order").await;
    granted(&trust_root, &leaf.token(&[&middle, &lower]), "in any order").await;
    granted(&trust_root, &leaf.token(&[&lower, &middle, &root]), "with the root").await;
    granted(&trust_root, &root.issue(Certified::params("direct", false)).token(&[]), "direct").await;
    refused(&trust_root, &leaf.token(&[&lower]), INVALID, "without the middle").await;
    refused(&trust_root, &leaf.token(&[]), INVALID, "alone").await;
    let trust_middle = controller(bundle(&[&middle.certificate]));
    granted(&trust_middle, &leaf.token(&[&lower]), "an intermediate is trusted").await;
    // Trusted itself, whatever it is.
    granted(&controller(bundle(&[&leaf.certificate])), &leaf.token(&[]), "the leaf itself").await;
}

/// What token servers usually have: one certificate that nobody else issued.
#[tokio::test]
async fn the_bundles_own_self_signed_certificate_signs() {
    for authority in [false, true] {
        let own = Certified::root(Certified::params("own", authority));
        let controller = controller(bundle(&[&own.certificate]));
        granted(&controller, &own.token(&[]), "x5c").await;
        let by_id = own.signer().token(json!({"kid": own.signer().thumbprint()}), &claims());
        granted(&controller, &by_id, "kid").await;
        let by_jwk = own
            .signer()
            .token(json!({"jwk": own.signer().jwk_with_id(&own.signer().thumbprint())}), &claims());
        granted(&controller, &by_jwk, "jwk").await;
    }
}

#[tokio::test]
async fn a_chain_of_somebody_elses_is_refused() {
    let root = Certified::root(Certified::params("root", true));
    let trusted = root.issue(Certified::params("leaf", false));
    let controller = controller(bundle(&[&root.certificate]));
    // Same names, other keys.
    let impostor = Certified::root(Certified::params("root", true));
    let leaf = impostor.issue(Certified::params("leaf", false));
    refused(&controller, &leaf.token(&[]), INVALID, "impostor").await;
    refused(&controller, &leaf.token(&[&impostor]), INVALID, "impostor with its root").await;
    refused(&controller, &leaf.token(&[&root]), INVALID, "impostor with our root").await;
    // The certificate is good and its key has not signed.
    let token = impostor.signer().token(json!({"x5c": trusted.x5c(&[])}), &claims());
    refused(&controller, &token, None, "another's certificate").await;
    // Certificates decide where there are any, not the id.
    let token =
        leaf.signer().token(json!({"x5c": leaf.x5c(&[]), "kid": root.signer().thumbprint()}), &claims());
    refused(&controller, &token, INVALID, "kid of the root").await;
    // A leaf issues nothing, nor does an authority that may sign only other things.
    let below = trusted.issue(Certified::params("below", false));
    refused(&controller, &below.token(&[&trusted]), INVALID, "issued by a leaf").await;
    let mut params = Certified::params("limited", true);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let limited = root.issue(params);
    let below = limited.issue(Certified::params("below", false));
    refused(&controller, &below.token(&[&limited]), INVALID, "issued without keyCertSign").await;
    // Also where the leaf is trusted: it vouches for itself alone.
    let direct = crate::controller(bundle(&[&trusted.certificate]));
    let below = trusted.issue(Certified::params("below", false));
    refused(&direct, &below.token(&[]), INVALID, "issued by a trusted leaf").await;
}

#[tokio::test]
async fn an_expired_member_breaks_the_chain() {
    let expired = |mut params: CertificateParams| {
        params.not_after = date_time_ymd(2026, 12, 31);
        params
    };
    let early = |mut params: CertificateParams| {
        params.not_before = date_time_ymd(2028, 1, 1);
        params
    };
    for (what, change) in
        [("expired", &expired as &dyn Fn(CertificateParams) -> CertificateParams), ("not yet valid", &early)]
    {
        let root = Certified::root(Certified::params("root", true));
        let old_root = Certified::root(change(Certified::params("root", true)));
        let middle = root.issue(Certified::params("middle", true));
        let old_middle = root.issue(change(Certified::params("middle", true)));
        let controller = controller(bundle(&[&root.certificate, &old_root.certificate]));
        let old_leaf = middle.issue(change(Certified::params("leaf", false)));
        refused(&controller, &old_leaf.token(&[&middle]), INVALID, what).await;
        let leaf = old_middle.issue(Certified::params("leaf", false));
        refused(&controller, &leaf.token(&[&old_middle]), INVALID, what).await;
        let leaf = old_root.issue(Certified::params("leaf", false));
        refused(&controller, &leaf.token(&[]), INVALID, what).await;
        // Not even in the bundle itself.
        refused(&controller, &old_root.token(&[]), INVALID, what).await;
        granted(&controller, &middle.issue(Certified::params("leaf", false)).token(&[&middle]), "good").await;
    }
}

#[tokio::test]
async fn extended_key_usages_do_not_count_and_unknown_critical_extensions_do() {
    let root = Certified::root(Certified::params("root", true));
    let controller = controller(bundle(&[&root.certificate]));
    for usage in [
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::CodeSigning,
        ExtendedKeyUsagePurpose::TimeStamping,
    ] {
        let mut params = Certified::params("middle", true);
        params.extended_key_usages = vec![usage.clone()];
        let middle = root.issue(params);
        let mut params = Certified::params("leaf", false);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
        params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
        granted(&controller, &middle.issue(params).token(&[&middle]), &format!("{usage:?}")).await;
    }
    for critical in [false, true] {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
        extension.set_criticality(critical);
        for authority in [false, true] {
            let mut params = Certified::params("extended", authority);
            params.custom_extensions = vec![extension.clone()];
            let extended = root.issue(params);
            let token = if authority {
                extended.issue(Certified::params("leaf", false)).token(&[&extended])
            } else {
                extended.token(&[])
            };
            if critical {
                refused(&controller, &token, INVALID, "critical").await;
            } else {
                granted(&controller, &token, "not critical").await;
            }
        }
    }
}

#[tokio::test]
async fn the_length_of_a_chain_is_bounded() {
    let mut params = Certified::params("root", true);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    let root = Certified::root(params);
    let controller = controller(bundle(&[&root.certificate]));
    let middle = root.issue(Certified::params("middle", true));
    let lower = middle.issue(Certified::params("lower", true));
    granted(&controller, &middle.issue(Certified::params("leaf", false)).token(&[&middle]), "one between")
        .await;
    let leaf = lower.issue(Certified::params("leaf", false));
    refused(&controller, &leaf.token(&[&lower, &middle]), INVALID, "two between").await;
    let many = [&middle; 10];
    let leaf = middle.issue(Certified::params("leaf", false));
    refused(&controller, &leaf.token(&many), INVALID, "eleven certificates").await;
    granted(&controller, &leaf.token(&many[..9]), "ten certificates").await;
}

/// Certificates that are all said to be issued by each other make a search for a path long: it is cut.
#[tokio::test]
async fn a_maze_of_certificates_is_left_soon() {
    let root = Certified::root(Certified::params("root", true));
    let controller = controller(bundle(&[&root.certificate]));
    let maze: Vec<Certified> = (0..9).map(|_| Certified::root(Certified::params("maze", true))).collect();
    let leaf = maze[0].issue(Certified::params("leaf", false));
    let others: Vec<&Certified> = maze.iter().collect();
    refused(&controller, &leaf.token(&others), INVALID, "maze").await;
}

#[tokio::test]
async fn broken_certificates_are_refused() {
    let own = Certified::root(Certified::params("own", false));
    let controller = controller(bundle(&[&own.certificate]));
    let good = STANDARD.encode(own.certificate.der());
    let cut = STANDARD.encode(&own.certificate.der()[..100]);
    let longer = STANDARD.encode([own.certificate.der().as_ref(), &[0]].concat());
    let kid = own.signer().thumbprint();
    for x5c in [
        json!(["!"]),
        json!([""]),
        json!([cut]),
        json!([longer]),
        json!([good, "AAAA"]),
        json!([good.trim_end_matches('='), 1]),
        json!(good),
        json!({"0": good}),
    ] {
        let token = own.signer().token(json!({"x5c": x5c, "kid": kid}), &claims());
        refused(&controller, &token, INVALID, &x5c.to_string()[..20.min(x5c.to_string().len())]).await;
    }
    granted(&controller, &own.signer().token(json!({"x5c": [], "kid": kid}), &claims()), "none").await;
    granted(&controller, &own.signer().token(json!({"x5c": null, "kid": kid}), &claims()), "null").await;
}

#[tokio::test]
async fn certificates_of_an_embedded_key_count_if_they_are_its_own() {
    let root = Certified::root(Certified::params("root", true));
    let leaf = root.issue(Certified::params("leaf", false));
    let controller = controller(bundle(&[&root.certificate]));
    let embedded = |signer: &Signer, x5c: Vec<String>| {
        let mut jwk = signer.jwk();
        jwk["x5c"] = json!(x5c);
        signer.token(json!({"jwk": jwk}), &claims())
    };
    granted(&controller, &embedded(&leaf.signer(), leaf.x5c(&[])), "own").await;
    refused(&controller, &embedded(&Signer::new("ES256"), leaf.x5c(&[])), INVALID, "another's").await;
    let impostor = Certified::root(Certified::params("root", true));
    let leaf = impostor.issue(Certified::params("leaf", false));
    refused(&controller, &embedded(&leaf.signer(), leaf.x5c(&[&impostor])), INVALID, "impostor").await;
}
