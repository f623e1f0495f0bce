//! The interface as `OpenAPI` 3.1: operations as their handlers say them, schemas from the types that are answered and taken.

use std::sync::LazyLock;

use axum::Json;
use axum::response::{IntoResponse, Response};
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use super::{daemon, deliveries, exams, kiosks, machine, openid, outcomes, people, session, slices};
use crate::console::{events, server};
use crate::database::DeliveryFilter;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tableside",
        description = "What the console's page asks, for other programs. Research use only. Not a medical device. \
                       Who may ask what: docs/access.md; what the answers mean: docs/interface.md.",
        license(name = "MIT OR Apache-2.0"),
        contact(),
    ),
    paths(
        server::alive,
        daemon::ready,
        daemon::metrics,
        daemon::status,
        openapi,
        session::session,
        session::log_in,
        session::log_out,
        session::set_up,
        exams::exams,
        exams::exam,
        exams::slab_picture,
        exams::acknowledge,
        events::events,
        slices::slices,
        slices::hounsfield,
        deliveries::undelivered,
        deliveries::of_exam,
        deliveries::send_again,
        deliveries::give_up,
        openid::begin,
        openid::come_back,
        outcomes::record,
        outcomes::figures,
        people::account,
        people::change_password,
        people::end_own_session,
        people::people,
        people::add,
        people::edit,
        people::remove,
        people::reset,
        people::sessions,
        people::end_session,
        kiosks::kiosks,
        kiosks::add,
        kiosks::revoke,
        machine::scanners,
        machine::machine,
    )
)]
struct Operations;

/// Describes this interface.
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "daemon",
    responses((status = 200, description = "This document.", body = serde_json::Value)),
)]
pub(super) async fn openapi() -> Response {
    Json(&*DOCUMENT).into_response()
}

static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

fn document() -> Value {
    let operations = Operations::openapi();
    let mut document = match serde_json::to_value(operations) {
        Ok(Value::Object(document)) => document,
        // Derived types of strings and maps are always written.
        Ok(_) | Err(_) => Map::new(),
    };
    for operations in document.get_mut("paths").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        for operation in operations.as_object_mut().into_iter().flat_map(Map::values_mut) {
            operation["responses"]["default"] = json!({
                "description": "It was not done; where the daemon says why, in words.",
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            });
        }
    }
    document.insert("components".to_owned(), json!({ "schemas": schemas() }));
    Value::Object(document)
}

/// The schemas that operations name, and those that these name.
fn schemas() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut taken = settings.clone().for_deserialize().into_generator();
    define::<session::LogIn>(&mut taken);
    define::<session::SetUp>(&mut taken);
    define::<exams::Acknowledge>(&mut taken);
    define::<DeliveryFilter>(&mut taken);
    define::<outcomes::Recorded>(&mut taken);
    define::<people::Added>(&mut taken);
    define::<people::Edited>(&mut taken);
    define::<people::Reset>(&mut taken);
    define::<people::OwnPassword>(&mut taken);
    define::<kiosks::Added>(&mut taken);
    let mut answered = settings.for_serialize().into_generator();
    define::<super::Problem<'_>>(&mut answered);
    define::<crate::console::Status>(&mut answered);
    define::<session::Session>(&mut answered);
    define::<session::KioskEntered>(&mut answered);
    define::<exams::ExamList>(&mut answered);
    define::<crate::console::outcomes::OutcomeFigures>(&mut answered);
    define::<exams::ExamDetails>(&mut answered);
    define::<slices::ShownSlices>(&mut answered);
    define::<deliveries::Listed>(&mut answered);
    define::<deliveries::OfExam>(&mut answered);
    define::<deliveries::Decided>(&mut answered);
    define::<people::People>(&mut answered);
    define::<people::MadePassword>(&mut answered);
    define::<people::Sessions>(&mut answered);
    define::<people::OwnAccount>(&mut answered);
    define::<people::Done>(&mut answered);
    define::<kiosks::Kiosks>(&mut answered);
    define::<kiosks::KioskToken>(&mut answered);
    define::<machine::Scanners>(&mut answered);
    define::<crate::console::Machine>(&mut answered);
    let mut schemas = taken.take_definitions(true);
    schemas.extend(answered.take_definitions(true));
    let either = ["Session", "KioskEntered"].map(|name| json!({ "$ref": format!("#/components/schemas/{name}") }));
    schemas.insert("LoggedIn".to_owned(), json!({ "anyOf": either }));
    schemas
}

fn define<T: schemars::JsonSchema>(generator: &mut SchemaGenerator) {
    generator.subschema_for::<T>();
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::console::server::routes;

    #[test]
    fn the_document_has_every_route_and_every_schema_that_it_names() {
        let document = document();
        let described: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, of)| of.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())))
            .collect();
        let served: BTreeSet<(String, String)> =
            routes().listed.iter().map(|(method, path)| (method.to_string(), (*path).to_owned())).collect();
        assert_eq!(described, served, "described, served");
        let text = document.to_string();
        for name in text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document["components"]["schemas"][name].is_object(), "{name} is named and not there");
        }
    }
}
