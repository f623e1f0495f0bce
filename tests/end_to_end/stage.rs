//! Exams in every state, as the daemon would tell of them: the statements are its own, made of exams and flags that a test writes.

use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};
use tableside::alert::{Acknowledgement, Flag, FlagKind, FlagState, Flags, Outcomes, Severity};
use tableside::analysis::{ExamState, ExamView};
use tableside::console::ShownExam;
use tableside::database::ListedExam;
use tableside::exam::{ExamKey, Patient, Remedy};
use tableside::texts::Phrase;
use tableside::triage::{SliceCounts, Thresholds, Verdict};

use crate::daemon::Daemon;
use crate::webdriver::Browser;

/// What is staged in place of a daemon.
#[derive(Clone)]
pub struct Scene {
    pub name: &'static str,
    /// Newest first.
    pub exams: Vec<ShownExam>,
    pub problems: Vec<&'static str>,
    /// What the daemon's clock says, where it differs.
    pub now: Option<&'static str>,
    /// The daemon goes once all is shown.
    pub is_lost: bool,
}

fn patient(name: &str) -> Patient {
    let of = |text: &str| text.to_owned();
    Patient { name: of(name), id: of("4711"), birth_date: of("19700101"), sex: of("F") }
}

/// An exam that began so many minutes ago, and what its verdict is.
fn exam(name: &str, minutes: i64, state: ExamState, verdict: Option<Verdict>, flags: Vec<Flag>) -> ShownExam {
    let patient = patient(name);
    let started = Timestamp::now() - minutes.minutes();
    let reason = match verdict {
        Some(Verdict::Suspected) => {
            "pneumonia-like opacities, mostly ground glass: COVID-19 possible (probability 0.97, 12 lesions, 412 ml, 8.1 % of the lungs)"
        }
        Some(Verdict::NotSuspected) => "no pneumonia-like opacities found: probability 0.02",
        Some(Verdict::Abnormal) => {
            "right lung largely dense or missing, 610 ml against 2140 ml of the other; a radiologist must look"
        }
        Some(Verdict::NotAnalysed) => "only 3 usable slices came that can be analysed, a chest CT has at least 10",
        None => "",
    };
    let expected = Some(if state == ExamState::Receiving { 301 } else { 182 });
    let view = ExamView {
        key: ExamKey::new(name, &patient),
        state,
        patient,
        scanner: "CT1".to_owned(),
        description: "Chest".to_owned(),
        started,
        last_slice: Some(started),
        updated: started,
        slices: SliceCounts { received: 182, instances: 182, analysed: 180, expected, ..SliceCounts::default() },
        z_mm: None,
        slabs: 0,
        score: None,
        threshold: Thresholds { early: 0.9, suspected: 0.5 },
        verdict,
        reason: reason.to_owned(),
        reason_phrase: None,
        revised: false,
        lesions: None,
    };
    let listed = ListedExam { exam: view, flags: Flags::from(flags), outcomes: Outcomes::default() };
    ShownExam::new(listed, None)
}

fn flag(kind: FlagKind, state: FlagState, severity: Severity, text: &str) -> Flag {
    Flag {
        id: Flag::id_of(kind),
        kind,
        severity,
        state,
        text: text.to_owned(),
        phrase: None,
        remedy: None,
        raised: Timestamp::now(),
        after_slices: 182,
        score: None,
        acknowledged: None,
        life: Vec::new(),
    }
}

fn suspected() -> Flag {
    flag(FlagKind::Suspected, FlagState::Final, Severity::Alarm, "")
}

fn scene(name: &'static str, exams: Vec<ShownExam>) -> Scene {
    Scene { name, exams, problems: Vec::new(), now: None, is_lost: false }
}

fn complete(name: &str, verdict: Verdict, flags: Vec<Flag>) -> ShownExam {
    exam(name, 4, ExamState::Complete, Some(verdict), flags)
}

pub fn receiving() -> ShownExam {
    exam("BERG^ANN", 1, ExamState::Receiving, None, Vec::new())
}

pub fn suspicion() -> ShownExam {
    complete("YAMADA^TAROU", Verdict::Suspected, vec![suspected()])
}

pub fn rescan() -> ShownExam {
    let text = "rescan: the lung bases are cut off, about 30 mm are missing";
    let advice = flag(FlagKind::Rescan, FlagState::Final, Severity::Warning, text);
    let advice = Flag { remedy: Some(Remedy::Rescan), ..advice };
    complete("LOPEZ^MARIA", Verdict::NotSuspected, vec![advice])
}

pub fn not_analysed() -> ShownExam {
    let raised = flag(FlagKind::NotAnalysed, FlagState::Final, Severity::Warning, "");
    complete("IVANOVA^OLGA", Verdict::NotAnalysed, vec![raised])
}

