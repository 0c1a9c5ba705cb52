//! Sign-in at an OpenID provider: authorization code with PKCE (OpenID Connect Core 1.0, 3.1; RFC 7636). Roles follow from
//! a claim; who has none of the values that the settings name does not get in.

use crate::refusal::Refusal;
use livepatch_api::{ErrorCode, Role};
use openidconnect::{
    AccessTokenHash, AdditionalClaims, AuthenticationFlow, AuthorizationCode, Client, ClientId, ClientSecret,
    CsrfToken, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, IdTokenFields, IssuerUrl, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, Scope, StandardErrorResponse, StandardTokenResponse, TokenResponse as _,
    UserInfoClaims,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
        CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreResponseType,
        CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, fmt, path::PathBuf, str::FromStr, time::Duration};
use ureq::{
    Agent,
    tls::{RootCerts, TlsConfig},
};

/// A provider that takes longer is taken for dead.
const PATIENCE: Duration = Duration::from_secs(20);
/// Metadata, keys and tokens stay far below this.
const LARGEST_ANSWER: u64 = 1 << 20;

/// Where people sign in, and what they may do then.
#[derive(Clone, Debug)]
pub struct OpenIdSettings {
    /// The provider: where `/.well-known/openid-configuration` is.
    pub issuer: String,
    /// What the provider knows this server by.
    pub client_id: String,
    /// File with the secret that the provider gave to it; absent: none.
    pub client_secret_file: Option<PathBuf>,
    /// Scopes beside `openid`.
    pub scopes: Vec<String>,
    /// The claim with the name for the audit log. People must not be able to change it themselves.
    pub name_claim: String,
    /// The claim that roles follow from: a text or a list of texts.
    pub roles_claim: String,
    /// What its values mean. The greatest role counts.
    pub roles: Vec<RoleRule>,
}

/// A value of the roles' claim, and its role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleRule {
    /// The value: a group's name.
    pub value: String,
    /// The role.
    pub role: Role,
}

/// A text is no [`RoleRule`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RoleRuleError {
    /// Without a group or the sign of equality.
    #[error("'{0}' is no rule such as kernel-team=operator")]
    Form(String),
    /// The role is none.
    #[error(transparent)]
    Role(#[from] livepatch_api::UnknownRole),
}

impl FromStr for RoleRule {
    type Err = RoleRuleError;

    /// Reads `GROUP=ROLE`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.rsplit_once('=') {
            Some((value, role)) if !value.is_empty() => {
                Ok(Self { value: value.to_owned(), role: role.parse()? })
            }
            _ => Err(RoleRuleError::Form(text.to_owned())),
        }
    }
}

/// The provider, asked when it is needed.
#[derive(Clone, Debug)]
pub(crate) struct OpenId {
    settings: OpenIdSettings,
    agent: Agent,
}

/// A sign-in that goes on at the provider.
pub(crate) struct Started {
    /// Where the browser goes.
    pub(crate) address: String,
    /// Comes back with the answer.
    pub(crate) state: String,
    /// Ties the identity token to this sign-in.
    pub(crate) nonce: String,
    /// RFC 7636.
    pub(crate) verifier: String,
}

/// Somebody that the provider vouches for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Guest {
    /// For the audit log, `openid:NAME`: nobody is taken for the holder of a key.
    pub(crate) name: String,
    pub(crate) role: Role,
    /// The provider's own name for them.
    pub(crate) subject: String,
}

/// All claims that the standard does not name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Claims(BTreeMap<String, Value>);

impl AdditionalClaims for Claims {}

/// What the standard names of a name.
struct Standard {
    subject: String,
    preferred_username: Option<String>,
    /// One that nobody has verified may be anybody's.
    verified_email: Option<String>,
}

/// Of an identity token's claims and of the user-info endpoint's alike: they have methods of the same names, and no trait.
macro_rules! standard {
    ($claims:expr) => {
        Standard {
            subject: $claims.subject().to_string(),
            preferred_username: $claims.preferred_username().map(|name| name.to_string()),
            verified_email: $claims
                .email()
                .filter(|_| $claims.email_verified() == Some(true))
                .map(|email| email.to_string()),
        }
    };
}

