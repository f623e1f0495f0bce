//! The sound of alarms: its bursts sample by sample against IEC 60601-1-8, when they come, and what is said where they cannot.

use serde_json::{Value, json};

use crate::daemon::Daemon;
use crate::stage::{Stage, not_analysed, scene_of};
use crate::webdriver::{Browser, SOUNDS};

/// Samples a second: twice the highest frequency that is looked at, and to spare.
const RATE: f64 = 16_000.0;

/// What the standard says of a burst: tables 3 and 4.
struct Limits {
    pulses: std::ops::RangeInclusive<usize>,
    duration_s: [f64; 2],
    spacing_s: [f64; 2],
}

const LIMITS: [(&str, Limits); 2] = [
    ("medium", Limits { pulses: 3..=3, duration_s: [0.125, 0.25], spacing_s: [0.125, 0.25] }),
    ("low", Limits { pulses: 1..=2, duration_s: [0.125, 0.25], spacing_s: [0.125, 0.25] }),
];
/// Of the duration.
const RISE: [f64; 2] = [0.1, 0.4];
const FUNDAMENTAL_HZ: [f64; 2] = [150.0, 1000.0];
const HARMONICS_HZ: [f64; 2] = [300.0, 4000.0];
const HARMONICS: usize = 4;
const HARMONICS_DB: f64 = 15.0;
/// Between two pulses of a burst.
const AMPLITUDES_DB: f64 = 10.0;

fn is_within(value: f64, [low, high]: [f64; 2]) -> bool {
    (low..=high).contains(&value)
}

fn rendered(browser: &Browser, priority: &str) -> Vec<f64> {
    let script = format!(
        "const done = arguments[arguments.length - 1]; import('/sound.js').then(async ({{ renderBurst }}) => {{ \
         const into = new OfflineAudioContext(1, 2 * {RATE}, {RATE}); renderBurst(into, '{priority}', 0.25); \
         done([...(await into.startRendering()).getChannelData(0)]); }}, error => done(String(error)))"
    );
    let samples = browser.run_until_done(&script);
    samples.as_array().unwrap_or_else(|| panic!("{samples}")).iter().map(|sample| sample.as_f64().unwrap()).collect()
}

/// The amplitude of a frequency in a piece of sound (Goertzel's algorithm, with a Hann window).
fn amplitude(samples: &[f64], hertz: f64) -> f64 {
    let turn = std::f64::consts::TAU * hertz / RATE;
    let count = samples.len() as f64;
    let (mut before, mut last) = (0.0, 0.0);
    for (place, sample) in samples.iter().enumerate() {
        let window = 0.5 - 0.5 * (std::f64::consts::TAU * place as f64 / count).cos();
        (before, last) = (last, sample * window + 2.0 * turn.cos() * last - before);
    }
    (last * last + before * before - 2.0 * turn.cos() * last * before).max(0.0).sqrt() * 4.0 / count
}

/// How loud the sound is about each sample: the largest within a period of the lowest fundamental that is looked for.
fn envelope(samples: &[f64]) -> Vec<f64> {
    let reach = (RATE / 300.0 / 2.0) as usize;
    let about = |at: usize| &samples[at.saturating_sub(reach)..(at + reach).min(samples.len())];
    (0..samples.len()).map(|at| about(at).iter().fold(0.0, |most: f64, sample| most.max(sample.abs()))).collect()
}

/// Where the envelope is above a share of the largest: from and to, samples.
fn above(envelope: &[f64], share: f64) -> Vec<[usize; 2]> {
    let limit = share * envelope.iter().fold(0.0, |most: f64, value| most.max(*value));
    let mut runs: Vec<[usize; 2]> = Vec::new();
    for (at, _) in envelope.iter().enumerate().filter(|(_, value)| **value >= limit) {
        match runs.last_mut() {
            Some(run) if run[1] == at => run[1] = at + 1,
            _ => runs.push([at, at + 1]),
        }
    }
    runs
}

