//! The way of permits from the gates of an HTTP chain to the body of its response.
//!
//! A call of an HTTP chain ends with the head of the response, and the permits must last until the
//! end of the body. A gate serves calls with any output, so it does not see a body. Two futures
//! bound the chain: the outer one polls the call [`during`](Handover::during) a hand-over, and the
//! innermost one leaves it for the service [`outside`]. A gate in between finds the place for its
//! permits here, when its call ends. The gates of other chains, which the service or its caller may
//! have, find nothing, and give their permits back as ever.

use super::{
    held_body::{HeldBody, Permits},
    permit::ConcurrencyPermit,
};
use crate::sync::{Arc, lock};
use http_body::Body;
use std::{
    cell::RefCell,
    mem,
    sync::Weak, // decides nothing: the body alone owns the place
};

thread_local! {
    /// The hand-over of the call that is being polled; `None` outside of an HTTP chain.
    static CURRENT: RefCell<Option<Handover>> = const { RefCell::new(None) };
}

/// The hand-over of the permits of one call.
#[derive(Debug, Default)]
pub(crate) struct Handover {
    /// `true` once a gate of the chain has let the call through. A chain without such a gate needs
    /// no place, and allocates none.
    has_permits: bool,
    /// Place in the body of the newest response. Gone if there is no response yet, or if it was
    /// dropped, as a retry does.
    place: Weak<Permits>,
}

impl Handover {
    /// Polls the call.
    #[inline]
    pub(crate) fn during<T>(&mut self, poll: impl FnOnce() -> T) -> T {
        let around = CURRENT.replace(Some(mem::take(self)));
        let _during = During { handover: self, around };
        poll()
    }
}

struct During<'h> {
    handover: &'h mut Handover,
    around: Option<Handover>,
}

impl Drop for During<'_> {
    fn drop(&mut self) {
        *self.handover = CURRENT.replace(self.around.take()).unwrap_or_default();
    }
}

/// Polls the service inside the chain.
#[inline]
pub(crate) fn outside<T>(poll: impl FnOnce() -> T) -> T {
    let _outside = Outside(CURRENT.take());
    poll()
}

struct Outside(Option<Handover>);

impl Drop for Outside {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

/// Notes that a gate has let a call through.
#[inline]
pub(crate) fn admitted() {
    CURRENT.with_borrow_mut(|current| {
        if let Some(current) = current {
            current.has_permits = true;
        }
    });
}

/// Makes the body of a response, with a place for permits if a gate has some.
pub(crate) fn body<B: Body>(body: B) -> HeldBody<B> {
    let place = CURRENT.with_borrow_mut(|current| {
        let current = current.as_mut().filter(|current| current.has_permits)?;
        let place = Arc::<Permits>::default();
        current.place = Arc::downgrade(&place);
        Some(place)
    });
    HeldBody::new(body, place)
}

/// Hands a permit over to the body of the newest response. Returns `false` if there is none.
#[inline]
pub(super) fn hand_over(permit: impl FnOnce() -> ConcurrencyPermit) -> bool {
    let place = CURRENT.with_borrow(|current| current.as_ref()?.place.upgrade());
    place.map(|place| lock(&place.0).push(permit())).is_some()
}
