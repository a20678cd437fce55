//! A future whose end is reported exactly once, however it comes: what `timed` and `logged` stand on.

use crate::thread::UnwindMark;
use pin_project::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// What is told of a call's beginning and of an end without an output.
pub trait Watch {
    /// The call is about to be polled for the first time. `false` if nobody listens, and nothing more is to be told.
    fn started(&mut self) -> bool;

    /// The call was dropped before it ended, or panicked.
    fn abandoned(&mut self, how: Abandoned);
}

/// What is told of a call's output.
pub trait WatchOutput<T>: Watch {
    /// The call ended with this.
    fn completed(&mut self, output: &T);
}

/// How a call ended that has no output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abandoned {
    /// It was dropped before it ended.
    Cancelled,
    /// It panicked.
    Panicked,
}

/// A call whose beginning and end are reported: the future of `.timed(..)` and `.logged(..)`.
///
/// # Cancel safety
///
/// As the call's own. Dropped after its first poll and before its end, it reports the call as cancelled; a panic of the
/// call is reported while it unwinds. Either is reported once.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::{future::{LoggedFuture, TimedFuture}, prelude::*};
/// use std::future::{Ready, ready};
///
/// let timed: TimedFuture<Ready<u8>> = ready(1).timed("one");
/// let logged: LoggedFuture<Ready<Result<u8, String>>> = ready(Ok(1)).logged();
/// assert_eq!(timed.await, logged.await.unwrap());
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct Watched<F, W: Watch> {
    // Dropped before `report`, so that what is watched inside reports first.
    #[pin]
    call: F,
    report: Report<W>,
}

/// Reports on drop what has not been reported.
struct Report<W: Watch> {
    watch: W,
    progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)] // behind a byte there would be a gap, and the call behind that would be copied along with it
enum Progress {
    NotStarted,
    /// Somebody listens, and waits to hear of the end.
    Watching,
    /// Nobody listens, or the end has been reported.
    Done,
}

impl<F, W: Watch> Watched<F, W> {
    #[inline]
    pub(crate) fn new(call: F, watch: W) -> Self {
        Self { call, report: Report::new(watch) }
    }
}

impl<F, W> Future for Watched<F, W>
where
    F: Future,
    W: WatchOutput<F::Output>,
{
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.report.start();
        let guard = PanicGuard::new(this.report);
        let poll = this.call.poll(cx);
        std::mem::forget(guard);
        let output = ready!(poll);
        this.report.completed(&output);
        Poll::Ready(output)
    }
}

/// The same for a call that blocks.
#[inline]
pub(crate) fn watched<T, W: WatchOutput<T>>(watch: W, call: impl FnOnce() -> T) -> T {
    let mut report = Report::new(watch);
    report.start();
    let guard = PanicGuard::new(&mut report);
    let output = call();
    std::mem::forget(guard);
    report.completed(&output);
    output
}

impl<W: Watch> Report<W> {
    fn new(watch: W) -> Self {
        Self { watch, progress: Progress::NotStarted }
    }

    #[inline]
    fn start(&mut self) {
        if self.progress == Progress::NotStarted {
            self.progress = Progress::Watching;
            if !self.watch.started() {
                self.progress = Progress::Done;
            }
        }
    }

    /// Whether there is an end to report. From now on there is none.
    #[inline]
    fn end(&mut self) -> bool {
        std::mem::replace(&mut self.progress, Progress::Done) == Progress::Watching
    }

    #[inline]
    fn completed<T>(&mut self, output: &T)
    where
        W: WatchOutput<T>,
    {
        if self.end() {
            self.watch.completed(output);
        }
    }

    #[inline]
    fn abandoned(&mut self, how: Abandoned) {
        if self.end() {
            self.watch.abandoned(how);
        }
    }
}

impl<W: Watch> Drop for Report<W> {
    #[inline]
    fn drop(&mut self) {
        self.abandoned(Abandoned::Cancelled);
    }
}

/// Reports the panic that it is dropped by. `std::thread::panicking` would not do: a future may be dropped while some
/// other panic unwinds, and one that panicked is usually dropped when the unwinding is over.
struct PanicGuard<'r, W: Watch> {
    report: &'r mut Report<W>,
    mark: UnwindMark,
}

impl<'r, W: Watch> PanicGuard<'r, W> {
    #[inline]
    fn new(report: &'r mut Report<W>) -> Self {
        Self { report, mark: UnwindMark::new() }
    }
}

impl<W: Watch> Drop for PanicGuard<'_, W> {
    fn drop(&mut self) {
        // A blocking call whose caller has gone is unwound as well, where decor would have it wait or begin anew.
        let how = if self.mark.is_cancelled() { Abandoned::Cancelled } else { Abandoned::Panicked };
        self.report.abandoned(how);
    }
}

impl<F, W: Watch> fmt::Debug for Watched<F, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let progress = self.report.progress;
        f.debug_struct("Watched")
            .field("watched", &(progress != Progress::Done))
            .field("started", &(progress != Progress::NotStarted))
            .finish_non_exhaustive()
    }
}