#[test]
fn a_rendered_alarm_has_the_pulses_and_harmonics_of_the_standard() {
    let Some(browser) = Browser::start() else { return };
    let daemon = Daemon::start();
    browser.open(&format!("http://{}/table", daemon.console()));
    for (priority, limits) in LIMITS {
        let samples = rendered(&browser, priority);
        let peak = samples.iter().fold(0.0, |most: f64, sample| most.max(sample.abs()));
        assert!(is_within(peak, [0.5, 0.999]), "{priority}: it peaks at {peak}");
        let envelope = envelope(&samples);
        let (loud, whole) = (above(&envelope, 0.9), above(&envelope, 0.1));
        assert!(limits.pulses.contains(&loud.len()) && loud.len() == whole.len(), "{priority}: {loud:?} {whole:?}");
        let seconds = |samples: usize| samples as f64 / RATE;
        let durations: Vec<f64> = loud.iter().map(|[from, to]| seconds(to - from)).collect();
        let spacings: Vec<f64> = loud.windows(2).map(|pair| seconds(pair[1][0] - pair[0][1])).collect();
        let rises: Vec<f64> = loud.iter().zip(&whole).map(|(loud, whole)| seconds(loud[0] - whole[0])).collect();
        let falls: Vec<f64> = loud.iter().zip(&whole).map(|(loud, whole)| seconds(whole[1] - loud[1])).collect();
        for ((duration, rise), fall) in durations.iter().zip(&rises).zip(&falls) {
            assert!(is_within(*duration, limits.duration_s), "{priority}: pulses of {durations:?} s");
            assert!(is_within(rise / duration, RISE), "{priority}: they rise in {rises:?} s");
            assert!(spacings.iter().all(|spacing| *fall <= spacing - rise), "{priority}: they fall in {falls:?} s");
        }
        assert!(
            spacings.iter().all(|spacing| is_within(*spacing, limits.spacing_s)),
            "{priority}: {spacings:?} s apart"
        );

        let pulses: Vec<&[f64]> = loud.iter().map(|[from, to]| &samples[*from..*to]).collect();
        let candidates = (1500..10_000).map(|tenths| f64::from(tenths) / 10.0);
        let fundamental = candidates
            .max_by(|one, other| amplitude(pulses[0], *one).total_cmp(&amplitude(pulses[0], *other)))
            .unwrap();
        assert!(is_within(fundamental, FUNDAMENTAL_HZ), "{priority}: {fundamental} Hz");
        let base: Vec<f64> = pulses.iter().map(|pulse| amplitude(pulse, fundamental)).collect();
        let decibels = |amplitude: f64| 20.0 * (amplitude / base[0]).log10();
        assert!(
            decibels(amplitude(pulses[0], fundamental / 2.0)) < -40.0,
            "{priority}: {fundamental} Hz is a harmonic itself"
        );
        assert!(base.iter().all(|base| decibels(*base).abs() <= AMPLITUDES_DB), "{priority}: {base:?}");
        let harmonics: Vec<(f64, f64)> = (2..=30)
            .map(|number| f64::from(number) * fundamental)
            .filter(|hertz| is_within(*hertz, HARMONICS_HZ))
            .map(|hertz| (hertz, decibels(amplitude(pulses[0], hertz))))
            .filter(|(_, decibels)| decibels.abs() <= HARMONICS_DB)
            .collect();
        assert!(harmonics.len() >= HARMONICS, "{priority}: {harmonics:?}");
        eprintln!(
            "{priority}: {} pulses of {durations:.3?} s, {spacings:.3?} s apart, rising in {rises:.3?} s, falling in {falls:.3?} s; peak {peak:.2}; {fundamental:.1} Hz; harmonics (Hz, dB) {harmonics:.1?}",
            loud.len()
        );
    }
}

fn bursts(browser: &Browser) -> u64 {
    browser.run("return window.bursts.length").as_u64().unwrap()
}

/// The text of a part of the page.
fn text(browser: &Browser, selector: &str) -> String {
    browser.run(&format!("return document.querySelector('{selector}').textContent")).as_str().unwrap().to_owned()
}

#[test]
fn an_alarm_repeats_until_it_is_silenced_and_sounds_at_once_when_another_comes() {
    let Some(browser) = Browser::start_with(&SOUNDS) else { return };
    let daemon = Daemon::start();
    Stage::new(&browser, &daemon, "table", "en").show(&scene_of("suspected"));
    browser.wait_until("a burst and the next", "window.bursts.length >= 2");
    assert_eq!(browser.run("return [...new Set(window.bursts)]"), json!([523]), "of medium priority");
    browser.click("#silence");
    browser.wait_until("the silence", "document.querySelector('#silence').textContent.startsWith('Silent for 1:5')");
    let before = bursts(&browser);
    // Longer than the interval between two bursts.
    browser.wait_until("the time that is left", "/1:5[01]/.test(document.querySelector('#silence').textContent)");
    assert_eq!(bursts(&browser), before, "silenced, it sounds");
    browser.run(&format!("window.tell('exam', {})", serde_json::to_string(&not_analysed()).unwrap()));
    browser.wait_until("a burst", &format!("window.bursts.length > {before}"));
    assert_eq!(text(&browser, "#silence"), "Silence for 2 min");

    // A silence that is ended by hand ends at once, and one that a reload falls into goes on.
    browser.click("#silence");
    browser.wait_until("the silence", "document.querySelector('#silence').textContent.startsWith('Silent for')");
    let before = bursts(&browser);
    browser.click("#silence");
    browser.wait_until("a burst", &format!("window.bursts.length > {before}"));
}

