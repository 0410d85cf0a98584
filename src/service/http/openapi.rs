//! The description of the API, made from the code: operations and objects from where they are, and what holds for many of them from here.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use super::access::OPEN;
use super::kinds::add_kinds;
use super::{about, batches, datasets, error, events, jobs, listing, metrics, schema, status};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "tandem",
        description = "Numeric jobs on CPU and GPU together: the same bytes on every device, and every placement explained.\n\n\
                       Paths that are not described here are answered with 404, and other methods with 405."
    ),
    paths(
        jobs::post,
        jobs::get,
        jobs::result,
        jobs::cancel,
        jobs::retry,
        listing::list,
        batches::post,
        datasets::put,
        datasets::list,
        datasets::remove,
        events::all,
        events::of_job,
        about::devices,
        about::model,
        about::healthz,
        about::readyz,
        status::status,
        metrics::metrics
    ),
    components(schemas(
        schema::Acknowledged,
        schema::BatchLine,
        schema::JobEvent,
        schema::JobList,
        schema::JobRequest,
        schema::JobView,
        schema::Missed,
        schema::StateName,
        datasets::DatasetView,
        datasets::DatasetList,
        status::Status,
        status::Jobs,
        status::SinceStart,
        status::Memory,
        status::Load,
        status::Pace,
        error::ErrorBody,
        error::Failure
    )),
    tags(
        (name = "jobs", description = "Sending jobs, and getting their results"),
        (name = "datasets", description = "Inputs that many jobs read"),
        (name = "events", description = "What happens, as it happens"),
        (name = "service", description = "How the service is")
    )
)]
struct Description;

/// What many operations may answer: status, name, and what it means.
const ANSWERS: [(&str, &str, &str); 10] = [
    ("400", "BadInput", "A part of the request is wrong: the message says which"),
    ("401", "Unauthorized", "The token is missing or wrong"),
    (
        "403",
        "Forbidden",
        "A page of another site has sent it, or it came by a host name that this service does not answer to",
    ),
    ("408", "Stalled", "The body came too slowly, or stopped coming"),
    ("413", "TooLarge", "The body, or what it asks for, is too large"),
    ("415", "Encoded", "The body is compressed (`Content-Encoding`): only plain ones are read"),
    ("500", "Internal", "A mistake of the service: its log says more"),
    (
        "503",
        "Unavailable",
        "The service is about to end, has no memory for the body just now, or its journal cannot be used",
    ),
    ("429", "QueueFull", "The queue is full"),
    ("507", "DiskFull", "No room is left on the disk of the service"),
];

/// These answer from memory alone, whatever the disk does.
const FROM_MEMORY: [&str; 6] = ["/healthz", "/readyz", "/metrics", "/v1/status", "/v1/events", "/v1/devices"];

static DESCRIPTION: LazyLock<String> = LazyLock::new(|| {
    // It is plain data; what could not be written would be found by its test.
    let mut api = serde_json::to_value(Description::openapi()).unwrap_or_default();
    complete(&mut api);
    api.to_string()
});

/// OpenAPI 3.1.
pub(super) async fn json() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DESCRIPTION.as_str())
}

/// Adds what holds for many operations, and what no attribute can say.
fn complete(api: &mut Value) {
    let token = json!({
        "type": "http", "scheme": "bearer",
        "description": "What is in the file of `--token-file`, where the service was started with one"
    });
    api["components"]["securitySchemes"] = json!({ "token": token });
    // Either: a service that only this machine can reach may want none.
    api["security"] = json!([{ "token": [] }, {}]);
    let error = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/ErrorBody" } } });
    let answers = ANSWERS.map(|(status, name, description)| {
        let mut answer = json!({ "description": description, "content": error });
        add_headers(status, &mut answer);
        (name.to_owned(), answer)
    });
    api["components"]["responses"] = Value::Object(Map::from_iter(answers));
    add_kinds(&mut api["components"]["schemas"]["JobRequest"]);
    api["components"]["schemas"]["JobForm"] = job_form();
    api["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]["multipart/form-data"] = json!({
        "schema": { "$ref": "#/components/schemas/JobForm" },
        "encoding": { "job": { "contentType": "application/json" } },
        "example": { "job": { "kind": "stats", "file": { "$file": "scan" } }, "scan": "what is in the file" }
    });
    api["components"]["schemas"]["ServerSentEvent"] = server_sent_event();
    for path in ["/v1/events", "/v1/jobs/{id}/events"] {
        let content = &mut api["paths"][path]["get"]["responses"]["200"]["content"]["text/event-stream"];
        content["schema"] = json!({ "$ref": "#/components/schemas/ServerSentEvent" });
    }
    for (path, item) in api["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            operation["operationId"] = name_of(path, method).into();
            // To ask for one that is not there by its index would put a null there.
            let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
            for parameter in parameters.into_iter().flatten() {
                leave_out_null(&mut parameter["schema"]);
            }
            let more = more_answers(path, method, operation);
            if OPEN.contains(&path.as_str()) {
                operation["security"] = json!([]);
            }
            let Some(responses) = operation["responses"].as_object_mut() else { continue };
            for (status, name, _) in ANSWERS.iter().filter(|(status, ..)| more.contains(status)) {
                let answer = || json!({ "$ref": format!("#/components/responses/{name}") });
                responses.entry(*status).or_insert_with(answer);
            }
            for (status, answer) in responses.iter_mut().filter(|(_, answer)| answer["$ref"].is_null()) {
                add_headers(status, answer);
                let usual = if status == "404" {
                    "There is none of that name or id, or it is no longer kept"
                } else {
                    "The answer"
                };
                answer["description"] = answer["description"].as_str().unwrap_or(usual).into();
            }
        }
    }
}

