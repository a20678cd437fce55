//! A server that speaks TLS.

use super::failures::Limiter;
use crate::Redis;
use decor_redis_testing::{Server, skip};
use std::{env, fs, net::TcpListener, process::Command, time::Duration};

#[test]
fn a_server_with_a_certificate_is_trusted_by_that_certificate_alone() {
    let directory = env::temp_dir().join(format!("decor-redis-tls-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let (key, certificate) = (directory.join("key.pem"), directory.join("certificate.pem"));
    let (key, certificate) = (key.to_str().unwrap(), certificate.to_str().unwrap());
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", certificate])
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        return skip("TLS, because openssl is missing");
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let tls = ["--tls-port", &port.to_string(), "--tls-cert-file", certificate, "--tls-key-file", key];
    let no_client = ["--tls-auth-clients", "no"];
    let Some(server) = Server::start(&[&tls[..], &no_client].concat()) else { return skip("TLS") };

    let pem = fs::read(certificate).unwrap();
    let open = |host: &str| {
        let builder = Redis::builder(format!("rediss://{host}:{port}")).timeout(Duration::from_secs(10));
        builder.root_certificates(pem.clone()).build()
    };
    for host in ["127.0.0.1", "localhost"] {
        let redis = open(host);
        let limiter = Limiter::new(&redis, "tls");
        for _ in 0..20 {
            limiter.call().unwrap();
        }
        assert_eq!((redis.stats().connections, redis.stats().losses), (1, 0));
    }
    let many = open("127.0.0.1");
    let limiters: Vec<_> = (0..500).map(|n| Limiter::new(&many, &format!("limiter {n}"))).collect();
    limiters.iter().for_each(Limiter::begin);
    for limiter in &limiters {
        limiter.answer().unwrap();
    }

    // The certificates of the system do not vouch for it.
    if let Ok(stranger) = Redis::builder(format!("rediss://127.0.0.1:{port}")).try_build() {
        let error = Limiter::new(&stranger, "tls").error();
        assert!(error.starts_with(&format!("{stranger}: invalid peer certificate")), "{error}");
    }
    // A server without TLS.
    let plain = Redis::builder(format!("rediss://127.0.0.1:{}", server.port())).root_certificates(pem).build();
    let error = Limiter::new(&plain, "tls").error();
    assert!(error.starts_with(&format!("{plain}: ")), "{error}");
    fs::remove_dir_all(directory).unwrap();
}