#[test]
fn what_is_not_analysed_sounds_low_and_what_is_acknowledged_not_at_all() {
    let Some(browser) = Browser::start_with(&SOUNDS) else { return };
    let daemon = Daemon::start();
    let stage = Stage::new(&browser, &daemon, "table", "en");
    stage.show(&scene_of("not-analysed"));
    browser.wait_until("a burst", "window.bursts.length === 1");
    assert_eq!(browser.run("return window.bursts"), json!([392]));
    for silent in ["acknowledged", "not-suspected", "receiving"] {
        stage.show(&scene_of(silent));
        assert_eq!(browser.run("return document.querySelector('#silence').hidden"), true, "{silent}");
        // The test tone is the first that is heard.
        browser.click("#test-sound");
        browser.wait_until("the test tone", "window.bursts.length === 1");
    }
}

#[test]
fn one_tab_of_a_browser_sounds_and_when_it_goes_the_next() {
    let Some(browser) = Browser::start_with(&SOUNDS) else { return };
    let daemon = Daemon::start();
    let scene = scene_of("suspected");
    Stage::new(&browser, &daemon, "table", "en").show(&scene);
    browser.wait_until("a burst", "window.bursts.length >= 1");
    let first = browser.current_tab();
    let second = browser.open_tab("about:blank");
    Stage::new(&browser, &daemon, "table", "en").show(&scene);
    browser.switch_to(&first);
    let before = bursts(&browser);
    browser.wait_until("two more bursts", &format!("window.bursts.length >= {}", before + 2));
    browser.switch_to(&second);
    assert_eq!(bursts(&browser), 0, "both tabs sound");
    assert_eq!(browser.run("return document.querySelector('[data-kind=no_sound]')"), Value::Null);
    browser.switch_to(&first);
    browser.close_tab();
    browser.switch_to(&second);
    browser.wait_until("the other tab", "window.bursts.length >= 1");
}

#[test]
fn a_browser_that_keeps_silent_and_a_computer_without_a_loudspeaker_are_told_of_as_large_as_a_state() {
    let daemon = Daemon::start();
    let said = "document.querySelector('[data-kind=no_sound] .action')?.textContent";
    let Some(browser) = Browser::start_with(&SOUNDS[1..]) else { return };
    Stage::new(&browser, &daemon, "table", "en").show(&scene_of("suspected"));
    browser.wait_until("what is wrong", &format!("{said} === 'The browser keeps alarms silent: press anywhere.'"));
    assert_eq!(bursts(&browser), 0);
    browser.click("#clock");
    browser.wait_until("a burst", "window.bursts.length >= 1");
    browser.wait_until("nothing to be wrong", "document.querySelector('[data-kind=no_sound]') === null");
    drop(browser);

    let Some(browser) = Browser::start_with(&SOUNDS[..1]) else { return };
    browser.open(&format!("http://{}/table", daemon.console()));
    let devices = "navigator.mediaDevices.enumerateDevices().then(found => arguments[0](found.length))";
    if browser.run_until_done(devices) != 0 {
        eprintln!("SKIPPED: this computer has a loudspeaker or a microphone");
        return;
    }
    browser.wait_until("what is wrong", &format!("{said}?.startsWith('This computer has no loudspeaker')"));
    // Beside the list of exams a bar says so to who wants sound.
    browser.open(&format!("http://{}/", daemon.console()));
    browser.wait_until("the live stream", "document.querySelector('#connection').dataset.state === 'live'");
    assert_eq!(browser.run("return document.querySelector('#no-sound').hidden"), true, "nobody has asked for sound");
    browser.click("#sound");
    browser.wait_until("the bar", "document.querySelector('#no-sound').textContent.startsWith('No sound')");
}
