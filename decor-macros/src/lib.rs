//! The attribute of the crate `decor`, which re-exports it as `decor::decorated` and documents it.
#![forbid(unsafe_code)]

mod chain;
mod function;

use chain::Chain;
use function::Function;
use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;

/// Decorates the function below: `decor::decorated` has the documentation.
#[proc_macro_attribute]
pub fn decorated(chain: TokenStream, function: TokenStream) -> TokenStream {
    let written = Tokens::from(function.clone());
    syn::parse(chain)
        .and_then(|chain: Chain| Ok(syn::parse::<Function>(function)?.decorated(&chain)))
        // With the function as it was written, only the mistake itself is reported, and not every
        // use of the function.
        .unwrap_or_else(|mistake| [mistake.into_compile_error(), written].into_iter().collect())
        .into()
}
