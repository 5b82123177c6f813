//! What was found, in one shape for machine and interface.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::diag::{Code, Failure};

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// The machine does not have it.
    Missing,
    /// Frames are lost for it, or would be.
    Drops,
    /// Worth knowing; nothing is lost for it now.
    Note,
    /// Could not be looked at.
    Unknown,
}

impl Verdict {
    /// As shown and as in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missing => "missing",
            Self::Drops => "drops",
            Self::Note => "note",
            Self::Unknown => "unknown",
        }
    }
}

/// One row. All five keys stand in every JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at, a word that does not change.
    pub check: Cow<'static, str>,
    /// How it came out.
    pub state: Verdict,
    /// What was seen.
    pub value: String,
    /// What it costs; null where nothing is amiss.
    pub cost: Option<String>,
    /// The command that mends it; null where none does or none is needed.
    pub remedy: Option<String>,
}

impl Finding {
    fn new(check: impl Into<Cow<'static, str>>, state: Verdict, value: impl Into<String>) -> Self {
        Self { check: check.into(), state, value: value.into(), cost: None, remedy: None }
    }

    pub(super) fn ok(check: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        Self::new(check, Verdict::Ok, value)
    }

    pub(super) fn missing(check: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        Self::new(check, Verdict::Missing, value)
    }

    pub(super) fn drops(check: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        Self::new(check, Verdict::Drops, value)
    }

    pub(super) fn note(check: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        Self::new(check, Verdict::Note, value)
    }

    pub(super) fn unknown(check: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        Self::new(check, Verdict::Unknown, value)
    }

    /// With the hint of a failure as the remedy, where it has one.
    pub(super) fn hinted(self, failure: &Failure) -> Self {
        match &failure.hint {
            Some(hint) => self.remedy(hint.clone()),
            None => self,
        }
    }

    pub(super) fn cost(mut self, cost: impl Into<String>) -> Self {
        self.cost = Some(cost.into());
        self
    }

    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// A failure without its hint, which stands beside it.
pub(super) fn line(failure: &Failure) -> String {
    Failure { hint: None, ..failure.clone() }.to_string()
}

/// Everything that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// In the order in which they are read: what stands in the way first.
    pub findings: Vec<Finding>,
    /// What it comes to, one sentence; not in JSON.
    pub summary: String,
    /// The exit code; none when all is well.
    pub code: Option<Code>,
}

impl Report {
    /// An array of an object a finding.
    pub fn to_json(&self) -> Value {
        // String keys and no failing serializer: never `Null`.
        serde_json::to_value(&self.findings).unwrap_or(Value::Null)
    }
}
