//! The messages: varlink calls and answers, and failures as typed errors.

use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::{Outcome, Piece, Reader, Request};
use crate::diag::{Code, Failure};

/// The interface of the verbs.
pub(super) const INTERFACE: &str = "io.taptool";

/// The caller is neither the holder's user nor root.
pub(super) const DENIED: &str = "org.varlink.service.PermissionDenied";

/// The holder has ended or is about to: connect again.
pub(super) const LEAVING: &str = "io.taptool.Leaving";

/// A call as it arrives.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Call {
    /// `interface.Method`.
    pub method: String,
    /// An object; absent is an empty one.
    #[serde(default)]
    pub parameters: Option<Map<String, Value>>,
    /// Several answers are welcome.
    #[serde(default, skip_serializing_if = "is_not_so")]
    pub more: Option<bool>,
    /// No answer is wanted.
    #[serde(default, skip_serializing_if = "is_not_so")]
    pub oneway: Option<bool>,
    /// The caller asks for another protocol; there is none.
    #[serde(default, skip_serializing_if = "is_not_so")]
    pub upgrade: Option<bool>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_not_so(flag: &Option<bool>) -> bool {
    *flag != Some(true)
}

/// An answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    /// Another one follows.
    #[serde(default, skip_serializing_if = "is_not_so")]
    pub continues: Option<bool>,
    /// The error; absent on success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The answer, or the parameters of the error.
    #[serde(default)]
    pub parameters: Map<String, Value>,
}

impl Answer {
    /// A plain answer.
    pub(super) fn of(parameters: Map<String, Value>) -> Self {
        Self { continues: None, error: None, parameters }
    }

    /// A typed error.
    pub(super) fn error(name: impl Into<String>, parameters: Map<String, Value>) -> Self {
        Self { continues: None, error: Some(name.into()), parameters }
    }

    /// The holder leaves.
    pub(super) fn leaving() -> Self {
        Self::error(LEAVING, Map::new())
    }

    /// Its bytes.
    pub(super) fn text(&self) -> Vec<u8> {
        // String keys only and no failing serializer: this cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// The errors of `io.taptool` that carry a failure, by exit code.
const ERRORS: &[(Code, &str)] = &[
    (Code::Failed, "io.taptool.Failed"),
    (Code::Usage, "io.taptool.Usage"),
    (Code::NotFound, "io.taptool.NotFound"),
    (Code::Exists, "io.taptool.Exists"),
    (Code::NotPermitted, "io.taptool.NotPermitted"),
    (Code::NoAnswer, "io.taptool.NoAnswer"),
    (Code::NoBackend, "io.taptool.NoBackend"),
];

/// A failure as it is sent.
#[derive(Debug, Serialize, Deserialize)]
struct Travelling {
    on: String,
    doing: String,
    cause: String,
    hint: Option<String>,
    errno: Option<i32>,
    exit_code: u8,
    bug: Option<Box<str>>,
}

impl From<&Failure> for Answer {
    fn from(failure: &Failure) -> Self {
        let name = ERRORS.iter().find(|(code, _)| *code == failure.code);
        let travelling = Travelling {
            on: failure.on.clone(),
            doing: failure.doing.clone(),
            cause: failure.cause.clone(),
            hint: failure.hint.clone(),
            errno: failure.errno.map(|errno| errno as i32),
            exit_code: failure.code as u8,
            bug: failure.bug.clone(),
        };
        let parameters = match serde_json::to_value(travelling) {
            Ok(Value::Object(parameters)) => parameters,
            _ => Map::new(),
        };
        Self::error(name.map_or("io.taptool.Failed", |(_, name)| name), parameters)
    }
}

/// An outcome as the text of an answer, without the NUL; whether others follow it.
pub(super) fn pieces(outcome: Outcome, continues: bool) -> impl Iterator<Item = Piece> {
    let plain = |text: &str| [Piece::Text(text.as_bytes().to_vec())];
    let begin = if continues { "{\"continues\":true,\"parameters\":" } else { "{\"parameters\":" };
    plain(begin).into_iter().chain(outcome.into_pieces()).chain(plain("}"))
}

/// The meaning of an answer for the client.
#[derive(Debug)]
pub(super) enum Meaning {
    /// It was done, or refused.
    Result(Result<Outcome, Failure>),
    /// It was not begun.
    Leaving,
}

/// Reads an answer; `reader` is the request's.
pub(super) fn read(answer: Answer, reader: Reader) -> Meaning {
    let Answer { error, mut parameters, .. } = answer;
    match error.as_deref() {
        Some(LEAVING) => Meaning::Leaving,
        Some(name) => Meaning::Result(Err(failure(name, parameters))),
        None => {
            let notices = parameters.remove("notices").unwrap_or(Value::Null);
            let notices = serde_json::from_value(notices).unwrap_or_default();
            let reply = reader(Value::Object(parameters));
            Meaning::Result(reply.map(|reply| Outcome { reply, notices }).map_err(|error| {
                Failure::new(Code::NoAnswer, "holder", format!("not an answer: {error}"))
            }))
        }
    }
}

fn failure(name: &str, parameters: Map<String, Value>) -> Failure {
    if name == DENIED {
        return Failure::new(Code::NotPermitted, "holder", "it answers only its own user and root");
    }
    let code = ERRORS.iter().find(|(_, error)| *error == name).map(|(code, _)| *code);
    let said = Value::Object(parameters);
    match (code, serde_json::from_value::<Travelling>(said.clone())) {
        (Some(code), Ok(Travelling { on, doing, cause, hint, errno, bug, .. })) => {
            let errno = errno.map(Errno::from_raw);
            Failure { doing, on, cause, errno, hint, code, bug }
        }
        _ => Failure::new(Code::NoAnswer, "holder", format!("{name} {said}")),
    }
}

/// A request as the bytes of its call.
pub(super) fn call(request: &Request) -> Vec<u8> {
    // As above.
    let mut call = serde_json::to_value(request).unwrap_or_default();
    if request.streams() {
        call["more"] = true.into();
    }
    call.to_string().into_bytes()
}

/// A call of ours as a request.
///
/// # Errors
/// The varlink error that says what is wrong with it.
pub(super) fn request(call: Call) -> Result<Request, Answer> {
    let of = |key: &str, value: Value| Map::from_iter([(key.to_owned(), value)]);
    let method = call.method.clone();
    let parameters = Value::Object(call.parameters.unwrap_or_default());
    let both = serde_json::json!({ "method": call.method, "parameters": parameters });
    serde_json::from_value(both).map_err(|error| {
        let why = error.to_string();
        // serde's word for a tag that it does not know.
        if why.starts_with("unknown variant") && why.contains(&format!("`{method}`")) {
            Answer::error("org.varlink.service.MethodNotFound", of("method", method.into()))
        } else {
            Answer::error("org.varlink.service.InvalidParameter", of("parameter", why.into()))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_arrives_as_it_was_sent_with_code_errno_and_the_place_of_a_bug() {
        let refused = Failure::sys("ioctl", "tap0", Errno::EPERM).hint("run it with sudo");
        for sent in [refused, Failure::bug("tap0", "no backend"), Failure::usage("id", "too big")] {
            let Answer { error, parameters, .. } = Answer::from(&sent);
            assert_eq!(failure(&error.unwrap(), parameters), sent);
        }
    }
}
