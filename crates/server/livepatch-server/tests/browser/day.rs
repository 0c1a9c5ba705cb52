//! A server, a browser, and everybody who talks to them.

use crate::support::{KEY, Server, kernel, livepatch};
use livepatch_api::{
    AppliedLivepatch, CertificateAdded, CertificateRequest, CheckInAnswer, CheckInRequest, EnrolAnswer,
    EnrolRequest, EnrolmentToken, Event, EventKind, LoginCreated, PatchState, PublishAnswer, TokenCreated,
    TokenRequest, paths,
};
use livepatch_kernel::Taint;
use livepatch_manifest::{Digest, Manifest, PatchedFunction, PatchedObject};
use livepatch_services::Browser;
use serde_json::{Value, json};
use std::{fs, path::PathBuf, process::Command};

/// A machine as the real client speaks for it.
pub(crate) struct Machine {
    pub(crate) id: String,
    pub(crate) credential: String,
    pub(crate) sequence: u64,
}

impl Machine {
    pub(crate) fn enrol(server: &Server, secret: &str, number: usize) -> Self {
        let id = format!("00000000-0000-4000-8000-{number:012}");
        let request = EnrolRequest {
            machine_id: id.clone(),
            hostname: format!("web-{number}.example.org"),
            kernel: kernel(),
            client_version: "0.1.0".into(),
        };
        let answer: EnrolAnswer = server.post(paths::ENROL, secret, &request).unwrap();
        let mut machine = Self { id, credential: answer.credential, sequence: 0 };
        machine.report(server, None, PatchState::Unapplied, vec![]);
        machine
    }

    pub(crate) fn report(
        &mut self,
        server: &Server,
        applied: Option<&Manifest>,
        state: PatchState,
        events: Vec<(EventKind, String)>,
    ) {
        self.sequence += 1;
        let event = |(kind, detail)| Event { at: "2026-11-24T08:00:00Z".into(), kind, detail };
        let request = CheckInRequest {
            sequence: self.sequence,
            boot_id: "boot".into(),
            kernel: kernel(),
            state,
            applied: applied.map(|manifest| AppliedLivepatch {
                name: manifest.name.clone(),
                version: manifest.version,
                sha256: manifest.module.sha256.clone(),
            }),
            taint: Taint(36864),
            events: events.into_iter().map(event).collect(),
            client_version: "0.1.0".into(),
        };
        server.post::<CheckInAnswer>(paths::CHECK_IN, &self.credential, &request).unwrap();
    }
}

/// Everything that one story needs.
pub(crate) struct Day {
    pub(crate) server: Server,
    pub(crate) browser: Browser,
    pub(crate) axe: String,
    pub(crate) pictures: Option<PathBuf>,
}

impl Day {
    pub(crate) fn begin() -> Self {
        Self::at(Server::start())
    }

    pub(crate) fn at(server: Server) -> Self {
        let pictures = std::env::var_os("LIVEPATCH_SCREENSHOTS").map(PathBuf::from);
        let axe = livepatch_services::axe().unwrap();
        Self { server, browser: Browser::start().unwrap(), axe, pictures }
    }

    pub(crate) fn open(&self, path: &str) {
        self.browser.open(&format!("{}{path}", self.server.url)).unwrap();
    }

    /// With a one-time address, as `livepatch-admin dashboard login` prints it.
    pub(crate) fn sign_in(&self, key: &str) {
        let created: LoginCreated = self.server.post(paths::ADMIN_LOGINS, key, &[(); 0]).unwrap();
        self.open(&created.path);
        self.browser.click("main button").unwrap();
        self.browser.wait_for("h1", "Overview").unwrap();
    }

    pub(crate) fn sign_out(&self) {
        self.open(livepatch_dashboard::paths::ROOT);
        self.browser.click(".who button").unwrap();
        self.browser.wait_for("h1", "Sign in").unwrap();
    }

    /// A page in both colours: nothing serious by the accessibility checker; pictures, when they are wanted.
    pub(crate) fn look(&self, name: &str, path: &str) {
        for dark in [false, true] {
            self.browser.prefer_dark(dark).unwrap();
            self.browser.resize(1280, 800).unwrap();
            self.open(path);
            self.check_accessibility(name);
            if let Some(folder) = &self.pictures {
                let colour = if dark { "dark" } else { "light" };
                self.keep(folder, &format!("{name}-wide-{colour}"));
                self.browser.resize(390, 844).unwrap();
                self.keep(folder, &format!("{name}-narrow-{colour}"));
            }
        }
        self.browser.prefer_dark(false).unwrap();
        self.browser.resize(390, 844).unwrap();
        let wider = self.browser.script("document.documentElement.scrollWidth > innerWidth").unwrap();
        assert_eq!(wider, false, "{name} is wider than a narrow screen");
        self.browser.resize(1280, 800).unwrap();
    }

    pub(crate) fn check_accessibility(&self, name: &str) {
        assert_eq!(self.violations(), Value::Array(vec![]), "{name}");
    }

