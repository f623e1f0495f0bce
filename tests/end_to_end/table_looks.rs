//! How the table view looks, in every state: its sizes, its contrast, its shapes for who sees no colours, and nothing that axe-core
//! finds fault with.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::daemon::Daemon;
use crate::pixels::{Pixels, contrast, distance};
use crate::stage::{Stage, scene_of, scenes};
use crate::viewer::{assert_accessible, axe};
use crate::webdriver::{Browser, SOUNDS};

/// The monitor that the sizes are given for.
const MONITOR: [u32; 2] = [1920, 1080];
const SMALLER: [[u32; 2]; 2] = [[1366, 768], [1280, 1024]];

/// For gloves, px.
const SMALLEST_CONTROL: f64 = 64.0;
/// For a reader across the room, px.
const SMALLEST_DECISIVE: f64 = 48.0;

/// Contrast of text, and of large text (WCAG 2.2, 1.4.3).
const TEXT: f64 = 4.5;
const LARGE_TEXT: f64 = 3.0;

/// Of the pixels of an icon: what two states differ in at least.
const SHAPE_DIFFERS: f64 = 0.08;

/// All that can be pressed, and all that decides: what it is, width, height and size of its letters.
const MEASURE: &str = r"
const seen = node => node.offsetParent !== null && node.textContent.trim() !== '';
const all = selector => [...document.querySelectorAll(selector)].filter(seen);
const row = node => { const r = node.getBoundingClientRect(); return [node.id || node.className || node.tagName, r.width, r.height, parseFloat(getComputedStyle(node).fontSize)]; };
return { controls: all('button, a, select').map(row), decisive: all('.panel :is(h2, .who, .action, .acknowledge, .problem), #silence').map(row),
  wide: document.documentElement.scrollWidth - innerWidth, high: document.querySelector('#panels').scrollHeight - document.querySelector('#panels').clientHeight };
";

fn rows(measured: &Value) -> Vec<(String, [f64; 3])> {
    let row = |row: &Value| (row[0].as_str().unwrap().to_owned(), [1, 2, 3].map(|at: usize| row[at].as_f64().unwrap()));
    measured.as_array().unwrap().iter().map(row).collect()
}

#[test]
fn controls_are_large_enough_for_gloves_and_what_decides_for_a_reader_across_the_room() {
    let Some(browser) = Browser::start_with(&SOUNDS) else { return };
    let daemon = Daemon::start();
    for language in ["en", "zh"] {
        let stage = Stage::new(&browser, &daemon, "table", language);
        for scene in scenes() {
            browser.view_at(MONITOR);
            stage.show(&scene);
            for size in [MONITOR].into_iter().chain(SMALLER) {
                browser.view_at(size);
                let shown = format!("{}, {language}, {size:?}", scene.name);
                let measured = browser.run(MEASURE);
                for (name, [width, height, _]) in rows(&measured["controls"]) {
                    assert!(
                        width >= SMALLEST_CONTROL && height >= SMALLEST_CONTROL,
                        "{shown}: {name} {width}x{height}"
                    );
                }
                let decisive = rows(&measured["decisive"]);
                assert!(decisive.len() >= 2, "{shown}: {decisive:?}");
                if size == MONITOR {
                    for (name, [_, _, letters]) in decisive {
                        assert!(letters >= SMALLEST_DECISIVE, "{shown}: {name} has letters of {letters} px");
                    }
                }
                let beyond = [&measured["wide"], &measured["high"]].map(|beyond| beyond.as_f64().unwrap());
                assert!(beyond.iter().all(|beyond| *beyond <= 1.0), "{shown}: {beyond:?} px do not fit");
            }
        }
    }
}

#[test]
fn axe_finds_no_violation_in_any_state_theme_and_language_of_the_table_view() {
    let Some(axe) = axe() else { return };
    let daemon = Daemon::start();
    for (options, states) in [(&SOUNDS[..], scenes()), (&[][..], vec![scene_of("suspected")])] {
        let Some(browser) = Browser::start_with(options) else { return };
        for language in ["en", "zh"] {
            let stage = Stage::new(&browser, &daemon, "table", language);
            for scene in &states {
                stage.show(scene);
                assert_accessible(&browser, &axe, &format!("{}, {language}, {} options", scene.name, options.len()));
            }
        }
    }
}

