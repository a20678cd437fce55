//! Arguments of a call, as decorators use them: a closure looks at them, or a log line shows them.

use super::arity::for_each_arity;
use std::fmt;

/// A closure that takes the arguments of a call one by one, by reference:
/// `|id: &u64, lang: &&str| ..`.
///
/// Implemented for functions and closures of 0 to 8 arguments. The parameters of closures need type
/// annotations, because rustc cannot infer them through this trait. A closure that took the tuple
/// of arguments would pin their lifetimes, and not fit functions that take a `&str`.
///
/// # Examples
///
/// ```
/// use decor::Inspect;
///
/// let not_empty = |text: &&str, _times: &u32| !text.is_empty();
/// assert!(not_empty.inspect(&("abc", 3)));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not look at the arguments `{Args}`",
    note = "take each argument by reference, and write its type: `|id: &u64, lang: &&str| ..` for a function of `(u64, &str)`"
)]
pub trait Inspect<Args> {
    /// The output of the closure.
    type Output;

    /// Calls the closure with the arguments.
    fn inspect(&self, args: &Args) -> Self::Output;
}

/// Arguments that can be printed as they were written in the call: `(42, "en")`.
///
/// Implemented for tuples of 0 to 8 types that are [`Debug`](fmt::Debug).
///
/// # Examples
///
/// ```
/// fn can_be_shown<Args: decor::DebugArgs>(_: &Args) {}
///
/// can_be_shown(&(42, "en"));
/// ```
#[diagnostic::on_unimplemented(
    message = "the arguments `{Self}` cannot be printed, because one of them is not `Debug`",
    note = "derive `Debug` for it, or choose the text to show by `.logged_args(|..| ..)`, or log without arguments by `.logged()`"
)]
pub trait DebugArgs {
    /// Writes the arguments, in parentheses.
    #[allow(clippy::missing_errors_doc)] // only errors of the formatter
    fn fmt_args(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// `Clone` under another name, so that the compiler can explain why a decorator clones arguments.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "the arguments `{Self}` cannot be cloned for another call, because one of them is not `Clone`",
    note = "derive `Clone` for it, or take it by `&` or as an `Arc`; what is lent by `&mut` cannot be lent to a second call"
)]
pub trait CloneArgs: Clone {}

#[diagnostic::do_not_recommend]
impl<Args: Clone> CloneArgs for Args {}

macro_rules! arguments {
    ($Call:ident; $($A:ident $a:ident),*) => {
        impl<Func, R, $($A),*> Inspect<($($A,)*)> for Func
        where
            Func: Fn($(&$A),*) -> R,
        {
            type Output = R;

            fn inspect(&self, ($($a,)*): &($($A,)*)) -> R {
                self($($a),*)
            }
        }

        #[diagnostic::do_not_recommend]
        impl<$($A: fmt::Debug),*> DebugArgs for ($($A,)*) {
            fn fmt_args(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let ($($a,)*) = self;
                let values: &[&dyn fmt::Debug] = &[$($a),*];
                f.write_str("(")?;
                for (position, value) in values.iter().enumerate() {
                    if position > 0 {
                        f.write_str(", ")?;
                    }
                    value.fmt(f)?;
                }
                f.write_str(")")
            }
        }
    };
}
for_each_arity!(arguments);
