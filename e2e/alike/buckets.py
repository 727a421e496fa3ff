"""storage.s3, .gcs and .azure as far as they can be compared without a bucket: what is refused at the start."""

from frame import case

S3 = "bucket: images, region: eu-central-1, accesskey: key, secretkey: secret, retries: 0"
ELSEWHERE = "bucket: images, region: eu-central-1, regionendpoint: 'http://127.0.0.1:1', retries: 0"


@case("storage.s3.bucket", "storage.s3.region", "storage.s3.chunksize", "storage.s3.keyid", "storage.s3.accesskey")
def s3_mistakes(run):
    for label, text in {
        "no bucket": "region: eu-central-1",
        "no region": "bucket: images",
        "a region that is none": "bucket: images, region: Frankfurt",
        "chunksize: 10MB": f"{S3}, chunksize: 10MB",
        "chunksize: 10485760abc": f"{S3}, chunksize: 10485760abc",
        "chunksize: 1": f"{S3}, chunksize: 1",
        "chunksize: '1'": f"{S3}, chunksize: '1'",
        "multipartcopychunksize: 1": f"{S3}, multipartcopychunksize: 1",
        "multipartcopymaxconcurrency: 0": f"{S3}, multipartcopymaxconcurrency: 0",
        "multipartcopythresholdsize: -1": f"{S3}, multipartcopythresholdsize: -1",
        "encrypt: perhaps": f"{S3}, encrypt: perhaps",
        "secure: perhaps": f"{S3}, secure: perhaps",
        "v4auth: false": f"{S3}, v4auth: false",
        "storageclass: GLACIER": f"{S3}, storageclass: GLACIER",
        "objectacl: mine": f"{S3}, objectacl: mine",
        "keyid without encrypt": f"{S3}, keyid: key",
        "accesskey alone": "bucket: images, region: eu-central-1, accesskey: key",
        "secretkey alone": "bucket: images, region: eu-central-1, secretkey: secret",
        "nobody answers": f"{ELSEWHERE}, accesskey: key, secretkey: secret",
    }.items():
        run.refused(label, driver=f"s3: {{{text}}}")
    run.refused("two names of one driver", driver=f"s3: {{{S3}}}\ns3aws: {{{S3}}}")
    run.refused(
        "by variables alone, without a region",
        driver="inmemory: {}",
        env={"REGISTRY_STORAGE": "s3", "REGISTRY_STORAGE_S3_BUCKET": "images"},
    )


@case("storage.gcs.bucket", "storage.gcs.keyfile", "storage.gcs.chunksize", "storage.gcs.credentials.type")
def gcs_mistakes(run):
    for label, text in {
        "no bucket": "keyfile: none.json",
        "no keyfile where it is said to be": "bucket: images, keyfile: none.json",
        "chunksize: 5": "bucket: images, keyfile: none.json, chunksize: 5",
        "chunksize: 262145": "bucket: images, chunksize: 262145",
        "credentials of another type": "bucket: images, credentials: {type: magic}",
        "credentials without a key": "bucket: images, credentials: {type: service_account, client_email: a@b}",
    }.items():
        run.refused(label, driver=f"gcs: {{{text}}}")


@case("storage.azure.accountname", "storage.azure.container", "storage.azure.credentials.type")
def azure_mistakes(run):
    account = "accountname: images, accountkey: a2V5, serviceurl: 'http://127.0.0.1:1', retries: 0"
    for label, text in {
        "no accountname": "container: images",
        "no container": account,
        "no type of credentials, no key": "accountname: images, container: images",
        "an unknown type": f"{account}, container: images, credentials: {{type: magic}}",
        "a key that is not base64": "accountname: a, container: b, accountkey: '?', credentials: {type: shared_key}",
        "nobody answers": f"{account}, container: images, credentials: {{type: shared_key}}",
    }.items():
        run.refused(label, driver=f"azure: {{{text}}}")