#[test]
fn no_word_of_the_view_is_the_models() {
    let Some(browser) = Browser::start_with(&SOUNDS) else { return };
    let daemon = Daemon::start();
    let stage = Stage::new(&browser, &daemon, "table", "en");
    for scene in scenes() {
        stage.show(&scene);
        let text = browser.run("return document.body.innerText.toLowerCase()");
        for word in ["attention", "logit", "score", "slab", "threshold"] {
            assert!(!text.as_str().unwrap().contains(word), "{}: {word} in {text}", scene.name);
        }
    }
}

#[test]
fn nothing_flashes_before_the_styles_are_there() {
    let Some(browser) = Browser::start() else { return };
    let daemon = Daemon::start();
    browser.devtools("Network.enable", &json!({}));
    browser.devtools("Network.setBlockedURLs", &json!({ "urls": ["*.css"] }));
    browser.open(&format!("http://{}/table", daemon.console()));
    let luminance = Pixels::of_png(&browser.screenshot(None)).luminance();
    assert!(luminance < 0.05, "without its styles the view has a luminance of {luminance}");
    // Nor does the document that a browser shows meanwhile.
    let page = daemon.get("/table").text();
    let [scheme, styles] = ["color-scheme", "stylesheet"].map(|word| page.find(word).expect(word));
    assert!(scheme < styles);
}

#[test]
fn dimmed_as_far_as_it_goes_every_state_can_be_read_and_the_step_is_remembered() {
    let Some(browser) = Browser::start_with(&SOUNDS) else { return };
    let daemon = Daemon::start();
    browser.view_at(MONITOR);
    let stage = Stage::new(&browser, &daemon, "table", "en");
    let mut least = BTreeMap::new();
    for scene in scenes() {
        stage.show(&scene);
        for theme in ["dark", "light"] {
            browser.run(&format!(
                "if (document.documentElement.dataset.theme !== '{theme}') document.querySelector('#theme').click()"
            ));
            browser.run("for (let i = 0; i < 5; i++) document.querySelector('#brighter').click()");
            let luminance = || Pixels::of_png(&browser.screenshot(None)).luminance();
            let bright = luminance();
            browser.run("for (let i = 0; i < 5; i++) document.querySelector('#darker').click()");
            assert!(luminance() < bright, "{}: it is no darker", scene.name);
            let count = browser.run("return document.querySelectorAll('.panel').length").as_u64().unwrap();
            for panel in 1..=count {
                for (part, limit) in [("h2", TEXT), (".action", TEXT)] {
                    let selector = format!(".panel:nth-child({panel}) {part}");
                    if browser.run(&format!("return document.querySelector('{selector}').textContent")) == "" {
                        continue;
                    }
                    let [ground, ink] =
                        Pixels::of_png(&browser.screenshot(Some(stage.place(&selector)))).ground_and_ink();
                    let found = contrast(ground, ink);
                    assert!(
                        found >= limit,
                        "{}, {theme}: {selector} has a contrast of {found:.1}: {ink:?} on {ground:?}",
                        scene.name
                    );
                    let known = least.entry(scene.name).or_insert(found);
                    *known = found.min(*known);
                }
            }
        }
    }
    eprintln!("least contrast at the lowest brightness: {least:.1?}");
    stage.show(&scene_of("suspected"));
    assert_eq!(browser.run("return document.body.dataset.dim"), "3");
}

/// Of a view: its address, the icon that says the state, and the words.
const VIEWS: [(&str, &str, &str); 2] =
    [("table", ".panel > .icon", ".panel h2"), ("", "#banner-icon", "#banner-headline")];

