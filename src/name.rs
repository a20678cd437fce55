//! Names of functions, futures and error types in messages.
//!
//! Functions and methods are named by `std::any::type_name`. Its documentation promises no exact
//! text. The names are therefore for readers only, and no decision depends on them. A closure has
//! no name in that text, and is named by the file and line of its first decorator.

use crate::sync::Arc;
use std::{
    any::type_name,
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
    panic::Location,
    // Not from `crate::sync`, because nothing is decided by a name.
    sync::{Mutex, PoisonError},
};

const CLOSURE: &str = "{{closure}}";

/// Name of a function, a future or a measurement: a text that is cheap to clone.
///
/// `.named(..)`, `.timed(..)` and [`Timing::new`](crate::Timing::new) take a literal, a `String`,
/// an `Arc<str>`, a `Cow<'static, str>` or a `Name`. A name that is made at run time is allocated
/// once, and freed with the last clone. Calls and errors share the name, so a clone allocates
/// nothing.
///
/// A `Name` derefs to `str`, compares with texts, and has the `Display` and `Debug` of a `str`.
///
/// # Examples
///
/// ```
/// use decor::{Error, Name};
/// use std::time::Duration;
///
/// let job = Name::from(format!("job {}", 42));
/// assert_eq!(job, "job 42");
/// assert!(job.starts_with("job"));
///
/// let error = Error::TimedOut { name: job.clone(), after: Duration::from_secs(2), label: None };
/// assert_eq!(error.to_string(), "job 42 timed out after 2s");
/// assert_eq!(format!("{job:?}"), "\"job 42\"");
/// ```
#[derive(Clone)]
pub struct Name(Text);

#[derive(Clone)]
enum Text {
    /// A static text. The name of a type is parsed only when it is shown.
    Static(Kind, &'static str),
    /// The place of a closure.
    Place(&'static Location<'static>),
    /// A name that was made at run time.
    Shared(Arc<str>),
}

/// The kind of a static text.
#[derive(Clone, Copy)]
#[repr(usize)] // A byte would leave padding, which would be copied along with the next field.
enum Kind {
    /// The name itself.
    Given,
    /// The type name of a function, which contains the function's own name.
    Function,
    /// The type name of a future, which contains the name of its function.
    Future,
}

impl Name {
    pub(crate) fn of_function<F: ?Sized>() -> Self {
        Self(Text::Static(Kind::Function, type_name::<F>()))
    }

    pub(crate) fn of_future<F: ?Sized>() -> Self {
        Self(Text::Static(Kind::Future, type_name::<F>()))
    }

    /// Names a closure by its place. Leaves every other name as it is.
    #[inline]
    pub(crate) fn or_place(self, place: &'static Location<'static>) -> Self {
        match self.0 {
            Text::Static(Kind::Function, path) if path.ends_with(CLOSURE) => Self(Text::Place(place)),
            _ => self,
        }
    }

    /// The place of a closure; `None` for every other name.
    #[inline]
    pub(crate) fn place(&self) -> Option<&'static Location<'static>> {
        match self.0 {
            Text::Place(place) => Some(place),
            _ => None,
        }
    }

    pub(crate) fn get(&self) -> &str {
        match &self.0 {
            Text::Place(place) => text_of(place),
            Text::Static(Kind::Given, name) => name,
            Text::Static(Kind::Function, path) => function_name(path),
            Text::Static(Kind::Future, path) => maker_of(path),
            Text::Shared(name) => name,
        }
    }
}

/// The text of the name.
///
/// # Examples
///
/// ```
/// assert_eq!(decor::Name::from("fetch").len(), 5);
/// ```
impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        self.get()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.get(), f)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Name {}

/// Hashes as the text does.
impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.get().hash(state);
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.get() == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self.get() == *other
    }
}

/// Allocates nothing.
impl From<&'static str> for Name {
    fn from(name: &'static str) -> Self {
        Self(Text::Static(Kind::Given, name))
    }
}

/// Allocates nothing.
impl From<Arc<str>> for Name {
    fn from(name: Arc<str>) -> Self {
        Self(Text::Shared(name))
    }
}

