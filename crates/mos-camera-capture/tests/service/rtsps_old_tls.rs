//! An RTSPS camera that speaks no TLS newer than 1.1, which `GnuTLS` would speak with it.

use std::io::BufRead as _;
use std::process::{Child, Command, Stdio};

use mos_camera_api::v1::{FaultKind, State};
use mos_testkit::{Authority, CertificateFiles, Dates};

use crate::bystander::Bystander;
use crate::harness::Service;

/// OpenSSL by Python, with its own limits lowered: it prints its port, and makes handshakes.
const SERVER: &str = "
import socket, ssl, sys, threading, warnings
warnings.simplefilter('ignore')
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.set_ciphers('ALL:@SECLEVEL=0')
context.minimum_version = ssl.TLSVersion.TLSv1
context.maximum_version = ssl.TLSVersion.TLSv1_1
context.load_cert_chain(sys.argv[1], sys.argv[2])
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), __import__('os')._exit(0)), daemon=True).start()
while True:
    peer, _ = listener.accept()
    try:
        context.wrap_socket(peer, server_side=True).close()
    except OSError:
        peer.close()
";

struct OldServer {
    child: Child,
    port: u16,
}

impl OldServer {
    fn start(tls: &CertificateFiles) -> Self {
        let mut command = Command::new(mos_testkit::rtsp::PYTHON);
        command.args(["-c", SERVER]);
        command.arg(&tls.certificate).arg(&tls.key);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let mut line = String::new();
        let output = child.stdout.take().unwrap();
        std::io::BufReader::new(output)
            .read_line(&mut line)
            .unwrap();
        let port = line.trim().parse().unwrap();
        Self { child, port }
    }
}

impl Drop for OldServer {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[tokio::test]
async fn it_is_refused_and_the_fault_says_that_its_tls_is_too_old() {
    let authority = Authority::new().unwrap();
    let files = authority.issue("old", &["127.0.0.1"], Dates::Good).unwrap();
    let server = OldServer::start(&files);
    let root = authority.root();
    let service = Service::start(&format!(
        "[cameras.subject.rtsp]\nurl = 'rtsps://127.0.0.1:{}/cam0'\ntls_ca_file = '{}'\ntimeout_ms = 2000\n[cameras.other.test]\n",
        server.port,
        root.display()
    ));
    let other = Bystander::watch(&service).await;
    let failed = service
        .wait_for("subject", "fault", |s| {
            s.state() == State::Backoff && s.fault.is_some()
        })
        .await;
    let fault = failed.fault.unwrap();
    assert_eq!(fault.kind(), FaultKind::Certificate, "{fault:?}");
    assert!(
        fault.message.contains("TLS is too old") && fault.hint.contains("firmware"),
        "{fault:?}"
    );
    other.did_not_notice();
}