#[test]
fn who_sees_no_colours_tells_the_states_apart_by_their_shapes() {
    let Some(browser) = Browser::start_with(&SOUNDS) else { return };
    let daemon = Daemon::start();
    browser.view_at(MONITOR);
    let names =
        ["no-exam", "receiving", "suspected", "rescan", "not-analysed", "abnormal", "withdrawn", "not-suspected"];
    for (page, icon, words) in VIEWS {
        let stage = Stage::new(&browser, &daemon, page, "en");
        // Beside these the table view alone says what is wrong by a state of its own.
        let more: &[&str] = if page == "table" { &["not-ready", "lost"] } else { &[] };
        let mut looks: BTreeMap<&str, Vec<(&str, Pixels)>> = BTreeMap::new();
        for name in names.iter().chain(more) {
            stage.show(&scene_of(name));
            for deficiency in ["none", "deuteranopia", "protanopia", "tritanopia", "achromatopsia"] {
                browser.devtools("Emulation.setEmulatedVisionDeficiency", &json!({ "type": deficiency }));
                let seen = |selector: &str| Pixels::of_png(&browser.screenshot(Some(stage.place(selector))));
                let [ground, ink] = seen(words).ground_and_ink();
                let found = contrast(ground, ink);
                assert!(found >= TEXT, "/{page} {name}, {deficiency}: contrast {found:.1}, {ink:?} on {ground:?}");
                let icon = seen(icon);
                let [ground, ink] = icon.ground_and_ink();
                assert!(contrast(ground, ink) >= LARGE_TEXT, "/{page} {name}, {deficiency}: {ink:?} on {ground:?}");
                looks.entry(deficiency).or_default().push((name, icon));
            }
            browser.devtools("Emulation.setEmulatedVisionDeficiency", &json!({ "type": "none" }));
        }
        for (deficiency, looks) in looks {
            let (mut alike, mut closest) = (f64::MAX, f64::MAX);
            for (at, (one, left)) in looks.iter().enumerate() {
                for (other, right) in &looks[at + 1..] {
                    let differ = difference(left, right);
                    assert!(
                        differ >= SHAPE_DIFFERS,
                        "/{page} {deficiency}: {one} and {other} differ in {differ:.3} of the icon"
                    );
                    alike = alike.min(differ);
                    closest = closest.min(distance(left.most_frequent()[0], right.most_frequent()[0]));
                }
            }
            eprintln!("/{page} {deficiency}: icons differ in {alike:.2} at least, grounds by {closest:.0} of 442");
        }
    }
}

/// The share of pixels that belong to the shape in one of two icons alone. Icons of other sizes are compared where they overlap in
/// proportion.
fn difference(one: &Pixels, other: &Pixels) -> f64 {
    const SIDE: usize = 64;
    let sampled = |pixels: &Pixels| -> Vec<bool> {
        let shape = pixels.shape();
        let at = |row: usize, column: usize| {
            shape[(row * pixels.height / SIDE) * pixels.width + column * pixels.width / SIDE]
        };
        (0..SIDE * SIDE).map(|place| at(place / SIDE, place % SIDE)).collect()
    };
    let (one, other) = (sampled(one), sampled(other));
    one.iter().zip(&other).filter(|(one, other)| one != other).count() as f64 / (SIDE * SIDE) as f64
}

/// Not a test: the pictures of the documents.
#[test]
#[ignore = "draws: cargo test --locked --all-features --test end_to_end pictures_of_the_table_view -- --ignored"]
fn pictures_of_the_table_view() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures");
    let daemon = Daemon::start();
    let browser = Browser::start_with(&SOUNDS).expect("a browser");
    browser.view_at(MONITOR);
    let stage = Stage::new(&browser, &daemon, "table", "en");
    for scene in scenes() {
        stage.show(&scene);
        std::fs::write(folder.join(format!("table-{}.png", scene.name)), browser.reduced_screenshot(MONITOR)).unwrap();
    }
    let silent = Browser::start().expect("a browser");
    silent.view_at(MONITOR);
    Stage::new(&silent, &daemon, "table", "en").show(&scene_of("suspected"));
    silent.wait_until("what is wrong", "document.querySelector('[data-kind=no_sound]')");
    std::fs::write(folder.join("table-no-sound.png"), silent.reduced_screenshot(MONITOR)).unwrap();
}
