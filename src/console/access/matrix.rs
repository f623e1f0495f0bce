//! Which role may use which route: one table. A route that is not in it is refused to everybody, and the tests fail.

use axum::http::Method;

use crate::database::Role;

/// Whom a route answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    /// Everybody, logged in or not: nothing of patients, nothing that changes anything without a secret.
    Everybody,
    /// These roles.
    Roles(&'static [Role]),
    /// These roles, and whoever has the token for metrics.
    Metrics(&'static [Role]),
}

/// A route, as it is given to the router.
pub(super) struct Rule {
    pub method: Method,
    pub path: &'static str,
    pub allowed: Allowed,
}

use Role::{Administrator, Clinic, Reader, Table, Technician};

const ALL: &[Role] = &[Technician, Clinic, Administrator, Reader, Table];
const SEE_EXAMS: &[Role] = &[Technician, Clinic, Reader, Table];
const ACKNOWLEDGE: &[Role] = &[Technician, Clinic, Table];
const RECORD_OUTCOMES: &[Role] = &[Technician, Clinic, Reader];
const DELIVER: &[Role] = &[Technician, Administrator];
const ADMINISTER: &[Role] = &[Administrator];
const PEOPLE: &[Role] = &[Technician, Clinic, Administrator, Reader];

const fn rule(method: Method, path: &'static str, allowed: Allowed) -> Rule {
    Rule { method, path, allowed }
}

/// All routes; the page's files are none: they show nothing by themselves.
pub(super) static MATRIX: [Rule; 39] = [
    rule(Method::GET, "/healthz", Allowed::Everybody),
    rule(Method::GET, "/readyz", Allowed::Everybody),
    rule(Method::GET, "/metrics", Allowed::Metrics(&[Technician, Administrator])),
    rule(Method::GET, "/api/v1/session", Allowed::Everybody),
    rule(Method::POST, "/api/v1/session", Allowed::Everybody),
    rule(Method::DELETE, "/api/v1/session", Allowed::Everybody),
    rule(Method::GET, "/api/v1/openid/begin", Allowed::Everybody),
    rule(Method::GET, "/api/v1/openid/return", Allowed::Everybody),
    rule(Method::POST, "/api/v1/setup", Allowed::Everybody),
    rule(Method::GET, "/api/v1/openapi.json", Allowed::Everybody),
    rule(Method::GET, "/api/v1/status", Allowed::Roles(ALL)),
    rule(Method::GET, "/api/v1/events", Allowed::Roles(ALL)),
    rule(Method::GET, "/api/v1/exams", Allowed::Roles(SEE_EXAMS)),
    rule(Method::GET, "/api/v1/exams/{key}", Allowed::Roles(SEE_EXAMS)),
    rule(Method::GET, "/api/v1/exams/{key}/slabs/{picture}", Allowed::Roles(SEE_EXAMS)),
    rule(Method::GET, "/api/v1/exams/{key}/slices", Allowed::Roles(SEE_EXAMS)),
    rule(Method::GET, "/api/v1/exams/{key}/slices/{id}", Allowed::Roles(SEE_EXAMS)),
    rule(Method::GET, "/api/v1/exams/{key}/deliveries", Allowed::Roles(SEE_EXAMS)),
    rule(Method::POST, "/api/v1/exams/{key}/flags/{flag}/acknowledge", Allowed::Roles(ACKNOWLEDGE)),
    rule(Method::POST, "/api/v1/exams/{key}/outcome", Allowed::Roles(RECORD_OUTCOMES)),
    rule(Method::GET, "/api/v1/outcomes", Allowed::Roles(ALL)),
    rule(Method::GET, "/api/v1/outbox", Allowed::Roles(DELIVER)),
    rule(Method::POST, "/api/v1/outbox/retry", Allowed::Roles(DELIVER)),
    rule(Method::POST, "/api/v1/outbox/drop", Allowed::Roles(DELIVER)),
    rule(Method::GET, "/api/v1/account", Allowed::Roles(PEOPLE)),
    rule(Method::POST, "/api/v1/account/password", Allowed::Roles(PEOPLE)),
    rule(Method::DELETE, "/api/v1/account/sessions/{session}", Allowed::Roles(PEOPLE)),
    rule(Method::GET, "/api/v1/people", Allowed::Roles(ADMINISTER)),
    rule(Method::POST, "/api/v1/people", Allowed::Roles(ADMINISTER)),
    rule(Method::POST, "/api/v1/people/{name}", Allowed::Roles(ADMINISTER)),
    rule(Method::DELETE, "/api/v1/people/{name}", Allowed::Roles(ADMINISTER)),
    rule(Method::POST, "/api/v1/people/{name}/password", Allowed::Roles(ADMINISTER)),
    rule(Method::GET, "/api/v1/sessions", Allowed::Roles(ADMINISTER)),
    rule(Method::DELETE, "/api/v1/sessions/{session}", Allowed::Roles(ADMINISTER)),
    rule(Method::GET, "/api/v1/kiosks", Allowed::Roles(ADMINISTER)),
    rule(Method::POST, "/api/v1/kiosks", Allowed::Roles(ADMINISTER)),
    rule(Method::DELETE, "/api/v1/kiosks/{name}", Allowed::Roles(ADMINISTER)),
    rule(Method::GET, "/api/v1/scanners", Allowed::Roles(ADMINISTER)),
    rule(Method::GET, "/api/v1/machine", Allowed::Roles(ADMINISTER)),
];

/// What the table says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Listed(Allowed),
    /// The path is there, the method is not.
    OtherMethod,
    Unlisted,
}

