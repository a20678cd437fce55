//! Calls that write, and remove the changed values from a memo.

use crate::support::{ms, secs};
use decor::{Error, Memo, prelude::*};
use std::{
    future::{pending, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};
use tokio::time::sleep;
use tokio_test::{assert_pending, assert_ready_eq, task};

fn users() -> Memo<u64, &'static str> {
    let users = Memo::builder().tags_by(|id: &u64, _: &&str| [format!("group:{}", id % 10)]).build();
    users.insert(42, "Ada");
    users
}

type Written = Result<(), String>;

#[tokio::test]
async fn a_success_removes_the_value_and_a_failure_does_not() {
    let refused = || Err::<(), _>("refused".to_owned());
    let users = users();
    let write = (|_: u64, answer: Written| ready(answer)).invalidating(&users, |id: &u64, _: &Written| *id);
    write.call(42, refused()).await.unwrap_err();
    assert!(users.contains(&42));
    write.call(41, Ok(())).await.unwrap();
    assert!(users.contains(&42));
    write.call(42, Ok(())).await.unwrap();
    assert!(!users.contains(&42));

    users.insert(42, "Ada");
    ready(refused()).invalidating(&users, 42).await.unwrap_err();
    assert!(users.contains(&42));
    ready(Written::Ok(())).invalidating(&users, 42).await.unwrap();
    assert!(!users.contains(&42));

    users.insert(42, "Ada");
    let write = (|_: u64, answer: Written| ready(answer))
        .invalidating_tag(&users, |id: &u64, _: &Written| format!("group:{}", id % 10));
    write.call(12, refused()).await.unwrap_err();
    write.call(43, Ok(())).await.unwrap();
    assert!(users.contains(&42));
    write.call(12, Ok(())).await.unwrap();
    assert!(!users.contains(&42));

    users.insert(42, "Ada");
    ready(refused()).invalidating_tag(&users, "group:2").await.unwrap_err();
    assert!(users.contains(&42));
    ready(Written::Ok(())).invalidating_tag(&users, "group:2").await.unwrap();
    assert!(!users.contains(&42));
}

/// In both cases the write may have happened.
#[tokio::test(start_paused = true)]
async fn a_cancelled_or_panicked_write_removes_the_value() {
    let users = users();
    let hang = (|_: u64| pending::<Result<(), Error>>()).invalidating(&users, |id: &u64| *id);
    drop(hang.call(42));
    assert!(users.contains(&42), "the call was never polled");
    hang.clone().timeout(secs(1)).call(42).await.unwrap_err();
    assert!(!users.contains(&42));

    users.insert(42, "Ada");
    // Around the timeout, a call that timed out is a failure like any other.
    let hang = (|_: u64| pending::<Result<(), Error>>()).timeout(secs(1)).invalidating(&users, |id: &u64| *id);
    hang.call(42).await.unwrap_err();
    assert!(users.contains(&42));

    let explode = (|_: u64| -> Written { panic!("of the write") }).blocking().invalidating(&users, |id: &u64| *id);
    catch_unwind(AssertUnwindSafe(|| explode.call(42))).unwrap_err();
    assert!(!users.contains(&42));
}

#[tokio::test(start_paused = true)]
async fn a_load_that_began_before_the_end_of_the_write_is_not_kept() {
    let users = users();
    let read = |_: u64| async {
        let read = "Ada"; // the present value of the database
        sleep(ms(200)).await;
        read
    };
    let read = read.memoized(&users);
    let write = (|_: u64| async {
        sleep(ms(100)).await;
        Written::Ok(())
    })
    .invalidating(&users, |id: &u64| *id);
    users.invalidate(&42);
    let (written, was) = tokio::join!(write.call(42), read.call(42));
    assert_eq!((written, was), (Ok(()), "Ada"));
    assert!(!users.contains(&42));
}

#[tokio::test(start_paused = true)]
async fn before_and_after_removes_the_value_at_the_start_too() {
    let users = users();
    for before in [false, true] {
        users.insert(42, "Ada");
        let write = (|_: u64| async {
            sleep(ms(100)).await;
            Err::<(), _>(users.contains(&42))
        })
        .invalidating(&users, |id: &u64| *id);
        let write = if before { write.before_and_after() } else { write };
        let call = write.call(42);
        assert!(users.contains(&42), "the call was not polled");
        assert_eq!(call.await, Err(!before));
        let mut call = task::spawn(ready(Written::Ok(())).invalidating_tag(&users, "group:2"));
        assert_ready_eq!(call.poll(), Ok(()));
    }
    // Each attempt removes the value too, before the function is called.
    users.insert(42, "Ada");
    let seen = std::cell::RefCell::new(Vec::new());
    let write = (|id: u64| {
        seen.borrow_mut().push(users.contains(&id));
        users.insert(id, "Ada");
        ready(Err::<(), _>("busy"))
    })
    .invalidating(&users, |id: &u64| *id)
    .before_and_after();
    write.retry_with(RetryPolicy::fixed(Duration::ZERO)).call(42).await.unwrap_err();
    assert_eq!(*seen.borrow(), [false; 3]);
    let mut call = task::spawn(pending::<Written>().invalidating(&users, 42).before_and_after());
    assert_pending!(call.poll());
    assert!(!users.contains(&42));
}

#[test]
fn debug_shows_the_decorators_in_the_chain() {
    async fn rename(_: u64) -> Written {
        Ok(())
    }
    let users: Memo<u64, String> = Memo::ttl(secs(300));
    let by_key = rename.invalidating(&users, |id: &u64| *id).before_and_after();
    assert_eq!(format!("{by_key:?}"), "rename.invalidating(ttl 300s, ..).before_and_after()");
    let by_tag = rename.invalidating_tag(&users, |_: &u64| "all");
    assert_eq!(format!("{by_tag:?}"), "rename.invalidating_tag(ttl 300s, ..)");
}