/// Allocates once, for all clones.
impl From<String> for Name {
    fn from(name: String) -> Self {
        Arc::<str>::from(name).into()
    }
}

/// Allocates once, if the text is owned.
impl From<Cow<'static, str>> for Name {
    fn from(name: Cow<'static, str>) -> Self {
        match name {
            Cow::Borrowed(name) => name.into(),
            Cow::Owned(name) => name.into(),
        }
    }
}

/// Writes the text.
///
/// # Examples
///
/// ```
/// let name = decor::Name::from("users");
/// assert_eq!(serde_json::to_string(&name)?, "\"users\"");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[cfg(feature = "serde")]
impl serde::Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self)
    }
}

/// Reads a text.
///
/// # Examples
///
/// ```
/// let name: decor::Name = serde_json::from_str("\"users\"")?;
/// assert_eq!(name, "users");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Self::from)
    }
}

/// The name of the async function that made a future of type `F`, for a gate that shows it.
///
/// A function's name is [`Function::name`](crate::layer::Function::name).
///
/// # Examples
///
/// ```
/// use decor::layer::future_name;
///
/// async fn fetch(id: u64) -> u64 { id }
/// assert_eq!(future_name(&fetch(42)), "fetch");
/// ```
pub fn future_name<F: ?Sized>(_: &F) -> &'static str {
    maker_of(type_name::<F>())
}

/// `src/main.rs:12`. Allocates at the first use of each place, and never again.
fn text_of(place: &'static Location<'static>) -> &'static str {
    static TEXTS: Mutex<BTreeMap<(&str, u32), &str>> = Mutex::new(BTreeMap::new());
    let (file, line) = (place.file(), place.line());
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    texts.entry((file, line)).or_insert_with(|| format!("{file}:{line}").leak())
}

