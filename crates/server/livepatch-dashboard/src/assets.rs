//! Style sheet and script: in the program, under addresses that change with their bytes, so that browsers keep them for ever.

use crate::paths;
use livepatch_manifest::Digest;
use std::sync::LazyLock;

/// A file that pages refer to.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Its name.
    pub name: &'static str,
    /// Its MIME type.
    pub content_type: &'static str,
    /// What it holds.
    pub text: &'static str,
}

const STYLE: Asset = Asset {
    name: "dashboard.css",
    content_type: "text/css; charset=utf-8",
    text: include_str!("../assets/dashboard.css"),
};
const SCRIPT: Asset = Asset {
    name: "dashboard.js",
    content_type: "text/javascript; charset=utf-8",
    text: include_str!("../assets/dashboard.js"),
};
const ICON: Asset =
    Asset { name: "icon.svg", content_type: "image/svg+xml", text: include_str!("../assets/icon.svg") };

/// The asset of that name.
pub fn asset(name: &str) -> Option<Asset> {
    [STYLE, SCRIPT, ICON].into_iter().find(|asset| asset.name == name)
}

fn address(asset: Asset) -> String {
    let digest = Digest::of(asset.text.as_bytes());
    format!("{}/{}?v={}", paths::ASSETS, asset.name, digest.short())
}

/// Where the style sheet is.
pub(crate) static STYLE_ADDRESS: LazyLock<String> = LazyLock::new(|| address(STYLE));
/// Where the script is.
pub(crate) static SCRIPT_ADDRESS: LazyLock<String> = LazyLock::new(|| address(SCRIPT));
/// Where the icon is.
pub(crate) static ICON_ADDRESS: LazyLock<String> = LazyLock::new(|| address(ICON));
