//! Log-in by an OpenID provider: the authorization code flow with PKCE (OpenID Connect Core 1.0 section 3.1, RFC 7636). The browser goes
//! to the provider and comes back with a code; the daemon gets the ID token for it by itself. What a flow needs on its way back is kept
//! here, and a cookie binds it to the browser that began it: nobody can be logged in as somebody else by a link.

use std::collections::VecDeque;
use std::io::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata};
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse as _,
};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Semaphore;
use ureq::Agent;

use super::options::ProviderOptions;
use super::secret::{Secret, same};
use crate::client_tls::agent_tls;
use crate::database::{Account, Role};

/// How long the provider may take for each of our requests.
const PATIENCE: Duration = Duration::from_secs(5);

/// More of an answer is not read, bytes.
const LONGEST_ANSWER: u64 = 1 << 20;

/// How long a person may take at the provider.
const FLOW_HOLDS: Duration = Duration::from_mins(10);

/// Flows that may be under way; the oldest is forgotten for a newer one.
const MOST_FLOWS: usize = 256;

/// People for whom the provider is asked at once.
const MOST_AT_ONCE: usize = 4;

/// What the provider says of itself is asked for again after so long.
const DESCRIPTION_HOLDS: Duration = Duration::from_mins(10);

/// Where the browser comes back to.
const RETURN: &str = "/api/v1/openid/return";

type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// Why a provider lets nobody in.
#[derive(Debug, thiserror::Error)]
pub(in crate::console) enum ProviderError {
    #[error("the OpenID provider cannot be asked: {0}")]
    Unreachable(String),
    #[error("this log-in was begun in another browser, or too long ago: begin again")]
    UnknownFlow,
    #[error("the OpenID provider did not let the person in: {0}")]
    Refused(String),
    #[error("what the OpenID provider says of the person is not usable: {0}")]
    Unusable(String),
    #[error("the OpenID provider gives the person no role here ({0})")]
    NoRole(String),
}

impl ProviderError {
    /// How the page knows it.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::UnknownFlow => "unknown",
            Self::Refused(_) => "refused",
            Self::Unusable(_) => "unusable",
            Self::NoRole(_) => "no_role",
        }
    }
}

/// A person, as the provider names them.
#[derive(Debug)]
pub(super) struct Named {
    pub issuer: String,
    pub subject: String,
    /// Name, how to show it and role.
    pub account: Account,
}

/// A flow that has begun.
#[derive(Debug)]
pub(super) struct Begun {
    /// Where the browser goes.
    pub url: String,
    /// What binds the flow to it.
    pub secret: Secret,
}

#[derive(Debug)]
struct Flow {
    state: CsrfToken,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    browser: [u8; 32],
    began: Instant,
}

/// The provider, and the flows that are under way.
#[derive(Debug)]
pub(super) struct Provider {
    options: ProviderOptions,
    /// Who asks it now.
    pub turns: Arc<Semaphore>,
    flows: Mutex<VecDeque<Flow>>,
    description: Mutex<Option<(Instant, CoreProviderMetadata)>>,
}

impl Provider {
    pub(super) fn new(options: ProviderOptions) -> Self {
        Self {
            options,
            turns: Arc::new(Semaphore::new(MOST_AT_ONCE)),
            flows: Mutex::default(),
            description: Mutex::default(),
        }
    }

