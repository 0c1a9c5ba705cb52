//! Looks at a page as its readers do: in light and dark, wide and narrow, and with the accessibility checker's eyes.

use crate::{Browser, ServiceError, axe, browser::BrowserError, browser::Result as BrowserResult};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const WIDE: (u32, u32) = (1280, 800);
const NARROW: (u32, u32) = (390, 844);

/// With the accessibility checker, and a folder for pictures when `LIVEPATCH_SCREENSHOTS` names one.
#[derive(Debug)]
pub struct Inspector {
    axe: String,
    pictures: Option<PathBuf>,
}

impl Inspector {
    /// Fetches the accessibility checker when the cache does not have it.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub fn new() -> Result<Self, ServiceError> {
        let pictures = std::env::var_os("LIVEPATCH_SCREENSHOTS").map(PathBuf::from);
        Ok(Self { axe: axe()?, pictures })
    }

    /// Opens a page, and says what is wrong with it: what the checker finds in either colour, and whether it is wider than a
    /// narrow screen. Keeps pictures `NAME-wide-light.png` and so on when they are wanted.
    ///
    /// # Errors
    /// [`BrowserError`].
    pub fn look(&self, browser: &Browser, name: &str, address: &str) -> BrowserResult<Vec<String>> {
        let mut faults = Vec::new();
        for (dark, colour) in [(true, "dark"), (false, "light")] {
            browser.prefer_dark(dark)?;
            browser.resize(WIDE.0, WIDE.1)?;
            browser.open(address)?;
            faults
                .extend(self.faults(browser)?.into_iter().map(|fault| format!("{name}, {colour}: {fault}")));
            self.keep(browser, &format!("{name}-wide-{colour}"))?;
            browser.resize(NARROW.0, NARROW.1)?;
            self.keep(browser, &format!("{name}-narrow-{colour}"))?;
        }
        if browser.script("document.documentElement.scrollWidth > innerWidth")? != false {
            faults.push(format!("{name} is wider than a narrow screen"));
        }
        browser.resize(WIDE.0, WIDE.1)?;
        Ok(faults)
    }

    /// What the checker finds serious in the page that is open.
    ///
    /// # Errors
    /// [`BrowserError`].
    pub fn faults(&self, browser: &Browser) -> BrowserResult<Vec<String>> {
        browser.accessibility_faults(&self.axe)
    }

    fn keep(&self, browser: &Browser, name: &str) -> BrowserResult<()> {
        match &self.pictures {
            Some(folder) => keep(&browser.picture()?, folder, name),
            None => Ok(()),
        }
    }
}

fn keep(picture: &str, folder: &Path, name: &str) -> BrowserResult<()> {
    let failed = |error: std::io::Error| BrowserError::Refused {
        command: format!("keep the picture {name}"),
        message: error.to_string(),
    };
    fs::create_dir_all(folder).map_err(failed)?;
    let encoded = folder.join(format!("{name}.base64"));
    fs::write(&encoded, picture).map_err(failed)?;
    let decoded = Command::new("base64").arg("-d").arg(&encoded).output().map_err(failed)?;
    fs::write(folder.join(format!("{name}.png")), decoded.stdout).map_err(failed)?;
    fs::remove_file(encoded).map_err(failed)
}