    /// What the accessibility checker finds serious.
    pub(crate) fn violations(&self) -> Value {
        self.browser.script(&format!("{}; true", self.axe)).unwrap();
        let run = "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})\
            .then(result => result.violations\
                .filter(one => ['serious', 'critical'].includes(one.impact))\
                .map(one => one.id + ': ' + one.nodes.map(node => node.html + ' ' + node.failureSummary).join('; ')))";
        self.browser.script(run).unwrap()
    }

    pub(crate) fn keep(&self, folder: &PathBuf, name: &str) {
        fs::create_dir_all(folder).unwrap();
        let picture = self.browser.picture().unwrap();
        let encoded = folder.join(format!("{name}.base64"));
        fs::write(&encoded, picture).unwrap();
        let decoded = Command::new("base64").arg("-d").arg(&encoded).output().unwrap();
        fs::write(folder.join(format!("{name}.png")), decoded.stdout).unwrap();
        fs::remove_file(encoded).unwrap();
    }
}

/// What the livepatch of these tests is made from.
const PATCH: &str = "\
--- a/net/unix/af_unix.c
+++ b/net/unix/af_unix.c
@@ -2314,7 +2314,8 @@ static int unix_stream_read_generic(struct unix_stream_read_state *state,
 \tif (unlikely(state->socket->type != SOCK_STREAM))
-\t\treturn -EINVAL;
+\t\treturn -EOPNOTSUPP;
";

/// Hands in what the builder left beside the module.
pub(crate) fn hand_in(server: &Server, manifest: &Manifest) {
    let digest = &manifest.module.sha256;
    let unit = json!({"source": "net/unix/af_unix.c", "object": "vmlinux", "changed": ["unix_stream_read_generic"],
        "added": ["unix_lid"], "why": [{"function": "unix_stream_read_generic", "reason": "edited", "why": "edited at line 2316"}],
        "proof": {"functions": 118, "identical": 117, "fields": 2310, "unchecked": 0, "differs": [["unix_poll", "bytes"]]}});
    let finding = json!({"severity": "warn", "code": "new-state", "subject": "unix_lid", "file": "net/unix/af_unix.c",
        "line": 2316, "message": "unix_lid is new: sockets from before do not have it.", "advice": "See that it starts as zero.",
        "accepted": true});
    let report = json!({"schema": 1, "module_sha256": digest, "units": [unit], "findings": [finding],
        "notes": ["Documentation/ is left out."]});
    let step = |step: &str, seconds: f64| json!({"step": step, "passed": true, "seconds": seconds});
    let test = json!({"schema": 1, "module_sha256": digest, "release": manifest.kernel.release, "passed": true,
        "steps": [step("boot", 31.2), step("load", 1.4), step("undo", 0.9)], "warnings": []});
    let statement = json!({"subject": [{"name": "x.ko", "digest": {"sha256": digest}}], "predicate": {
        "buildDefinition": {"internalParameters": {"compiler": "gcc 12.2.0"}, "resolvedDependencies": [
            {"name": "net/unix/af_unix.c", "digest": {"sha256": "ab".repeat(32)}}]},
        "runDetails": {"builder": {"id": "https://github.com/open-livepatch/open-livepatch/livepatch-build"}}}});
    for (kind, text) in [
        ("report", report.to_string()),
        ("boot-test", test.to_string()),
        ("provenance", statement.to_string()),
        ("console", "[    0.000000] Linux version 6.1.0-55-cloud-amd64".to_owned()),
        ("patch", PATCH.to_owned()),
    ] {
        let at = format!("{}/{}/documents/{kind}", paths::ADMIN_LIVEPATCHES, manifest.name);
        server.send::<Value>(&at, &server.admin_key(), text.as_bytes()).unwrap();
    }
}

pub(crate) fn publish(server: &Server) -> Manifest {
    let request = CertificateRequest { pem: KEY.certificate().to_pem().to_owned() };
    server.admin_post::<CertificateAdded>(paths::ADMIN_CERTIFICATES, &request).unwrap();
    let (module, mut manifest) = livepatch(1);
    manifest.provenance.patch_sha256 = Digest::of(PATCH.as_bytes());
    let function =
        |name: &str| PatchedFunction { name: name.into(), sympos: 0, source: "net/unix/af_unix.c".into() };
    manifest.objects = vec![PatchedObject {
        name: "vmlinux".into(),
        functions: vec![function("unix_stream_read_generic"), function("unix_dgram_sendmsg")],
    }];
    server.publish::<PublishAnswer>(&module, &manifest, "edge").unwrap();
    manifest
}

pub(crate) fn enrol(server: &Server, machines: usize) -> Vec<Machine> {
    let request = TokenRequest {
        tier: "stable".into(),
        uses: None,
        expires_after: None,
        note: "the web servers".into(),
        tags: vec![],
    };
    let created: TokenCreated = server.admin_post(paths::ADMIN_TOKENS, &request).unwrap();
    let secret = created.token.parse::<EnrolmentToken>().unwrap().secret;
    (1..=machines).map(|number| Machine::enrol(server, &secret, number)).collect()
}