    /// Begins a flow. May wait for the provider.
    pub(super) fn begin(&self) -> Result<Begun, ProviderError> {
        let known = self.description.lock().clone();
        let description = match known.filter(|(asked, _)| asked.elapsed() < DESCRIPTION_HOLDS) {
            Some((_, description)) => description,
            None => self.describe(&self.agent()?)?,
        };
        let client = self.client(description)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let (url, state, nonce) = client
            .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
            .add_scopes(self.options.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(challenge)
            .url();
        let secret = Secret::new();
        let mut flows = self.flows.lock();
        flows.retain(|flow| flow.began.elapsed() < FLOW_HOLDS);
        if flows.len() == MOST_FLOWS {
            flows.pop_front();
        }
        flows.push_back(Flow { state, nonce, verifier, browser: secret.hash(), began: Instant::now() });
        Ok(Begun { url: url.into(), secret })
    }

    /// Ends a flow with what the browser brought back. Waits for the provider.
    pub(super) fn end(&self, state: &str, code: String, browser: Option<&Secret>) -> Result<Named, ProviderError> {
        let flow = self.take(state, browser).ok_or(ProviderError::UnknownFlow)?;
        let agent = self.agent()?;
        // Its keys may have changed since the flow began.
        let client = self.client(self.describe(&agent)?)?;
        let tokens = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(unusable)?
            .set_pkce_verifier(flow.verifier)
            .request(&|request| ask(&agent, request))
            .map_err(|error| ProviderError::Refused(told(&error)))?;
        let token = tokens.id_token().ok_or_else(|| ProviderError::Unusable("there is no ID token".to_owned()))?;
        let claims = token.claims(&client.id_token_verifier(), &flow.nonce).map_err(unusable)?;
        let (issuer, subject) = (claims.issuer().to_string(), claims.subject().to_string());
        let account = self.account(&payload(&token.to_string())?)?;
        Ok(Named { issuer, subject, account })
    }

    /// Each flow ends once.
    fn take(&self, state: &str, browser: Option<&Secret>) -> Option<Flow> {
        let browser = browser?.hash();
        let mut flows = self.flows.lock();
        let is_it =
            |flow: &Flow| same(flow.state.secret().as_bytes(), state.as_bytes()) && same(&flow.browser, &browser);
        let place = flows.iter().position(is_it)?;
        flows.remove(place).filter(|flow| flow.began.elapsed() < FLOW_HOLDS)
    }

    fn describe(&self, agent: &Agent) -> Result<CoreProviderMetadata, ProviderError> {
        let issuer = IssuerUrl::new(self.options.issuer.clone()).map_err(unusable)?;
        let described = CoreProviderMetadata::discover(&issuer, &|request| ask(agent, request));
        let description = described.map_err(|error| ProviderError::Unreachable(told(&error)))?;
        *self.description.lock() = Some((Instant::now(), description.clone()));
        Ok(description)
    }

    /// The secret is read anew each time, so that it can be changed.
    fn client(&self, description: CoreProviderMetadata) -> Result<Client, ProviderError> {
        let ProviderOptions { client_id, client_secret, console_url, .. } = &self.options;
        let secret = std::fs::read_to_string(client_secret);
        let secret = secret.map_err(|error| {
            ProviderError::Unreachable(format!(
                "openid.client_secret_file {} cannot be read: {error}",
                client_secret.display()
            ))
        })?;
        let back = RedirectUrl::new(format!("{console_url}{RETURN}")).map_err(unusable)?;
        let (id, secret) = (ClientId::new(client_id.clone()), ClientSecret::new(secret.trim().to_owned()));
        Ok(CoreClient::from_provider_metadata(description, id, Some(secret)).set_redirect_uri(back))
    }

    fn agent(&self) -> Result<Agent, ProviderError> {
        let tls = agent_tls(&self.options.issuer, &self.options.authorities)
            .map_err(|error| ProviderError::Unreachable(error.to_string()))?;
        // A redirect could lead anywhere within the hospital's network.
        let config = Agent::config_builder().tls_config(tls).max_redirects(0).http_status_as_error(false);
        Ok(config.timeout_global(Some(PATIENCE)).build().new_agent())
    }

    /// The person's account, as the claims of a verified ID token say it.
    fn account(&self, claims: &Value) -> Result<Account, ProviderError> {
        let ProviderOptions { name_claim, role_claim, roles, .. } = &self.options;
        let text = |claim: &str| claims[claim].as_str().unwrap_or_default();
        let name = Account::name_of(text(name_claim)).ok_or_else(|| {
            ProviderError::Unusable(format!("its {name_claim} is no name of 1 to 32 letters, digits and .-_@"))
        })?;
        let given: Vec<&str> = match &claims[role_claim] {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let role = role_of(roles, &given).ok_or_else(|| ProviderError::NoRole(format!("by its {role_claim}")))?;
        let shown_as = Account::shown_as_of(text("name")).unwrap_or_else(|| name.clone());
        Ok(Account { name, shown_as, role, created: jiff::Timestamp::now(), disabled: None })
    }
}

/// The first role, in the order of the configuration, that one of the values means.
fn role_of(roles: &[(Role, Vec<String>)], given: &[&str]) -> Option<Role> {
    let means = |values: &[String]| values.iter().any(|value| given.contains(&value.as_str()));
    roles.iter().find(|(_, values)| means(values)).map(|(role, _)| *role)
}

/// All claims of an ID token that was verified: the library's type has no room for those that a provider adds.
fn payload(token: &str) -> Result<Value, ProviderError> {
    let encoded = token.split('.').nth(1).unwrap_or_default();
    let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(unusable)?;
    serde_json::from_slice(&bytes).map_err(unusable)
}

fn ask(agent: &Agent, request: HttpRequest) -> Result<HttpResponse, Error> {
    let (head, body) = request.into_parts();
    let asked = agent.run(ureq::http::Request::from_parts(head, body)).map_err(Error::other)?;
    let (head, mut body) = asked.into_parts();
    let body = body.with_config().limit(LONGEST_ANSWER).read_to_vec().map_err(Error::other)?;
    Ok(HttpResponse::from_parts(head, body))
}

fn unusable(error: impl std::error::Error) -> ProviderError {
    ProviderError::Unusable(told(&error))
}

/// An error with what it comes from.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    std::iter::once(error.to_string()).chain(causes.map(ToString::to_string)).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles() -> Vec<(Role, Vec<String>)> {
        vec![(Role::Technician, vec!["ct".to_owned(), "mr".to_owned()]), (Role::Administrator, vec!["it".to_owned()])]
    }