/// What stands in an address or a header may be left out, but it is text, and never null.
fn leave_out_null(schema: &mut Value) {
    let Some(kinds) = schema.get_mut("type").and_then(Value::as_array_mut) else { return };
    kinds.retain(|kind| kind != "null");
    if let [kind] = kinds.as_slice() {
        schema["type"] = kind.clone();
    }
}

/// What clients that are made of the description call an operation: `get_jobs_id_result`.
fn name_of(path: &str, method: &str) -> String {
    let parts = path.split('/').filter(|part| !part.is_empty() && *part != "v1");
    parts.fold(method.to_owned(), |name, part| {
        let part: String = part.chars().filter(|c| c.is_alphanumeric()).collect();
        format!("{name}_{part}")
    })
}

/// The statuses that an operation may answer with beside those that it tells of itself.
fn more_answers(path: &str, method: &str, operation: &Value) -> Vec<&'static str> {
    let mut more = vec!["403"];
    let has_body = !operation["requestBody"].is_null();
    let is_asked = |parameter: &Value| parameter["in"] != "header";
    if has_body || operation["parameters"].as_array().is_some_and(|parameters| parameters.iter().any(is_asked)) {
        more.push("400");
    }
    if !OPEN.contains(&path) {
        more.push("401");
    }
    if has_body {
        more.extend(["408", "413", "415"]);
    }
    let is_from_memory = FROM_MEMORY.contains(&path) && method == "get";
    if !is_from_memory {
        more.extend(["500", "503"]);
    }
    match (method, path) {
        ("get", "/v1/devices") => more.push("500"),
        ("get", "/v1/events") => more.push("503"),
        ("post", "/v1/jobs/{id}/retry") => more.extend(["413", "429", "507"]),
        ("put", "/v1/datasets/{name}") => more.push("507"),
        _ => {}
    }
    more
}

fn add_headers(status: &str, answer: &mut Value) {
    let header = |kind: &str, description: &str| json!({ "description": description, "schema": { "type": kind } });
    let (name, header) = match status {
        "202" => ("Location", header("string", "Where the job is")),
        "401" => ("WWW-Authenticate", header("string", "`Bearer`")),
        "429" | "503" | "507" => ("Retry-After", header("integer", "Seconds after which to try again")),
        _ => return,
    };
    answer["headers"][name] = header;
}

fn job_form() -> Value {
    json!({
        "type": "object",
        "description": "A job, and the files that come with it",
        "required": ["job"],
        "properties": { "job": { "$ref": "#/components/schemas/JobRequest" } },
        "additionalProperties": {
            "type": "string", "contentMediaType": "application/octet-stream",
            "description": "A file, in a part of the name by which the job refers to it: `{\"$file\":\"NAME\"}`"
        }
    })
}