type Fields = IdTokenFields<
    Claims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

type Provider = Client<
    Claims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

impl OpenId {
    pub(crate) fn new(settings: OpenIdSettings) -> Self {
        // An error only means that one is installed already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        // No redirects: the provider's metadata say where everything is, and nobody else does.
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .max_redirects(0)
            .tls_config(tls)
            .build();
        Self { settings, agent: agent.into() }
    }

    /// Begins a sign-in; `redirect` is where the provider sends the browser back to. Blocks.
    pub(crate) fn start(&self, redirect: &str) -> Result<Started, Refusal> {
        let provider = self.provider(redirect)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = AuthenticationFlow::<CoreResponseType>::AuthorizationCode;
        let mut request = provider.authorize_url(flow, CsrfToken::new_random, Nonce::new_random);
        for scope in &self.settings.scopes {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        let (address, state, nonce) = request.set_pkce_challenge(challenge).url();
        Ok(Started {
            address: address.into(),
            state: state.secret().clone(),
            nonce: nonce.secret().clone(),
            verifier: verifier.secret().clone(),
        })
    }

    /// Ends a sign-in with the code that the browser brought. Blocks.
    pub(crate) fn finish(
        &self,
        redirect: &str,
        code: String,
        nonce: String,
        verifier: String,
    ) -> Result<Guest, Refusal> {
        let provider = self.provider(redirect)?;
        let call = |request| self.call(request);
        let tokens = provider
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|error| broken(&error))?
            .set_pkce_verifier(PkceCodeVerifier::new(verifier))
            .request(&call)
            .map_err(|error| broken(&error))?;
        let id_token = tokens.id_token().ok_or_else(|| broken(&NoIdToken))?;
        let verifier = provider.id_token_verifier();
        let claims = id_token.claims(&verifier, &Nonce::new(nonce)).map_err(|error| broken(&error))?;
        if let Some(wanted) = claims.access_token_hash() {
            let algorithm = id_token.signing_alg().map_err(|error| broken(&error))?;
            let key = id_token.signing_key(&verifier).map_err(|error| broken(&error))?;
            let found = AccessTokenHash::from_token(tokens.access_token(), algorithm, key)
                .map_err(|error| broken(&error))?;
            if found != *wanted {
                return Err(broken(&OtherToken));
            }
        }
        let subject = claims.subject().clone();
        let mut all = claims.additional_claims().0.clone();
        let mut name = self.name(standard!(claims), &all);
        // Many providers tell groups and names only when they are asked once more.
        if (name.is_none() || !all.contains_key(&self.settings.roles_claim))
            && let Ok(request) = provider.user_info(tokens.access_token().clone(), Some(subject.clone()))
        {
            let more: UserInfoClaims<Claims, CoreGenderClaim> =
                request.request(&call).map_err(|error| broken(&error))?;
            all.extend(more.additional_claims().0.clone());
            name = name.or_else(|| self.name(standard!(more), &all));
        }
        self.guest(name, subject.as_str(), &all)
    }

    /// Its metadata and keys of now: keys change.
    fn provider(&self, redirect: &str) -> Result<Provider, Refusal> {
        let OpenIdSettings { issuer, client_id, client_secret_file, .. } = &self.settings;
        let call = |request| self.call(request);
        let secret = client_secret_file.as_ref().map(std::fs::read_to_string).transpose();
        let secret = secret.map_err(|error| broken(&error))?;
        let issuer = IssuerUrl::new(issuer.clone()).map_err(|error| broken(&error))?;
        let metadata = CoreProviderMetadata::discover(&issuer, &call).map_err(|error| broken(&error))?;
        let secret = secret.map(|secret| ClientSecret::new(secret.trim().to_owned()));
        let redirect = RedirectUrl::new(redirect.to_owned()).map_err(|error| broken(&error))?;
        let provider = Client::from_provider_metadata(metadata, ClientId::new(client_id.clone()), secret);
        Ok(provider.set_redirect_uri(redirect))
    }

    fn call(&self, request: HttpRequest) -> Result<HttpResponse, ureq::Error> {
        let (parts, mut body) = self.agent.run(request)?.into_parts();
        let bytes = body.with_config().limit(LARGEST_ANSWER).read_to_vec()?;
        Ok(HttpResponse::from_parts(parts, bytes))
    }

