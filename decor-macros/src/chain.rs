//! The decorators in the parentheses of the attribute.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    Error, Expr, Result, Token,
    parse::{Parse, ParseStream},
};

/// Handles that remember something from call to call.
const HANDLES: [&str; 9] = [
    "Chaos",
    "CircuitBreaker",
    "ConcurrencyLimiter",
    "KeyedBreaker",
    "KeyedConcurrencyLimiter",
    "KeyedLimiter",
    "Memo",
    "RateLimiter",
    "RetryBudget",
];

/// Method calls without the value in front: `.timeout(..).logged()`.
pub(crate) struct Chain(TokenStream);

impl Parse for Chain {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if !input.peek(Token![.]) {
            let example = "a chain begins with a dot, as in `#[decorated(.timeout(limit).logged())]`";
            return Err(input.error(example));
        }
        let tokens: TokenStream = input.parse()?;
        only_calls(&syn::parse2(quote!(function #tokens))?)?;
        no_new_handle(tokens.clone())?;
        Ok(Self(tokens))
    }
}

impl ToTokens for Chain {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.0.to_tokens(tokens);
    }
}

fn only_calls(expression: &Expr) -> Result<()> {
    match expression {
        Expr::MethodCall(call) => only_calls(&call.receiver),
        Expr::Path(_) => Ok(()),
        other => {
            let message = "a chain has only method calls, as in `.timeout(limit).logged()`";
            // The first token is the macro's own. The last one is the user's, as in `.await`.
            let last = other.to_token_stream().into_iter().last();
            Err(last.map_or_else(|| Error::new_spanned(other, message), |last| Error::new_spanned(last, message)))
        }
    }
}

/// Finds `RateLimiter::new(..)` and the like. The chain is made at each call, so that such a handle
/// would remember nothing.
fn no_new_handle(tokens: TokenStream) -> Result<()> {
    let tokens: Vec<_> = tokens.into_iter().collect();
    for (place, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => no_new_handle(group.stream())?,
            TokenTree::Ident(name) if HANDLES.iter().any(|handle| name == handle) && is_made(&tokens[place + 1..]) => {
                let message = format!("a `{name}` that is made here is new at each call: keep it in a static");
                return Err(Error::new_spanned(name, message));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Returns `true` if a path goes on as `::new` or with another function that makes a value.
fn is_made(rest: &[TokenTree]) -> bool {
    let [TokenTree::Punct(first), TokenTree::Punct(second), rest @ ..] = rest else { return false };
    let function = rest.iter().find_map(|token| match token {
        TokenTree::Ident(name) => Some(name),
        _ => None,
    });
    first.as_char() == ':' && second.as_char() == ':' && function.is_some_and(|name| name != "clone")
}
