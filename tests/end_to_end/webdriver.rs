//! As much of `WebDriver` (W3C recommendation) as the console's tests need, spoken to chromedriver.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::daemon::wait_for;
use crate::http;

const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A headless browser of a test's own.
pub struct Browser {
    driver: Child,
    address: String,
    session: String,
    profile: tempfile::TempDir,
}

fn installed(names: &[&str]) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders)
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .find(|path| path.exists())
}

/// Lets a page sound without a gesture, on a loudspeaker that is none.
pub const SOUNDS: [&str; 2] = ["--autoplay-policy=no-user-gesture-required", "--use-fake-device-for-media-stream"];

impl Browser {
    /// `None`, with a word why, where no browser is installed.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// Starts with more options of Chromium's.
    pub fn start_with(options: &[&str]) -> Option<Self> {
        let (driver, browser) = (installed(&["chromedriver"]), installed(&["chromium", "google-chrome"]));
        let (Some(driver), Some(browser)) = (driver, browser) else {
            eprintln!("SKIPPED: no browser here; it is in the Debian packages chromium and chromium-driver");
            return None;
        };
        Some(Self::start_programs(&driver, &browser, options))
    }

    fn start_programs(driver: &Path, browser: &Path, options: &[&str]) -> Self {
        let profile = tempfile::tempdir().unwrap();
        // The port that it finds free for one address family may be taken for the other: then it ends.
        let (driver, lines, port) =
            (0..5).find_map(|_| start_driver(driver)).expect("chromedriver says which port it has taken");
        let address = format!("127.0.0.1:{port}");
        // What it says later is read and dropped, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let mut this = Self { driver, address, session: String::new(), profile };
        let profile = format!("--user-data-dir={}", this.profile.path().display());
        let args = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,1000",
            &profile,
        ];
        let args = [&args, options].concat();
        let options = json!({ "binary": browser, "args": args });
        let capabilities = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } });
        let session = this.post("/session", &capabilities);
        session["sessionId"].as_str().unwrap().clone_into(&mut this.session);
        this
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let response = http::post(&self.address, path, body);
        assert_eq!(response.status, 200, "{path} {body}: {}", response.text());
        response.json()["value"].clone()
    }

    fn command(&self, path: &str, body: &Value) -> Value {
        self.post(&format!("/session/{}/{path}", self.session), body)
    }

    pub fn open(&self, url: &str) {
        self.command("url", &json!({ "url": url }));
    }

    /// Opens a page in a tab of its own, which is the one that is asked from now on. Its handle.
    pub fn open_tab(&self, url: &str) -> String {
        let tab = self.command("window/new", &json!({ "type": "tab" }))["handle"].as_str().unwrap().to_owned();
        self.switch_to(&tab);
        self.open(url);
        tab
    }

    pub fn switch_to(&self, tab: &str) {
        self.command("window", &json!({ "handle": tab }));
    }

    /// What a script returns.
    pub fn run(&self, script: &str) -> Value {
        self.command("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// What a script hands to the function that it gets as its last argument.
    pub fn run_until_done(&self, script: &str) -> Value {
        self.command("execute/async", &json!({ "script": script, "args": [] }))
    }

    /// What a command of the Chrome `DevTools` Protocol answers.
    pub fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.command("goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// Makes the page as large as this, px, whatever the window is.
    pub fn view_at(&self, [width, height]: [u32; 2]) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    /// A PNG of what is seen, or of a part of it: left, top, width and height, px.
    pub fn screenshot(&self, part: Option<[f64; 4]>) -> Vec<u8> {
        self.capture(&part.map_or(json!({}), |part| clip(part, 1.0)))
    }

    /// A PNG of what is seen of a page of this size, two thirds as large: for documents.
    pub fn reduced_screenshot(&self, size: [u32; 2]) -> Vec<u8> {
        let [width, height] = size.map(f64::from);
        self.capture(&clip([0.0, 0.0, width, height], 2.0 / 3.0))
    }

    fn capture(&self, parameters: &Value) -> Vec<u8> {
        let png = self.devtools("Page.captureScreenshot", parameters);
        base64::engine::general_purpose::STANDARD.decode(png["data"].as_str().unwrap()).unwrap()
    }

    /// The handle of the tab that is asked.
    pub fn current_tab(&self) -> String {
        let answer = http::get(&self.address, &format!("/session/{}/window", self.session));
        answer.json()["value"].as_str().unwrap().to_owned()
    }

    /// Closes the tab that is asked.
    pub fn close_tab(&self) {
        let path = format!("/session/{}/window", self.session);
        assert_eq!(http::request(&self.address, "DELETE", &path, None).status, 200);
    }

    /// Waits until a script returns true.
    pub fn wait_until(&self, what: &str, condition: &str) {
        let script = format!("return Boolean({condition})");
        wait_for(what, || (self.run(&script) == true).then_some(()));
    }

    fn element(&self, selector: &str) -> String {
        let found = self.command("element", &json!({ "using": "css selector", "value": selector }));
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    /// Scrolls to an element and clicks it as a user does: what is hidden or covered cannot be clicked.
    pub fn click(&self, selector: &str) {
        self.run(&format!("document.querySelector('{selector}').scrollIntoView({{ block: 'center' }})"));
        self.command(&format!("element/{}/click", self.element(selector)), &json!({}));
    }

    /// Moves the mouse to a place that is given from the middle of an element, px, and turns the wheel there, downwards by so many.
    pub fn point(&self, selector: &str, [right, down]: [i64; 2], wheel: i64) {
        let element = json!({ ELEMENT: self.element(selector) });
        let to = json!({ "type": "pointerMove", "duration": 0, "x": right, "y": down, "origin": element });
        let turn = json!({ "type": "scroll", "duration": 0, "x": right, "y": down, "deltaX": 0, "deltaY": wheel, "origin": element });
        let mouse = json!({ "type": "pointer", "id": "mouse", "actions": [to] });
        self.command("actions", &json!({ "actions": [mouse] }));
        if wheel != 0 {
            self.command("actions", &json!({ "actions": [{ "type": "wheel", "id": "wheel", "actions": [turn] }] }));
        }
    }

    /// Makes the window of the browser as large as this, px.
    pub fn resize(&self, width: u32, height: u32) {
        self.command("window/rect", &json!({ "width": width, "height": height }));
    }

    pub fn write(&self, selector: &str, text: &str) {
        self.command(&format!("element/{}/value", self.element(selector)), &json!({ "text": text }));
    }
}

fn clip([x, y, width, height]: [f64; 4], scale: f64) -> Value {
    json!({ "clip": { "x": x, "y": y, "width": width, "height": height, "scale": scale } })
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let session = format!("/session/{}", self.session);
            // Closes the browser; a panic on top of a failed test would hide its message.
            let _ = std::panic::catch_unwind(|| http::request(&self.address, "DELETE", &session, None));
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

type Lines = std::iter::MapWhile<
    std::io::Lines<BufReader<std::process::ChildStdout>>,
    fn(std::io::Result<String>) -> Option<String>,
>;

/// A chromedriver, what it says, and its port; `None` if it ends without one.
fn start_driver(program: &Path) -> Option<(Child, Lines, u16)> {
    let mut driver =
        Command::new(program).arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let ok: fn(std::io::Result<String>) -> Option<String> = Result::ok;
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(ok);
    let port = lines.find_map(|line| {
        let port = line.split_once("started successfully on port ")?.1;
        port.trim_end_matches('.').parse::<u16>().ok()
    });
    if port.is_none() {
        let _ = driver.wait();
    }
    Some((driver, lines, port?))
}
