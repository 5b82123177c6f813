//! Requests of the command line, answered by the holder.

use super::no_holder;
use super::world::{Settings, World};
use crate::api::{Answers, Outcome, Request, ShowRequest, Submit};
use crate::diag::Failure;
use crate::doctor;
use crate::holder::Client;

/// Answers from the holder, from a new holder if the request starts one, or, without a holder, from
/// here.
#[derive(Debug)]
pub struct Remote<'a, W> {
    pub(super) client: Client,
    pub(super) world: &'a W,
    pub(super) settings: &'a Settings,
}

impl<W> Remote<'_, W> {
    /// Whether a holder answers.
    ///
    /// # Errors
    /// Exit code 6 when something listens that does not.
    pub async fn answers(&self) -> Result<bool, Failure> {
        let nothing = Request::Show(ShowRequest::Errors { verbose: false });
        self.client.submit(nothing).await.map(|answer| answer.is_ok())
    }
}

/// Where no holder can be named, every request is refused with the reason.
impl<S: Submit> Submit for Result<S, Failure> {
    async fn submit(&self, request: Request) -> Result<Outcome, Failure> {
        self.as_ref().map_err(Clone::clone)?.submit(request).await
    }

    async fn stream(&self, request: Request) -> Result<Answers, Failure> {
        self.as_ref().map_err(Clone::clone)?.stream(request).await
    }
}

impl<W: World> Submit for Remote<'_, W> {
    async fn submit(&self, request: Request) -> Result<Outcome, Failure> {
        let request = match self.client.submit(request).await? {
            Ok(mut outcome) => {
                outcome.reply.interfaces_mut().iter_mut().for_each(doctor::resolve);
                return Ok(outcome);
            }
            Err(request) => request,
        };
        // What a dry run says without a holder is what a new one would do.
        if request.creates() || matches!(request, Request::Create(_)) {
            return self.world.start(self.settings).await?.submit(request).await;
        }
        no_holder::answer(&request, self.client.root_may_hold())
    }

    async fn stream(&self, request: Request) -> Result<Answers, Failure> {
        match self.client.stream(request).await? {
            Ok(answers) => Ok(answers),
            Err(request) => self.submit(request).await.map(Answers::one),
        }
    }
}