/// Whom a route answers; of HEAD, whom GET answers.
pub(super) fn allowed(method: &Method, path: &str) -> Verdict {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let mut of_path = MATRIX.iter().filter(|rule| rule.path == path).peekable();
    if of_path.peek().is_none() {
        return Verdict::Unlisted;
    }
    of_path.find(|rule| rule.method == *method).map_or(Verdict::OtherMethod, |rule| Verdict::Listed(rule.allowed))
}

/// Whether a role sees exams: events of them come to nobody else.
pub(in crate::console) fn sees_exams(role: Role) -> bool {
    SEE_EXAMS.contains(&role)
}

/// Whether a role may acknowledge flags.
pub(in crate::console) fn acknowledges(role: Role) -> bool {
    ACKNOWLEDGE.contains(&role)
}

/// Whether a role may record what became of verdicts.
pub(in crate::console) fn records_outcomes(role: Role) -> bool {
    RECORD_OUTCOMES.contains(&role)
}

/// Whether a role decides about deliveries.
pub(in crate::console) fn delivers(role: Role) -> bool {
    DELIVER.contains(&role)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::console::server::routes;

    fn may(role: Role, allowed: Allowed) -> bool {
        match allowed {
            Allowed::Everybody => true,
            Allowed::Roles(roles) | Allowed::Metrics(roles) => roles.contains(&role),
        }
    }

    #[test]
    fn every_route_is_in_the_matrix_and_each_role_may_use_what_the_document_says() {
        let served: BTreeSet<(String, &str)> =
            routes().listed.iter().map(|(method, path)| (method.to_string(), *path)).collect();
        let listed: BTreeSet<(String, &str)> = MATRIX.iter().map(|rule| (rule.method.to_string(), rule.path)).collect();
        assert_eq!(served, listed, "a route is served that the matrix lacks, or the other way round");
        assert_eq!(listed.len(), MATRIX.len());

        // The table of docs/access.md, row by row: method and path, then who may, in the order of its head.
        let document = include_str!("../../../docs/access.md");
        let head = document.lines().find(|line| line.starts_with("| request |")).unwrap();
        let roles: Vec<&str> = head.split('|').map(str::trim).skip(2).take(Role::ALL.len() + 1).collect();
        let names: Vec<&str> = ["nobody"].into_iter().chain(Role::ALL.iter().map(|role| role.as_str())).collect();
        assert_eq!(roles, names);
        for rule in &MATRIX {
            let name = format!("| `{} {}` |", rule.method, rule.path);
            let row = document.lines().find(|line| line.starts_with(&name)).unwrap_or_else(|| panic!("no row {name}"));
            let cells: Vec<bool> = row.split('|').skip(2).take(roles.len()).map(|cell| cell.trim() == "yes").collect();
            let nobody = rule.allowed == Allowed::Everybody;
            let expected: Vec<bool> =
                [nobody].into_iter().chain(Role::ALL.iter().map(|role| may(*role, rule.allowed))).collect();
            assert_eq!(cells, expected, "{row}");
        }
    }

    #[test]
    fn what_is_not_listed_is_known_as_such() {
        assert_eq!(allowed(&Method::GET, "/api/v1/nothing"), Verdict::Unlisted);
        assert_eq!(allowed(&Method::DELETE, "/api/v1/exams"), Verdict::OtherMethod);
        assert_eq!(allowed(&Method::HEAD, "/api/v1/exams"), allowed(&Method::GET, "/api/v1/exams"));
    }
}