    #[test]
    fn the_first_role_that_a_value_means_counts_and_none_means_nothing() {
        for (given, role) in [
            (&["it", "ct"][..], Some(Role::Technician)),
            (&["it"], Some(Role::Administrator)),
            (&["IT", "c", ""], None),
            (&[], None),
        ] {
            assert_eq!(role_of(&roles(), given), role, "{given:?}");
        }
    }

    #[test]
    fn a_flow_ends_once_and_in_the_browser_that_began_it() {
        let provider = Provider::new(ProviderOptions::default());
        let (mine, other) = (Secret::new(), Secret::new());
        let begin = || {
            let (state, nonce) = (CsrfToken::new("state".to_owned()), Nonce::new("nonce".to_owned()));
            let verifier = PkceCodeVerifier::new("v".repeat(43));
            let flow = Flow { state, nonce, verifier, browser: mine.hash(), began: Instant::now() };
            provider.flows.lock().push_back(flow);
        };
        begin();
        assert!(provider.take("state", None).is_none() && provider.take("state", Some(&other)).is_none());
        assert!(provider.take("stat", Some(&mine)).is_none());
        assert!(provider.take("state", Some(&mine)).is_some() && provider.take("state", Some(&mine)).is_none());
    }

    #[test]
    fn claims_make_an_account_or_say_what_is_missing() {
        let options = ProviderOptions { roles: roles(), ..ProviderOptions::default() };
        let account = |claims: Value| Provider::new(options.clone()).account(&claims);
        let ann = serde_json::json!({ "preferred_username": "Ann.Berg", "name": "Ann Berg", "groups": ["x", "mr"] });
        let account_of_ann = account(ann).unwrap();
        assert_eq!((account_of_ann.name.as_str(), account_of_ann.shown_as.as_str()), ("ann.berg", "Ann Berg"));
        assert_eq!(account_of_ann.role, Role::Technician);
        let one = serde_json::json!({ "preferred_username": "ann", "groups": "it" });
        assert_eq!(account(one).unwrap().shown_as, "ann");
        let no_role = serde_json::json!({ "preferred_username": "ann", "groups": { "ct": true } });
        assert!(matches!(account(no_role), Err(ProviderError::NoRole(_))));
        for name in [serde_json::json!("a b"), serde_json::json!(""), serde_json::json!(7), Value::Null] {
            let claims = serde_json::json!({ "preferred_username": name, "groups": ["ct"] });
            assert!(matches!(account(claims), Err(ProviderError::Unusable(_))));
        }
    }
}
