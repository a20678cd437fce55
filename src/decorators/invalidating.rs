//! Decorators for calls that write, which remove the changed values from a memo.

use crate::{
    Memo, ResultLike,
    call::{Late, args::Inspect},
    describe::StepKind,
    layer::{
        Around, Captures, Decoration, End, Gate, GateLayer, GateSource, GatedFuture, Renewable, Wait, repeats_in_place,
    },
    memo::{Key, Value, Word},
};
use std::{borrow::Cow, fmt, task::Poll};

/// The values that a call removes.
#[derive(Debug, Clone)]
pub enum Target<K> {
    Key(K),
    Tag(Cow<'static, str>),
}

/// The gate of a call that writes.
#[derive(Debug)]
pub struct Invalidation<K, V> {
    memo: Memo<K, V>,
    target: Target<K>,
    /// `true` if the values are removed before the call as well.
    is_before: bool,
}

impl<K, V> Invalidation<K, V> {
    pub(crate) fn new(memo: &Memo<K, V>, target: Target<K>) -> Self {
        Self { memo: memo.clone(), target, is_before: false }
    }
}

impl<K: Key, V: Value> Invalidation<K, V> {
    fn invalidate(&self) {
        match &self.target {
            Target::Key(key) => self.memo.invalidate(key),
            Target::Tag(tag) => _ = self.memo.invalidate_tag(tag),
        }
    }
}

#[diagnostic::do_not_recommend]
impl<T: ResultLike, K: Key, V: Value> Gate<T> for Invalidation<K, V> {
    fn enter(&mut self, _: &mut Wait<'_>) -> Poll<Result<(), T>> {
        if self.is_before {
            self.invalidate();
        }
        Poll::Ready(Ok(()))
    }

    fn end(&mut self, end: End<'_, T>) {
        // A call that was cancelled or panicked may have written.
        if end.as_result().is_none_or(|result| result.is_ok()) {
            self.invalidate();
        }
    }
}

impl<K, V> Renewable for Invalidation<K, V> {
    #[inline]
    fn release(&mut self) {}
}

impl<F, T: ResultLike, K: Key, V: Value> GatedFuture<F, Invalidation<K, V>, T> {
    /// Removes the values at the beginning of the call as well; see
    /// [`Around::before_and_after`](crate::Around::before_and_after).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// let users: Memo<u64, String> = Memo::builder().build();
    /// users.insert(42, "Ada".to_owned());
    /// let rename = async { Ok::<_, String>(users.contains(&42)) };
    /// assert_eq!(rename.invalidating(&users, 42).before_and_after().await, Ok(false));
    /// # }
    /// ```
    pub fn before_and_after(mut self) -> Self {
        self.gate_mut().is_before = true;
        self
    }
}

/// Makes a key with a closure, for [`.invalidating(..)`](crate::FnExt::invalidating).
#[derive(Debug, Clone)]
pub struct KeyBy<P>(pub(crate) P);

/// Makes a tag with a closure, for [`.invalidating_tag(..)`](crate::FnExt::invalidating_tag).
#[derive(Debug, Clone)]
pub struct TagBy<P>(pub(crate) P);

impl<P> Word for KeyBy<P> {
    const WORD: &'static str = ".invalidating";
}

impl<P> Word for TagBy<P> {
    const WORD: &'static str = ".invalidating_tag";
}

/// Names the values that a call removes from a memo with keys `K`.
pub trait NamesTarget<Args, K>: Word {
    fn target(&self, args: &Args) -> Target<K>;
}

impl<P: Inspect<Args, Output = K>, Args, K> NamesTarget<Args, K> for KeyBy<P> {
    fn target(&self, args: &Args) -> Target<K> {
        Target::Key(self.0.inspect(args))
    }
}

impl<P: Inspect<Args, Output: Into<Cow<'static, str>>>, Args, K> NamesTarget<Args, K> for TagBy<P> {
    fn target(&self, args: &Args) -> Target<K> {
        Target::Tag(self.0.inspect(args).into())
    }
}

/// The decoration of [`.invalidating(..)`](crate::FnExt::invalidating) and
/// [`.invalidating_tag(..)`](crate::FnExt::invalidating_tag).
#[derive(Debug)]
pub struct Invalidating<K, V, P> {
    memo: Memo<K, V>,
    by: P,
    is_before: bool,
}

impl<K, V, P> Invalidating<K, V, P> {
    pub(crate) fn new(memo: &Memo<K, V>, by: P) -> Self {
        Self { memo: memo.clone(), by, is_before: false }
    }
}

impl<K, V, P: Clone> Clone for Invalidating<K, V, P> {
    fn clone(&self) -> Self {
        Self { memo: self.memo.clone(), by: self.by.clone(), is_before: self.is_before }
    }
}

impl<K, V, P: Word> Decoration for Invalidating<K, V, P> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = if self.is_before { ".before_and_after()" } else { "" };
        write!(f, "{}({}, ..){before}", P::WORD, self.memo.limits())
    }

    fn kind(&self) -> StepKind {
        StepKind::Immediate
    }
}

impl<Args, K, V, P: NamesTarget<Args, K>> Captures<Args> for Invalidating<K, V, P> {
    type Captured = Target<K>;

    #[inline]
    fn capture(&self, args: &Args) -> Target<K> {
        self.by.target(args)
    }
}

impl<Args, K, V, P: NamesTarget<Args, K>> GateSource<Args> for Invalidating<K, V, P> {
    type Gate = Invalidation<K, V>;

    #[inline]
    fn gate(self, target: Target<K>) -> Self::Gate {
        Invalidation { memo: self.memo, target, is_before: self.is_before }
    }

    repeats_in_place!(Args);
}

/// A function that writes, decorated with the removal of values.
pub type Writing<C, K, V, P> = Around<Late<C>, GateLayer<Invalidating<K, V, P>>>;

impl<C, K, V, P> Writing<C, K, V, P> {
    /// Removes the values at the beginning of the call as well, which is its first poll.
    ///
    /// Follows [`.invalidating(..)`](crate::FnExt::invalidating) and
    /// [`.invalidating_tag(..)`](crate::FnExt::invalidating_tag). Calls that come during the write
    /// then load from the source, and are not served the earlier value. Without this option the
    /// memo is still correct after the write, because the value of a load that began during the
    /// write is not kept.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// let users: Memo<u64, String> = Memo::builder().build();
    /// users.insert(42, "Ada".to_owned());
    /// let rename = async |id: u64| Ok::<_, String>(users.contains(&id));
    /// let rename = rename.invalidating(&users, |id: &u64| *id).before_and_after();
    /// assert_eq!(rename.call(42).await, Ok(false));
    /// # }
    /// ```
    pub fn before_and_after(mut self) -> Self {
        self.layer_mut().0.is_before = true;
        self
    }
}
