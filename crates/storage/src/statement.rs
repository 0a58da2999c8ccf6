//! Statements whose text never changes, written by hand.
//!
//! Diesel prepares anew, on every call, what it cannot be sure about: each UPDATE, each
//! `ON CONFLICT`. A type made here has one text, says so by its `QueryId`, and is prepared once for
//! each connection.

/// Makes a statement: `Name { field: Type } [-> SqlTypes] { "text", {field: SqlType}, "text", … }`.
///
/// Fields are borrowed, so that nothing is copied to be bound. `Backend` must be in scope: the one
/// the statement is for.
macro_rules! statement {
    (
        $(#[$doc:meta])*
        $name:ident { $($field:ident: $type:ty),* $(,)? } $(-> $row:ty)?
        { $($part:tt),* $(,)? }
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        #[allow(clippy::ref_option_ref, reason = "every field is borrowed, whatever its type")]
        pub(crate) struct $name<'a> {
            $(pub(crate) $field: &'a $type,)*
        }

        impl diesel::query_builder::QueryFragment<Backend> for $name<'_> {
            fn walk_ast<'b>(
                &'b self,
                mut out: diesel::query_builder::AstPass<'_, 'b, Backend>,
            ) -> diesel::QueryResult<()> {
                $($crate::statement::statement!(@part self, out, $part);)*
                Ok(())
            }
        }

        impl diesel::query_builder::QueryId for $name<'_> {
            type QueryId = $name<'static>;
            const HAS_STATIC_QUERY_ID: bool = true;
        }

        impl<C> diesel::query_dsl::RunQueryDsl<C> for $name<'_> {}

        $(
            impl diesel::query_builder::Query for $name<'_> {
                type SqlType = $row;
            }
        )?
    };
    (@part $self:ident, $out:ident, {$field:ident: $type:ty}) => {
        $out.push_bind_param::<$type, _>($self.$field)?;
    };
    (@part $self:ident, $out:ident, $text:expr) => {
        $out.push_sql($text);
    };
}

pub(crate) use statement;
