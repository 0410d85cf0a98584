//! Who may come in.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::App;
use super::error::ApiError;

/// What anybody may ask: whether it is there. And the pages, which ask for the token themselves.
pub(super) const OPEN: [&str; 4] = ["/healthz", "/readyz", "/", "/docs"];

/// Lets requests in that show the token, where there is one, and that no page of somebody else's has made a browser send.
pub(super) async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    let refused = match &app.options.token {
        Some(_) if OPEN.contains(&request.uri().path()) => None,
        Some(token) => refuse_without(token, request.headers()),
        None => refuse_rebound(request.headers()),
    };
    match refused.or_else(|| refuse_foreign_page(request.headers())) {
        Some(error) => error.into_response(),
        None => next.run(request).await,
    }
}

/// Hashes are compared, so that neither the place of a difference nor a length shows in the time that it takes.
fn refuse_without(token: &str, headers: &HeaderMap) -> Option<ApiError> {
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    // Of a scheme, case says nothing (RFC 9110, 11.1).
    let shown =
        shown.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let shown = shown.map_or("", |(_, token)| token);
    let is_same = Sha256::digest(shown.trim()).ct_eq(&Sha256::digest(token));
    (!bool::from(is_same)).then(|| {
        let message = "show the token of this service: `Authorization: Bearer …`";
        ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    })
}

/// A page that another site serves may send forms anywhere.
fn refuse_foreign_page(headers: &HeaderMap) -> Option<ApiError> {
    let origin = headers.get(header::ORIGIN)?.to_str().unwrap_or("null");
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_own = origin.split_once("://").is_some_and(|(_, of)| of.eq_ignore_ascii_case(host));
    (!is_own)
        .then(|| ApiError::new(StatusCode::FORBIDDEN, "foreign_page", "pages of other sites may send nothing here"))
}

/// Without a token, a site whose name is made to lead to this machine must not pass for it.
fn refuse_rebound(headers: &HeaderMap) -> Option<ApiError> {
    let host = headers.get(header::HOST)?.to_str().unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let is_this = name.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok();
    (!is_this).then(|| {
        let message =
            "without a token this service answers to `localhost` and to addresses alone: give it a --token-file";
        ApiError::new(StatusCode::FORBIDDEN, "unknown_host", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_the_whole_token_opens() {
        let with = |value: &str| refuse_without("secret", &headers(&[(header::AUTHORIZATION, value)]));
        for right in ["Bearer secret", "bearer secret", "BEARER secret", "Bearer  secret"] {
            assert!(with(right).is_none(), "{right}");
        }
        for wrong in ["Bearer secre", "Bearer secret2", "Bearer SECRET", "secret", "Basic secret", "Bearer ", "bearer"]
        {
            assert!(with(wrong).is_some(), "{wrong}");
        }
        assert!(refuse_without("secret", &HeaderMap::new()).is_some());
    }

    #[test]
    fn pages_of_other_sites_are_kept_out_and_this_one_s_own_is_not() {
        let from = |origin: &str, host: &str| {
            refuse_foreign_page(&headers(&[(header::ORIGIN, origin), (header::HOST, host)])).is_some()
        };
        assert!(!from("http://localhost:8080", "localhost:8080"));
        assert!(from("https://evil.example", "localhost:8080") && from("null", "localhost:8080"));
        assert!(refuse_foreign_page(&headers(&[(header::HOST, "localhost")])).is_none(), "no browser");
    }

    #[test]
    fn a_name_that_was_made_to_lead_here_is_not_answered_to() {
        let as_host = |host: &str| refuse_rebound(&headers(&[(header::HOST, host)])).is_none();
        assert!(as_host("localhost:8080") && as_host("127.0.0.1:8080") && as_host("[::1]:8080") && as_host("10.0.0.7"));
        assert!(!as_host("evil.example:8080") && !as_host("localhost.evil.example"));
    }
}