fn server_sent_event() -> Value {
    let of = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    json!({
        "type": "object",
        "description": "An event of a stream: lines of `name: text`, and an empty line at the end",
        "required": ["event", "data"],
        "properties": {
            "id": { "type": "string", "description": "Its number: `Last-Event-ID` goes on after it" },
            "event": { "type": "string", "enum": ["job", "missed"] },
            "data": {
                "type": "string", "description": "JSON: a `JobEvent`, or `Missed`",
                "contentMediaType": "application/json", "contentSchema": { "oneOf": [of("JobEvent"), of("Missed")] }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::commands::Commands;
    use crate::service::intake::{Earlier, Intake};
    use crate::service::reach::Allowed;
    use crate::service::uploads::Files;

    /// Whether there is a null somewhere: OpenAPI knows none, examples apart.
    fn has_null(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Array(values) => values.iter().any(has_null),
            Value::Object(fields) => fields.iter().any(|(name, value)| name != "example" && has_null(value)),
            _ => false,
        }
    }

    struct OneBefore;

    impl Earlier for OneBefore {
        fn number(&self, id: &str) -> Result<Option<u64>, String> {
            Ok((id == "kqtz-17").then_some(17))
        }

        fn id(&self, number: u64) -> String {
            number.to_string()
        }

        fn outcome(&self, _: u64) -> Option<Result<String, String>> {
            None
        }
    }

    /// What else than null a value may be, by the names of JSON Schema.
    fn kinds_of(schema: &Value) -> Vec<&str> {
        let kinds = schema["type"].as_array().map_or(std::slice::from_ref(&schema["type"]), Vec::as_slice);
        kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect()
    }

    fn may_be_null(schema: &Value) -> bool {
        let is_null = |kind: &Value| kind == "null";
        let is_open = schema["type"].is_null() && schema["$ref"].is_null() && schema["oneOf"].is_null();
        let alternatives = schema["oneOf"].as_array().into_iter().flatten();
        is_open
            || schema["type"].as_array().is_some_and(|kinds| kinds.iter().any(is_null))
            || alternatives.into_iter().any(|one| is_null(&one["type"]))
    }

    #[test]
    fn a_field_of_a_job_may_be_null_where_it_is_described_so_and_nowhere_else() {
        let api: Value = serde_json::from_str(&DESCRIPTION).unwrap();
        let request = &api["components"]["schemas"]["JobRequest"];
        assert_eq!(request["additionalProperties"], true, "kinds have fields of their own");
        let intake = Intake::new(Commands::default(), Allowed::default(), 1 << 30);
        let is_job = |job: &Value| intake.prepare(&job.to_string(), &Files::new(), &|_| None, &OneBefore).is_ok();
        let job = json!({ "kind": "stats", "values": [1, 2] });
        assert!(is_job(&job));
        let mut known = Vec::new();
        for (name, schema) in request["properties"].as_object().unwrap() {
            let mut with_null = job.clone();
            with_null[name] = Value::Null;
            assert_eq!(is_job(&with_null), may_be_null(schema), "{name}: {schema}");
            known.push(name.as_str());
        }
        for name in ["after", "dataset", "deadline", "metadata", "timeout"] {
            assert!(known.contains(&name), "{name}");
        }
        for (name, values) in [
            ("after", json!([["kqtz-17"], "kqtz-17", 17])),
            ("deadline", json!(["10m", 0.5, false])),
            ("memory", json!(["2MiB", 1_000_000, false])),
            ("priority", json!([7, 0.5, "7"])),
            ("timeout", json!(["30s", 0.5, false])),
        ] {
            let kinds = kinds_of(&request["properties"][name]);
            for value in values.as_array().unwrap() {
                let is_described = match value {
                    Value::String(_) => kinds.contains(&"string"),
                    Value::Array(_) => kinds.contains(&"array"),
                    Value::Number(number) if number.is_u64() && kinds.contains(&"integer") => true,
                    Value::Number(_) => kinds.contains(&"number"),
                    _ => false,
                };
                let mut with_it = job.clone();
                with_it[name] = value.clone();
                assert_eq!(is_job(&with_it), is_described, "{name}: {value}, {kinds:?}");
            }
        }
        for (path, item) in api["paths"].as_object().unwrap() {
            for operation in item.as_object().unwrap().values() {
                assert!(!has_null(operation), "{path}: {operation}");
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    assert!(!may_be_null(&parameter["schema"]), "{path}: {parameter}");
                }
            }
        }
        let told = request["description"].as_str().unwrap();
        for word in ["$file", "$dataset", "$result", "`quantiles`", "`range`"] {
            assert!(told.contains(word), "{word}: {told}");
        }
    }

    #[test]
    fn what_is_referred_to_is_there_and_every_operation_tells_of_its_refusals() {
        let api: Value = serde_json::from_str(&DESCRIPTION).unwrap();
        let text = &*DESCRIPTION;
        let mut rest = text.as_str();
        while let Some(at) = rest.find("\"$ref\":\"#") {
            rest = &rest[at + 9..];
            let pointer = &rest[..rest.find('"').unwrap()];
            assert!(api.pointer(pointer).is_some(), "{pointer}");
        }
        let mut names = std::collections::BTreeSet::new();
        for (path, item) in api["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                assert!(names.insert(operation["operationId"].as_str().unwrap().to_owned()), "{method} {path}");
                let answers = operation["responses"].as_object().unwrap();
                let is_open = operation["security"] == json!([]);
                assert_eq!(is_open, ["/healthz", "/readyz"].contains(&path.as_str()), "{method} {path}");
                let said = |answer: &Value| answer["$ref"].is_string() || answer["description"].is_string();
                assert!(answers.values().all(said), "{method} {path}");
                assert_eq!(answers.contains_key("401"), !is_open, "{method} {path}");
                assert!(answers.contains_key("403"), "{method} {path}");
                let has_body = operation.get("requestBody").is_some();
                assert_eq!(answers.contains_key("408"), has_body, "{method} {path}");
            }
        }
        let post = &api["paths"]["/v1/jobs"]["post"];
        assert!(post["responses"]["202"]["headers"]["Location"].is_object(), "{post}");
        assert!(post["responses"]["429"]["headers"]["Retry-After"].is_object(), "{post}");
    }
}
