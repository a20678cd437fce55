//! The request of a limiter to its store.

use crate::policy::MAX_WINDOWS;
use std::time::Duration;

/// Request of one limiter to the store that it shares with other processes. Made by
/// [`Asker::ask`](crate::shared::Asker::ask) at the moment at which the store sends it, the
/// *asking*.
///
/// A store works through a request in this order, in one atomic step:
///
/// 1. If its state of the limit is gone, it makes a new one with a new epoch. If the asker knows
///    another [epoch](Self::epoch), the state was lost. Once in each epoch, a *grace* of 250 ms
///    begins then, in which nothing is granted, so that all processes can report what they have
///    used.
///
/// 2. It notes the [pause](Self::pause).
///
/// 3. If the asker knows another epoch, the request ends here. The asker learns the new epoch from
///    the answer, and its next request reports all of its permits that count.
///
/// 4. It takes the [charges](Self::charges), whether they fit or not, and then gives back the
///    [refund](Self::refund).
///
/// 5. Unless a grace lasts, it works through the [runs](Self::runs) in order, and grants the calls
///    of each run one after the other.
///
/// # Grants
///
/// A call is *due* at the first moment at which all its permits are free, no earlier than the calls
/// that were granted before it, and no earlier than the end of a pause. The store notes the permits
/// of a granted call with the stamp `due + hold`, the last moment at which the call may use them.
/// The permits leave a window when they are a period older than their stamp. A stamp may be rounded
/// up, and must be no earlier than the stamps before it.
///
/// A state is kept for at least the longest period and a second after its last stamp. An asker may
/// know its epoch until then.
///
/// With even spacing there are no stamps. The schedule advances by an interval for each permit,
/// from the due moment if that is later. A call of more than the burst is due when a full burst is
/// free. A charge advances the schedule from its stamp, if the schedule is behind.
///
/// A call is granted if it is due within the [reach](Self::reach), within the [span](Self::span) of
/// the first call that is granted, and [within](Run::within) the time that its run allows. At the
/// first call that exceeds the reach or the span, the request is *cut*: no later call is granted.
/// A call that exceeds the time of its own run takes nothing, and the next run follows.
///
/// # Examples
///
/// ```
/// use decor::shared::{Ask, Limits, Run};
/// use std::time::Duration;
///
/// let mut ask = Ask::new(Limits::Windows(vec![(100, Duration::from_secs(1))]));
/// ask.hold = Duration::from_millis(20);
/// ask.runs.push(Run { permits: [1, 0, 0, 0], calls: 64, within: None });
/// assert_eq!(ask.runs[0].calls, 64);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ask {
    /// The limits, as the asking process sees them. Other processes may see other ones. All stand
    /// on one log.
    pub limits: Limits,
    /// The time after its due moment for which a permit may be used.
    pub hold: Duration,
    /// Longest time from the first to the last due moment that this request may be granted. Keeps
    /// the turns of other processes near.
    pub span: Duration,
    /// Longest time from the asking to a due moment.
    pub reach: Duration,
    /// Time for which the store grants nothing, if it finds by this request that it has lost its
    /// state.
    pub grace: Duration,
    /// The epoch of the permits that the asker has used or holds, as far as they still count.
    /// `None` if no permit of the asker counts.
    pub epoch: Option<u64>,
    /// Permits that were used without a grant, or were granted in an epoch that the store has lost.
    pub charges: Vec<Charge>,
    /// Permits of each window that were taken and not used. The store gives back the oldest ones
    /// that count, and no more than count. A store that cannot give back permits ignores them: no
    /// window is then exceeded.
    pub refund: [u32; MAX_WINDOWS],
    /// The rest of a pause that a caller has asked for, to be passed on to all processes. Zero ends
    /// the pause that lasts. `None` has nothing to say.
    pub pause: Option<Duration>,
    /// The calls that wait, in order. At most 64 runs. Empty if the asker only reports, or only
    /// looks for an epoch or a pause.
    pub runs: Vec<Run>,
}

impl Ask {
    /// Makes a request without calls, charges and a pause, and with times of zero. For tests of a
    /// store.
    ///
    /// # Examples
    ///
    /// See [`Ask`].
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            hold: Duration::ZERO,
            span: Duration::ZERO,
            reach: Duration::ZERO,
            grace: Duration::ZERO,
            epoch: None,
            charges: Vec::new(),
            refund: [0; MAX_WINDOWS],
            pause: None,
            runs: Vec::new(),
        }
    }
}

/// Limits of a shared limiter.
///
/// # Examples
///
/// See [`Ask`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limits {
    /// Exact windows, one to four: the limit and the period of each.
    Windows(Vec<(u32, Duration)>),
    /// Even spacing.
    Paced {
        /// Permits per period.
        limit: u32,
        /// The period.
        period: Duration,
        /// Permits that may be taken at once after an idle time; at least 1, and at most the limit.
        burst: u32,
    },
}

/// Calls of one request that want the same.
///
/// # Examples
///
/// See [`Ask`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Permits of each call in each window, at least one of them above 0. Entries beyond the
    /// windows are 0. A window with 0 plays no part for the call.
    pub permits: [u32; MAX_WINDOWS],
    /// Number of calls; at least 1.
    pub calls: u32,
    /// Longest time from the asking to the due moment of a call. Zero for permits that are wanted
    /// at once or not at all. `None` without a limit other than the reach.
    pub within: Option<Duration>,
}

/// Permits that count without a grant.
///
/// # Examples
///
/// ```
/// use decor::shared::Charge;
///
/// let used_a_second_ago = Charge { permits: [1, 0, 0, 0], stamp: -1_000_000 };
/// assert!(used_a_second_ago.stamp < 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// Permits of each window.
    pub permits: [u32; MAX_WINDOWS],
    /// Microseconds from the asking to the last moment at which the permits are in use. Negative
    /// for permits that were used before, and positive for permits that are held.
    pub stamp: i64,
}
