//! `org.varlink.service`: the name and version of the holder, and its varlink interfaces.

use serde_json::{Map, Value, json};

use super::message::{Answer, Call, INTERFACE};

/// Ours, as text.
pub const DESCRIPTION: &str = include_str!("io.taptool.varlink");

/// The version of this program. A client and a holder of different versions exchange no requests.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

const SERVICE: &str = "org.varlink.service";

const SERVICE_DESCRIPTION: &str = "\
# What every varlink service answers (https://varlink.org/Service)
interface org.varlink.service

method GetInfo() -> (vendor: string, product: string, version: string, url: string, interfaces: []string)
method GetInterfaceDescription(interface: string) -> (description: string)

error InterfaceNotFound (interface: string)
error MethodNotFound (method: string)
error MethodNotImplemented (method: string)
error InvalidParameter (parameter: string)
error PermissionDenied ()
error ExpectedMore ()
";

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The call for the name and version.
pub(super) fn get_info() -> Vec<u8> {
    json!({ "method": "org.varlink.service.GetInfo" }).to_string().into_bytes()
}

/// Answers calls to `org.varlink.service` and to unknown interfaces; none for a method of
/// `io.taptool`.
pub(super) fn answer(call: &Call) -> Option<Answer> {
    let (interface, method) = call.method.rsplit_once('.').unwrap_or(("", ""));
    let error = |name: &str, key: &str, value: &str| {
        Answer::error(format!("{SERVICE}.{name}"), object(json!({ key: value })))
    };
    match (interface, method) {
        (INTERFACE, _) => None,
        (SERVICE, "GetInfo") => Some(Answer::of(object(json!({
            "vendor": "taptool",
            "product": "taptool",
            "version": VERSION,
            "url": "https://varlink.org",
            "interfaces": [SERVICE, INTERFACE],
        })))),
        (SERVICE, "GetInterfaceDescription") => {
            let wanted = call.parameters.as_ref().and_then(|p| p.get("interface")?.as_str());
            Some(match wanted {
                Some(INTERFACE) => Answer::of(object(json!({ "description": DESCRIPTION }))),
                Some(SERVICE) => Answer::of(object(json!({ "description": SERVICE_DESCRIPTION }))),
                Some(other) => error("InterfaceNotFound", "interface", other),
                None => error("InvalidParameter", "parameter", "interface"),
            })
        }
        (SERVICE, _) => Some(error("MethodNotFound", "method", &call.method)),
        _ => Some(error("InterfaceNotFound", "interface", interface)),
    }
}
