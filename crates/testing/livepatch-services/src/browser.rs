//! Headless Chromium, through chromedriver: W3C WebDriver (https://www.w3.org/TR/webdriver2/), which is JSON over HTTP, and
//! the DevTools protocol for what that lacks (colours, scripts off, whole-page pictures).

use serde_json::{Value, json};
use std::{
    fmt,
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use ureq::Agent;

/// A loaded machine takes a while.
const PATIENCE: Duration = Duration::from_secs(120);
/// The key of an element's reference (WebDriver, 12.2).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window; it ends with the value.
pub struct Browser {
    agent: Agent,
    session: String,
    driver: Child,
    /// Held open: a driver that cannot write its words ends.
    _words: Option<BufReader<ChildStdout>>,
    profile: TempDir,
}

/// Why a browser does not do what a test asks.
#[derive(Debug, thiserror::Error)]
pub enum BrowserError {
    /// The programs are not there.
    #[error("Chromium is not installed: apt-get install chromium chromium-driver ({0})")]
    NotInstalled(String),
    /// The driver does not answer.
    #[error("the browser's driver does not answer: {0}")]
    Silent(String),
    /// The driver says no.
    #[error("{command}: {message}")]
    Refused {
        /// What was asked.
        command: String,
        /// What it said.
        message: String,
    },
}

pub(crate) type Result<T> = std::result::Result<T, BrowserError>;

impl fmt::Debug for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Browser({})", self.session)
    }
}

impl Browser {
    /// Starts one.
    ///
    /// # Errors
    /// [`BrowserError`].
    pub fn start() -> Result<Self> {
        let missing = |error: std::io::Error| BrowserError::NotInstalled(error.to_string());
        let profile = tempfile::tempdir().map_err(missing)?;
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            // Chromium leaves crash reports and caches at home otherwise.
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(missing)?;
        let mut words = driver.stdout.take().map(BufReader::new);
        let port = words.as_mut().and_then(started_on);
        let agent =
            Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
        let mut browser = Self {
            agent: agent.into(),
            session: format!("http://127.0.0.1:{}/session", port.unwrap_or_default()),
            driver,
            _words: words,
            profile,
        };
        browser.begin()?;
        Ok(browser)
    }

