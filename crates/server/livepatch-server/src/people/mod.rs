//! How people show who they are, beside the keys that they hold: passwords, and an OpenID provider.

mod openid;
mod password;

pub(crate) use openid::OpenId;
pub use openid::{OpenIdSettings, RoleRule, RoleRuleError};
pub(crate) use password::{Passwords, check};
