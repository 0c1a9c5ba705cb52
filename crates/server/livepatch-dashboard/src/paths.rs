//! Where the pages are.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All of them are below this.
pub const ROOT: &str = "/dashboard";
/// Sign in. With `?code=`, a one-time login.
pub const LOGIN: &str = "/dashboard/login";
/// Sign in at the OpenID provider.
pub const OPENID: &str = "/dashboard/login/openid";
/// Where the OpenID provider sends browsers back to: to be registered there.
pub const OPENID_BACK: &str = "/dashboard/login/openid/back";
/// Sign out; a form.
pub const LOGOUT: &str = "/dashboard/logout";
/// Choose light or dark; a form.
pub const THEME: &str = "/dashboard/theme";
/// Style sheet and script.
pub const ASSETS: &str = "/dashboard/assets";
/// Machines; `.csv` and `.json` give the table.
pub const MACHINES: &str = "/dashboard/machines";
/// Rollouts; `.csv` and `.json` give the table.
pub const ROLLOUTS: &str = "/dashboard/rollouts";
/// Livepatches and kernels; `.csv` and `.json` give the table.
pub const LIVEPATCHES: &str = "/dashboard/livepatches";
/// Vulnerabilities; `.csv` and `.json` give the table.
pub const CVES: &str = "/dashboard/cves";
/// Notices, and the desk where they are written; `.csv` and `.json` give the table.
pub const NOTICES: &str = "/dashboard/notices";
/// The simulator.
pub const SIMULATOR: &str = "/dashboard/simulator";
/// Enrolment tokens; `.csv` and `.json` give the table.
pub const TOKENS: &str = "/dashboard/tokens";
/// Sites whose livepatches this one passes on; `.csv` and `.json` give the table.
pub const UPSTREAMS: &str = "/dashboard/upstreams";
/// Web-hooks; `.csv` and `.json` give the table.
pub const HOOKS: &str = "/dashboard/hooks";
/// Users with passwords; `.csv` and `.json` give the table.
pub const USERS: &str = "/dashboard/users";
/// API keys; `.csv` and `.json` give the table.
pub const KEYS: &str = "/dashboard/keys";
/// The audit log; `.csv` and `.json` give the table.
pub const AUDIT: &str = "/dashboard/audit";

/// For everybody: vulnerabilities. `…/CVE`: one of them.
pub const PUBLIC_CVES: &str = "/cves";
/// For everybody: vulnerabilities that cannot be livepatched.
pub const NOT_LIVEPATCHABLE: &str = "/not-livepatchable";
/// For everybody: how long fixes took; `.csv` and `.json` give the table.
pub const CLOCK: &str = "/clock";
/// For everybody: kernels that get livepatches, and until when; `.csv` and `.json` give the table of builds.
pub const KERNELS: &str = "/kernels";

/// One thing of a list.
pub fn one(list: &str, id: &str) -> String {
    format!("{list}/{}", escape(id))
}

/// A query string of those parameters that have a value, with its question mark; empty without any.
pub fn query(parameters: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        text.push_str(&escape(value));
    }
    text
}

/// All but what may stand as it is in a path or a query (RFC 3986, 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'~').remove(b'-');

/// A value in a path or a query.
pub fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}