/// Every state of the view.
pub fn scenes() -> Vec<Scene> {
    let early = flag(
        FlagKind::Suspected,
        FlagState::Early,
        Severity::Alarm,
        "COVID-19 pneumonia suspected while the scan runs: isolate the patient",
    );
    let withdrawn = Flag { state: FlagState::Withdrawn, text: "withdrawn: no opacities".to_owned(), ..suspected() };
    let seen = Acknowledgement { by: "A. Berg".to_owned(), at: Timestamp::now() };
    let acknowledged = Flag { acknowledged: Some(seen), ..suspected() };
    let abnormal = flag(FlagKind::Abnormal, FlagState::Final, Severity::Warning, "");
    let clear = || complete("SMITH^JOHN", Verdict::NotSuspected, Vec::new());
    vec![
        scene("no-exam", Vec::new()),
        scene("receiving", vec![receiving()]),
        scene("suspected-early", vec![exam("YAMADA^TAROU", 1, ExamState::Receiving, None, vec![early])]),
        scene("suspected", vec![suspicion()]),
        scene("acknowledged", vec![complete("YAMADA^TAROU", Verdict::Suspected, vec![acknowledged])]),
        scene("rescan", vec![rescan()]),
        scene("not-analysed", vec![not_analysed()]),
        scene("abnormal", vec![complete("OKAFOR^CHIDI", Verdict::Abnormal, vec![abnormal])]),
        scene("withdrawn", vec![complete("YAMADA^TAROU", Verdict::NotSuspected, vec![withdrawn])]),
        scene("not-suspected", vec![clear()]),
        scene("earlier-alarm", vec![receiving(), suspicion()]),
        Scene {
            problems: vec!["the engine does not answer: no window has come back for 60 s"],
            ..scene("not-ready", vec![clear()])
        },
        Scene { now: Some("2026-11-30T08:00:00Z"), ..scene("clock", vec![clear()]) },
        Scene { is_lost: true, ..scene("lost", vec![suspicion()]) },
    ]
}

/// The scene of a name.
pub fn scene_of(name: &str) -> Scene {
    scenes().into_iter().find(|scene| scene.name == name).expect(name)
}

/// A page that shows scenes. Its files and texts come from a daemon.
pub struct Stage<'a> {
    browser: &'a Browser,
    address: String,
    /// Of the script that is run before the page's own.
    script: std::cell::RefCell<Option<String>>,
    language: &'static str,
}

impl<'a> Stage<'a> {
    pub fn new(browser: &'a Browser, daemon: &Daemon, page: &str, language: &'static str) -> Self {
        let address = format!("http://{}/{page}", daemon.console());
        // An alarm that breathes is another picture each time.
        let calm = json!({ "features": [{ "name": "prefers-reduced-motion", "value": "reduce" }] });
        browser.devtools("Emulation.setEmulatedMedia", &calm);
        Self { browser, address, script: std::cell::RefCell::new(None), language }
    }

    /// Shows a scene from its beginning, and waits until it stands.
    pub fn show(&self, scene: &Scene) {
        let identifier = |name: &str| json!({ "identifier": name });
        if let Some(before) = self.script.take() {
            self.browser.devtools("Page.removeScriptToEvaluateOnNewDocument", &identifier(&before));
        }
        let source = format!(
            "try {{ localStorage.setItem('tableside.language', '{}') }} catch {{}}\n{}",
            self.language,
            include_str!("stage.js").replace("STAGED", &staged(scene).to_string())
        );
        let added = self.browser.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": source }));
        self.script.replace(Some(added["identifier"].as_str().unwrap().to_owned()));
        self.browser.open(&self.address);
        let is_live = "document.querySelector('#connection').dataset.state === 'live'";
        self.browser.wait_until("the live stream", is_live);
        self.browser.wait_until("no transition", "document.getAnimations().every(a => a.playState !== 'running')");
        if scene.now.is_some() {
            self.browser.wait_until(
                "the clocks",
                "document.body.textContent.match(/clocks differ|时钟不一致|clock of this computer/)",
            );
        }
        if scene.is_lost {
            self.browser.run("loseDaemon()");
            self.browser.wait_until("the loss", "document.querySelector('#connection').dataset.state === 'lost'");
        }
    }

    /// Left, top, width and height of what a selector finds first, px.
    pub fn place(&self, selector: &str) -> [f64; 4] {
        let script = format!(
            "const r = document.querySelector('{selector}').getBoundingClientRect(); return [r.x, r.y, r.width, r.height]"
        );
        let place = self.browser.run(&script);
        [0, 1, 2, 3].map(|at| place[at].as_f64().unwrap())
    }
}

fn staged(scene: &Scene) -> Value {
    let status = json!({
        "version": "0.2.0", "ready": scene.problems.is_empty(), "problems": scene.problems, "notices": [], "notice_phrases": [],
        "problem_phrases": scene.problems.iter().map(|problem| Phrase::english(*problem)).collect::<Vec<_>>(), "destinations": [],
        "engine": "embedded", "model": "reference", "ae_title": "TABLESIDE", "dicom_address": "10.0.0.7:11112", "port": 11112
    });
    let who = json!({ "name": null, "shown_as": null, "role": "technician", "sees_exams": true, "acknowledges": true, "delivers": true });
    let session = json!({ "access": "open", "first_run": false, "who": who });
    json!({ "session": session, "status": status, "exams": scene.exams, "now": scene.now })
}