    fn name(&self, standard: Standard, other: &BTreeMap<String, Value>) -> Option<String> {
        match self.settings.name_claim.as_str() {
            "sub" => Some(standard.subject),
            "preferred_username" => standard.preferred_username,
            "email" => standard.verified_email,
            claim => other.get(claim).and_then(Value::as_str).map(str::to_owned),
        }
    }

    /// What the claims are worth.
    fn guest(
        &self,
        name: Option<String>,
        subject: &str,
        claims: &BTreeMap<String, Value>,
    ) -> Result<Guest, Refusal> {
        let forbidden = |message: String| Refusal::new(ErrorCode::Forbidden, message);
        let name = name.filter(|name| is_name(name)).ok_or_else(|| {
            forbidden(format!(
                "the provider gives no usable name for you (claim {})",
                self.settings.name_claim
            ))
        })?;
        let values: Vec<&str> = match claims.get(&self.settings.roles_claim) {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => vec![],
        };
        let given = self.settings.roles.iter().filter(|rule| values.contains(&rule.value.as_str()));
        let role = given.map(|rule| rule.role).max().ok_or_else(|| {
            forbidden(format!("{name} has no role here: ask an admin for a group that has one"))
        })?;
        Ok(Guest { name: format!("openid:{name}"), role, subject: subject.to_owned() })
    }
}

fn is_name(name: &str) -> bool {
    !name.trim().is_empty() && name.len() <= 200 && !name.chars().any(char::is_control)
}

/// The person is told that it failed; why, the log tells the operator.
fn broken(cause: &dyn std::error::Error) -> Refusal {
    tracing::warn!(cause = %crate::refusal::chain(cause), "a sign-in at the OpenID provider failed");
    Refusal::new(
        ErrorCode::Unavailable,
        "the sign-in at the provider failed; try again. The server's log says why.",
    )
}

#[derive(Debug, thiserror::Error)]
#[error("the provider gave no identity token")]
struct NoIdToken;

#[derive(Debug, thiserror::Error)]
#[error("the access token is not the one that the identity token speaks of")]
struct OtherToken;

impl fmt::Debug for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Started(withheld)")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use serde_json::json;

    fn provider() -> OpenId {
        OpenId::new(OpenIdSettings {
            issuer: "https://id.example.org".into(),
            client_id: "livepatch".into(),
            client_secret_file: None,
            scopes: vec![],
            name_claim: "preferred_username".into(),
            roles_claim: "groups".into(),
            roles: ["readers=viewer", "a=b=releaser"].map(|rule| rule.parse().unwrap()).to_vec(),
        })
    }

    #[test]
    fn the_greatest_role_of_the_claim_counts() {
        let role = |groups: Value| {
            let claims = BTreeMap::from([("groups".to_owned(), groups)]);
            provider().guest(Some("ada".into()), "1", &claims).ok().map(|guest| guest.role)
        };
        assert_eq!(role(json!(["readers", "a=b", "others"])), Some(Role::Releaser));
        assert_eq!(role(json!("readers")), Some(Role::Viewer));
        for none in [json!([]), json!(["Readers"]), json!({"readers": true}), json!("admin")] {
            assert_eq!(role(none.clone()), None, "{none}");
        }
    }

    #[test]
    fn nobody_is_taken_for_the_holder_of_a_key() {
        let claims = BTreeMap::from([("groups".to_owned(), json!("readers"))]);
        let guest = provider().guest(Some("admin.key".into()), "1", &claims).unwrap();
        assert_eq!(guest.name, "openid:admin.key");
        for name in [None, Some(" ".to_owned()), Some("a\nb".to_owned())] {
            assert!(provider().guest(name, "1", &claims).is_err());
        }
    }

    #[test]
    fn rules_are_read() {
        assert_eq!("=viewer".parse::<RoleRule>(), Err(RoleRuleError::Form("=viewer".into())));
        assert!(matches!("a=king".parse::<RoleRule>(), Err(RoleRuleError::Role(_))));
    }
}
