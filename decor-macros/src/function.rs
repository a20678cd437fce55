//! The function below the attribute.

use crate::chain::Chain;
use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::{
    Attribute, Error, FnArg, GenericParam, Generics, ItemFn, Pat, PatType, Result, Safety, Signature,
    parse::{Parse, ParseStream},
};

pub(crate) struct Function(ItemFn);

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let function: ItemFn = input.parse()?;
        let signature = &function.sig;
        let refuse = |token: &dyn ToTokens, what| {
            Err(Error::new_spanned(token, format!("{what} cannot be decorated: decorate a function that calls it")))
        };
        if let Some(token) = &signature.constness {
            return refuse(token, "a `const fn`");
        }
        if let Some(token) = &signature.abi {
            return refuse(token, "an `extern fn`");
        }
        if let Safety::Unsafe(token) = &signature.safety {
            return refuse(token, "an `unsafe fn`");
        }
        Ok(Self(function))
    }
}

impl Function {
    /// Returns the function with its own name, signature and attributes, which calls the chain.
    pub(crate) fn decorated(self, chain: &Chain) -> TokenStream {
        let is_associated = self.is_associated();
        let Self(ItemFn { attrs, vis, sig, block, .. }) = self;
        let mut inner = sig.clone();
        inner.ident = if is_associated {
            format_ident!("{}_undecorated", sig.ident)
        } else {
            // A name that hides no argument and nothing that the body uses.
            format_ident!("__undecorated")
        };
        let path = path_of(&inner, is_associated);
        let (outer, arguments) = with_plain_arguments(sig);
        let name = outer.ident.to_string();
        let name = name.trim_start_matches("r#");
        let call = if outer.asyncness.is_some() {
            quote!(#path.named(#name)#chain.call(#(#arguments),*).await)
        } else {
            quote!(#path.blocking().named(#name)#chain.call(#(#arguments),*))
        };
        // The traits are imported for the chain alone, because in the function's own block they
        // could make the names of methods ambiguous.
        let call = quote!({ #[allow(unused_imports)] use ::decor::prelude::methods::*; #call });
        if is_associated {
            let copied = attrs.iter().filter(|attribute| is_of_the_body(attribute));
            quote! {
                #(#attrs)* #vis #outer { #call }
                #(#copied)* #[doc(hidden)] #inner #block
            }
        } else {
            quote! { #(#attrs)* #vis #outer { #inner #block #call } }
        }
    }

    /// Returns `true` for a function of an `impl` block, which is called as `Self::name`. An item
    /// inside such a function could name neither `Self` nor the parameters of the block.
    fn is_associated(&self) -> bool {
        let body = self.0.block.to_token_stream();
        self.0.sig.receiver().is_some()
            || has_word(self.0.sig.to_token_stream(), "Self")
            || has_word(body.clone(), "Self") && !has_word(body, "impl")
    }
}

/// Returns the function as a value, with its types and constants: lifetimes are inferred.
fn path_of(signature: &Signature, is_associated: bool) -> TokenStream {
    let name = &signature.ident;
    let parameters = parameters(&signature.generics);
    let of = is_associated.then(|| quote!(Self::));
    if parameters.is_empty() { quote!(#of #name) } else { quote!(#of #name::<#(#parameters),*>) }
}

fn parameters(generics: &Generics) -> Vec<&Ident> {
    let types = generics.params.iter().filter_map(|parameter| match parameter {
        GenericParam::Type(parameter) => Some(&parameter.ident),
        GenericParam::Const(parameter) => Some(&parameter.ident),
        GenericParam::Lifetime(_) => None,
    });
    types.collect()
}

/// Returns the signature with a plain name for each argument, and the arguments of a call.
fn with_plain_arguments(mut signature: Signature) -> (Signature, Vec<TokenStream>) {
    let mut arguments = Vec::new();
    for (place, argument) in signature.inputs.iter_mut().enumerate() {
        match argument {
            FnArg::Receiver(receiver) => {
                arguments.push(receiver.self_token.to_token_stream());
                receiver.mutability = None;
            }
            FnArg::Typed(PatType { pat, .. }) => {
                let name = match &**pat {
                    Pat::Ident(pattern) if pattern.subpat.is_none() => pattern.ident.clone(),
                    _ => format_ident!("argument_{place}"),
                };
                arguments.push(name.to_token_stream());
                **pat = syn::parse_quote!(#name);
            }
        }
    }
    (signature, arguments)
}

/// Returns `true` for an attribute that decides how the body is compiled.
fn is_of_the_body(attribute: &Attribute) -> bool {
    ["allow", "cfg", "deny", "expect", "forbid", "warn"].iter().any(|name| attribute.path().is_ident(name))
}

fn has_word(tokens: TokenStream, word: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => has_word(group.stream(), word),
        TokenTree::Ident(ident) => ident == word,
        _ => false,
    })
}