/// The last path segment of a function. For a closure, also the function around it:
/// `main::{{closure}}`.
fn function_name(path: &'static str) -> &'static str {
    let named = last_named_segment(path);
    if named.ends_with(CLOSURE) { named } else { without_generics(named) }
}

/// The async function that made the future, or the function around an async block. Looks through
/// the wrappers of decor and of the futures crate.
fn maker_of(mut path: &'static str) -> &'static str {
    let wrapper = |path: &str| path.starts_with("decor::") || path.starts_with("futures_util::future::");
    if path.starts_with("core::pin::Pin<") {
        return "future"; // the type of a box does not name its content
    }
    while wrapper(path) && path.contains('<') {
        path = first_generic(path);
    }
    let named = last_named_segment(path);
    named.find(['<', ':']).map_or(named, |end| &named[..end])
}

/// The part of the path from its last segment that is not `{{closure}}`.
fn last_named_segment(path: &'static str) -> &'static str {
    if path.starts_with("fn(") || path.starts_with("for<") {
        return "fn";
    }
    let mut start = 0;
    for (at, depth) in depths(path) {
        let separator = depth == 0 && path.as_bytes()[at..].starts_with(b"::");
        if separator && !path[at + 2..].starts_with(CLOSURE) {
            start = at + 2;
        }
    }
    path[start..].trim_start_matches(['&', '*']).trim_start_matches("mut ").trim_start_matches("dyn ")
}

fn without_generics(segment: &'static str) -> &'static str {
    segment.find('<').map_or(segment, |end| &segment[..end])
}

fn first_generic(path: &'static str) -> &'static str {
    let Some(open) = path.find('<') else { return path };
    let end = depths(path)
        .find(|&(at, depth)| at > open && depth <= 1 && matches!(path.as_bytes()[at], b',' | b'>'))
        .map_or(path.len(), |(at, _)| at);
    &path[open + 1..end]
}

/// Index and nesting depth of each byte. A bracket counts as inside itself.
fn depths(path: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut depth = 0_usize;
    let mut previous = 0;
    let mut leaving = false;
    path.bytes().enumerate().map(move |(at, byte)| {
        if leaving {
            depth = depth.saturating_sub(1);
        }
        leaving = matches!(byte, b')' | b']') || byte == b'>' && previous != b'-';
        if matches!(byte, b'<' | b'(' | b'[') {
            depth += 1;
        }
        previous = byte;
        (at, depth)
    })
}

/// Name of a type without paths, as in source code: `Box<dyn Error + Send>`.
pub(crate) fn short_type_name<T: ?Sized>() -> impl fmt::Display {
    WithoutPaths(type_name::<T>())
}

struct WithoutPaths(&'static str);

impl fmt::Display for WithoutPaths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_path = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '{' | '}');
        for token in self.0.split_inclusive(|c| !is_path(c)) {
            f.write_str(token.rsplit_once("::").map_or(token, |(_, last)| last))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_show_their_last_segment() {
        assert_eq!(function_name("app::users::fetch"), "fetch");
        assert_eq!(function_name("app::fetch<alloc::string::String, app::B>"), "fetch");
        assert_eq!(function_name("<app::Client as app::Api>::get"), "get");
        assert_eq!(function_name("app::Pool<app::Conn>::get"), "get");
        assert_eq!(function_name("&app::fetch"), "fetch");
        assert_eq!(function_name("fn(u64) -> core::pin::Pin<alloc::boxed::Box<dyn app::F>>"), "fn");
        assert_eq!(function_name("for<'a> fn(&'a str) -> app::F"), "fn");
        assert_eq!(function_name("&dyn app::Fetch"), "Fetch");
        assert_eq!(function_name("fetch"), "fetch");
    }

    #[test]
    fn closures_show_the_function_around_them() {
        assert_eq!(function_name("app::main::{{closure}}"), "main::{{closure}}");
        assert_eq!(function_name("app::main::{{closure}}::{{closure}}"), "main::{{closure}}::{{closure}}");
    }

    #[test]
    fn a_closure_is_named_by_its_place_and_anything_else_by_itself() {
        fn of<F>(_: &F) -> Name {
            Name::of_function::<F>()
        }

        let place = Location::caller();
        let closure = || ();
        let named = |name: Name| name.or_place(place);
        assert_eq!(named(of(&closure)), format!("{}:{}", place.file(), place.line()).as_str());
        assert_eq!(named(of(&closure)).place(), Some(place));
        assert_eq!(named(of(&last_named_segment)), "last_named_segment");
        assert_eq!(named("job".into()), "job");
        assert_eq!(named(String::from("job").into()).place(), None);
    }

    #[test]
    fn futures_show_the_function_that_made_them() {
        assert_eq!(maker_of("app::users::fetch::{{closure}}"), "fetch");
        assert_eq!(maker_of("app::main::{{closure}}::{{closure}}"), "main");
        assert_eq!(maker_of("app::fetch<alloc::string::String>::{{closure}}"), "fetch");
        assert_eq!(maker_of("core::future::ready::Ready<i32>"), "Ready");
        assert_eq!(maker_of("core::pin::Pin<alloc::boxed::Box<dyn core::future::Future<Output = i32>>>"), "future");
        assert_eq!(maker_of("decor::a::W<decor::b::T<app::Pool<u8, i8>::fetch::{{closure}}>, decor::W>"), "fetch");
        assert_eq!(maker_of("decor::a::Watched<decor::b::T<app::fetch::{{closure}}>, decor::W>"), "fetch");
        assert_eq!(
            maker_of("futures_util::future::MapErr<app::fetch<(u8, i8)>::{{closure}}, fn(app::E) -> app::F>"),
            "fetch"
        );
    }

    #[test]
    fn types_lose_their_paths() {
        struct Local;
        let local = || short_type_name::<Option<Local>>().to_string();
        assert_eq!(local(), "Option<Local>");
        assert_eq!(short_type_name::<std::io::Error>().to_string(), "Error");
        assert_eq!(
            short_type_name::<Box<dyn std::error::Error + Send + Sync>>().to_string(),
            "Box<dyn Error + Send + Sync>"
        );
        assert_eq!(short_type_name::<Result<Vec<u8>, &'static str>>().to_string(), "Result<Vec<u8>, &str>");
    }
}
