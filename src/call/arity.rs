//! Impls for functions of 0 to 8 arguments. Rust has no variadic generics, so each impl is a macro
//! over `($Call; A a, B b, ..)`, which is expanded here for each number of arguments.

macro_rules! for_each_arity {
    ($spell_out:ident) => {
        $spell_out!(Call0;);
        $spell_out!(Call1; A a);
        $spell_out!(Call2; A a, B b);
        $spell_out!(Call3; A a, B b, C c);
        $spell_out!(Call4; A a, B b, C c, D d);
        $spell_out!(Call5; A a, B b, C c, D d, E e);
        $spell_out!(Call6; A a, B b, C c, D d, E e, G g);
        $spell_out!(Call7; A a, B b, C c, D d, E e, G g, H h);
        $spell_out!(Call8; A a, B b, C c, D d, E e, G g, H h, I i);
    };
}

pub(crate) use for_each_arity;
