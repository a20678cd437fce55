//! A user's own traits beside the prelude. Stub methods of decor that exist only for the compiler's
//! messages never make a call ambiguous.

use decor::prelude::*;
use std::future::{Future, ready};

/// Takes futures by value, as extension traits of futures usually do.
trait OnFutures: Future + Sized {
    fn retry_with(self, n: u8) -> u8 {
        n
    }
    fn validated(self, n: u8) -> u8 {
        n + 1
    }
    fn memoized(self, n: u8) -> u8 {
        n + 2
    }
}

impl<F: Future> OnFutures for F {}

trait OnBorrowedFutures: Future {
    fn retry_with(&self, n: &str) -> usize {
        n.len()
    }
    fn validated(&self, n: &str) -> usize {
        n.len()
    }
    fn memoized(&self, n: &str) -> usize {
        n.len()
    }
}

struct Mine;

impl Future for Mine {
    type Output = ();

    fn poll(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        std::task::Poll::Ready(())
    }
}

#[test]
fn futures_may_have_methods_with_hidden_names() {
    assert_eq!(ready(()).retry_with(1), 1);
    assert_eq!(ready(()).validated(1), 2);
    assert_eq!(ready(()).memoized(1), 3);
    drop(ready(()).timed("ready"));
}

mod borrowed {
    use super::{Mine, OnBorrowedFutures};
    use decor::prelude::*;

    impl OnBorrowedFutures for Mine {}

    #[test]
    fn borrowed_futures_may_have_methods_with_hidden_names() {
        let mine = Mine;
        assert_eq!(mine.retry_with("1"), 1);
        assert_eq!(mine.validated("12"), 2);
        assert_eq!(mine.memoized("123"), 3);
        drop(mine.timed("mine"));
    }
}

mod on_functions {
    use decor::prelude::*;

    macro_rules! methods {
        ($receiver:ty: $($name:ident)*) => {$(
            fn $name(self: $receiver) -> &'static str {
                stringify!($name)
            }
        )*};
    }

    fn load(id: u64) -> u64 {
        id
    }

    trait ByValue: Sized {
        methods! { Self: timed logged timeout retry_with rate_limited memoized validated deprecated named boxed }
    }

    impl<F: Fn(u64) -> u64> ByValue for F {}

    #[test]
    fn sync_functions_may_have_methods_with_hidden_names() {
        assert_eq!(load.timed(), "timed");
        assert_eq!(load.timeout(), "timeout");
        assert_eq!(load.retry_with(), "retry_with");
        assert_eq!(load.memoized(), "memoized");
        assert_eq!(load.boxed(), "boxed");
        assert_eq!(load.blocking().named("load").call(7), 7);
        let others = [load.logged(), load.rate_limited(), load.validated(), load.deprecated(), ByValue::named(load)];
        assert_eq!(others, ["logged", "rate_limited", "validated", "deprecated", "named"]);
    }

    mod by_reference {
        use super::load;
        use decor::prelude::*;

        trait ByReference {
            methods! { &Self: timed memoized }
        }

        impl<F: Fn(u64) -> u64> ByReference for F {}

        #[test]
        fn methods_by_reference_may_have_hidden_names() {
            assert_eq!((load.timed(), load.memoized()), ("timed", "memoized"));
            assert_eq!(load.blocking().call(7), 7);
        }
    }
}
