//! Requests of the command line, answered by the holder.

use super::nobody;
use super::{Settings, World};
use crate::api::{Outcome, Request, Submit};
use crate::diag::Failure;
use crate::holder::Client;

/// The holder, a new one where that is worth it, and nobody where there is none.
pub(super) struct Remote<'a, W> {
    pub client: Client,
    pub world: &'a W,
    pub settings: &'a Settings,
}

impl<W: World> Submit for Remote<'_, W> {
    async fn submit(&self, request: Request) -> Result<Outcome, Failure> {
        let request = match self.client.submit(request).await? {
            Ok(outcome) => return Ok(outcome),
            Err(request) => request,
        };
        // What a dry run says without a holder is what a new one would do.
        if let Request::Create(_) = request {
            return self.world.start(self.settings).await?.submit(request).await;
        }
        nobody::answer(&request, self.client.root_may_hold())
    }
}
