//! Log-in at an OpenID provider: what the console does before the browser goes there and once it is back. Without the feature `openid`
//! there is no provider.

use std::sync::Arc;

use axum::http::HeaderMap;

use super::{Access, Caller, LogInError};

/// Where the browser goes, and the header that has it keep what it must bring back.
pub(in crate::console) struct ToProvider {
    pub url: String,
    pub cookie: String,
}

#[cfg(not(feature = "openid"))]
impl Access {
    #[expect(clippy::unused_async, reason = "with the feature it waits for the provider")]
    pub(in crate::console) async fn begin_at_provider(self: &Arc<Self>) -> Result<ToProvider, LogInError> {
        Err(LogInError::NoProvider)
    }

    #[expect(clippy::unused_async, reason = "with the feature it waits for the provider")]
    pub(in crate::console) async fn end_at_provider(
        self: &Arc<Self>,
        _: String,
        _: String,
        _: &HeaderMap,
        _: &Caller,
    ) -> Result<String, LogInError> {
        Err(LogInError::NoProvider)
    }
}

#[cfg(feature = "openid")]
mod with_provider {
    use super::super::passwords::unknown_password;
    use super::super::provider::{Named, Provider, ProviderError};
    use super::{Access, Arc, Caller, HeaderMap, LogInError, ToProvider};
    use crate::audit::Person;
    use crate::database::{Entered, Identity};
    use crate::telemetry;

    impl Access {
        /// Begins a log-in at the provider.
        pub(in crate::console) async fn begin_at_provider(self: &Arc<Self>) -> Result<ToProvider, LogInError> {
            let begun = self.of_provider(Provider::begin).await?;
            Ok(ToProvider { url: begun.url, cookie: self.cookies.bind(&begun.secret) })
        }

        /// Lets a person in who comes back from the provider. The header that has the browser keep the session.
        pub(in crate::console) async fn end_at_provider(
            self: &Arc<Self>,
            state: String,
            code: String,
            headers: &HeaderMap,
            caller: &Caller,
        ) -> Result<String, LogInError> {
            let browser = self.cookies.bound(headers);
            let named = self.of_provider(move |provider| provider.end(&state, code, browser.as_ref())).await;
            let entered = match named {
                Ok(named) => self.enter(named, caller).await,
                Err(error) => Err(error),
            };
            if let Err(error) = &entered {
                telemetry::log_in("failed");
                let who = Person::AtConsole { address: caller.address.to_string(), account: None, initials: None };
                self.audit.log_in_failed(who, error.to_string());
            }
            entered
        }

        async fn enter(self: &Arc<Self>, named: Named, caller: &Caller) -> Result<String, LogInError> {
            let entered = self.on_disk(move |_, kept| {
                let identity = Identity { issuer: &named.issuer, subject: &named.subject };
                kept.accounts.enter(identity, &named.account, &unknown_password())
            });
            let (account, password) = match entered.await? {
                Entered::Done(account, _) if account.disabled.is_some() => return Err(LogInError::Disabled),
                Entered::Done(account, password) => (account, password),
                Entered::NameIsTaken => return Err(LogInError::NameIsTaken),
                Entered::LastAdministrator => return Err(LogInError::LastAdministrator),
            };
            self.begin_session(&account, &password, caller).await
        }

        /// Asks the provider where nobody else waits for it.
        async fn of_provider<T: Send + 'static>(
            self: &Arc<Self>,
            ask: impl FnOnce(&Provider) -> Result<T, ProviderError> + Send + 'static,
        ) -> Result<T, LogInError> {
            let provider = self.provider.clone().ok_or(LogInError::NoProvider)?;
            // Each keeps a thread for as long as the provider takes.
            let permit = provider.turns.clone().try_acquire_owned().map_err(|_| LogInError::Busy)?;
            let asked = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                ask(&provider)
            });
            asked.await.map_err(|_| LogInError::Busy)?.map_err(|error| LogInError::Provider(Box::new(error)))
        }
    }
}