    fn begin(&mut self) -> Result<()> {
        let profile = format!("--user-data-dir={}", self.profile.path().display());
        // Tests run as root in containers, where Chromium's own sandbox cannot.
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            // They are as wide as a margin, and pictures would lack it.
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
            &profile,
        ];
        let options = json!({"args": arguments, "binary": "/usr/bin/chromium"});
        let wish = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}});
        let answer = self.ask("", &wish)?;
        let id = answer["sessionId"].as_str().unwrap_or_default();
        self.session = format!("{}/{id}", self.session);
        Ok(())
    }

    /// Opens an address, and waits until it is loaded.
    ///
    /// # Errors
    /// [`BrowserError`].
    pub fn open(&self, address: &str) -> Result<()> {
        self.ask("/url", &json!({"url": address})).map(drop)
    }

    /// The address that is open.
    ///
    /// # Errors
    /// [`BrowserError`].
    pub fn address(&self) -> Result<String> {
        Ok(self.script("location.href")?.as_str().unwrap_or_default().to_owned())
    }

    /// Presses what a CSS selector finds, as a mouse would; it must be seen.
    ///
    /// # Errors
    /// [`BrowserError::Refused`] also when there is no such thing.
    pub fn click(&self, selector: &str) -> Result<()> {
        let element = self.find(selector)?;
        self.ask(&format!("/element/{element}/click"), &json!({})).map(drop)
    }

    /// Types into what a CSS selector finds.
    ///
    /// # Errors
    /// As [`Browser::click`].
    pub fn write(&self, selector: &str, text: &str) -> Result<()> {
        let element = self.find(selector)?;
        self.ask(&format!("/element/{element}/value"), &json!({"text": text})).map(drop)
    }

    /// The text that a person sees there; empty when there is no such thing.
    ///
    /// # Errors
    /// [`BrowserError`].
    pub fn text(&self, selector: &str) -> Result<String> {
        let script = format!("(document.querySelector({}) || {{}}).innerText || ''", Value::from(selector));
        Ok(self.script(&script)?.as_str().unwrap_or_default().to_owned())
    }

    /// Waits until the text there holds these words.
    ///
    /// # Errors
    /// [`BrowserError::Refused`] with the text, when they do not come.
    pub fn wait_for(&self, selector: &str, words: &str) -> Result<()> {
        let limit = Instant::now() + PATIENCE;
        loop {
            // Between two pages there is none to ask.
            let text = self.text(selector).unwrap_or_else(|error| error.to_string());
            if text.contains(words) {
                return Ok(());
            }
            if Instant::now() > limit {
                let command = format!("wait for '{words}' in {selector}");
                return Err(BrowserError::Refused { command, message: text });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The value of a JavaScript expression in the page; of a promise, what it comes to. The page's policy does not
    /// concern it.
    ///
    /// # Errors
    /// [`BrowserError::Refused`] also when it throws.
    pub fn script(&self, expression: &str) -> Result<Value> {
        let wish = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.devtools("Runtime.evaluate", &wish)?;
        match answer.get("exceptionDetails") {
            None => Ok(answer["result"]["value"].clone()),
            Some(thrown) => {
                Err(BrowserError::Refused { command: "script".to_owned(), message: thrown.to_string() })
            }
        }
    }

    /// The size of the window's inside, in pixels.
    ///
    /// # Errors
    /// [`BrowserError`].
    pub fn resize(&self, width: u32, height: u32) -> Result<()> {
        let wish = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &wish).map(drop)
    }

    /// Whether pages see a system that prefers dark colours.
    ///
    /// # Errors
    /// [`BrowserError`].
    pub fn prefer_dark(&self, dark: bool) -> Result<()> {
        let value = if dark { "dark" } else { "light" };
        let wish = json!({"features": [{"name": "prefers-color-scheme", "value": value}]});
        self.devtools("Emulation.setEmulatedMedia", &wish).map(drop)
    }

    /// Forgets all cookies, of all sites.
    ///
    /// # Errors
    /// [`BrowserError`].
    pub fn forget_cookies(&self) -> Result<()> {
        self.devtools("Network.clearBrowserCookies", &json!({})).map(drop)
    }

    /// Whether pages may run scripts.
    ///
    /// # Errors
    /// [`BrowserError`].
    pub fn allow_scripts(&self, allowed: bool) -> Result<()> {
        self.devtools("Emulation.setScriptExecutionDisabled", &json!({"value": !allowed})).map(drop)
    }

    /// The whole page as a PNG picture, in base64.
    ///
    /// # Errors
    /// [`BrowserError`].
    pub fn picture(&self) -> Result<String> {
        let wish = json!({"format": "png", "captureBeyondViewport": true});
        let size = self.devtools("Page.getLayoutMetrics", &json!({}))?["cssContentSize"].clone();
        let clip = json!({"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1});
        let mut wish = wish;
        wish["clip"] = clip;
        let answer = self.devtools("Page.captureScreenshot", &wish)?;
        Ok(answer["data"].as_str().unwrap_or_default().to_owned())
    }

    fn devtools(&self, command: &str, parameters: &Value) -> Result<Value> {
        self.ask("/goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    fn find(&self, selector: &str) -> Result<String> {
        let found = self.ask("/element", &json!({"using": "css selector", "value": selector}))?;
        Ok(found[ELEMENT].as_str().unwrap_or_default().to_owned())
    }

    fn ask(&self, path: &str, wish: &Value) -> Result<Value> {
        let silent = |error: &dyn fmt::Display| BrowserError::Silent(error.to_string());
        let request =
            self.agent.post(format!("{}{path}", self.session)).header("content-type", "application/json");
        let mut response = request.send(wish.to_string().as_bytes()).map_err(|error| silent(&error))?;
        let body = response
            .body_mut()
            .with_config()
            .limit(256 << 20)
            .read_to_vec()
            .map_err(|error| silent(&error))?;
        let mut answer: Value = serde_json::from_slice(&body).map_err(|error| silent(&error))?;
        if response.status().is_success() {
            return Ok(answer["value"].take());
        }
        let message = answer["value"]["message"].as_str().unwrap_or_default().to_owned();
        Err(BrowserError::Refused { command: format!("{path} {}", brief(wish)), message })
    }
}

/// The port, as the driver says: "ChromeDriver was started successfully on port 35561."
fn started_on(words: &mut BufReader<ChildStdout>) -> Option<String> {
    let lines = words.lines().map_while(std::result::Result::ok);
    let mut ports = lines.filter_map(|line| {
        let (_, port) = line.split_once("started successfully on port ")?;
        Some(port.trim_end_matches('.').to_owned())
    });
    ports.next()
}

fn brief(wish: &Value) -> String {
    wish.to_string().chars().take(200).collect()
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends Chromium; then its driver.
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
