//! axe-core, the accessibility checker.

use crate::{Browser, ServiceError, browser::Result as BrowserResult, kept};
use std::fs;

/// A later one may find more; which one found nothing is part of the result.
const VERSION: &str = "4.14.1";

/// Its script. In a page it defines `axe`.
///
/// # Errors
/// [`ServiceError`] when npm or tar fail.
pub fn axe() -> Result<String, ServiceError> {
    let name = format!("axe-core-{VERSION}");
    let folder = kept::folder(&name, |folder| {
        kept::run("npm", &["pack", "--silent", &format!("axe-core@{VERSION}")], folder)?;
        kept::run("tar", &["-xzf", &format!("{name}.tgz"), "package/axe.min.js"], folder).map(drop)
    })?;
    let script = folder.join("package/axe.min.js");
    fs::read_to_string(&script)
        .map_err(|source| ServiceError::Run { program: script.display().to_string(), source })
}

impl Browser {
    /// What the accessibility checker finds serious or critical in the page, by the rules of WCAG 2.2 A and AA; `axe` is its
    /// script.
    ///
    /// # Errors
    /// [`crate::BrowserError`].
    pub fn accessibility_faults(&self, axe: &str) -> BrowserResult<Vec<String>> {
        const RUN: &str = "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})\
            .then(result => result.violations\
                .filter(one => ['serious', 'critical'].includes(one.impact))\
                .map(one => one.id + ': ' + one.nodes.map(node => node.html + ' ' + node.failureSummary).join('; ')))";
        self.script(&format!("{axe}; true"))?;
        let found = self.script(RUN)?;
        let texts = found.as_array().into_iter().flatten();
        Ok(texts.map(|text| text.as_str().unwrap_or_default().to_owned()).collect())
    }
}
